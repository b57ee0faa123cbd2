//! What repositories know: refs, tips, comparisons.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use longshore_events::{CommitId, RefName, RepositoryName};
use longshore_policy::Policy;
use longshore_ports::{Changes, ErrorKind, Git, PortError, Relation};
use tokio::process::Command;
use tokio::sync::Mutex;

use crate::command::{GitError, LOCAL, NETWORK, Surroundings, run};

/// More paths than these are not listed.
const MAX_PATHS: usize = 100_000;

/// Mirrors lie in this folder. No repository's name begins with a dot, so none is reached by HTTP.
const MIRRORS: &str = ".mirrors";

/// Where a repository comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// It is kept here, and pushed to.
    Hosted,
    /// It is a mirror of this URL.
    Mirror(String),
}

/// Git by the git command.
pub struct GitCommand {
    folder: PathBuf,
    repositories: HashMap<RepositoryName, Known>,
    surroundings: Surroundings,
}

struct Known {
    source: Source,
    /// One fetch of a mirror at a time.
    fetching: Mutex<()>,
}

impl GitCommand {
    /// The repositories, in folders below `folder`.
    pub fn new(folder: PathBuf, repositories: impl IntoIterator<Item = (RepositoryName, Source)>) -> Self {
        let known = |(name, source)| (name, Known { source, fetching: Mutex::new(()) });
        Self {
            folder: std::path::absolute(&folder).unwrap_or(folder),
            repositories: repositories.into_iter().map(known).collect(),
            surroundings: Surroundings::default(),
        }
    }

    /// The repositories of a configuration; those without a URL are kept here.
    pub fn of(folder: PathBuf, policy: &Policy) -> Self {
        let source = |url: &Option<String>| url.clone().map_or(Source::Hosted, Source::Mirror);
        let known = policy.repositories.iter().map(|known| (known.name.clone(), source(&known.url)));
        Self::new(folder, known)
    }

    /// Lets git, and ssh under it, see what it may of these variables: the search path, the home, the agent's socket,
    /// proxies.
    #[must_use]
    pub fn with_environment(self, vars: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        Self { surroundings: Surroundings::of(vars), ..self }
    }

    /// The folder of a repository.
    pub fn path(&self, repo: &RepositoryName) -> PathBuf {
        let folder = match self.repositories.get(repo).map(|known| &known.source) {
            Some(Source::Mirror(_)) => self.folder.join(MIRRORS),
            Some(Source::Hosted) | None => self.folder.clone(),
        };
        folder.join(format!("{repo}.git"))
    }

    pub(crate) fn git(
        &self,
        repository: &Path,
        args: impl IntoIterator<Item = impl AsRef<OsStr>>,
    ) -> Command {
        self.surroundings.git(repository, args)
    }

    fn known(&self, repo: &RepositoryName) -> Result<&Known, PortError> {
        self.repositories.get(repo).ok_or_else(|| {
            let operation = format!("look into the repository {repo}");
            PortError::new(ErrorKind::NotFound, operation, "the configuration names no such repository")
        })
    }

    /// The folder of a repository that has these commits, fetched first where they are missing.
    pub(crate) async fn with_commits(
        &self,
        repo: &RepositoryName,
        commits: &[&CommitId],
    ) -> Result<PathBuf, PortError> {
        let (known, path) = (self.known(repo)?, self.path(repo));
        if let Source::Mirror(url) = &known.source
            && !self.has(&path, commits).await
        {
            let _one = known.fetching.lock().await;
            if !self.has(&path, commits).await {
                let fetched = self.fetch(&path, url, commits).await;
                fetched.map_err(|error| error.port(&format!("fetch {repo}")))?;
            }
        }
        Ok(path)
    }

    async fn has(&self, path: &Path, commits: &[&CommitId]) -> bool {
        for commit in commits {
            let ask = self.git(path, ["cat-file", "-e", &format!("{commit}^{{commit}}")]);
            if run(ask, "cat-file", LOCAL).await.is_err() {
                return false;
            }
        }
        path.exists()
    }

    /// Fetches all refs, and by name those commits that no ref leads to any more. A mirror with the lock of a killed
    /// fetch in it is made anew: it has nothing of its own.
    async fn fetch(&self, path: &Path, url: &str, commits: &[&CommitId]) -> Result<(), GitError> {
        if let Err(error) = self.fetch_refs(path, url).await {
            if !error.is_locked() {
                return Err(error);
            }
            tracing::warn!(mirror = %path.display(), %error, "making the mirror anew");
            tokio::fs::remove_dir_all(path).await.map_err(GitError::Start)?;
            self.fetch_refs(path, url).await?;
        }
        for commit in commits {
            if !self.has(path, &[commit]).await {
                let by_name = ["fetch", "--quiet", "--no-tags", "--end-of-options", url, commit.as_str()];
                // A server may refuse to; then the commit is not known.
                let _ = run(self.git(path, by_name), "fetch", NETWORK).await;
            }
        }
        Ok(())
    }

    async fn fetch_refs(&self, path: &Path, url: &str) -> Result<(), GitError> {
        if !path.exists() {
            let branch =
                RefName::branch("main").map_err(|error| GitError::Start(std::io::Error::other(error)))?;
            self.init(path, &branch).await?;
        }
        let specs = ["+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"];
        let fetch =
            ["fetch", "--quiet", "--prune", "--no-tags", "--end-of-options", url].into_iter().chain(specs);
        run(self.git(path, fetch), "fetch", NETWORK).await.map(drop)
    }

    /// The commits that refs lead to, sorted by name: all branches and tags, or `only` one.
    async fn list(
        &self,
        repo: &RepositoryName,
        only: Option<&RefName>,
    ) -> Result<Vec<(RefName, CommitId)>, PortError> {
        let operation = format!("list the refs of {repo}");
        let path = self.path(repo);
        let found = match &self.known(repo)?.source {
            Source::Hosted => self.list_here(&path, only).await,
            Source::Mirror(url) => self.list_there(&self.folder, url, only).await,
        };
        found.map_err(|error| error.port(&operation))
    }

    async fn list_here(
        &self,
        path: &Path,
        only: Option<&RefName>,
    ) -> Result<Vec<(RefName, CommitId)>, GitError> {
        if let Some(commit) = only.and_then(|only| loose(path, only)) {
            return Ok(only.map(|only| (only.clone(), commit)).into_iter().collect());
        }
        // An annotated tag points to a tag object; what counts is the commit behind it.
        let format = "--format=%(refname) %(objecttype) %(objectname) %(*objecttype) %(*objectname)";
        let patterns = only.map_or(vec!["refs/heads", "refs/tags"], |only| vec![only.as_str()]);
        let list = ["for-each-ref", format].into_iter().chain(patterns);
        let out = run(self.git(path, list), "for-each-ref", LOCAL).await?;
        let parse = |line: &str| {
            let words: Vec<&str> = line.split(' ').collect();
            let &[name, kind, object, peeled_kind, peeled] = words.as_slice() else { return None };
            let commit =
                [(kind, object), (peeled_kind, peeled)].into_iter().find(|(kind, _)| *kind == "commit")?.1;
            Some((RefName::new(name).ok()?, CommitId::new(commit).ok()?))
        };
        Ok(sorted(String::from_utf8_lossy(&out).lines().filter_map(parse), only))
    }

    async fn list_there(
        &self,
        folder: &Path,
        url: &str,
        only: Option<&RefName>,
    ) -> Result<Vec<(RefName, CommitId)>, GitError> {
        let peeled = only.map(|only| format!("{only}^{{}}"));
        let patterns = only.map(RefName::as_str).into_iter().chain(peeled.as_deref());
        let ask = ["ls-remote", "--heads", "--tags", "--end-of-options", url].into_iter().chain(patterns);
        let out = run(self.git(folder, ask), "ls-remote", NETWORK).await?;
        let mut commits = HashMap::new();
        for line in String::from_utf8_lossy(&out).lines() {
            let Some((object, name)) = line.split_once('\t') else { continue };
            let bare = name.strip_suffix("^{}");
            let (Ok(name), Ok(commit)) = (RefName::new(bare.unwrap_or(name)), CommitId::new(object)) else {
                continue;
            };
            // The commit behind an annotated tag comes after the tag object.
            commits.insert(name, commit);
        }
        Ok(sorted(commits.into_iter(), only))
    }

    /// The files that differ between two commits' trees; `None` when they are too many.
    async fn paths(
        &self,
        path: &Path,
        base: &CommitId,
        head: &CommitId,
    ) -> Result<Option<Vec<String>>, GitError> {
        let diff = ["diff-tree", "-r", "--name-only", "-z", "--no-renames", "--end-of-options"];
        let diff = diff.into_iter().chain([base.as_str(), head.as_str()]);
        let out = match run(self.git(path, diff), "diff-tree", LOCAL).await {
            Err(GitError::TooMuch(_)) => return Ok(None),
            other => other?,
        };
        let names = out.split(|byte| *byte == 0).filter(|name| !name.is_empty());
        let names: Vec<String> =
            names.take(MAX_PATHS + 1).map(|name| String::from_utf8_lossy(name).into_owned()).collect();
        Ok((names.len() <= MAX_PATHS).then_some(names))
    }

    async fn descends(&self, path: &Path, commit: &CommitId, ancestor: &CommitId) -> Result<bool, GitError> {
        let ask = ["merge-base", "--is-ancestor", "--end-of-options", ancestor.as_str(), commit.as_str()];
        match run(self.git(path, ask), "merge-base", LOCAL).await {
            Ok(_) => Ok(true),
            Err(GitError::Said { status: Some(1), .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The most likely answer is asked for first: each costs a process.
    async fn how(&self, path: &Path, base: &CommitId, head: &CommitId) -> Result<Relation, GitError> {
        if base == head {
            return Ok(Relation::Same);
        }
        if self.descends(path, head, base).await? {
            return Ok(Relation::Ahead);
        }
        Ok(if self.descends(path, base, head).await? { Relation::Behind } else { Relation::Diverged })
    }

    async fn changes(&self, path: &Path, base: &CommitId, head: &CommitId) -> Result<Changes, GitError> {
        let relation = self.how(path, base, head).await?;
        let same = relation == Relation::Same;
        Ok(Changes {
            relation,
            paths: if same { Some(Vec::new()) } else { self.paths(path, base, head).await? },
        })
    }
}

/// A branch in a file of its own, as gitrepository-layout(5) says: what was pushed last is there, and reading it costs
/// no process. `None` is no answer: then git is asked.
fn loose(repository: &Path, branch: &RefName) -> Option<CommitId> {
    let is_branch = branch.as_str().starts_with("refs/heads/");
    let text = is_branch.then(|| std::fs::read_to_string(repository.join(branch.as_str())).ok())??;
    CommitId::new(text.strip_suffix('\n')?).ok()
}

/// A pattern of git's also finds what lies below a name, or ends with it.
fn sorted(
    refs: impl Iterator<Item = (RefName, CommitId)>,
    only: Option<&RefName>,
) -> Vec<(RefName, CommitId)> {
    let mut refs: Vec<_> = refs.filter(|(name, _)| only.is_none_or(|only| only == name)).collect();
    refs.sort();
    refs
}

#[async_trait]
impl Git for GitCommand {
    async fn refs(&self, repo: &RepositoryName) -> Result<Vec<(RefName, CommitId)>, PortError> {
        self.list(repo, None).await
    }

    async fn tip(&self, repo: &RepositoryName, git_ref: &RefName) -> Result<Option<CommitId>, PortError> {
        Ok(self.list(repo, Some(git_ref)).await?.pop().map(|(_, commit)| commit))
    }

    async fn compare(
        &self,
        repo: &RepositoryName,
        base: &CommitId,
        head: &CommitId,
    ) -> Result<Changes, PortError> {
        let operation = || format!("compare {} and {} of {repo}", base.short(), head.short());
        let path = self.with_commits(repo, &[base, head]).await?;
        self.changes(&path, base, head).await.map_err(|error| error.port(&operation()))
    }

    async fn relation(
        &self,
        repo: &RepositoryName,
        base: &CommitId,
        head: &CommitId,
    ) -> Result<Relation, PortError> {
        if base == head {
            return self.known(repo).map(|_| Relation::Same);
        }
        let path = self.with_commits(repo, &[base, head]).await?;
        let how = self.how(&path, base, head).await;
        how.map_err(|error| error.port(&format!("relate {base} to {head} in {repo}")))
    }
}
