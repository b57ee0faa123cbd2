//! What a forge shows beside a commit.

use async_trait::async_trait;
use longshore_events::{CommitId, RepositoryName};
use serde::{Deserialize, Serialize};

use crate::{Key, PortError};

/// The longest description of a status, in characters: GitHub takes no more.
pub const MAX_DESCRIPTION: usize = 140;

/// Shows people at a forge how a commit stands.
#[async_trait]
pub trait Forge: Send + Sync {
    /// Shows a status beside its commit, in the place of the one before in the same context. At least once: one that is
    /// shown already is success.
    ///
    /// # Errors
    /// [`crate::ErrorKind::NotFound`] when the forge has no such commit, [`crate::ErrorKind::Denied`] when the token may
    /// not.
    async fn status(&self, key: &Key, status: &CommitStatus) -> Result<(), PortError>;
}

/// How one thing about a commit stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitStatus {
    /// The repository.
    pub repo: RepositoryName,
    /// The commit.
    pub commit: CommitId,
    /// What it is about: `longshore/<service>`, `longshore/<environment>/<service>`.
    pub context: String,
    /// How it stands.
    pub state: StatusState,
    /// One line for people, at most [`MAX_DESCRIPTION`] characters.
    pub description: String,
}

/// How a status stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StatusState {
    /// It goes on.
    Pending,
    /// It went well.
    Success,
    /// It did not.
    Failure,
}
