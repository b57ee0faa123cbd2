//! What Git knows.

use async_trait::async_trait;
use longshore_events::{CommitId, RefName, RepositoryName};
use serde::{Deserialize, Serialize};

use crate::PortError;

/// What Git knows of a repository. An answer may be stale.
#[async_trait]
pub trait Git: Send + Sync {
    /// The branches and tags of a repository with the commits they point to, sorted by name.
    ///
    /// # Errors
    /// [`crate::ErrorKind::NotFound`] when the repository is not known.
    async fn refs(&self, repo: &RepositoryName) -> Result<Vec<(RefName, CommitId)>, PortError>;

    /// The commit that a reference points to; `None` when there is no such reference.
    ///
    /// # Errors
    /// [`crate::ErrorKind::NotFound`] when the repository is not known.
    async fn tip(&self, repo: &RepositoryName, git_ref: &RefName) -> Result<Option<CommitId>, PortError>;

    /// How `head` stands to `base`, and which paths differ between their trees.
    ///
    /// # Errors
    /// [`crate::ErrorKind::NotFound`] when the repository or one of the commits is not known.
    async fn compare(
        &self,
        repo: &RepositoryName,
        base: &CommitId,
        head: &CommitId,
    ) -> Result<Changes, PortError>;

    /// How `head` stands to `base`, where the paths do not matter.
    ///
    /// # Errors
    /// As those of [`Git::compare`].
    async fn relation(
        &self,
        repo: &RepositoryName,
        base: &CommitId,
        head: &CommitId,
    ) -> Result<Relation, PortError> {
        Ok(self.compare(repo, base, head).await?.relation)
    }
}

/// The difference between two commits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changes {
    /// How the head stands to the base.
    pub relation: Relation,
    /// Paths that differ between the two trees; `None` when they are too many, or not known.
    pub paths: Option<Vec<String>>,
}

/// How one commit stands to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Relation {
    /// They are the same commit.
    Same,
    /// The head descends from the base.
    Ahead,
    /// The head is an ancestor of the base.
    Behind,
    /// Neither descends from the other.
    Diverged,
}
