//! Why the runner cannot serve, or refuses an order.

use std::path::{Path, PathBuf};

/// The runner cannot start, or cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum RunnerError {
    /// Another runner serves this data folder.
    #[error("another runner (pid {pid}) serves {}: use that one, or end it with `longshore down`", data.display())]
    Locked {
        /// The data folder.
        data: PathBuf,
        /// What its lock file says of the other.
        pid: String,
    },
    /// The proxy's address is taken, or not ours to take.
    #[error("cannot listen on {address} for the proxy: {source}; choose another address")]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// The configuration cannot work.
    #[error("{0}")]
    Config(String),
    /// A file of the data folder cannot be read or written.
    #[error("{action} {}: {source}", path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// With which file.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// A file of the data folder is damaged.
    #[error("{} is damaged: {reason}; move it away to start without what it says", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

/// An order that is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    /// Stale, or in conflict with what was applied.
    #[error("{0}")]
    Conflict(String),
    /// It can never run.
    #[error("{0}")]
    Invalid(String),
    /// It could not be made durable now, or the runner is on its way out.
    #[error("{0}")]
    Unavailable(String),
}

/// Adds what was tried, and with which file, to an I/O error.
pub(crate) fn file<'a>(
    action: &'static str,
    path: &'a Path,
) -> impl FnOnce(std::io::Error) -> RunnerError + use<'a> {
    move |source| RunnerError::File { action, path: path.to_owned(), source }
}
