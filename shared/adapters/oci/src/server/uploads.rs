//! Uploads: begun, continued in chunks, finished by their digest.
//!
//! Each upload has one lock, taken by a task of its own: when a client goes away in the middle, what it sent is
//! written to its end before anybody can go on. The hash runs along, so finishing reads nothing again.

use std::{
    collections::BTreeMap,
    fs, io,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    body::Body,
    http::{HeaderMap, StatusCode, header},
    response::Response,
};
use http_body_util::BodyExt as _;
use longshore_events::Digest;
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncSeekExt as _, AsyncWriteExt as _};

use super::{
    Registry, Store,
    answer::{Answer, Fault, UPLOAD},
    route::{digest, query},
};
use crate::{digest as hash, names::Repository};

/// How many uploads may be open; the oldest gives way. Clients that vanish leave theirs behind.
const OPEN: usize = 1000;

pub(super) struct Uploads {
    store: Store,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    sessions: BTreeMap<String, Session>,
    /// Ids in the order they were begun.
    begun: std::collections::VecDeque<String>,
}

type Session = Arc<tokio::sync::Mutex<Upload>>;

/// One upload. Dropped with its last handle, it takes its file along.
struct Upload {
    repository: Repository,
    path: PathBuf,
    hasher: Sha256,
    length: u64,
}

impl Drop for Upload {
    fn drop(&mut self) {
        // Gone already when it became a blob; what else is left goes when the store is opened.
        let _ = fs::remove_file(&self.path);
    }
}

impl Uploads {
    pub(super) fn new(store: Store) -> Self {
        Self { store, open: Mutex::default() }
    }

    fn begin(&self, repository: Repository) -> Result<(String, Session), Fault> {
        let path = self.store.new_upload()?;
        let io = |error| Fault::internal("an upload cannot be begun", &error);
        fs::File::create_new(&path).map_err(io)?;
        let id = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let upload = Upload { repository, path, hasher: Sha256::new(), length: 0 };
        let session = Arc::new(tokio::sync::Mutex::new(upload));
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.sessions.insert(id.clone(), session.clone());
        open.begun.push_back(id.clone());
        while open.begun.len() > OPEN {
            if let Some(oldest) = open.begun.pop_front() {
                open.sessions.remove(&oldest);
            }
        }
        Ok((id, session))
    }

    fn find(&self, id: &str) -> Result<Session, Fault> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.sessions.get(id).cloned().ok_or_else(unknown)
    }

    fn forget(&self, id: &str) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.sessions.remove(id);
        open.begun.retain(|begun| begun != id);
    }
}

fn unknown() -> Fault {
    Fault::not_found("BLOB_UPLOAD_UNKNOWN", "there is no such upload: begin anew")
}

impl Registry {
    pub(super) async fn start_upload(
        self: Arc<Self>,
        repository: Repository,
        query_text: &str,
        body: Body,
    ) -> Result<Response, Fault> {
        if let Some(mount) = query(query_text, "mount") {
            let mount = digest(&mount)?;
            if self.store.has_blob(&mount) {
                return Ok(created(&repository, &mount));
            }
        }
        let expected = query(query_text, "digest").map(|text| digest(&text)).transpose()?;
        let (id, session) = self.uploads.begin(repository.clone())?;
        match expected {
            None => Ok(accepted(&repository, &id, 0)),
            Some(expected) => self.complete(id, session, repository, None, body, expected).await,
        }
    }

    pub(super) async fn patch(
        self: Arc<Self>,
        repository: Repository,
        id: &str,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<Response, Fault> {
        let session = self.uploads.find(id)?;
        let (id, range) = (id.to_owned(), content_range(headers)?);
        in_own_task(async move {
            let mut upload = session.lock().await;
            upload.of(&repository)?;
            upload.append(&id, range, body).await?;
            Ok(accepted(&repository, &id, upload.length))
        })
        .await
    }

    pub(super) async fn finish(
        self: Arc<Self>,
        repository: Repository,
        id: &str,
        query_text: &str,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<Response, Fault> {
        let session = self.uploads.find(id)?;
        let expected = query(query_text, "digest")
            .ok_or_else(|| Fault::bad("DIGEST_INVALID", "the query needs ?digest="))?;
        let range = content_range(headers)?;
        self.complete(id.to_owned(), session, repository, range, body, digest(&expected)?).await
    }

    async fn complete(
        self: Arc<Self>,
        id: String,
        session: Session,
        repository: Repository,
        range: Option<(u64, u64)>,
        body: Body,
        expected: Digest,
    ) -> Result<Response, Fault> {
        in_own_task(async move {
            let mut upload = session.lock().await;
            upload.of(&repository)?;
            upload.append(&id, range, body).await?;
            // From here on the upload is over, whatever comes of it.
            self.uploads.forget(&id);
            let found = hash::finish(std::mem::take(&mut upload.hasher));
            if found != expected {
                let message = format!("the content is {found}, not {expected}: send it again");
                return Err(Fault::bad("DIGEST_INVALID", &message));
            }
            let (store, path) = (self.store.clone(), upload.path.clone());
            let adopted = {
                let digest = expected.clone();
                tokio::task::spawn_blocking(move || store.adopt(&path, &digest)).await
            };
            adopted.map_err(|error| Fault::internal("a blob cannot be stored", &error))??;
            Ok(created(&repository, &expected))
        })
        .await
    }

    pub(super) async fn upload_status(&self, repository: &Repository, id: &str) -> Result<Response, Fault> {
        let session = self.uploads.find(id)?;
        let upload = session.lock().await;
        upload.of(repository)?;
        Ok(progress(Answer::new(StatusCode::NO_CONTENT), repository, id, upload.length))
    }

    pub(super) async fn cancel(&self, repository: &Repository, id: &str) -> Result<Response, Fault> {
        self.uploads.find(id)?.lock().await.of(repository)?;
        self.uploads.forget(id);
        Ok(Answer::new(StatusCode::NO_CONTENT).empty())
    }
}

/// A client that goes away drops its request; the work on disk must not stop half-way.
async fn in_own_task(
    work: impl Future<Output = Result<Response, Fault>> + Send + 'static,
) -> Result<Response, Fault> {
    tokio::spawn(work).await.unwrap_or_else(|error| Err(Fault::internal("an upload failed", &error)))
}

impl Upload {
    /// An upload is known under its own repository only.
    fn of(&self, repository: &Repository) -> Result<(), Fault> {
        if self.repository == *repository { Ok(()) } else { Err(unknown()) }
    }

    /// Appends the body. Of one that breaks off, what came stays, to be gone on from; of one that is longer than
    /// its range, nothing does.
    async fn append(&mut self, id: &str, range: Option<(u64, u64)>, body: Body) -> Result<(), Fault> {
        if range.is_some_and(|(first, _)| first != self.length) {
            let message = format!("the next chunk must begin at {}", self.length);
            let fault = Fault::new(StatusCode::RANGE_NOT_SATISFIABLE, "BLOB_UPLOAD_INVALID", message);
            let location = format!("/v2/{}/blobs/uploads/{id}", self.repository);
            return Err(fault.with(header::RANGE, &so_far(self.length)).with(header::LOCATION, &location));
        }
        let before = (self.hasher.clone(), self.length);
        let end = range.map(|(_, last)| last.saturating_add(1));
        let broken = self
            .take(end, body)
            .await
            .map_err(|error| Fault::internal("an upload cannot be written", &error))?;
        match (broken, end) {
            (Some(message), _) => Err(Fault::bad("BLOB_UPLOAD_INVALID", &message)),
            (None, Some(end)) if self.length != end => {
                (self.hasher, self.length) = before;
                Err(Fault::bad("SIZE_INVALID", "the chunk's length differs from its Content-Range"))
            }
            (None, _) => Ok(()),
        }
    }

    /// Writes the body to the file; gives what broke it off, if something did. More than up to `end`
    /// is not written.
    async fn take(&mut self, end: Option<u64>, mut body: Body) -> io::Result<Option<String>> {
        let mut file = tokio::fs::OpenOptions::new().write(true).open(&self.path).await?;
        file.set_len(self.length).await?;
        file.seek(io::SeekFrom::Start(self.length)).await?;
        let mut broken = None;
        while let Some(frame) = body.frame().await {
            let data = match frame {
                Ok(frame) => frame.into_data().unwrap_or_default(),
                Err(error) => {
                    broken = Some(format!("the body broke off: {error}"));
                    break;
                }
            };
            let length = self.length + data.len() as u64;
            if end.is_some_and(|end| length > end) {
                self.length = length; // differs from the range: the caller takes it back
                break;
            }
            file.write_all(&data).await?;
            self.hasher.update(&data);
            self.length = length;
        }
        file.flush().await?;
        Ok(broken)
    }
}

/// `first-last`, both included; the specification leaves out RFC 9110's unit and total, some clients do not.
fn content_range(headers: &HeaderMap) -> Result<Option<(u64, u64)>, Fault> {
    let Some(value) = headers.get(header::CONTENT_RANGE) else { return Ok(None) };
    let parse = || {
        let text = value.to_str().ok()?.trim();
        let text = text.strip_prefix("bytes").unwrap_or(text).trim_start_matches([' ', '=']);
        let (first, last) = text.split('/').next()?.split_once('-')?;
        let (first, last) = (first.parse::<u64>().ok()?, last.parse::<u64>().ok()?);
        (first <= last).then_some((first, last))
    };
    parse().map(Some).ok_or_else(|| Fault::bad("BLOB_UPLOAD_INVALID", "Content-Range must be FIRST-LAST"))
}

fn so_far(length: u64) -> String {
    format!("0-{}", length.saturating_sub(1))
}

fn progress(answer: Answer, repository: &Repository, id: &str, length: u64) -> Response {
    answer
        .with(header::LOCATION, &format!("/v2/{repository}/blobs/uploads/{id}"))
        .with(header::RANGE, &so_far(length))
        .with(UPLOAD, id)
        .empty()
}

fn accepted(repository: &Repository, id: &str, length: u64) -> Response {
    progress(Answer::new(StatusCode::ACCEPTED), repository, id, length)
}

fn created(repository: &Repository, digest: &Digest) -> Response {
    let location = format!("/v2/{repository}/blobs/{digest}");
    Answer::new(StatusCode::CREATED).digest(digest).with(header::LOCATION, &location).empty()
}
