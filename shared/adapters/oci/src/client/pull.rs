//! Asking a registry and taking from it.

use std::{path::Path, time::Duration};

use longshore_events::{Digest, types::PlatformDigest};
use reqwest::{Response, StatusCode, Url, header};
use sha2::{Digest as _, Sha256};
use tokio::{fs, io::AsyncWriteExt as _, time::timeout};

use super::{Client, ClientError, PATIENCE};
use crate::{
    digest,
    image::{self, DOCKER_LIST, DOCKER_MANIFEST, Descriptor, INDEX, MANIFEST, MANIFEST_LIMIT, Manifest},
    names::{Reference, Repository},
};

/// How long nothing may come of a blob.
const SILENCE: Duration = Duration::from_mins(1);
/// How many tags are listed at most.
const TAGS: usize = 100_000;

/// A manifest or an index, as a registry gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// The digest of its bytes.
    pub digest: Digest,
    /// Its media type.
    pub media_type: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

impl Client {
    /// The manifest or index that `reference` names; `None` when it names nothing.
    ///
    /// # Errors
    /// [`ClientError`] when the registry cannot be asked, or gives something else.
    pub async fn manifest(
        &self,
        repository: &Repository,
        reference: &Reference,
    ) -> Result<Option<Fetched>, ClientError> {
        let operation = format!("get {repository}:{reference}");
        let Some(response) = self.ask(&operation, repository, reference, reqwest::Method::GET).await? else {
            return Ok(None);
        };
        let media_type = media_type(&response);
        let bytes = bounded(&operation, response).await?;
        let found = digest::of(&bytes);
        match reference {
            Reference::Digest(expected) if *expected != found => {
                Err(ClientError::Mismatch { operation, expected: expected.clone(), found })
            }
            _ => Ok(Some(Fetched { digest: found, media_type, bytes })),
        }
    }

    /// What `reference` names, without its content; the manifests of an index by platform.
    ///
    /// # Errors
    /// [`ClientError`] when the registry cannot be asked.
    pub async fn resolve(
        &self,
        repository: &Repository,
        reference: &Reference,
    ) -> Result<Option<longshore_ports::Resolved>, ClientError> {
        let operation = format!("resolve {repository}:{reference}");
        let Some(response) = self.ask(&operation, repository, reference, reqwest::Method::HEAD).await? else {
            return Ok(None);
        };
        let said = response.headers().get("docker-content-digest").and_then(|value| value.to_str().ok());
        let said = said.and_then(|text| Digest::new(text).ok());
        let media_type = media_type(&response);
        if let (Some(digest), false) = (said, image::is_index(&media_type)) {
            return Ok(Some(longshore_ports::Resolved { digest, media_type, platforms: Vec::new() }));
        }
        let Some(fetched) = self.manifest(repository, reference).await? else { return Ok(None) };
        let platforms = platforms(&operation, &fetched)?;
        Ok(Some(longshore_ports::Resolved {
            digest: fetched.digest,
            media_type: fetched.media_type,
            platforms,
        }))
    }

    /// Streams a blob to the file `path`, which appears only once its content is right.
    ///
    /// # Errors
    /// [`ClientError`] when the registry does not have it, or gives something else.
    pub async fn pull_blob(
        &self,
        repository: &Repository,
        blob: &Descriptor,
        path: &Path,
    ) -> Result<(), ClientError> {
        let operation = format!("pull {} of {repository}", blob.digest);
        let url = self.url(repository, &format!("blobs/{}", blob.digest))?;
        let silent =
            |_| ClientError::Unreachable { operation: operation.clone(), source: "it fell silent".into() };
        let scope = pull(repository);
        let asked = self.send(&operation, &scope, || Ok(self.http.get(url.clone())));
        let response =
            ClientError::check(&operation, timeout(SILENCE, asked).await.map_err(silent)??).await?;
        let mut part = path.as_os_str().to_owned();
        part.push(".part");
        let part = Path::new(&part);
        let taken = take(&operation, response, blob, part).await;
        if taken.is_err() {
            // It may not even be there.
            let _ = fs::remove_file(part).await;
        }
        taken?;
        fs::rename(part, path).await.map_err(ClientError::file(&operation))
    }

    /// The tags of a repository, as the registry orders them; none for a repository that it does not know.
    ///
    /// # Errors
    /// [`ClientError`] when the registry cannot be asked, or lists more than 100,000.
    pub async fn tags(&self, repository: &Repository) -> Result<Vec<String>, ClientError> {
        #[derive(serde::Deserialize)]
        struct Page {
            tags: Option<Vec<String>>,
        }
        let operation = format!("list the tags of {repository}");
        let mut next = Some(self.url(repository, "tags/list")?);
        let mut tags = Vec::new();
        while let Some(url) = next.take() {
            let make = || Ok(self.http.get(url.clone()).timeout(PATIENCE));
            let response = self.send(&operation, &pull(repository), make).await?;
            if response.status() == StatusCode::NOT_FOUND {
                return Ok(tags);
            }
            let response = ClientError::check(&operation, response).await?;
            next = next_page(&response);
            let bytes = bounded(&operation, response).await?;
            let page: Page =
                serde_json::from_slice(&bytes).map_err(|e| ClientError::invalid(&operation, e))?;
            let page = page.tags.unwrap_or_default();
            if page.is_empty() || tags.len() + page.len() > TAGS {
                next = None;
            }
            tags.extend(page);
        }
        Ok(tags)
    }

    async fn ask(
        &self,
        operation: &str,
        repository: &Repository,
        reference: &Reference,
        method: reqwest::Method,
    ) -> Result<Option<Response>, ClientError> {
        let url = self.url(repository, &format!("manifests/{reference}"))?;
        let accept = [MANIFEST, INDEX, DOCKER_MANIFEST, DOCKER_LIST].join(", ");
        let make = || {
            let request = self.http.request(method.clone(), url.clone()).timeout(PATIENCE);
            Ok(request.header(header::ACCEPT, accept.clone()))
        };
        let response = self.send(operation, &pull(repository), make).await?;
        if response.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        ClientError::check(operation, response).await.map(Some)
    }
}

pub(super) fn pull(repository: &Repository) -> String {
    format!("repository:{repository}:pull")
}

fn media_type(response: &Response) -> String {
    let text = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    text.unwrap_or_default().split(';').next().unwrap_or_default().trim().to_owned()
}

fn platforms(operation: &str, fetched: &Fetched) -> Result<Vec<PlatformDigest>, ClientError> {
    let manifest: Manifest =
        serde_json::from_slice(&fetched.bytes).map_err(|error| ClientError::invalid(operation, error))?;
    Ok(manifest.platforms())
}

/// The page after this one, if it is of the same registry.
pub(super) fn next_page(response: &Response) -> Option<Url> {
    let link = response.headers().get(header::LINK)?.to_str().ok()?;
    let (target, rest) = link.strip_prefix('<')?.split_once('>')?;
    let url = response.url().join(target).ok()?;
    let next = rest.contains("rel=\"next\"") || rest.contains("rel=next");
    (next && url.origin() == response.url().origin()).then_some(url)
}

/// A small answer's body.
pub(super) async fn bounded(operation: &str, mut response: Response) -> Result<Vec<u8>, ClientError> {
    let mut bytes = Vec::new();
    while let Some(chunk) =
        response.chunk().await.map_err(|error| ClientError::unreachable(operation, error))?
    {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > MANIFEST_LIMIT {
            return Err(ClientError::invalid(operation, "the answer is longer than 4 MiB"));
        }
    }
    Ok(bytes)
}

async fn take(
    operation: &str,
    mut response: Response,
    blob: &Descriptor,
    part: &Path,
) -> Result<(), ClientError> {
    let io = ClientError::file(operation);
    let silent =
        |_| ClientError::Unreachable { operation: operation.to_owned(), source: "it fell silent".into() };
    let mut file = fs::File::create(part).await.map_err(&io)?;
    let mut hasher = Sha256::new();
    let mut length = 0;
    loop {
        let chunk = timeout(SILENCE, response.chunk()).await.map_err(silent)?;
        let Some(chunk) = chunk.map_err(|error| ClientError::unreachable(operation, error))? else { break };
        length += chunk.len() as u64;
        if length > blob.size {
            break;
        }
        hasher.update(&chunk);
        file.write_all(&chunk).await.map_err(&io)?;
    }
    file.flush().await.map_err(&io)?;
    let found = digest::finish(hasher);
    if length != blob.size || found != blob.digest {
        let (operation, expected) = (operation.to_owned(), blob.digest.clone());
        return Err(ClientError::Mismatch { operation, expected, found });
    }
    Ok(())
}
