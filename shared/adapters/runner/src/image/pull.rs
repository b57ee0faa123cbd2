//! Images from a registry.

use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use longshore_events::ImageRef;
use longshore_oci::client::{Client, Credentials};
use longshore_oci::image::{self, Config as ImageConfig, Descriptor, Manifest, Platform};
use longshore_oci::layer::{LayerError, Limits, Unpacker};
use longshore_oci::{Reference, Repository};
use longshore_ports::{ErrorKind, PortError};

use super::platform::ELSEWHERE;
use crate::config::PullAccess;
use crate::image::Images;

/// An unpacked image may have so many bytes and entries.
const LIMITS: Limits = Limits { bytes: 8 << 30, entries: 1_000_000 };

/// Images from the host's registry, or from the one that their name begins with.
pub(crate) struct Pulls {
    access: PullAccess,
    aside: PathBuf,
}

impl Pulls {
    /// Pulls with `access`; layers lie below `data` until they are unpacked.
    pub(crate) fn new(access: PullAccess, data: &Path) -> Self {
        Self { access, aside: data.join("layers") }
    }

    fn locate(&self, image: &ImageRef) -> Result<(Client, Repository), PortError> {
        let invalid = |error| PortError::invalid(format!("pull {image}"), error);
        let name = image.name.as_str();
        let outside =
            name.split_once('/').filter(|(first, _)| first.contains([':', '.']) || *first == "localhost");
        if let Some((host, rest)) = outside {
            return Ok((Client::new(host, None)?, rest.parse().map_err(invalid)?));
        }
        let missing = "the image's name has no registry, and the runner was given none";
        let own = self.access.registry.as_deref();
        let own = own.ok_or_else(|| PortError::invalid(format!("pull {image}"), missing))?;
        let host = own.trim_start_matches("http://").trim_end_matches('/');
        let login = self.access.login.clone().map(|(user, password)| Credentials { user, password });
        Ok((Client::new(host, login)?, name.parse().map_err(invalid)?))
    }
}

#[async_trait]
impl Images for Pulls {
    async fn fetch(&self, image: &ImageRef, rootfs: &Path) -> Result<ImageConfig, PortError> {
        let operation = format!("pull {image}");
        let (client, repository) = self.locate(image)?;
        let reference = Reference::Digest(image.digest.clone());
        let manifest = manifest(&client, &repository, reference).await?;
        let lost = |error: std::io::Error| PortError::unavailable(operation.clone(), error);
        let damaged =
            |what: &str| PortError::invalid(operation.clone(), format!("the manifest has no {what}"));
        let aside = self.aside.join(image.digest.hex());
        tokio::fs::create_dir_all(&aside).await.map_err(lost)?;
        tokio::fs::create_dir_all(rootfs).await.map_err(lost)?;
        let described = manifest.config.ok_or_else(|| damaged("configuration"))?;
        let config = aside.join("config");
        client.pull_blob(&repository, &described, &config).await?;
        let config: ImageConfig = serde_json::from_slice(&tokio::fs::read(&config).await.map_err(lost)?)
            .map_err(|error| PortError::invalid(operation.clone(), error))?;
        let mut layers = Vec::new();
        for layer in manifest.layers.ok_or_else(|| damaged("layers"))? {
            let file = aside.join(layer.digest.hex());
            client.pull_blob(&repository, &layer, &file).await?;
            layers.push((layer, file));
        }
        let rootfs = rootfs.to_owned();
        let unpacked = tokio::task::spawn_blocking(move || unpack(&rootfs, layers)).await;
        let unpacked = unpacked.map_err(|error| PortError::unavailable(operation.clone(), error))?;
        unpacked.map_err(|error| failed(&operation, error))?;
        let _ = tokio::fs::remove_dir_all(&aside).await;
        Ok(config)
    }
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A full disk is no fault of the image: there may be room again.
fn failed(operation: &str, error: Failure) -> PortError {
    let cause = match error.downcast_ref::<LayerError>() {
        Some(LayerError::Io { source, .. }) => Some(source),
        _ => error.downcast_ref::<io::Error>(),
    };
    let full = [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded];
    match cause {
        Some(cause) if full.contains(&cause.kind()) => PortError::unavailable(operation, error),
        _ => PortError::invalid(operation, error),
    }
}

fn unpack(rootfs: &Path, layers: Vec<(Descriptor, PathBuf)>) -> Result<(), Failure> {
    let mut unpacker = Unpacker::new(rootfs, LIMITS)?;
    for (layer, file) in layers {
        unpacker.apply(&layer, BufReader::new(File::open(file)?))?;
    }
    Ok(())
}

/// The manifest for this host's platform: where an index is named, the one that it lists.
async fn manifest(
    client: &Client,
    repository: &Repository,
    reference: Reference,
) -> Result<Manifest, PortError> {
    let operation = format!("pull {repository}@{reference}");
    let mut reference = reference;
    for _ in 0..2 {
        let fetched = client.manifest(repository, &reference).await?;
        let missing =
            || PortError::new(ErrorKind::NotFound, operation.clone(), "the registry has no such manifest");
        let fetched = fetched.ok_or_else(missing)?;
        let manifest: Manifest = serde_json::from_slice(&fetched.bytes)
            .map_err(|error| PortError::invalid(operation.clone(), error))?;
        if !image::is_index(&fetched.media_type) {
            return Ok(manifest);
        }
        let ours = Platform::of_this_host();
        let mut listed = manifest.manifests.into_iter().flatten();
        let fits = |platform: &Platform| platform.os == ours.os && platform.architecture == ours.architecture;
        let found = listed.find(|listed| listed.platform.as_ref().is_some_and(fits));
        let none = || {
            PortError::invalid(operation.clone(), format!("the index has no image for {ours}; {ELSEWHERE}"))
        };
        reference = Reference::Digest(found.ok_or_else(none)?.digest);
    }
    Err(PortError::invalid(operation, "an index of indexes is not followed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_tried_again_and_a_bad_layer_is_not() {
        let io = |kind: io::ErrorKind| LayerError::Io { what: "write".into(), source: kind.into() };
        assert!(failed("unpack", io(io::ErrorKind::StorageFull).into()).is_temporary());
        assert!(failed("open", io::Error::from(io::ErrorKind::QuotaExceeded).into()).is_temporary());
        assert!(!failed("unpack", io(io::ErrorKind::InvalidData).into()).is_temporary());
    }
}
