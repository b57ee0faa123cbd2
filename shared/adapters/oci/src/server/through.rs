//! Images of other registries, kept here to be bases of images that are made here.

use std::io;

use super::{Store, StoreError, store::failed};
use crate::{
    client::{Client, ClientError, Fetched},
    image::{self, Descriptor, Manifest, Platform},
    names::{Reference, Repository},
};

/// An image of another registry could not be brought here.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BringError {
    /// The other registry does not give it.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// It cannot be stored here.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It is no manifest.
    #[error("{0} is no manifest: {1}")]
    Damaged(Reference, serde_json::Error),
    /// It is an index, and names no image for this host.
    #[error("{0} has no image for {1}")]
    Platform(Reference, Platform),
}

impl Store {
    /// Makes `reference` name in the repository `here` what it names in `there` of another registry; of an index, the
    /// image for this host comes along and no other. Only what is not here yet is fetched, and nothing is visible
    /// before all of it is. `false` when the other registry has no such image.
    ///
    /// # Errors
    /// [`BringError`]; what was here before stays.
    pub async fn bring(
        &self,
        client: &Client,
        there: &Repository,
        reference: &Reference,
        here: &Repository,
    ) -> Result<bool, BringError> {
        let Some(top) = client.manifest(there, reference).await? else { return Ok(false) };
        let manifest = parse(reference, &top)?;
        if image::is_index(&top.media_type) {
            let inner = for_this_host(reference, manifest)?;
            let Some(image) = client.manifest(there, &inner).await? else { return Ok(false) };
            self.bring_blobs(client, there, parse(&inner, &image)?).await?;
            self.link(here, &image)?;
        } else {
            self.bring_blobs(client, there, manifest).await?;
        }
        self.link(here, &top)?;
        if let Reference::Tag(tag) = reference {
            self.set_tag(here, tag, &top.digest)?;
        }
        Ok(true)
    }

    async fn bring_blobs(
        &self,
        client: &Client,
        there: &Repository,
        manifest: Manifest,
    ) -> Result<(), BringError> {
        for blob in manifest.config.into_iter().chain(manifest.layers.into_iter().flatten()) {
            if self.hold(&blob.digest)? {
                continue;
            }
            let path = self.new_upload()?;
            client.pull_blob(there, &blob, &path).await?;
            let (store, digest) = (self.clone(), blob.digest);
            let adopted = tokio::task::spawn_blocking(move || store.adopt(&path, &digest)).await;
            adopted.map_err(|error| failed("store a blob in", &self.blobs())(io::Error::other(error)))??;
        }
        Ok(())
    }

    fn link(&self, here: &Repository, fetched: &Fetched) -> Result<(), StoreError> {
        self.put_blob(&fetched.bytes)?;
        let (digest, size) = (fetched.digest.clone(), fetched.bytes.len() as u64);
        self.link_manifest(here, &Descriptor::new(&fetched.media_type, digest, size), None)
    }
}

fn parse(reference: &Reference, fetched: &Fetched) -> Result<Manifest, BringError> {
    serde_json::from_slice(&fetched.bytes).map_err(|error| BringError::Damaged(reference.clone(), error))
}

fn for_this_host(reference: &Reference, index: Manifest) -> Result<Reference, BringError> {
    let host = Platform::of_this_host();
    let fits = |inner: &Descriptor| inner.platform.as_ref().is_some_and(|platform| platform.runs_on(&host));
    match index.manifests.into_iter().flatten().find(fits) {
        Some(inner) => Ok(Reference::Digest(inner.digest)),
        None => Err(BringError::Platform(reference.clone(), host)),
    }
}
