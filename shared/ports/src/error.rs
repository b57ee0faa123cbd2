//! What can go wrong at a port.

use std::error::Error as StdError;

/// An operation of a port failed, or its reply was lost: it may have been done all the same.
#[derive(Debug, thiserror::Error)]
#[error("{operation}: {source}")]
pub struct PortError {
    /// What kind of failure.
    pub kind: ErrorKind,
    /// Whether trying again can help.
    pub retry: Retry,
    /// What was tried, e.g. `git ls-remote shop`.
    pub operation: String,
    /// Why it failed.
    pub source: Box<dyn StdError + Send + Sync>,
}

/// The kinds of failure that a caller may tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// It is not there.
    NotFound,
    /// The outside knows of a newer generation or step, or the same key stands for other arguments.
    Conflict,
    /// It can never be done: the input is wrong.
    Invalid,
    /// It is not allowed.
    Denied,
    /// The outside does not answer, is busy, or its reply was lost.
    Unavailable,
}

/// Whether trying again can help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// The same call will fail again.
    Permanent,
    /// The same call may succeed later.
    Temporary,
}

impl PortError {
    /// An error of `kind`; only [`ErrorKind::Unavailable`] is temporary.
    pub fn new(
        kind: ErrorKind,
        operation: impl Into<String>,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        let retry = if kind == ErrorKind::Unavailable { Retry::Temporary } else { Retry::Permanent };
        Self { kind, retry, operation: operation.into(), source: source.into() }
    }

    /// The outside does not answer now.
    pub fn unavailable(
        operation: impl Into<String>,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self::new(ErrorKind::Unavailable, operation, source)
    }

    /// The input is wrong, and will stay so.
    pub fn invalid(operation: impl Into<String>, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::new(ErrorKind::Invalid, operation, source)
    }

    /// Whether trying again can help.
    pub fn is_temporary(&self) -> bool {
        self.retry == Retry::Temporary
    }
}
