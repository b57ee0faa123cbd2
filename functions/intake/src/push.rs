//! What the forges have in common: a push in their words becomes `push.received`.

use longshore_events::types::{PushReceived, RefKind};
use longshore_events::{CommitId, Event, RefName, RepositoryName};

use crate::Refusal;
use crate::hear::{Hearing, first, without_credentials};
use crate::paths::Paths;

/// A push in the words of its provider.
#[derive(Default)]
pub(crate) struct Draft<'a> {
    pub(crate) delivery: Option<String>,
    pub(crate) clone_url: Option<&'a str>,
    pub(crate) git_ref: &'a str,
    pub(crate) before: Option<CommitId>,
    pub(crate) after: Option<CommitId>,
    pub(crate) created: bool,
    pub(crate) deleted: bool,
    pub(crate) forced: bool,
    pub(crate) actor: Option<String>,
    /// Not looked at when the ref was deleted.
    pub(crate) paths: Paths,
}

impl Draft<'_> {
    /// The event, under the id `<provider>/<id>`.
    pub(crate) fn event(
        self,
        hearing: &Hearing<'_>,
        repo: RepositoryName,
        id: &str,
    ) -> Result<Event, Refusal> {
        let git_ref = RefName::new(self.git_ref).map_err(Refusal::unusable)?;
        let paths = if self.deleted { Paths::default() } else { self.paths };
        let push = PushReceived {
            provider: hearing.provider.to_owned(),
            delivery: self.delivery,
            clone_url: self.clone_url.and_then(without_credentials),
            ref_kind: RefKind::of(&git_ref),
            git_ref,
            before: self.before,
            after: self.after,
            created: self.created,
            deleted: self.deleted,
            // A provider's flag means little on a ref that came or went.
            forced: self.forced && !self.created && !self.deleted,
            actor: self.actor,
            paths: paths.names,
            paths_truncated: paths.truncated,
            repo,
        };
        let (source, subject) = (format!("{}/{}", hearing.provider, push.repo), push.repo.to_string());
        first(format!("{}/{id}", hearing.provider), source, subject, hearing.now, push.into())
    }
}

/// A commit as providers write it: all zero stands for none.
pub(crate) fn commit(text: &str) -> Result<Option<CommitId>, Refusal> {
    if matches!(text.len(), 40 | 64) && text.bytes().all(|digit| digit == b'0') {
        return Ok(None);
    }
    CommitId::new(text).map(Some).map_err(Refusal::unusable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_are_no_commit_and_abbreviations_unusable() {
        assert_eq!(commit(&"0".repeat(40)).unwrap(), None);
        assert_eq!(commit(&"0".repeat(64)).unwrap(), None);
        assert!(commit("abc123").is_err());
    }
}
