//! Repositories with a known history, made by the git command itself.

#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(clippy::unwrap_used, reason = "the helpers of tests fail as tests do")]

use std::path::{Path, PathBuf};
use std::process::Command;

use longshore_events::{CommitId, RefName, RepositoryName};
use longshore_git::{GitCommand, Source};
use longshore_ports::suite::git::{File, History};
use tempfile::TempDir;

pub(crate) fn repo() -> RepositoryName {
    RepositoryName::new("acme/shop").unwrap()
}

pub(crate) fn main_branch() -> RefName {
    RefName::branch("main").unwrap()
}

/// A work tree to push from.
pub(crate) struct Work(pub(crate) PathBuf);

impl Work {
    pub(crate) fn new(folder: &Path) -> Self {
        let work = Self(folder.join("work"));
        std::fs::create_dir_all(&work.0).unwrap();
        work.git(&["init", "-q", "-b", "main"]);
        work
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new("git");
        command.current_dir(&self.0).args([
            "-c",
            "user.name=Test",
            "-c",
            "user.email=test@example.org",
            "-c",
            "commit.gpgsign=false",
        ]);
        command.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", "/dev/null");
        command.env("GIT_COMMITTER_DATE", "1700000000 +0000").env("GIT_AUTHOR_DATE", "1700000000 +0000");
        command
    }

    pub(crate) fn git(&self, args: &[&str]) -> String {
        let output = self.command().args(args).output().unwrap();
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
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", "a commit"]);
        self.head()
    }

    /// A commit of so many empty files, without writing them.
    pub(crate) fn commit_listed(&self, count: usize) -> CommitId {
        let empty = self.git(&["hash-object", "-w", "/dev/null"]);
        let entries: Vec<_> = (0..count).map(|n| format!("100644 blob {empty}\t{n}\n")).collect();
        let list = self.0.join(".git/entries");
        std::fs::write(&list, entries.concat()).unwrap();
        let output =
            self.command().arg("mktree").stdin(std::fs::File::open(&list).unwrap()).output().unwrap();
        let tree = String::from_utf8(output.stdout).unwrap();
        CommitId::new(self.git(&["commit-tree", "-p", "HEAD", "-m", "many", tree.trim()])).unwrap()
    }

    pub(crate) fn head(&self) -> CommitId {
        CommitId::new(self.git(&["rev-parse", "HEAD"])).unwrap()
    }

    /// The history that the suite asks for.
    pub(crate) fn history(&self) -> History {
        let root = self.commit(History::ROOT);
        self.git(&["tag", "-a", "-m", "first", "v1"]);
        self.git(&["checkout", "-q", "-b", "team/side"]);
        let side = self.commit(History::SIDE);
        self.git(&["checkout", "-q", "main"]);
        let main = self.commit(History::MAIN);
        History { repo: repo(), root, main, side }
    }
}

/// A host's repository in a temporary folder, and a work tree.
pub(crate) async fn hosted() -> (TempDir, GitCommand, Work) {
    let folder = tempfile::tempdir().unwrap();
    let git = GitCommand::new(folder.path().join("git"), [(repo(), Source::Hosted)]);
    git.init_bare(&repo(), &main_branch(), "#!/bin/sh\n").await.unwrap();
    let work = Work::new(folder.path());
    (folder, git, work)
}

/// A mirror of the work tree's repository.
pub(crate) fn mirror(folder: &Path, work: &Work) -> GitCommand {
    let url = format!("file://{}", work.0.display());
    GitCommand::new(folder.join("git"), [(repo(), Source::Mirror(url))])
}
