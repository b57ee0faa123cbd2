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
    use super::*;

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
