//! Repositories: commits with parents and with the files that each changed.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use longshore_events::{CommitId, RefName, RepositoryName};
use longshore_ports::{Changes, Clock, ErrorKind, Git, PortError, Relation};

use crate::Air;

/// An answer may be as old as this, in milliseconds: less than what the functions take for settled.
const STALENESS_MS: i64 = 2_000;

/// A file tree: path → content.
pub type Tree = BTreeMap<String, String>;

/// When a branch moved, and where to.
type Move = (Timestamp, Option<CommitId>);

/// Git with commits, branches and stale answers.
pub struct FakeGit {
    air: Arc<Air>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    commits: HashMap<CommitId, Commit>,
    refs: BTreeMap<(RepositoryName, RefName), Vec<Move>>,
}

struct Commit {
    parent: Option<CommitId>,
    tree: Tree,
}

impl FakeGit {
    /// No repositories.
    pub fn new(air: Arc<Air>) -> Self {
        Self { air, state: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a commit.
    pub fn commit(&self, id: CommitId, parent: Option<CommitId>, tree: Tree) {
        self.lock().commits.insert(id, Commit { parent, tree });
    }

    /// Moves a branch.
    pub fn push(&self, repo: &RepositoryName, git_ref: &RefName, to: Option<CommitId>) {
        let now = self.air.now();
        self.lock().refs.entry((repo.clone(), git_ref.clone())).or_default().push((now, to));
    }

    /// The tip as it really is.
    pub fn truth(&self, repo: &RepositoryName, git_ref: &RefName) -> Option<CommitId> {
        let state = self.lock();
        state.refs.get(&(repo.clone(), git_ref.clone()))?.last()?.1.clone()
    }

    /// The files of a commit.
    pub fn tree(&self, commit: &CommitId) -> Tree {
        self.lock().commits.get(commit).map(|commit| commit.tree.clone()).unwrap_or_default()
    }

    /// The moment whose answer is given: now, or a little earlier.
    fn moment(&self) -> Timestamp {
        let now = self.air.now();
        if !self.air.chance(|faults| faults.stale) {
            return now;
        }
        let age = self.air.below(usize::try_from(STALENESS_MS).unwrap_or(1));
        now - SignedDuration::from_millis(i64::try_from(age).unwrap_or(0))
    }
}

impl State {
    /// A repository is there from its first push on.
    fn known(&self, repo: &RepositoryName) -> Result<(), PortError> {
        let known = self.refs.keys().any(|(name, _)| name == repo);
        let missing = || PortError::new(ErrorKind::NotFound, "git", format!("there is no repository {repo}"));
        known.then_some(()).ok_or_else(missing)
    }

    fn at(&self, key: &(RepositoryName, RefName), moment: Timestamp) -> Option<CommitId> {
        let moves = self.refs.get(key)?;
        moves.iter().rev().find(|(at, _)| *at <= moment).and_then(|(_, commit)| commit.clone())
    }

    fn descends(&self, commit: &CommitId, ancestor: &CommitId) -> bool {
        let mut next = Some(commit);
        while let Some(commit) = next {
            if commit == ancestor {
                return true;
            }
            next = self.commits.get(commit).and_then(|commit| commit.parent.as_ref());
        }
        false
    }
}

#[async_trait]
impl Git for FakeGit {
    async fn refs(&self, repo: &RepositoryName) -> Result<Vec<(RefName, CommitId)>, PortError> {
        let act = || {
            let (state, moment) = (self.lock(), self.moment());
            state.known(repo)?;
            let of = state.refs.keys().filter(|(name, _)| name == repo);
            Ok(of.filter_map(|key| Some((key.1.clone(), state.at(key, moment)?))).collect())
        };
        self.air.call("git refs", act).await
    }

    async fn tip(&self, repo: &RepositoryName, git_ref: &RefName) -> Result<Option<CommitId>, PortError> {
        let act = || {
            let (state, moment) = (self.lock(), self.moment());
            state.known(repo)?;
            Ok(state.at(&(repo.clone(), git_ref.clone()), moment))
        };
        self.air.call("git tip", act).await
    }

    async fn compare(
        &self,
        _repo: &RepositoryName,
        base: &CommitId,
        head: &CommitId,
    ) -> Result<Changes, PortError> {
        let act = || {
            let state = self.lock();
            let missing = || PortError::new(ErrorKind::NotFound, "git compare", "no such commit");
            let from = &state.commits.get(base).ok_or_else(missing)?.tree;
            let to = &state.commits.get(head).ok_or_else(missing)?.tree;
            let relation = match (state.descends(head, base), state.descends(base, head)) {
                (true, true) => Relation::Same,
                (true, false) => Relation::Ahead,
                (false, true) => Relation::Behind,
                (false, false) => Relation::Diverged,
            };
            let all: BTreeSet<&String> = from.keys().chain(to.keys()).collect();
            let paths = all.into_iter().filter(|path| from.get(*path) != to.get(*path)).cloned().collect();
            Ok(Changes { relation, paths: Some(paths) })
        };
        self.air.call("git compare", act).await
    }
}
