//! Repositories in folders: refs, tips, comparisons, checkouts.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use longshore_events::{CommitId, RefName, RepositoryName};
use longshore_ports::{Changes, ErrorKind, Git, PortError, Relation};
use tokio::sync::Mutex;

use crate::command::{self, GitError, git};

/// More paths than these are not listed.
const MAX_PATHS: usize = 5_000;

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
    repositories: HashMap<RepositoryName, Source>,
    /// One fetch of a mirror at a time.
    fetching: Mutex<()>,
}

impl GitCommand {
    /// The repositories, in folders below `folder`.
    pub fn new(folder: PathBuf, repositories: impl IntoIterator<Item = (RepositoryName, Source)>) -> Self {
        Self { folder, repositories: repositories.into_iter().collect(), fetching: Mutex::new(()) }
    }

    /// The folder of a repository.
    pub fn path(&self, repo: &RepositoryName) -> PathBuf {
        self.folder.join(format!("{repo}.git"))
    }

    /// Makes a bare repository, if it is not there, and writes its `post-receive` hook anew. Pushes to it may force
    /// any branch; what is broken is refused.
    ///
    /// # Errors
    /// When git or the disk says no.
    pub async fn init_bare(
        &self,
        repo: &RepositoryName,
        branch: &RefName,
        hook: &str,
    ) -> Result<(), GitError> {
        let path = self.path(repo);
        tokio::fs::create_dir_all(&path).await.map_err(GitError::Start)?;
        let branch = format!("--initial-branch={}", branch.short());
        command::run(git(&path, ["init", "--quiet", "--bare", &branch]), "init").await?;
        for (key, value) in [
            ("receive.fsckObjects", "true"),
            ("receive.denyDeleteCurrent", "ignore"),
            ("receive.denyNonFastForwards", "false"),
            ("http.receivepack", "true"),
            ("uploadpack.allowAnySHA1InWant", "true"),
        ] {
            command::run(git(&path, ["config", key, value]), "config").await?;
        }
        write_hook(&path, hook).await.map_err(GitError::Start)
    }

    /// Fetches a mirror; does nothing for a repository that is kept here.
    async fn refresh(&self, repo: &RepositoryName) -> Result<PathBuf, PortError> {
        let path = self.path(repo);
        match self.repositories.get(repo) {
            None => Err(PortError::new(
                ErrorKind::NotFound,
                format!("look into the repository {repo}"),
                "the configuration names no such repository",
            )),
            Some(Source::Hosted) => Ok(path),
            Some(Source::Mirror(url)) => {
                let _one = self.fetching.lock().await;
                self.fetch(&path, url).await.map_err(|error| error.port(&format!("fetch {repo}")))?;
                Ok(path)
            }
        }
    }

    async fn fetch(&self, path: &Path, url: &str) -> Result<(), GitError> {
        if !path.join("HEAD").exists() {
            tokio::fs::create_dir_all(path).await.map_err(GitError::Start)?;
            command::run(git(path, ["init", "--quiet", "--bare"]), "init").await?;
        }
        let specs = ["+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"];
        let fetch = ["fetch", "--quiet", "--prune", "--end-of-options", url].into_iter().chain(specs);
        command::run(git(path, fetch), "fetch").await.map(|_| ())
    }

    /// Makes `folder` a clean checkout of a commit; what was in it is gone. Answers the commit's time, in seconds since
    /// the epoch.
    ///
    /// # Errors
    /// When the commit is not known, or the disk says no.
    pub async fn checkout(
        &self,
        repo: &RepositoryName,
        commit: &CommitId,
        folder: &Path,
    ) -> Result<u64, PortError> {
        let operation = format!("check out {} of {repo}", commit.short());
        let path = match self.repositories.get(repo) {
            Some(Source::Hosted) => self.path(repo),
            _ => self.refresh(repo).await?,
        };
        let lost = |error: io::Error| PortError::unavailable(operation.clone(), error);
        match tokio::fs::remove_dir_all(folder).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(lost(error)),
            _ => {}
        }
        tokio::fs::create_dir_all(folder).await.map_err(lost)?;
        let port = |error: GitError| error.port(&operation);
        let index = folder.with_extension("index");
        let _ = tokio::fs::remove_file(&index).await;
        let mut read = git(&path, ["read-tree", "--end-of-options", commit.as_str()]);
        read.env("GIT_INDEX_FILE", &index);
        command::run(read, "read-tree").await.map_err(port)?;
        let mut write = git(&path, ["--work-tree", "."]);
        write.current_dir(folder).env("GIT_INDEX_FILE", &index).args(["checkout-index", "--all", "--force"]);
        command::run(write, "checkout-index").await.map_err(port)?;
        let _ = tokio::fs::remove_file(&index).await;
        let show = git(&path, ["show", "--no-patch", "--format=%ct", "--end-of-options", commit.as_str()]);
        let time = command::line(show, "show").await.map_err(port)?;
        Ok(time.parse().unwrap_or(0))
    }

    /// The files that differ between two commits' trees; `None` when they are too many.
    async fn paths(
        &self,
        path: &Path,
        base: &CommitId,
        head: &CommitId,
    ) -> Result<Option<Vec<String>>, GitError> {
        let diff =
            ["diff", "--name-only", "-z", "--no-renames", "--end-of-options", base.as_str(), head.as_str()];
        let out = command::run(git(path, diff), "diff").await?;
        let names = out.split(|byte| *byte == 0).filter(|name| !name.is_empty());
        let names: Vec<String> =
            names.take(MAX_PATHS + 1).map(|name| String::from_utf8_lossy(name).into_owned()).collect();
        Ok((names.len() <= MAX_PATHS).then_some(names))
    }

    async fn descends(&self, path: &Path, commit: &CommitId, ancestor: &CommitId) -> Result<bool, GitError> {
        let ask = ["merge-base", "--is-ancestor", "--end-of-options", ancestor.as_str(), commit.as_str()];
        match command::run(git(path, ask), "merge-base").await {
            Ok(_) => Ok(true),
            Err(GitError::Said { status: Some(1), .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

async fn write_hook(repository: &Path, script: &str) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = repository.join("hooks");
    tokio::fs::create_dir_all(&folder).await?;
    let (hook, new) = (folder.join("post-receive"), folder.join("post-receive.new"));
    tokio::fs::write(&new, script).await?;
    tokio::fs::set_permissions(&new, std::fs::Permissions::from_mode(0o755)).await?;
    tokio::fs::rename(&new, &hook).await
}

#[async_trait]
impl Git for GitCommand {
    async fn refs(&self, repo: &RepositoryName) -> Result<Vec<(RefName, CommitId)>, PortError> {
        let path = self.refresh(repo).await?;
        let list =
            ["for-each-ref", "--format=%(refname) %(objectname) %(*objectname)", "refs/heads", "refs/tags"];
        let out = command::run(git(&path, list), "for-each-ref").await;
        let out = out.map_err(|error| error.port(&format!("list the refs of {repo}")))?;
        let parse = |line: &str| {
            let mut words = line.split(' ');
            let name = RefName::new(words.next()?).ok()?;
            // An annotated tag points to a tag object; what counts is the commit behind it.
            let commit = words.rfind(|word| !word.is_empty())?;
            Some((name, CommitId::new(commit).ok()?))
        };
        let mut refs: Vec<_> = String::from_utf8_lossy(&out).lines().filter_map(parse).collect();
        refs.sort();
        Ok(refs)
    }

    async fn tip(&self, repo: &RepositoryName, git_ref: &RefName) -> Result<Option<CommitId>, PortError> {
        let path = self.refresh(repo).await?;
        let name = format!("{git_ref}^{{commit}}");
        let ask = git(&path, ["rev-parse", "--quiet", "--verify", "--end-of-options", &name]);
        match command::line(ask, "rev-parse").await {
            Ok(commit) => Ok(CommitId::new(commit).ok()),
            Err(GitError::Said { status: Some(1), .. }) => Ok(None),
            Err(error) => Err(error.port(&format!("ask for the tip of {git_ref} in {repo}"))),
        }
    }

    async fn compare(
        &self,
        repo: &RepositoryName,
        base: &CommitId,
        head: &CommitId,
    ) -> Result<Changes, PortError> {
        if base == head {
            return Ok(Changes { relation: Relation::Same, paths: Some(Vec::new()) });
        }
        let path = match self.repositories.get(repo) {
            Some(Source::Hosted) => self.path(repo),
            _ => self.refresh(repo).await?,
        };
        let port =
            |error: GitError| error.port(&format!("compare {} and {} of {repo}", base.short(), head.short()));
        let relation = if self.descends(&path, head, base).await.map_err(port)? {
            Relation::Ahead
        } else if self.descends(&path, base, head).await.map_err(port)? {
            Relation::Behind
        } else {
            Relation::Diverged
        };
        Ok(Changes { relation, paths: self.paths(&path, base, head).await.map_err(port)? })
    }
}
