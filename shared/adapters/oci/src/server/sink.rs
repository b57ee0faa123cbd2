//! From a body to a file, hashed on the way.
//!
//! Pieces of the body are gathered to batches. While one batch is hashed and written by a thread that may block, the
//! next is received: no thread waits for a client, and memory is bounded by two batches.

use std::{
    fs::File,
    io::{self, Seek as _, SeekFrom, Write as _},
    path::Path,
    time::Duration,
};

use axum::body::{Body, Bytes};
use http_body_util::BodyExt as _;
use sha2::{Digest as _, Sha256};
use tokio::{
    task::{JoinHandle, spawn_blocking},
    time::timeout,
};

/// How much is gathered before it is written, in bytes.
const BATCH: usize = 256 << 10;
/// How long a body may be silent.
pub(super) const SILENCE: Duration = Duration::from_mins(1);

/// A file that grows, and the hash of all that is in it.
pub(super) struct Sink {
    file: File,
    pub(super) hasher: Sha256,
    pub(super) length: u64,
}

/// How a body ended.
pub(super) enum End {
    Whole,
    /// Why it broke off.
    Broken(String),
    /// It has more than it may have.
    TooLong,
}

type Writing = JoinHandle<io::Result<Sink>>;

#[derive(Default)]
struct Batch {
    pieces: Vec<Bytes>,
    size: usize,
}

impl Sink {
    /// Goes on at `length`, whatever came after it earlier.
    pub(super) fn open(path: &Path, hasher: Sha256, length: u64) -> io::Result<Self> {
        let mut file = File::options().write(true).open(path)?;
        file.set_len(length)?;
        file.seek(SeekFrom::Start(length))?;
        Ok(Self { file, hasher, length })
    }

    fn take(mut self, batch: &Batch) -> io::Result<Self> {
        for piece in &batch.pieces {
            self.hasher.update(piece);
            self.file.write_all(piece)?;
            self.length += piece.len() as u64;
        }
        Ok(self)
    }
}

/// Takes a body into the file that `open` opens; no more than up to `limit` bytes of the file's length.
pub(super) async fn receive(
    mut body: Body,
    limit: u64,
    mut length: u64,
    open: impl FnOnce() -> io::Result<Sink> + Send + 'static,
) -> io::Result<(Sink, End)> {
    let mut writing = spawn_blocking(open);
    let mut batch = Batch::default();
    let end = loop {
        let piece = match next(&mut body).await {
            Ok(Some(piece)) => piece,
            Ok(None) => break End::Whole,
            Err(message) => break End::Broken(message),
        };
        length += piece.len() as u64;
        if length > limit {
            break End::TooLong;
        }
        batch.size += piece.len();
        batch.pieces.push(piece);
        if batch.size >= BATCH {
            writing = write(writing, std::mem::take(&mut batch)).await?;
        }
    };
    Ok((write(writing, batch).await?.await??, end))
}

/// Begins to write a batch once the one before it is written.
async fn write(before: Writing, batch: Batch) -> io::Result<Writing> {
    let sink = before.await??;
    Ok(spawn_blocking(move || sink.take(&batch)))
}

/// The next piece; why there is none, if the body breaks off.
async fn next(body: &mut Body) -> Result<Option<Bytes>, String> {
    loop {
        match timeout(SILENCE, body.frame()).await {
            Err(_) => return Err("nothing came for a minute".to_owned()),
            Ok(None) => return Ok(None),
            Ok(Some(Err(error))) => return Err(error.to_string()),
            Ok(Some(Ok(frame))) => {
                if let Ok(piece) = frame.into_data() {
                    return Ok(Some(piece));
                }
            }
        }
    }
}
