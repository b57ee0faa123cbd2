//! SHA-256 while data streams by.

use std::{
    fmt::Write as _,
    io::{self, Read, Write},
};

use longshore_events::Digest;
use sha2::{Digest as _, Sha256};

/// The digest of `bytes`.
pub(crate) fn of(bytes: &[u8]) -> Digest {
    finish(Sha256::new_with_prefix(bytes))
}

/// The digest of all that went into `hasher`.
pub(crate) fn finish(hasher: Sha256) -> Digest {
    let mut text = String::with_capacity(71);
    text.push_str("sha256:");
    for byte in hasher.finalize() {
        let _ = write!(text, "{byte:02x}"); // writing to a string cannot fail
    }
    Digest::new(text).unwrap_or_else(|error| unreachable!("a hash is a digest: {error}"))
}

/// Hashes and counts what passes through it, in either direction.
pub(crate) struct Hashing<T> {
    pub(crate) inner: T,
    pub(crate) hasher: Sha256,
    pub(crate) count: u64,
}

impl<T> Hashing<T> {
    pub(crate) fn new(inner: T) -> Self {
        Self { inner, hasher: Sha256::new(), count: 0 }
    }

    fn saw(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
        self.count += bytes.len() as u64;
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(buf)?;
        self.saw(&buf[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buf)?;
        self.saw(&buf[..read]);
        Ok(read)
    }
}
