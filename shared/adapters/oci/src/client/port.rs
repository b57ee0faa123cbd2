//! The ports `Registry` and `Signatures`, on any registry.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use async_trait::async_trait;
use longshore_events::{Digest, ImageName};
use longshore_ports::{Claim, PortError, Registry, Resolved, Signatures};

use super::{Client, ClientError, Credentials};
use crate::names::Repository;

/// Clients of all registries that images name, made when first needed.
#[derive(Default)]
pub struct Registries {
    credentials: BTreeMap<String, Credentials>,
    /// Where images without a registry in their name lie, in place of Docker Hub.
    own: Option<String>,
    /// That registry is this process's own.
    is_ours: bool,
    clients: Mutex<BTreeMap<String, Client>>,
}

impl Registries {
    /// With credentials by registry (`ghcr.io`, `docker.io`, `127.0.0.1:5000`).
    pub fn new(credentials: BTreeMap<String, Credentials>) -> Self {
        Self { credentials, ..Self::default() }
    }

    /// Lets images without a registry in their name lie in `own`, e.g. `127.0.0.1:7070`.
    #[must_use]
    pub fn with_own(self, own: impl Into<String>) -> Self {
        Self { own: Some(own.into()), ..self }
    }

    /// As [`Self::with_own`], where that registry is this process's own: it is spoken to over plain HTTP.
    #[must_use]
    pub fn with_ours(self, own: impl Into<String>) -> Self {
        Self { is_ours: true, ..self.with_own(own) }
    }

    /// The client of an image's registry, and the image's repository there. A name without a registry is Docker
    /// Hub's, as everywhere, unless [`Registries::with_own`] says otherwise.
    ///
    /// # Errors
    /// [`ClientError::Invalid`] when the name cannot be a repository, or no client can be made.
    pub fn locate(&self, image: &ImageName) -> Result<(Client, Repository), ClientError> {
        let (host, repository) = split(image.as_str(), self.own.as_deref());
        let repository = repository
            .parse()
            .map_err(|error| ClientError::invalid(&format!("read the image name {image}"), error))?;
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(host) {
            return Ok((client.clone(), repository));
        }
        let credentials = self.credentials.get(host).cloned();
        let is_ours = self.is_ours && self.own.as_deref() == Some(host);
        let client = if is_ours { Client::own(host, credentials) } else { Client::new(host, credentials) }?;
        clients.insert(host.to_owned(), client.clone());
        Ok((client, repository))
    }
}

/// The registry's host and the repository in an image's name.
fn split<'a>(image: &'a str, own: Option<&'a str>) -> (&'a str, String) {
    match (image.split_once('/'), own) {
        (Some((host, rest)), _) if host.contains(['.', ':']) || host == "localhost" => {
            let official = matches!(host, "docker.io" | "index.docker.io") && !rest.contains('/');
            if official { ("docker.io", format!("library/{rest}")) } else { (host, rest.to_owned()) }
        }
        (_, Some(own)) => (own, image.to_owned()),
        (Some(_), None) => ("docker.io", image.to_owned()),
        (None, None) => ("docker.io", format!("library/{image}")),
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

#[async_trait]
impl Signatures for Registries {
    async fn claims(&self, image: &ImageName, digest: &Digest) -> Result<Vec<Claim>, PortError> {
        let (client, repository) = self.locate(image)?;
        let claims = client.signatures(&repository, digest).await;
        let operation = format!("look for signatures of {image}");
        claims.map_err(|error| PortError { operation, ..error.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn a_name_without_a_registry_is_docker_hubs() {
        assert_eq!(split("nginx", None), ("docker.io", "library/nginx".to_owned()));
        assert_eq!(split("acme/shop", None), ("docker.io", "acme/shop".to_owned()));
        assert_eq!(split("docker.io/nginx", None), ("docker.io", "library/nginx".to_owned()));
        assert_eq!(split("127.0.0.1:5000/shop", None), ("127.0.0.1:5000", "shop".to_owned()));
        assert_eq!(split("localhost/a/b", None), ("localhost", "a/b".to_owned()));
    }

    #[test]
    fn a_name_without_a_registry_is_in_our_own_where_there_is_one() {
        let own = Some("127.0.0.1:7070");
        assert_eq!(split("shop", own), ("127.0.0.1:7070", "shop".to_owned()));
        assert_eq!(split("acme/shop", own), ("127.0.0.1:7070", "acme/shop".to_owned()));
        assert_eq!(split("docker.io/nginx", own), ("docker.io", "library/nginx".to_owned()));
        assert_eq!(split("ghcr.io/acme/shop", own), ("ghcr.io", "acme/shop".to_owned()));
    }
}
