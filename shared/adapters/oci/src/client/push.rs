//! Giving to a registry, and taking back from it.

use std::path::Path;

use bytes::Bytes;
use longshore_events::Digest;
use reqwest::{StatusCode, header};

use super::{
    Client, ClientError, PATIENCE,
    upload::{empty, location, octets, with_digest},
};
use crate::{
    digest,
    image::Descriptor,
    names::{Reference, Repository},
    packer::Image,
};

impl Client {
    /// Pushes an image: its blobs, as far as they are missing there, then its manifest under `reference`.
    ///
    /// # Errors
    /// [`ClientError`]; what was pushed until then stays, and the same call goes on from there.
    pub async fn push(
        &self,
        repository: &Repository,
        reference: &Reference,
        image: &Image,
    ) -> Result<Digest, ClientError> {
        for layer in &image.layers {
            self.push_blob(repository, &layer.descriptor, &layer.path).await?;
        }
        self.push_bytes(repository, &image.config).await?;
        self.put_manifest(repository, reference, Image::MEDIA_TYPE, &image.manifest).await
    }

    /// Whether the registry has a blob.
    ///
    /// # Errors
    /// [`ClientError`] when it cannot be asked.
    pub async fn has_blob(&self, repository: &Repository, digest: &Digest) -> Result<bool, ClientError> {
        let operation = format!("look for {digest} in {repository}");
        let url = self.url(repository, &format!("blobs/{digest}"))?;
        let make = || Ok(self.http.head(url.clone()).timeout(PATIENCE));
        let response = self.send(&operation, &push(repository), make).await?;
        if response.status() == StatusCode::NOT_FOUND {
            return Ok(false);
        }
        ClientError::check(&operation, response).await.map(|_| true)
    }

    /// Pushes the file `path` as a blob, unless the registry has it.
    ///
    /// # Errors
    /// [`ClientError`] when the file cannot be read, or the registry does not take it.
    pub async fn push_blob(
        &self,
        repository: &Repository,
        blob: &Descriptor,
        path: &Path,
    ) -> Result<(), ClientError> {
        if self.has_blob(repository, &blob.digest).await? {
            return Ok(());
        }
        let upload = self.begin(repository).await?;
        let operation = format!("push {} to {repository}", blob.digest);
        let upload = match self.chunk {
            Some(chunk) => self.chunks(&operation, repository, upload, (path, blob.size), chunk).await?,
            None => return self.finish(&operation, repository, upload, blob, Some(path)).await,
        };
        self.finish(&operation, repository, upload, blob, None).await
    }

    /// Pushes a small blob, unless the registry has it.
    ///
    /// # Errors
    /// [`ClientError`] when the registry does not take it.
    pub async fn push_bytes(&self, repository: &Repository, bytes: &[u8]) -> Result<Digest, ClientError> {
        let digest = digest::of(bytes);
        if self.has_blob(repository, &digest).await? {
            return Ok(digest);
        }
        let operation = format!("push {digest} to {repository}");
        let url = with_digest(self.begin(repository).await?, &digest);
        let bytes = Bytes::copy_from_slice(bytes);
        let make = || Ok(octets(self.http.put(url.clone())).timeout(PATIENCE).body(bytes.clone()));
        ClientError::check(&operation, self.send(&operation, &push(repository), make).await?).await?;
        Ok(digest)
    }

    /// Makes a blob of the repository `from` one of `repository` too, without sending it; `false` when the registry
    /// does not.
    ///
    /// # Errors
    /// [`ClientError`] when it cannot be asked.
    pub async fn mount(
        &self,
        repository: &Repository,
        digest: &Digest,
        from: &Repository,
    ) -> Result<bool, ClientError> {
        let operation = format!("mount {digest} of {from} into {repository}");
        let mut url = self.url(repository, "blobs/uploads/")?;
        url.query_pairs_mut().append_pair("mount", digest.as_str()).append_pair("from", from.as_str());
        let make = || Ok(empty(self.http.post(url.clone())));
        let response = self.send(&operation, &push(repository), make).await?;
        let response = ClientError::check(&operation, response).await?;
        if response.status() == StatusCode::CREATED {
            return Ok(true);
        }
        // An upload was begun instead. It would end by itself: whether this succeeds does not matter.
        if let Ok(upload) = location(&operation, &response) {
            let _ = self.send(&operation, &push(repository), || Ok(self.http.delete(upload.clone()))).await;
        }
        Ok(false)
    }

    /// Puts a manifest or index under `reference`.
    ///
    /// # Errors
    /// [`ClientError`] when the registry does not take it, such as when a blob that it names is missing.
    pub async fn put_manifest(
        &self,
        repository: &Repository,
        reference: &Reference,
        media_type: &str,
        bytes: &[u8],
    ) -> Result<Digest, ClientError> {
        let operation = format!("push {repository}:{reference}");
        let url = self.url(repository, &format!("manifests/{reference}"))?;
        let bytes = Bytes::copy_from_slice(bytes);
        let make = || {
            let request =
                self.http.put(url.clone()).timeout(PATIENCE).header(header::CONTENT_TYPE, media_type);
            Ok(request.body(bytes.clone()))
        };
        ClientError::check(&operation, self.send(&operation, &push(repository), make).await?).await?;
        Ok(digest::of(&bytes))
    }

    /// Deletes a tag, or a manifest with all its tags; `false` when there was nothing.
    ///
    /// # Errors
    /// [`ClientError`] when the registry does not allow it.
    pub async fn delete(&self, repository: &Repository, reference: &Reference) -> Result<bool, ClientError> {
        let operation = format!("delete {repository}:{reference}");
        let url = self.url(repository, &format!("manifests/{reference}"))?;
        let scope = format!("repository:{repository}:delete,pull,push");
        let make = || Ok(self.http.delete(url.clone()).timeout(PATIENCE));
        let response = self.send(&operation, &scope, make).await?;
        if response.status() == StatusCode::NOT_FOUND {
            return Ok(false);
        }
        ClientError::check(&operation, response).await.map(|_| true)
    }
}

/// What a push needs to be allowed.
pub(super) fn push(repository: &Repository) -> String {
    format!("repository:{repository}:pull,push")
}
