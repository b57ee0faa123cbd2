//! Uploads: begun, continued in chunks, finished by their digest.
//!
//! Each upload has one lock, taken by a task of its own: when a client goes away in the middle, what it sent is
//! written to its end before anybody can go on. The hash runs along, so finishing reads nothing again.

use std::{
    collections::{BTreeMap, VecDeque},
    fs, io,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    body::Body,
    http::{HeaderMap, StatusCode, header},
    response::Response,
};
use longshore_events::Digest;

use super::{
    Registry, Store,
    answer::{Answer, Fault, UPLOAD},
    route::{digest, query},
    upload::{Upload, content_range, so_far, unknown},
};
use crate::names::Repository;

/// How many uploads may be open. Clients that vanish leave theirs behind: the oldest that nothing arrives for gives
/// way.
const OPEN: usize = 1000;

pub(super) struct Uploads {
    store: Store,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    sessions: BTreeMap<String, Session>,
    /// Ids in the order they were begun.
    begun: VecDeque<String>,
}

type Session = Arc<tokio::sync::Mutex<Upload>>;

impl Open {
    /// Ends the oldest upload that is idle; false when each is busy.
    fn give_way(&mut self) -> bool {
        let idle = |id: &String| self.sessions.get(id).is_none_or(|session| session.try_lock().is_ok());
        let Some(place) = self.begun.iter().position(idle) else { return false };
        let ended = self.begun.remove(place);
        ended.is_some_and(|id| self.sessions.remove(&id).is_some())
    }
}

impl Uploads {
    pub(super) fn new(store: Store) -> Self {
        Self { store, open: Mutex::default() }
    }

    fn begin(&self, repository: Repository) -> Result<(String, Session), Fault> {
        let path = self.store.new_upload()?;
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.begun.len() >= OPEN && !open.give_way() {
            let message = format!("{OPEN} uploads are under way: try again later");
            return Err(Fault::new(StatusCode::TOO_MANY_REQUESTS, "TOOMANYREQUESTS", message));
        }
        let io = |error: io::Error| Fault::disk("an upload cannot be begun", error.kind(), &error);
        fs::File::create_new(&path).map_err(io)?;
        let id = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let session = Arc::new(tokio::sync::Mutex::new(Upload::new(repository, path)));
        open.sessions.insert(id.clone(), session.clone());
        open.begun.push_back(id.clone());
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

impl Registry {
    pub(super) async fn start_upload(
        self: Arc<Self>,
        repository: Repository,
        query_text: &str,
        body: Body,
    ) -> Result<Response, Fault> {
        if let Some(mount) = query(query_text, "mount") {
            let mount = digest(&mount)?;
            if self.store.hold(&mount)? {
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
            let found = upload.digest();
            if found != expected {
                let message = format!("the content is {found}, not {expected}: send it again");
                return Err(Fault::bad("DIGEST_INVALID", &message));
            }
            let (path, digest) = (upload.path.clone(), expected.clone());
            self.blocking(move |store| adopt(store, &path, &digest)).await?;
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

fn adopt(store: &Store, upload: &Path, digest: &Digest) -> Result<(), Fault> {
    store.adopt(upload, digest).map_err(|error| match error.source.kind() {
        // Idle for too long, and empty of new bytes: the collection took it.
        io::ErrorKind::NotFound => unknown(),
        _ => error.into(),
    })
}

/// A client that goes away drops its request; the work on disk must not stop half-way.
async fn in_own_task(
    work: impl Future<Output = Result<Response, Fault>> + Send + 'static,
) -> Result<Response, Fault> {
    tokio::spawn(work).await.unwrap_or_else(|error| Err(Fault::internal("an upload failed", &error)))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn when_every_upload_is_busy_no_more_are_begun() {
        let folder = tempfile::tempdir().unwrap();
        let uploads = Uploads::new(Store::open(folder.path()).unwrap());
        let begin = || uploads.begin("shop".parse().unwrap());
        let sessions: Vec<Session> = (0..OPEN).map(|_| begin().unwrap().1).collect();
        let mut busy: Vec<_> = sessions.iter().map(|session| session.try_lock().unwrap()).collect();
        let fault = begin().err().unwrap();
        assert!(format!("{fault:?}").contains("TOOMANYREQUESTS"), "{fault:?}");
        busy.pop();
        begin().unwrap();
    }
}
