//! What SQLite says, in words that tell what to do.

use std::path::PathBuf;

use longshore_events::EventError;
use longshore_ports::{PortError, journal::CommitError};
use rusqlite::ErrorCode;

/// Why a journal cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// SQLite refuses.
    #[error("the journal: {}", plain(.0))]
    Sqlite(#[from] rusqlite::Error),
    /// The file was damaged.
    #[error(
        "the journal {} is damaged ({found}); move the data folder away and bring the last backup back with `longshore restore FILE`, or move this file alone away to begin with an empty journal", path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What the check found first.
        found: String,
    },
    /// A newer build has written the file.
    #[error("the journal has schema {found}, and this build knows up to {known}; use the newer build again")]
    Newer {
        /// The file's schema.
        found: usize,
        /// The newest that this build knows.
        known: usize,
    },
    /// The writer could not be started.
    #[error("the journal's writer: {0}")]
    Thread(#[from] std::io::Error),
}

/// What SQLite found, and what to do about it where that is known.
pub(super) fn plain(error: &rusqlite::Error) -> String {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => "the disk is full; free some space, nothing is lost".into(),
        Some(ErrorCode::ReadOnly) => {
            "the file or its folder cannot be written; check its owner and mode".into()
        }
        Some(ErrorCode::CannotOpen) => format!("{error}; check that its folder exists and can be written"),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            format!("{error}; another process holds the file")
        }
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            format!(
                "{error}; the file is damaged; stop the host, move the data folder away, and bring the last backup back with `longshore restore FILE`"
            )
        }
        _ => error.to_string(),
    }
}

/// A failed read or write. It may succeed later: a full disk is emptied, a damaged file restored.
pub(super) fn port(operation: &str, error: &rusqlite::Error) -> PortError {
    PortError::unavailable(operation, plain(error))
}

/// A failure inside a transaction, before it is known on which operation.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// A condition did not hold.
    #[error("{0} changed since it was read")]
    Conflict(String),
    /// SQLite refuses.
    #[error("{}", plain(.0))]
    Sqlite(#[from] rusqlite::Error),
    /// A stored value cannot be read or written as JSON.
    #[error("a stored value is not what it should be: {0}")]
    Json(#[from] serde_json::Error),
    /// A stored event is from a newer build, or damaged.
    #[error("a stored event: {0}")]
    Event(#[from] EventError),
    /// A stored name breaks its rule.
    #[error("a stored name: {0}")]
    Name(#[from] longshore_events::InvalidName),
    /// The commit refers to an event that is not in the journal.
    #[error("event {0} is not in the journal")]
    NoEvent(String),
}

impl Failure {
    pub(super) fn port(self, operation: &str) -> PortError {
        match self {
            Self::Sqlite(error) => port(operation, &error),
            Self::Event(error) if error.is_temporary() => PortError::unavailable(operation, error),
            other => PortError::invalid(operation, other),
        }
    }

    pub(super) fn commit(self) -> CommitError {
        match self {
            Self::Conflict(what) => CommitError::Conflict(what),
            other => CommitError::Port(other.port("journal commit")),
        }
    }
}
