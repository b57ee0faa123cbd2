//! The ref check: finds pushes whose webhook never came.
//!
//! Its unit is a repository. It remembers what was last said of each branch and tag, looks at Git every
//! [`longshore_policy::Host::ref_check_ms`], and says what differs. GitHub sends nothing for more than 3 tags of one
//! push, GitLab nothing above 3 refs, and a webhook can always be lost.
//!
//! A look may come before a webhook that is on its way: then one push is said twice, which does no harm, since an
//! event only says look.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use longshore_events::types::{PushReceived, RefKind};
use longshore_events::{ChainId, CommitId, Link, RefName, RepositoryName, takes};
use longshore_frame::{At, Cause, Decision, Function};
use longshore_policy::{Policy, Repository};
use longshore_ports::{ErrorKind, Git, Key, PortError, Relation};
use serde::{Deserialize, Serialize};

/// The most facts of one decision: one commit has room for 20 events.
const MAX_FACTS: usize = 20;

takes! {
    /// What the ref check takes.
    pub enum Input { PushReceived }
}

/// Finds pushes whose webhook never came. Hint each repository when a host starts: a repository that was never
/// looked at has no `due`.
pub struct RefCheck {
    /// Where the refs are asked for.
    pub git: Arc<dyn Git>,
    /// The repositories, the branch of each, and how often to look.
    pub policy: Arc<Policy>,
}

/// What was said of a repository.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// It was looked at before: a ref that is not known is new.
    pub looked: bool,
    /// What each ref was last said to point to.
    pub refs: BTreeMap<RefName, CommitId>,
    /// How many pushes were found here; each starts a chain of its own.
    pub found: u64,
    /// When to look next.
    pub next: Option<Timestamp>,
}

/// What Git said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Seen {
    /// It was not asked: a push is only noted.
    NotAsked,
    /// The configuration does not know the repository any more.
    Unknown,
    /// The repository is not there: the host has not made it yet.
    Missing,
    /// The refs that are not as they were last said.
    Refs(Vec<Moved>),
}

/// A ref that is not as it was last said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moved {
    /// The ref.
    pub git_ref: RefName,
    /// What it was last said to point to.
    pub before: Option<CommitId>,
    /// What it points to; `None` when it is gone.
    pub after: Option<CommitId>,
    /// Git does not say that the one before is an ancestor.
    pub forced: bool,
}

/// The ref check does nothing outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Nothing {}

impl Function for RefCheck {
    const NAME: &'static str = "refcheck";
    type Input = Input;
    type State = State;
    type Seen = Seen;
    type Effect = Nothing;

    fn units(&self, input: &Input) -> Vec<String> {
        let Input::PushReceived(push) = input;
        self.policy.repository(&push.repo).map(|known| known.name.to_string()).into_iter().collect()
    }

    fn key(&self, _unit: &str, effect: &Nothing) -> Key {
        match *effect {}
    }

    async fn observe(&self, unit: &str, state: &State, cause: &Cause<Input>) -> Result<Seen, PortError> {
        if matches!(cause, Cause::Told(_)) {
            return Ok(Seen::NotAsked);
        }
        let Some(repository) = self.repository(unit) else { return Ok(Seen::Unknown) };
        let refs = match self.git.refs(&repository.name).await {
            Ok(refs) => refs,
            Err(error) if error.kind == ErrorKind::NotFound => return Ok(Seen::Missing),
            Err(error) => return Err(error),
        };
        let mut moved = moved(state, &repository.branch, refs);
        let said = moved.iter_mut().filter(|moved| says(state, &repository.branch, moved)).take(MAX_FACTS);
        for moved in said {
            moved.forced = self.forced(&repository.name, moved).await?;
        }
        Ok(Seen::Refs(moved))
    }

    fn decide(
        &self,
        unit: &str,
        at: &At,
        state: State,
        cause: Cause<Input>,
        seen: &Seen,
    ) -> Decision<State, Nothing> {
        match (cause, seen) {
            (Cause::Told(told), _) => {
                let Input::PushReceived(push) = told.input;
                self.note(at, state, &push)
            }
            (_, Seen::Refs(moved)) => match self.repository(unit) {
                Some(repository) => self.look(repository, at, state, moved),
                None => Decision::rest(state),
            },
            (_, Seen::Missing) => {
                let next = self.next(at);
                Decision::rest(State { next: Some(next), ..state }).wake(next)
            }
            (_, Seen::NotAsked | Seen::Unknown) => Decision::rest(state),
        }
    }

    async fn perform(&self, _unit: &str, _key: &Key, effect: &Nothing) -> Result<(), PortError> {
        match *effect {}
    }
}

impl RefCheck {
    fn repository(&self, unit: &str) -> Option<&Repository> {
        RepositoryName::new(unit).ok().and_then(|name| self.policy.repository(&name))
    }

    /// Notes what a webhook said. A push that names no commit and no end tells nothing to compare with.
    fn note(&self, at: &At, mut state: State, push: &PushReceived) -> Decision<State, Nothing> {
        match &push.after {
            Some(after) => drop(state.refs.insert(push.git_ref.clone(), after.clone())),
            None if push.deleted => drop(state.refs.remove(&push.git_ref)),
            None => {}
        }
        // Pushes do not put the next look off.
        let next = state.next.unwrap_or_else(|| self.next(at));
        state.next = Some(next);
        Decision::rest(state).wake(next)
    }

    fn look(
        &self,
        repository: &Repository,
        at: &At,
        mut state: State,
        moved: &[Moved],
    ) -> Decision<State, Nothing> {
        let (said, silent): (Vec<_>, Vec<_>) =
            moved.iter().partition(|moved| says(&state, &repository.branch, moved));
        for moved in silent.iter().chain(said.iter().take(MAX_FACTS)) {
            match &moved.after {
                Some(after) => drop(state.refs.insert(moved.git_ref.clone(), after.clone())),
                None => drop(state.refs.remove(&moved.git_ref)),
            }
        }
        let mut found = state.found;
        let next = self.next(at);
        let again = said.len() > MAX_FACTS;
        // What is left is found again only if the first look is still one.
        state.looked |= !again;
        state.next = Some(next);
        let facts: Vec<_> = said
            .into_iter()
            .take(MAX_FACTS)
            .filter_map(|moved| {
                found += 1;
                let chain = ChainId::new(format!("{}/{}/{found}", Self::NAME, repository.name)).ok()?;
                Some((Link { chain, cause: None }, push(&repository.name, moved)))
            })
            .collect();
        state.found = found;
        let mut decision = Decision::rest(state).wake(next);
        for (link, push) in facts {
            decision = decision.say(repository.name.as_str(), &link, push);
        }
        decision.again = again;
        decision
    }

    fn next(&self, at: &At) -> Timestamp {
        let every = i64::try_from(self.policy.host.ref_check_ms).unwrap_or(i64::MAX);
        at.now.saturating_add(SignedDuration::from_millis(every)).unwrap_or(Timestamp::MAX)
    }

    /// Whether a ref moved otherwise than forward, as far as Git can tell: it may have forgotten the commit before.
    async fn forced(&self, repo: &RepositoryName, moved: &Moved) -> Result<bool, PortError> {
        let (Some(before), Some(after)) = (&moved.before, &moved.after) else { return Ok(false) };
        match self.git.compare(repo, before, after).await {
            Ok(changes) => Ok(changes.relation != Relation::Ahead),
            Err(error) if !error.is_temporary() => Ok(true),
            Err(error) => Err(error),
        }
    }
}

/// The refs that are not as they were last said, the configured branch first.
fn moved(state: &State, branch: &RefName, refs: Vec<(RefName, CommitId)>) -> Vec<Moved> {
    let gone = |known: &&RefName| refs.binary_search_by(|(name, _)| name.cmp(known)).is_err();
    let mut all: Vec<Moved> = state
        .refs
        .keys()
        .filter(gone)
        .map(|name| Moved {
            git_ref: name.clone(),
            before: state.refs.get(name).cloned(),
            after: None,
            forced: false,
        })
        .collect();
    for (name, tip) in refs {
        let before = state.refs.get(&name).cloned();
        if before.as_ref() != Some(&tip) {
            all.push(Moved { git_ref: name, before, after: Some(tip), forced: false });
        }
    }
    all.sort_by_key(|moved| moved.git_ref != *branch);
    all
}

/// The first look at a repository takes what is there as known, but for the branch that shall run.
fn says(state: &State, branch: &RefName, moved: &Moved) -> bool {
    state.looked || moved.before.is_some() || moved.git_ref == *branch
}

fn push(repo: &RepositoryName, moved: &Moved) -> PushReceived {
    PushReceived {
        provider: RefCheck::NAME.into(),
        delivery: None,
        repo: repo.clone(),
        clone_url: None,
        git_ref: moved.git_ref.clone(),
        ref_kind: RefKind::of(&moved.git_ref),
        before: moved.before.clone(),
        after: moved.after.clone(),
        created: moved.before.is_none(),
        deleted: moved.after.is_none(),
        forced: moved.forced,
        actor: None,
        paths: Vec::new(),
        paths_truncated: moved.after.is_some(),
    }
}

#[cfg(test)]
#[path = "refcheck_tests.rs"]
mod tests;
