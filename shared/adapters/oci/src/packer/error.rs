//! Why an image was not packed.

use std::path::PathBuf;

use crate::layer::LayerError;

/// An image could not be packed. Nothing but [`PackError::Base`] and input/output may go away by trying again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackError {
    /// There is no Dockerfile.
    #[error("there is no {} in the checkout: add one, or name another", path.display())]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The Dockerfile or ignore file cannot be read.
    #[error("{} cannot be read: {source}", path.display())]
    Text {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The Dockerfile cannot be parsed.
    #[error("the Dockerfile cannot be parsed: {0}")]
    Syntax(String),
    /// The built-in packer does not serve this.
    #[error("line {line}: {what} is not supported by the built-in packer")]
    Unsupported {
        /// The line in the Dockerfile, from 1.
        line: usize,
        /// The instruction or flag.
        what: String,
    },
    /// An instruction is wrong.
    #[error("line {line}: {instruction}: {message}")]
    Invalid {
        /// The line in the Dockerfile, from 1.
        line: usize,
        /// The instruction.
        instruction: &'static str,
        /// What is wrong, and what to do.
        message: String,
    },
    /// The base image is not at hand.
    #[error(
        "line {line}: the base image {reference:?} is not at hand: push it to the host's registry first, or name its registry as in docker.io/alpine"
    )]
    NoBase {
        /// The line in the Dockerfile, from 1.
        line: usize,
        /// The image.
        reference: String,
    },
    /// The base image cannot be read.
    #[error("the base image {reference:?} cannot be read: {source}")]
    Base {
        /// The image.
        reference: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A layer cannot be written, or a base layer not be read.
    #[error(transparent)]
    Layer(#[from] LayerError),
    /// A document cannot be written.
    #[error("the image's documents cannot be written: {0}")]
    Json(serde_json::Error),
    /// The request's time is out of range.
    #[error("the time {0} is out of range: give seconds since 1970")]
    Time(u64),
}

impl PackError {
    pub(super) fn json(error: serde_json::Error) -> Self {
        Self::Json(error)
    }
}
