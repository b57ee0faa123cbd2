//! `change.opened`, `.updated`, `.merged`, `.closed`: a pull request, or a merge request.

use super::wire;
use crate::{CommitId, RefName, RepositoryName};

/// The four are of one shape: what happened is in the type.
macro_rules! changes {
    ($($(#[$doc:meta])+ $name:ident)+) => { wire! { $(
        $(#[$doc])+
        ///
        /// Subject: `<repository>#<number>`.
        pub struct $name {
            /// Who told: `github`, `gitlab`, …
            pub provider: String,
            /// The repository that it wants into, as the configuration names it.
            pub repo: RepositoryName,
            /// Its number there.
            pub number: u64,
            /// The newest commit that it brings.
            pub head: CommitId,
            /// The branch that it wants into.
            pub base: RefName,
            /// It comes from another repository, or nobody says from which. It is recorded and never built.
            pub fork: bool,
            /// Who did it, as the provider names them.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub actor: Option<String>,
            /// Where people look at it.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub url: Option<String>,
        }
    )+ } };
}

changes! {
    /// A change was proposed, or proposed again.
    ChangeOpened
    /// A proposed change has another head, or wants into another branch.
    ChangeUpdated
    /// A proposed change was merged.
    ChangeMerged
    /// A proposed change was given up.
    ChangeClosed
}
