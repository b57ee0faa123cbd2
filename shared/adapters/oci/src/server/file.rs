//! A file, or a part of it, as a body.
//!
//! What the kernel has in memory is read where it is asked for; only what must come from the disk goes to a thread that
//! may block. Two buffers are used again and again: memory and work per client stay small.

use std::{
    fs::File,
    future::Future as _,
    io::{self, IoSliceMut},
    num::NonZeroU64,
    os::unix::fs::FileExt as _,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
};

use axum::body::{Bytes, HttpBody};
use http_body::{Frame, SizeHint};
use rustix::{
    fs::{Advice, fadvise},
    io::{ReadWriteFlags, preadv2},
};
use tokio::task::{JoinHandle, spawn_blocking};

/// How much is read at a time, in bytes.
const PIECE: usize = 256 << 10;
/// How many buffers are kept to be used again.
const SPARE: usize = 2;

pub(super) struct FileBody {
    file: Arc<File>,
    at: u64,
    left: u64,
    spare: Spare,
    reading: Option<JoinHandle<io::Result<Piece>>>,
}

type Spare = Arc<Mutex<Vec<Vec<u8>>>>;

/// A buffer with so many bytes in it; returned when it was sent.
struct Piece {
    buffer: Vec<u8>,
    length: usize,
    spare: Spare,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.buffer[..self.length]
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        if spare.len() < SPARE {
            spare.push(std::mem::take(&mut self.buffer));
        }
    }
}

impl FileBody {
    /// `length` bytes from `first` on.
    pub(super) fn new(file: File, first: u64, length: u64) -> Self {
        // The kernel reads further ahead; where it does not take the hint, it reads as usual.
        let _ = fadvise(&file, first, NonZeroU64::new(length), Advice::Sequential);
        Self { file: Arc::new(file), at: first, left: length, spare: Spare::default(), reading: None }
    }

    fn piece(&self) -> Piece {
        let length = usize::try_from(self.left).map_or(PIECE, |left| left.min(PIECE));
        let known = self.spare.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let buffer = known.unwrap_or_else(|| vec![0; length]);
        Piece { buffer, length, spare: self.spare.clone() }
    }

    /// Reads what is in memory already; what is missing of the piece comes from the disk.
    fn read(&mut self) -> Option<Piece> {
        let mut piece = self.piece();
        let mut parts = [IoSliceMut::new(&mut piece.buffer[..piece.length])];
        let known = preadv2(&self.file, &mut parts, self.at, ReadWriteFlags::NOWAIT).unwrap_or_default();
        if known == piece.length {
            return Some(piece);
        }
        let (file, at) = (self.file.clone(), self.at + known as u64);
        self.reading = Some(spawn_blocking(move || {
            file.read_exact_at(&mut piece.buffer[known..piece.length], at)?;
            Ok(piece)
        }));
        None
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Piece>> {
        if self.reading.is_none()
            && let Some(piece) = self.read()
        {
            return Poll::Ready(Ok(piece));
        }
        let Some(reading) = &mut self.reading else { return Poll::Pending };
        let read = ready!(Pin::new(reading).poll(cx));
        self.reading = None;
        Poll::Ready(read?)
    }
}

impl HttpBody for FileBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let piece = ready!(self.poll_piece(cx))?;
        self.at += piece.length as u64;
        self.left -= piece.length as u64;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_owner(piece)))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use http_body_util::BodyExt as _;

    use super::*;

    fn file(length: usize) -> (File, Vec<u8>) {
        let bytes: Vec<u8> = (0..length).map(|n| n.to_le_bytes()[n % 3]).collect();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        (file, bytes)
    }

    #[tokio::test]
    async fn a_part_of_a_file_comes_whole() {
        let (file, bytes) = file(3 * PIECE + 5);
        for (first, length) in [(0, bytes.len()), (7, 2 * PIECE), (bytes.len() - 1, 1), (3, 0)] {
            let body = FileBody::new(file.try_clone().unwrap(), first as u64, length as u64);
            let read = body.collect().await.unwrap().to_bytes();
            assert_eq!(read, bytes[first..first + length]);
        }
    }

    #[tokio::test]
    async fn a_file_that_is_cut_meanwhile_is_an_error() {
        let (file, bytes) = file(10);
        let body = FileBody::new(file.try_clone().unwrap(), 0, bytes.len() as u64);
        file.set_len(0).unwrap();
        assert!(body.collect().await.is_err());
    }

    #[tokio::test]
    async fn two_buffers_are_enough_for_a_client_that_takes_one_at_a_time() {
        let (file, bytes) = file(20 * PIECE);
        let mut body = FileBody::new(file, 0, bytes.len() as u64);
        let spare = body.spare.clone();
        let mut frames = 0;
        while let Some(frame) = body.frame().await {
            drop(frame.unwrap());
            frames += 1;
            assert!(spare.lock().unwrap().len() <= 1);
        }
        assert_eq!(frames, 20);
    }
}
