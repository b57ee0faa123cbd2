//! `push.received`: a branch or tag of a repository moved.

use super::wire;
use crate::{CommitId, RefName, RepositoryName};

wire! {
    /// A branch or tag moved, was created or was deleted. Subject: the repository.
    pub struct PushReceived {
        /// Who told: `github`, `gitlab`, `longshore` (a repository of this host) or `refcheck`.
        pub provider: String,
        /// The provider's own id of the delivery.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub delivery: Option<String>,
        /// The repository, as the configuration names it.
        pub repo: RepositoryName,
        /// Where it can be cloned from, without credentials.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub clone_url: Option<String>,
        /// The reference that moved.
        #[serde(rename = "ref")]
        pub git_ref: RefName,
        /// Branch, tag or neither.
        pub ref_kind: RefKind,
        /// The commit before; absent when the reference was created, or is not known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub before: Option<CommitId>,
        /// The commit after; absent when the reference was deleted.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub after: Option<CommitId>,
        /// The reference is new.
        #[serde(default)]
        pub created: bool,
        /// The reference is gone.
        #[serde(default)]
        pub deleted: bool,
        /// The push was not a fast-forward.
        #[serde(default)]
        pub forced: bool,
        /// Who pushed, as the provider names them.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub actor: Option<String>,
        /// Paths that the push changed; empty and truncated when not known.
        #[serde(default)]
        pub paths: Vec<String>,
        /// `paths` is not all of them.
        #[serde(default)]
        pub paths_truncated: bool,
    }

    /// What kind of reference moved.
    #[serde(rename_all = "snake_case")]
    #[derive(Copy)]
    pub enum RefKind {
        /// `refs/heads/…`
        Branch,
        /// `refs/tags/…`
        Tag,
        /// Anything else.
        Other,
    }
}

impl RefKind {
    /// The kind of `name`.
    pub fn of(name: &RefName) -> Self {
        match name.as_str() {
            name if name.starts_with("refs/heads/") => Self::Branch,
            name if name.starts_with("refs/tags/") => Self::Tag,
            _ => Self::Other,
        }
    }
}
