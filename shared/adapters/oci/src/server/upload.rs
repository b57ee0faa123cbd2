//! One upload: what has come of it, and how it goes on.

use std::{fs, io, path::PathBuf};

use axum::{
    body::{Body, HttpBody as _},
    http::{HeaderMap, StatusCode, header},
};
use longshore_events::Digest;
use sha2::{Digest as _, Sha256};

use super::{
    answer::Fault,
    sink::{End, Sink, receive},
};
use crate::{digest as hash, names::Repository};

/// One upload. Dropped with its last handle, it takes its file along.
pub(super) struct Upload {
    repository: Repository,
    pub(super) path: PathBuf,
    hasher: Sha256,
    pub(super) length: u64,
}

impl Drop for Upload {
    fn drop(&mut self) {
        // Gone already when it became a blob; what else is left goes when the store is opened.
        let _ = fs::remove_file(&self.path);
    }
}

impl Upload {
    pub(super) fn new(repository: Repository, path: PathBuf) -> Self {
        Self { repository, path, hasher: Sha256::new(), length: 0 }
    }

    /// An upload is known under its own repository only.
    pub(super) fn of(&self, repository: &Repository) -> Result<(), Fault> {
        if self.repository == *repository { Ok(()) } else { Err(unknown()) }
    }

    /// The digest of all that came; to be asked at the end.
    pub(super) fn digest(&mut self) -> Digest {
        hash::finish(std::mem::take(&mut self.hasher))
    }

    /// Appends the body. Of one that breaks off, what came stays, to be gone on from; of one that is longer than
    /// its range, nothing does.
    pub(super) async fn append(
        &mut self,
        id: &str,
        range: Option<(u64, u64)>,
        body: Body,
    ) -> Result<(), Fault> {
        if range.is_some_and(|(first, _)| first != self.length) {
            return Err(self.elsewhere(id));
        }
        let end = range.map(|(_, last)| last.saturating_add(1));
        if end.is_none() && body.is_end_stream() {
            return Ok(());
        }
        let (path, hasher, length) = (self.path.clone(), self.hasher.clone(), self.length);
        let open = move || Sink::open(&path, hasher, length);
        let taken = receive(body, end.unwrap_or(u64::MAX), length, open).await;
        let (sink, ended) = taken.map_err(|error| Self::lost(&error))?;
        match ended {
            End::Whole if end.is_none_or(|end| end == sink.length) => {
                self.keep(sink);
                Ok(())
            }
            End::Broken(message) => {
                self.keep(sink);
                Err(Fault::bad("BLOB_UPLOAD_INVALID", &format!("the body broke off: {message}")))
            }
            End::Whole | End::TooLong => {
                Err(Fault::bad("SIZE_INVALID", "the chunk's length differs from its Content-Range"))
            }
        }
    }

    fn keep(&mut self, sink: Sink) {
        (self.hasher, self.length) = (sink.hasher, sink.length);
    }

    fn elsewhere(&self, id: &str) -> Fault {
        let message = format!("the next chunk must begin at {}", self.length);
        let location = format!("/v2/{}/blobs/uploads/{id}", self.repository);
        Fault::new(StatusCode::RANGE_NOT_SATISFIABLE, "BLOB_UPLOAD_INVALID", message)
            .with(header::RANGE, &so_far(self.length))
            .with(header::LOCATION, &location)
    }

    /// The collection takes an upload that was idle for too long.
    fn lost(error: &io::Error) -> Fault {
        match error.kind() {
            io::ErrorKind::NotFound => unknown(),
            kind => Fault::disk("an upload cannot be written", kind, error),
        }
    }
}

pub(super) fn unknown() -> Fault {
    Fault::not_found("BLOB_UPLOAD_UNKNOWN", "there is no such upload: begin anew")
}

/// `first-last`, both included; the specification leaves out RFC 9110's unit and total, some clients do not.
pub(super) fn content_range(headers: &HeaderMap) -> Result<Option<(u64, u64)>, Fault> {
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

pub(super) fn so_far(length: u64) -> String {
    format!("0-{}", length.saturating_sub(1))
}
