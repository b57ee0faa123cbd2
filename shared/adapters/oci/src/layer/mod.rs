//! Layers: tar archives that change a file system.
//!
//! [`LayerWriter`] writes one the same way every time. [`Unpacker`] applies layers to a directory and trusts nothing
//! in them: every path is resolved by the kernel below that directory (`openat2` with `RESOLVE_IN_ROOT`) or refused.

mod entries;
mod root;
#[cfg(test)]
mod tests;
mod unpack;
mod write;

use std::{io, path::Path};

use longshore_events::Digest;

#[cfg(feature = "server")]
pub(crate) use entries::Entry;
pub(crate) use entries::{Kind, for_each};
pub(crate) use root::{Found, Node, Root};
#[cfg(feature = "server")]
pub(crate) use unpack::Bounded;
pub(crate) use unpack::decoder;
pub use unpack::{Limits, Unpacker};
pub use write::{Layer, LayerWriter, Owner, write_tree};

/// A layer could not be written or unpacked. Only [`LayerError::Io`] may go away by trying again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LayerError {
    /// Reading or writing failed, or the archive is damaged.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: String,
        /// Why it failed.
        source: io::Error,
    },
    /// The entry would reach outside, or is of a kind that is never unpacked.
    #[error("layer entry {path:?} is refused: {reason}")]
    Refused {
        /// The entry.
        path: String,
        /// Why.
        reason: String,
    },
    /// More bytes than allowed.
    #[error("the image unpacks to more than {limit} bytes: raise the limit if that is right")]
    TooLarge {
        /// In bytes.
        limit: u64,
    },
    /// More entries than allowed.
    #[error("the image holds more than {limit} files and folders: raise the limit if that is right")]
    TooMany {
        /// The number of entries.
        limit: u64,
    },
    /// The bytes are others than promised.
    #[error("the layer's content is {found}, but {expected} was promised: discard it and fetch it again")]
    Mismatch {
        /// The digest that was promised.
        expected: Digest,
        /// The digest that the bytes have.
        found: Digest,
    },
    /// No layer that can be read.
    #[error("{0:?} is no layer's media type: tar, tar+gzip and tar+zstd can be unpacked")]
    MediaType(String),
}

impl LayerError {
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }

    pub(crate) fn refused(path: &Path, reason: impl Into<String>) -> Self {
        Self::Refused { path: path.to_string_lossy().into_owned(), reason: reason.into() }
    }
}
