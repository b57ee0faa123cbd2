//! How the builder gets sources and makes images here: the git command, the packer, the host's own registry.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use longshore_events::{CommitId, RepositoryName};
use longshore_git::GitCommand;
use longshore_local::builder::{Checkout, Containers, Pack, PackJob, Packed};
use longshore_oci::Repository;
use longshore_oci::image::MANIFEST;
use longshore_oci::packer::{Image, PackError, Request, pack, refused_run};
use longshore_oci::server::Store;
use longshore_ports::PortError;
use tokio::task::JoinError;

use super::bases::HostBases;

/// Checkouts by the git command.
pub(super) struct GitCheckout(pub(super) Arc<GitCommand>);

#[async_trait]
impl Checkout for GitCheckout {
    async fn checkout(
        &self,
        repo: &RepositoryName,
        commit: &CommitId,
        folder: &Path,
    ) -> Result<u64, PortError> {
        self.0.checkout(repo, commit, folder).await
    }
}

/// The packer, with the host's own registry for base images and for what is made; buildah or podman for what it refuses.
pub(super) struct Packer {
    pub(super) store: Store,
    pub(super) containers: Option<Containers>,
}

/// Packs here; the packer's own error is kept, to tell what it refuses.
async fn pack_here(store: &Store, job: &PackJob) -> Result<Result<Image, PackError>, JoinError> {
    let (owned, bases) = (job.clone(), HostBases(store.clone()));
    let packed = tokio::task::spawn_blocking(move || {
        let dockerfile = Path::new(&owned.dockerfile);
        if let Some(refused) = refused_run(&owned.context, dockerfile)? {
            return Err(refused);
        }
        let request = Request {
            context: &owned.context,
            dockerfile,
            args: &owned.args,
            epoch: owned.epoch,
            labels: &BTreeMap::new(),
            work: &owned.work,
        };
        pack(&request, &bases)
    });
    packed.await
}

#[async_trait]
impl Pack for Packer {
    async fn pack(&self, job: &PackJob) -> Result<Packed, PortError> {
        let operation = format!("pack {}", job.service.name);
        let begun = Instant::now();
        let packed = pack_here(&self.store, job).await;
        let packed = packed.map_err(|error| PortError::unavailable(operation.clone(), error))?;
        let image = match (packed, &self.containers) {
            (Err(PackError::Unsupported { .. } | PackError::NoBase { .. }), Some(containers)) => {
                return containers.pack(job).await;
            }
            (Err(error @ PackError::Unsupported { .. }), None) => {
                let help = "install buildah or podman (Debian: apt-get install buildah) and start the host again, or \
                            do it in the service's `prepare`";
                return Err(PortError::invalid(operation, format!("{error}: {help}")));
            }
            (packed, _) => packed.map_err(|error| PortError::invalid(operation.clone(), error))?,
        };
        let pack_ms = millis(begun);
        let begun = Instant::now();
        let invalid = |error| PortError::invalid(operation.clone(), error);
        let repository: Repository = job.service.image.as_str().parse().map_err(invalid)?;
        let (store, tag) = (self.store.clone(), job.tag.clone());
        let (digest, taken) = tokio::task::spawn_blocking(move || {
            (image.digest.clone(), store.take(&repository, &tag, &image))
        })
        .await
        .map_err(|error| PortError::unavailable(operation.clone(), error))?;
        taken.map_err(|error| PortError::unavailable(operation.clone(), error))?;
        Ok(Packed {
            digest,
            media_type: MANIFEST.to_owned(),
            platforms: Vec::new(),
            pack_ms,
            push_ms: millis(begun),
        })
    }
}

fn millis(begun: Instant) -> u64 {
    u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX)
}
