//! `pipeline.finished`: somebody else's continuous integration came to its end.

use super::wire;
use crate::{CommitId, RepositoryName};

wire! {
    /// A pipeline came to its end. Subject: `<repository>@<commit>/<name>`.
    pub struct PipelineFinished {
        /// Who told: `github`, `gitlab`, …
        pub provider: String,
        /// The repository that it ran for, as the configuration names it.
        pub repo: RepositoryName,
        /// Its name, such as a workflow's.
        pub name: String,
        /// The commit that it ran at.
        pub commit: CommitId,
        /// How it ended.
        pub outcome: PipelineOutcome,
        /// The commit comes from another repository, or nobody says from which: it proves nothing about this one.
        pub fork: bool,
        /// Where people look at it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub url: Option<String>,
    }

    /// How a pipeline ended.
    #[serde(rename_all = "snake_case")]
    #[derive(Copy)]
    pub enum PipelineOutcome {
        /// All of it passed.
        Succeeded,
        /// Something failed, or took too long.
        Failed,
        /// Somebody stopped it.
        Cancelled,
        /// Nothing of it ran.
        Skipped,
        /// The provider says none of these: neither good nor bad.
        Unknown,
    }
}
