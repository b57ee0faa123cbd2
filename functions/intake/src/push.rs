//! What GitHub and GitLab have in common: a push in their words becomes `push.received`.

use std::collections::BTreeSet;

use jiff::Timestamp;
use longshore_events::types::{PushReceived, RefKind};
use longshore_events::{ChainId, CommitId, Data, Event, EventId, Link, RefName, RepositoryName};
use longshore_policy::Policy;
use serde::Deserialize;

use crate::Refusal;
use crate::request::Headers;

/// Beyond either, a push's paths are dropped and said to be truncated: an event has room for 200 KB.
const MAX_PATHS: usize = 3_000;
const MAX_PATH_BYTES: usize = 100 * 1024;

/// What a translation needs to know.
pub(crate) struct Hearing<'a> {
    pub(crate) policy: &'a Policy,
    pub(crate) headers: &'a Headers,
    pub(crate) now: Timestamp,
}

/// What was understood of a request.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    pub(crate) events: Vec<Event>,
    /// Why something of it makes no event.
    pub(crate) ignored: Vec<String>,
}

impl Heard {
    pub(crate) fn ignored(why: impl Into<String>) -> Self {
        Self { events: Vec::new(), ignored: vec![why.into()] }
    }
}

/// A push in the words of its provider.
#[derive(Default)]
pub(crate) struct Draft<'a> {
    pub(crate) provider: &'static str,
    pub(crate) delivery: Option<String>,
    pub(crate) clone_url: Option<&'a str>,
    pub(crate) git_ref: &'a str,
    pub(crate) before: Option<CommitId>,
    pub(crate) after: Option<CommitId>,
    pub(crate) created: bool,
    pub(crate) deleted: bool,
    pub(crate) forced: bool,
    pub(crate) actor: Option<String>,
    pub(crate) paths: Paths,
}

impl Draft<'_> {
    /// The event, under the id `<provider>/<id>`.
    pub(crate) fn event(self, repo: RepositoryName, id: &str, now: Timestamp) -> Result<Event, Refusal> {
        let git_ref = RefName::new(self.git_ref).map_err(|error| Refusal::Unusable(error.to_string()))?;
        let push = PushReceived {
            provider: self.provider.to_owned(),
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
            paths: self.paths.names,
            paths_truncated: self.paths.truncated,
            repo,
        };
        let source = format!("{}/{}", self.provider, push.repo);
        first(format!("{}/{id}", self.provider), source, push.repo.to_string(), now, push.into())
    }
}

/// An event from outside, the first of its chain.
pub(crate) fn first(
    id: String,
    source: String,
    subject: String,
    time: Timestamp,
    data: Data,
) -> Result<Event, Refusal> {
    let unusable = |error: longshore_events::InvalidName| Refusal::Unusable(error.to_string());
    let link = Link { chain: ChainId::new(&id).map_err(unusable)?, cause: None };
    Ok(Event {
        id: EventId::new(id).map_err(unusable)?,
        source,
        subject,
        time,
        link,
        traceparent: None,
        dryrun: false,
        data,
    })
}

/// The repository, when the configuration knows it; else why the push is ignored.
pub(crate) fn known(policy: &Policy, name: &str) -> Result<RepositoryName, String> {
    let repository = RepositoryName::new(name).ok().filter(|name| policy.repository(name).is_some());
    repository.ok_or_else(|| {
        let names: Vec<_> = policy.repositories.iter().take(20).map(|known| known.name.as_str()).collect();
        format!("ignored: no repository {name:?} in the configuration; it knows {}", names.join(", "))
    })
}

/// A commit as providers write it: all zero stands for none.
pub(crate) fn commit(text: &str) -> Result<Option<CommitId>, Refusal> {
    if matches!(text.len(), 40 | 64) && text.bytes().all(|digit| digit == b'0') {
        return Ok(None);
    }
    CommitId::new(text).map(Some).map_err(|error| Refusal::Unusable(error.to_string()))
}

/// A commit of a push, as GitHub and GitLab both list it.
#[derive(Deserialize)]
pub(crate) struct ListedCommit {
    #[serde(default)]
    added: Vec<String>,
    #[serde(default)]
    modified: Vec<String>,
    #[serde(default)]
    removed: Vec<String>,
}

/// The paths that a push touched, sorted.
#[derive(Debug, Default)]
pub(crate) struct Paths {
    pub(crate) names: Vec<String>,
    pub(crate) truncated: bool,
}

impl Paths {
    /// Nothing is known of them.
    pub(crate) fn unknown() -> Self {
        Self { names: Vec::new(), truncated: true }
    }

    /// Those of the commits that a provider lists; `truncated` when it lists not all of them.
    pub(crate) fn of_commits(commits: &[ListedCommit], truncated: bool) -> Self {
        let names = commits.iter().flat_map(|commit| [&commit.added, &commit.modified, &commit.removed]);
        Self::of(names.flatten().map(String::as_str), truncated)
    }

    fn of<'a>(names: impl Iterator<Item = &'a str>, truncated: bool) -> Self {
        let names: BTreeSet<&str> = names.collect();
        let bytes: usize = names.iter().map(|name| name.len()).sum();
        if names.len() > MAX_PATHS || bytes > MAX_PATH_BYTES {
            return Self::unknown();
        }
        Self { names: names.into_iter().map(str::to_owned).collect(), truncated }
    }
}

/// A clone URL that may be kept: user and password are cut out; what is no URL is dropped.
pub(crate) fn without_credentials(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    (url.len() <= 2_000 && matches!(scheme, "https" | "http" | "ssh" | "git"))
        .then(|| format!("{scheme}://{host}{path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_cut_out_of_clone_urls() {
        for (given, kept) in [
            ("https://github.com/acme/shop.git", Some("https://github.com/acme/shop.git")),
            ("https://user:p@ss@host/acme/shop.git", Some("https://host/acme/shop.git")),
            ("http://127.0.0.1:8080", Some("http://127.0.0.1:8080")),
            ("git@github.com:acme/shop.git", None),
            ("ext::sh -c id", None),
            ("javascript://x", None),
        ] {
            assert_eq!(without_credentials(given).as_deref(), kept, "{given}");
        }
    }

    #[test]
    fn too_many_paths_are_all_dropped() {
        let names: Vec<String> = (0..=MAX_PATHS).map(|n| n.to_string()).collect();
        let paths = Paths::of(names.iter().map(String::as_str), false);
        assert!(paths.names.is_empty() && paths.truncated);
    }

    #[test]
    fn zeros_are_no_commit_and_abbreviations_unusable() {
        assert_eq!(commit(&"0".repeat(40)).unwrap(), None);
        assert_eq!(commit(&"0".repeat(64)).unwrap(), None);
        assert!(commit("abc123").is_err());
    }
}
