//! The port `Registry`, on any registry.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use async_trait::async_trait;
use longshore_events::ImageName;
use longshore_ports::{PortError, Registry, Resolved};

use super::{Client, ClientError, Credentials};
use crate::names::Repository;

/// Clients of all registries that images name, made when first needed.
#[derive(Default)]
pub struct Registries {
    credentials: BTreeMap<String, Credentials>,
    clients: Mutex<BTreeMap<String, Client>>,
}

impl Registries {
    /// With credentials by registry (`ghcr.io`, `docker.io`, `127.0.0.1:5000`).
    pub fn new(credentials: BTreeMap<String, Credentials>) -> Self {
        Self { credentials, clients: Mutex::default() }
    }

    /// The client of an image's registry, and the image's repository there. A name without a registry is Docker
    /// Hub's, as everywhere.
    ///
    /// # Errors
    /// [`ClientError::Invalid`] when the name cannot be a repository, or no client can be made.
    pub fn locate(&self, image: &ImageName) -> Result<(Client, Repository), ClientError> {
        let (host, repository) = split(image.as_str());
        let repository = repository
            .parse()
            .map_err(|error| ClientError::invalid(&format!("read the image name {image}"), error))?;
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(host) {
            return Ok((client.clone(), repository));
        }
        let client = Client::new(host, self.credentials.get(host).cloned())?;
        clients.insert(host.to_owned(), client.clone());
        Ok((client, repository))
    }
}

/// The registry's host and the repository in an image's name.
fn split(image: &str) -> (&str, String) {
    match image.split_once('/') {
        Some((host, rest)) if host.contains(['.', ':']) || host == "localhost" => {
            let official = matches!(host, "docker.io" | "index.docker.io") && !rest.contains('/');
            if official { ("docker.io", format!("library/{rest}")) } else { (host, rest.to_owned()) }
        }
        Some(_) => ("docker.io", image.to_owned()),
        None => ("docker.io", format!("library/{image}")),
    }
}

#[async_trait]
impl Registry for Registries {
    async fn resolve(&self, image: &ImageName, reference: &str) -> Result<Option<Resolved>, PortError> {
        let operation = format!("resolve {image}:{reference}");
        let reference = reference.parse().map_err(|error| PortError::invalid(&*operation, error))?;
        let (client, repository) = self.locate(image)?;
        let resolved = client.resolve(&repository, &reference).await;
        resolved.map_err(|error| PortError { operation, ..error.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn a_name_without_a_registry_is_docker_hubs() {
        assert_eq!(split("nginx"), ("docker.io", "library/nginx".to_owned()));
        assert_eq!(split("acme/shop"), ("docker.io", "acme/shop".to_owned()));
        assert_eq!(split("docker.io/nginx"), ("docker.io", "library/nginx".to_owned()));
        assert_eq!(split("127.0.0.1:5000/shop"), ("127.0.0.1:5000", "shop".to_owned()));
        assert_eq!(split("localhost/a/b"), ("localhost", "a/b".to_owned()));
    }
}
