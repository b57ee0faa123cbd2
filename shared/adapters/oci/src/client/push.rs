//! Giving to a registry, and taking back from it.

use std::{
    io::{Seek as _, SeekFrom},
    path::Path,
    time::Duration,
};

use bytes::Bytes;
use longshore_events::Digest;
use reqwest::{Body, RequestBuilder, Response, StatusCode, Url, header};
use tokio::io::AsyncReadExt as _;
use tokio_util::io::ReaderStream;

use super::{Client, ClientError, PATIENCE};
use crate::{
    digest,
    image::Descriptor,
    names::{Reference, Repository},
    packer::Image,
};

/// How much of a file is in memory at a time, in bytes.
const PIECE: usize = 64 << 10;
/// How often a broken chunk is gone on from.
const TRIES: u32 = 3;
/// No upload is slower than this, in bytes per second, and still alive.
const SLOWEST: u64 = 64 << 10;

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

    /// Begins an upload; gives where it goes on.
    async fn begin(&self, repository: &Repository) -> Result<Url, ClientError> {
        let operation = format!("begin an upload to {repository}");
        let url = self.url(repository, "blobs/uploads/")?;
        let make = || Ok(empty(self.http.post(url.clone())));
        let response = self.send(&operation, &push(repository), make).await?;
        location(&operation, &ClientError::check(&operation, response).await?)
    }

    /// Ends an upload with its digest, sending the whole `file` with it, if one is given.
    async fn finish(
        &self,
        operation: &str,
        repository: &Repository,
        upload: Url,
        blob: &Descriptor,
        file: Option<&Path>,
    ) -> Result<(), ClientError> {
        let url = with_digest(upload, &blob.digest);
        let make = || {
            let request = self.http.put(url.clone());
            match file {
                None => Ok(empty(request)),
                Some(path) => part(operation, request, path, 0, blob.size),
            }
        };
        let response = self.send(operation, &push(repository), make).await?;
        ClientError::check(operation, response).await.map(drop)
    }

    /// Sends a file in chunks; gives where the upload is ended.
    async fn chunks(
        &self,
        operation: &str,
        repository: &Repository,
        mut upload: Url,
        (path, size): (&Path, u64),
        chunk: u64,
    ) -> Result<Url, ClientError> {
        let mut sent = 0;
        let mut failures = 0;
        while sent < size {
            let length = chunk.min(size - sent);
            let make = || {
                let range = format!("{sent}-{}", sent + length - 1);
                let request = self.http.patch(upload.clone()).header(header::CONTENT_RANGE, range);
                part(operation, request, path, sent, length)
            };
            let tried = match self.send(operation, &push(repository), make).await {
                Ok(response) => ClientError::check(operation, response).await,
                Err(error) => Err(error),
            };
            match tried {
                Ok(response) => {
                    upload = location(operation, &response)?;
                    sent += length;
                }
                Err(error) if failures < TRIES && may_go_on(&error) => {
                    failures += 1;
                    (upload, sent) = self.status(operation, repository, upload).await?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(upload)
    }

    /// How far an upload has come: where it goes on, and how many bytes the registry has.
    async fn status(
        &self,
        operation: &str,
        repository: &Repository,
        upload: Url,
    ) -> Result<(Url, u64), ClientError> {
        let make = || Ok(self.http.get(upload.clone()).timeout(PATIENCE));
        let response =
            ClientError::check(operation, self.send(operation, &push(repository), make).await?).await?;
        let range = response.headers().get(header::RANGE).and_then(|value| value.to_str().ok());
        let last = range.and_then(|range| range.rsplit('-').next()).and_then(|last| last.parse::<u64>().ok());
        // `0-0` is also what registries say of an upload that has nothing yet.
        let have = last.filter(|last| *last > 0).map_or(0, |last| last + 1);
        Ok((location(operation, &response)?, have))
    }
}

/// A broken chunk, or one that the registry has already (its reply was lost).
fn may_go_on(error: &ClientError) -> bool {
    error.is_temporary() || matches!(error, ClientError::Refused { status: 416, .. })
}

fn push(repository: &Repository) -> String {
    format!("repository:{repository}:pull,push")
}

fn empty(request: RequestBuilder) -> RequestBuilder {
    request.timeout(PATIENCE).header(header::CONTENT_LENGTH, 0)
}

fn octets(request: RequestBuilder) -> RequestBuilder {
    request.header(header::CONTENT_TYPE, "application/octet-stream")
}

fn with_digest(mut upload: Url, digest: &Digest) -> Url {
    upload.query_pairs_mut().append_pair("digest", digest.as_str());
    upload
}

/// Where an upload goes on: often another address after each request.
fn location(operation: &str, response: &Response) -> Result<Url, ClientError> {
    let text = response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
    let text =
        text.ok_or_else(|| ClientError::invalid(operation, "the registry does not say where to go on"))?;
    let url = response.url().join(text).map_err(|error| ClientError::invalid(operation, error))?;
    if url.host_str() != response.url().host_str()
        || (url.scheme() == "http" && response.url().scheme() == "https")
    {
        return Err(ClientError::invalid(operation, "the registry sends the upload elsewhere"));
    }
    Ok(url)
}

/// Puts `length` bytes of a file, from `first` on, into a request; opened anew for each try.
fn part(
    operation: &str,
    request: RequestBuilder,
    path: &Path,
    first: u64,
    length: u64,
) -> Result<RequestBuilder, ClientError> {
    let io = ClientError::file(operation);
    let mut file = std::fs::File::open(path).map_err(&io)?;
    file.seek(SeekFrom::Start(first)).map_err(&io)?;
    let reader = tokio::fs::File::from_std(file).take(length);
    let request = octets(request)
        .header(header::CONTENT_LENGTH, length)
        .timeout(PATIENCE + Duration::from_secs(length / SLOWEST));
    Ok(request.body(Body::wrap_stream(ReaderStream::with_capacity(reader, PIECE))))
}
