//! A repository with a known history, a server over it, and the adapter that asks it.

use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use longshore_events::{CommitId, RefName, RepositoryName};
use longshore_forge::ForgeGit;
use longshore_forge::testing::LikeForge;
use longshore_policy::{Forge, ForgeKind, Policy, Repository};
use longshore_ports::suite::git::{File, History};
use longshore_ports::{Changes, ErrorKind, Git, PortError, Secret, Secrets};
use tempfile::TempDir;

const REPOSITORY: &str = "acme/shop";
pub(crate) const KINDS: [ForgeKind; 2] = [ForgeKind::Github, ForgeKind::Gitlab];

pub(crate) struct Stage {
    folder: TempDir,
    pub(crate) server: LikeForge,
    pub(crate) history: History,
}

/// The secret `forge`, which can be changed.
#[derive(Default)]
pub(crate) struct Tokens(pub(crate) Mutex<Vec<&'static str>>);

#[async_trait]
impl Secrets for Tokens {
    async fn get(&self, name: &str) -> Result<Vec<Secret>, PortError> {
        assert_eq!(name, "forge");
        if self.0.lock().unwrap().is_empty() {
            return Err(PortError::new(ErrorKind::NotFound, "read the secret \"forge\"", "there is none"));
        }
        Ok(self.0.lock().unwrap().iter().map(|token| Secret::new(*token)).collect())
    }
}

/// Knows nothing, and says so.
struct Nobody;

#[async_trait]
impl Git for Nobody {
    async fn refs(&self, repo: &RepositoryName) -> Result<Vec<(RefName, CommitId)>, PortError> {
        Err(unknown(repo))
    }
    async fn tip(&self, repo: &RepositoryName, _: &RefName) -> Result<Option<CommitId>, PortError> {
        Err(unknown(repo))
    }
    async fn compare(&self, repo: &RepositoryName, _: &CommitId, _: &CommitId) -> Result<Changes, PortError> {
        Err(unknown(repo))
    }
}

fn unknown(repo: &RepositoryName) -> PortError {
    PortError::new(ErrorKind::NotFound, format!("ask for {repo}"), "no forge")
}

impl Stage {
    pub(crate) async fn new(kind: ForgeKind) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let work = Work(folder.path().to_owned());
        let history = work.history();
        let server = LikeForge::start(kind, REPOSITORY, work.0.clone()).await.unwrap();
        Self { folder, server, history }
    }

    pub(crate) fn work(&self) -> Work {
        Work(self.folder.path().to_owned())
    }

    /// The adapter, without a token.
    pub(crate) fn git(&self) -> ForgeGit {
        git(&[(REPOSITORY, self.server.forge(None))], Arc::default())
    }

    /// The adapter, with the tokens of the secret `forge`.
    pub(crate) fn git_with(&self, tokens: &[&'static str]) -> ForgeGit {
        let tokens = Arc::new(Tokens(Mutex::new(tokens.to_vec())));
        git(&[(REPOSITORY, self.server.forge(Some("forge")))], tokens)
    }
}

/// The adapter over repositories at forges.
pub(crate) fn git(at: &[(&str, Forge)], tokens: Arc<Tokens>) -> ForgeGit {
    ForgeGit::of(&policy(at), tokens, Arc::new(Nobody)).unwrap()
}

/// A configuration of repositories at forges.
pub(crate) fn policy(at: &[(&str, Forge)]) -> Policy {
    let text = "[[service]]\nname = \"shop\"\nimage = \"docker.io/acme/shop\"\n";
    let mut policy: Policy = longshore_policy::check(text, "test").unwrap();
    policy.repositories = at
        .iter()
        .map(|(name, forge)| Repository {
            name: RepositoryName::new(*name).unwrap(),
            url: None,
            branch: RefName::branch("main").unwrap(),
            forge: Some(forge.clone()),
        })
        .collect();
    policy
}

pub(crate) fn repo() -> RepositoryName {
    RepositoryName::new(REPOSITORY).unwrap()
}

pub(crate) fn main_branch() -> RefName {
    RefName::branch("main").unwrap()
}

/// A work tree.
pub(crate) struct Work(PathBuf);

impl Work {
    pub(crate) fn git(&self, args: &[&str]) -> String {
        let mut command = Command::new("git");
        command.current_dir(&self.0).args(["-c", "user.name=Test", "-c", "user.email=test@example.org"]);
        command.args(["-c", "commit.gpgsign=false"]).args(args);
        command.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", "/dev/null");
        let output = command.output().unwrap();
        assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Commits exactly these files.
    pub(crate) fn commit(&self, files: &[File]) -> CommitId {
        self.git(&["rm", "-r", "-q", "-f", "--ignore-unmatch", "."]);
        for (path, content) in files {
            let path = self.0.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        self.all()
    }

    /// Commits that many new files.
    pub(crate) fn commit_many(&self, count: usize) -> CommitId {
        for n in 0..count {
            std::fs::write(self.0.join(format!("many-{n}")), n.to_string()).unwrap();
        }
        self.all()
    }

    fn all(&self) -> CommitId {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", "a commit"]);
        CommitId::new(self.git(&["rev-parse", "HEAD"])).unwrap()
    }

    fn history(&self) -> History {
        self.git(&["init", "-q", "-b", "main"]);
        let root = self.commit(History::ROOT);
        self.git(&["tag", "-a", "-m", "first", "v1"]);
        self.git(&["checkout", "-q", "-b", "team/side"]);
        let side = self.commit(History::SIDE);
        self.git(&["checkout", "-q", "main"]);
        let main = self.commit(History::MAIN);
        History { repo: repo(), root, main, side }
    }
}
