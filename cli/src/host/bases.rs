//! Base images: of the host's own registry, or brought to it from the registry that `FROM` names.

use longshore_oci::client::Client;
use longshore_oci::packer::{Base, Bases};
use longshore_oci::server::{BringError, Store};
use longshore_oci::{Reference, Repository};
use tokio::runtime::Handle;

/// Base images at hand. To be asked where blocking is allowed, within the runtime.
pub(super) struct HostBases(pub(super) Store);

type Failure = Box<dyn std::error::Error + Send + Sync>;

impl Bases for HostBases {
    fn base(&self, reference: &str) -> Result<Option<Base>, Failure> {
        let (name, tag) = split(reference);
        let Ok(tag) = tag.parse::<Reference>() else { return Ok(None) };
        if let Ok(own) = name.parse::<Repository>()
            && let Some(base) = self.0.base(&own, &tag)?
        {
            return Ok(Some(base));
        }
        let Some((registry, there, here)) = elsewhere(name) else { return Ok(None) };
        let here: Repository = here.parse()?;
        let known = self.0.base(&here, &tag)?;
        if known.is_some() && matches!(tag, Reference::Digest(_)) {
            return Ok(known);
        }
        match bring(&self.0, registry, &there.parse()?, &tag, &here) {
            Err(BringError::Client(error)) if known.is_some() && error.is_temporary() => {
                tracing::warn!(%error, "using the base image as it was brought last");
                Ok(known)
            }
            Err(error) => Err(error.into()),
            Ok(false) => Ok(None),
            Ok(true) => self.0.base(&here, &tag),
        }
    }
}

fn bring(
    store: &Store,
    registry: &str,
    there: &Repository,
    tag: &Reference,
    here: &Repository,
) -> Result<bool, BringError> {
    let client = Client::new(registry, None)?;
    Handle::current().block_on(store.bring(&client, there, tag, here))
}

/// The name, and the tag or digest.
fn split(reference: &str) -> (&str, &str) {
    match reference.split_once('@') {
        Some(parts) => parts,
        None => {
            reference.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')).unwrap_or((reference, "latest"))
        }
    }
}

/// The registry that a name begins with, the repository there, and the one here that mirrors it. A registry is told
/// from a folder as other tools do.
fn elsewhere(name: &str) -> Option<(&str, String, String)> {
    let (registry, rest) = name.split_once('/')?;
    if !(registry.contains(['.', ':']) || registry == "localhost") {
        return None;
    }
    let official = registry == "docker.io" && !rest.contains('/');
    let there = if official { format!("library/{rest}") } else { rest.to_owned() };
    let here = format!("mirror/{}/{there}", registry.to_lowercase().replace(':', "_"));
    Some((registry, there, here))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;
    use std::sync::Arc;

    use longshore_oci::packer::{NoBases, Request, pack};
    use longshore_oci::server::router;
    use tempfile::TempDir;
    use tokio::net::TcpListener;

    use super::*;

    fn store(folder: &TempDir, name: &str) -> Store {
        Store::open(&folder.path().join(name)).unwrap()
    }

    /// Pushes an image as `base:main`.
    async fn push_base(folder: &TempDir, registry: &str) {
        std::fs::write(folder.path().join("Dockerfile"), "FROM scratch\nCOPY Dockerfile /a\n").unwrap();
        let none = BTreeMap::new();
        let (dockerfile, work) = (Path::new("Dockerfile"), folder.path().join("work"));
        std::fs::create_dir(&work).unwrap();
        let context = folder.path();
        let request = Request { context, dockerfile, args: &none, epoch: 1, labels: &none, work: &work };
        let image = pack(&request, &NoBases).unwrap();
        let client = Client::new(registry, None).unwrap();
        client.push(&"base".parse().unwrap(), &"main".parse().unwrap(), &image).await.unwrap();
    }

    #[tokio::test]
    async fn a_base_of_another_registry_is_brought_and_at_hand_when_that_is_away() {
        let folder = TempDir::new().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let registry = listener.local_addr().unwrap().to_string();
        let other = router(store(&folder, "other"), Arc::new(()));
        let server = tokio::spawn(async { axum::serve(listener, other).await });
        push_base(&folder, &registry).await;
        let own = store(&folder, "own");
        let base = async |name: &str| {
            let (bases, name) = (HostBases(own.clone()), format!("{registry}/{name}"));
            tokio::task::spawn_blocking(move || bases.base(&name)).await.unwrap()
        };
        assert!(base("unknown:main").await.unwrap().is_none());
        let brought = base("base:main").await.unwrap().unwrap();
        assert_eq!(brought.layers.len(), 1);
        server.abort();
        let _ = server.await;
        assert_eq!(base("base:main").await.unwrap().unwrap().config, brought.config);
        assert!(base("base:other").await.is_err());
    }

    #[test]
    fn a_name_that_begins_with_a_registry_is_mirrored() {
        let there =
            |name| elsewhere(name).map(|(registry, there, here)| format!("{registry} {there} {here}"));
        assert_eq!(there("base"), None);
        assert_eq!(there("shop/base"), None);
        assert_eq!(
            there("docker.io/alpine").unwrap(),
            "docker.io library/alpine mirror/docker.io/library/alpine"
        );
        assert_eq!(there("localhost:5000/a/b").unwrap(), "localhost:5000 a/b mirror/localhost_5000/a/b");
    }

    #[test]
    fn the_tag_is_what_follows_the_last_colon_of_the_last_part() {
        assert_eq!(split("localhost:5000/a"), ("localhost:5000/a", "latest"));
        assert_eq!(split("localhost:5000/a:b"), ("localhost:5000/a", "b"));
        assert_eq!(split("a@sha256:12"), ("a", "sha256:12"));
    }
}
