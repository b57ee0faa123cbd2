//! From a body to a file, hashed on the way.
//!
//! Pieces of the body are gathered to batches. While one batch is hashed and written by a thread that may block, the
//! next is received: no thread waits for a client, and memory is bounded by two batches. What was written is flushed
//! meanwhile, so that little is left to wait for at the end.

use std::{
    fs::File,
    io::{self, Seek as _, SeekFrom, Write as _},
    path::Path,
    sync::Arc,
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
/// How much is written between two flushes at least, in bytes.
const FLUSH: u64 = 128 << 20;
/// How long a body may be silent.
pub(super) const SILENCE: Duration = Duration::from_mins(1);

/// A file that grows, and the hash of all that is in it.
pub(super) struct Sink {
    file: Arc<File>,
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

enum Writing {
    Idle(Sink),
    Busy(JoinHandle<io::Result<Sink>>),
}

impl Writing {
    async fn done(self) -> io::Result<Sink> {
        match self {
            Self::Idle(sink) => Ok(sink),
            Self::Busy(running) => running.await?,
        }
    }

    /// Begins to write a batch once the one before it is written.
    async fn write(self, batch: Batch) -> io::Result<Self> {
        let sink = self.done().await?;
        Ok(Self::Busy(spawn_blocking(move || sink.take(&batch))))
    }
}

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
        Ok(Self { file: Arc::new(file), hasher, length })
    }

    fn take(mut self, batch: &Batch) -> io::Result<Self> {
        for piece in &batch.pieces {
            self.hasher.update(piece);
            (&*self.file).write_all(piece)?;
            self.length += piece.len() as u64;
        }
        Ok(self)
    }
}

/// Flushes a file while it grows.
struct Flush {
    file: Arc<File>,
    /// At which length it is due again.
    due: u64,
    running: Option<JoinHandle<io::Result<()>>>,
}

impl Flush {
    fn new(sink: &Sink) -> Self {
        Self { file: sink.file.clone(), due: sink.length + FLUSH, running: None }
    }

    /// Begins one, if it is due and the one before has ended.
    async fn look(&mut self, length: u64) -> io::Result<()> {
        if length < self.due || self.running.as_ref().is_some_and(|running| !running.is_finished()) {
            return Ok(());
        }
        self.end().await?;
        self.due = length + FLUSH;
        let file = self.file.clone();
        self.running = Some(spawn_blocking(move || file.sync_data()));
        Ok(())
    }

    /// The kernel tells of a failure once: nobody else would hear of it.
    async fn end(&mut self) -> io::Result<()> {
        match self.running.take() {
            Some(running) => running.await?,
            None => Ok(()),
        }
    }
}

/// Takes a body into the file that `open` opens; no more than up to `limit` bytes of the file's length.
pub(super) async fn receive(
    mut body: Body,
    limit: u64,
    mut length: u64,
    open: impl FnOnce() -> io::Result<Sink> + Send + 'static,
) -> io::Result<(Sink, End)> {
    let sink = spawn_blocking(open).await??;
    let mut flush = Flush::new(&sink);
    let (mut writing, mut batch) = (Writing::Idle(sink), Batch::default());
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
            writing = writing.write(std::mem::take(&mut batch)).await?;
            flush.look(length).await?;
        }
    };
    let sink = writing.write(batch).await?.done().await?;
    flush.end().await?;
    Ok((sink, end))
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

#[cfg(test)]
mod tests {
    use std::{
        pin::Pin,
        task::{Context, Poll},
    };

    use axum::body::HttpBody;
    use http_body::Frame;

    use super::*;

    /// Some pieces, and then nothing more: not even an end.
    struct Stalled(Vec<Bytes>);

    impl HttpBody for Stalled {
        type Data = Bytes;
        type Error = io::Error;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
            self.0.pop().map_or(Poll::Pending, |piece| Poll::Ready(Some(Ok(Frame::data(piece)))))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn of_a_body_that_falls_silent_what_came_stays() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().to_owned();
        let body = Body::new(Stalled(vec![Bytes::from_static(b"world"), Bytes::from_static(b"hello ")]));
        let open = move || Sink::open(&path, Sha256::new(), 0);
        let (sink, end) = receive(body, u64::MAX, 0, open).await.unwrap();
        assert!(matches!(end, End::Broken(why) if why.contains("a minute")));
        assert_eq!((sink.length, std::fs::read(file.path()).unwrap().as_slice()), (11, &b"hello world"[..]));
        assert_eq!(crate::digest::finish(sink.hasher), crate::digest::of(b"hello world"));
    }

    #[tokio::test]
    async fn a_body_that_is_flushed_on_the_way_is_whole() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut sink = Sink::open(file.path(), Sha256::new(), 0).unwrap();
        let mut flush = Flush::new(&sink);
        for turn in 1..=3 {
            let piece = Bytes::from_static(b"x");
            sink = sink.take(&Batch { size: 1, pieces: vec![piece] }).unwrap();
            flush.look(turn * FLUSH).await.unwrap();
            assert!(flush.running.is_some(), "one goes on or was begun");
        }
        flush.end().await.unwrap();
        assert!(flush.running.is_none());
        assert_eq!(std::fs::read(file.path()).unwrap(), b"xxx");
    }
}
