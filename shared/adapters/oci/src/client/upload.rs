//! Uploading a blob: begun, sent whole or in chunks, ended with its digest.

use std::{
    io::{Seek as _, SeekFrom},
    path::Path,
    time::Duration,
};

use longshore_events::Digest;
use reqwest::{Body, RequestBuilder, Response, Url, header};
use tokio::io::AsyncReadExt as _;
use tokio_util::io::ReaderStream;

use super::{Client, ClientError, PATIENCE, push::push};
use crate::{image::Descriptor, names::Repository};

/// How much of a file is in memory at a time, in bytes.
const PIECE: usize = 64 << 10;
/// How often a broken chunk is gone on from.
const TRIES: u32 = 3;
/// No upload is slower than this, in bytes per second, and still alive.
const SLOWEST: u64 = 64 << 10;

impl Client {
    /// Begins an upload; gives where it goes on.
    pub(super) async fn begin(&self, repository: &Repository) -> Result<Url, ClientError> {
        let operation = format!("begin an upload to {repository}");
        let url = self.url(repository, "blobs/uploads/")?;
        let make = || Ok(empty(self.http.post(url.clone())));
        let response = self.send(&operation, &push(repository), make).await?;
        location(&operation, &ClientError::check(&operation, response).await?)
    }

    /// Ends an upload with its digest, sending the whole `file` with it, if one is given.
    pub(super) async fn finish(
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
    pub(super) async fn chunks(
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

pub(super) fn empty(request: RequestBuilder) -> RequestBuilder {
    request.timeout(PATIENCE).header(header::CONTENT_LENGTH, 0)
}

pub(super) fn octets(request: RequestBuilder) -> RequestBuilder {
    request.header(header::CONTENT_TYPE, "application/octet-stream")
}

pub(super) fn with_digest(mut upload: Url, digest: &Digest) -> Url {
    upload.query_pairs_mut().append_pair("digest", digest.as_str());
    upload
}

/// Where an upload goes on: often another address after each request.
pub(super) fn location(operation: &str, response: &Response) -> Result<Url, ClientError> {
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
