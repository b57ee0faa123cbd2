//! `push`, `create`, `delete`: GitHub's, and those of Gitea and Forgejo, which took them over.

use serde::Deserialize;

use super::{Repository, User};
use crate::Refusal;
use crate::hear::{Heard, Hearing, brief, known};
use crate::paths::{ListedCommits, Paths};
use crate::push::{Draft, commit};

/// The body of `push`.
#[derive(Deserialize)]
pub(crate) struct Push {
    #[serde(rename = "ref")]
    git_ref: String,
    before: String,
    after: String,
    #[serde(default)]
    created: bool,
    #[serde(default)]
    deleted: bool,
    #[serde(default)]
    forced: bool,
    #[serde(default)]
    commits: ListedCommits,
    /// How many commits there are: Gitea lists only the newest.
    total_commits: Option<usize>,
    head_commit: Option<HeadCommit>,
    repository: Repository,
    pusher: Option<User>,
    sender: Option<User>,
}

#[derive(Deserialize)]
struct HeadCommit {
    id: String,
}

impl Push {
    pub(crate) fn translate(mut self, hearing: &Hearing<'_>, delivery: &str) -> Result<Heard, Refusal> {
        let repo = match known(hearing.policy, &self.repository.full_name) {
            Ok(repo) => repo,
            Err(why) => return Ok(Heard::ignored(why)),
        };
        let (before, pushed) = (commit(&self.before)?, commit(&self.after)?);
        let deleted = self.deleted || pushed.is_none();
        let created = !deleted && (self.created || before.is_none());
        // `after` of an annotated tag is the tag object; its commit is in `head_commit`.
        let after = match &self.head_commit {
            _ if deleted => None,
            Some(head) if self.git_ref.starts_with("refs/tags/") => commit(&head.id)?,
            _ => pushed,
        };
        // Where no flag says so, a branch that moved and brings nothing went back.
        let rewound = self.total_commits == Some(0) && before != after;
        let paths = self.paths(created);
        let actor = self.sender.as_ref().and_then(User::actor);
        let draft = Draft {
            delivery: Some(delivery.to_owned()),
            clone_url: self.repository.clone_url.as_deref(),
            git_ref: &self.git_ref,
            before,
            after,
            created,
            deleted,
            forced: self.forced || rewound,
            actor: actor.or(self.pusher.as_ref().and_then(User::actor)).map(brief),
            paths,
        };
        Ok(Heard::event(draft.event(hearing, repo, delivery)?))
    }

    /// A new or forced ref's commits do not say how its tree differs from the one before.
    fn paths(&mut self, created: bool) -> Paths {
        let listed = self.commits.count;
        let more = self.total_commits.is_some_and(|total| total > listed);
        self.commits.paths(created || self.forced || listed == 0 || more)
    }
}

/// The body of `create` and `delete`. They name no commit: they say that the ref is worth a look.
#[derive(Deserialize)]
pub(crate) struct MovedRef {
    #[serde(rename = "ref")]
    git_ref: String,
    ref_type: String,
    repository: Repository,
    sender: Option<User>,
}

impl MovedRef {
    pub(crate) fn translate(
        &self,
        hearing: &Hearing<'_>,
        deleted: bool,
        delivery: &str,
    ) -> Result<Heard, Refusal> {
        let folder = match self.ref_type.as_str() {
            "branch" => "refs/heads/",
            "tag" => "refs/tags/",
            other => {
                return Ok(Heard::ignored(format!("ignored: a {} is no branch and no tag", brief(other))));
            }
        };
        let repo = match known(hearing.policy, &self.repository.full_name) {
            Ok(repo) => repo,
            Err(why) => return Ok(Heard::ignored(why)),
        };
        let git_ref = format!("{folder}{}", self.git_ref);
        let draft = Draft {
            delivery: Some(delivery.to_owned()),
            clone_url: self.repository.clone_url.as_deref(),
            git_ref: &git_ref,
            created: !deleted,
            deleted,
            actor: self.sender.as_ref().and_then(User::actor).map(brief),
            paths: Paths::unknown(),
            ..Draft::default()
        };
        Ok(Heard::event(draft.event(hearing, repo, delivery)?))
    }
}
