//! The demo's stage: a folder with a configuration, and clones of a repository in which people commit.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tempfile::TempDir;
use tokio::process::Command;

use super::leftovers;
use crate::api::TOKEN_USER;

const CONFIG: &str = include_str!("../../demo/longshore.toml");
const SOURCE: &str = include_str!("../../demo/main.rs");
const DOCKERFILE: &str = include_str!("../../demo/Dockerfile");

/// Variables that would lead git, or the host, elsewhere.
pub(super) const MISLEADING: [&str; 9] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "LONGSHORE_DATA",
    "LONGSHORE_HOST",
    "LONGSHORE_LOG",
    "LONGSHORE_OUTPUT",
    "LONGSHORE_TOKEN",
];

/// When broken pushes are committed. An image's time is that of its commit: so the same change is the same image again.
const BROKEN_AT: &str = "2026-01-01T00:00:00Z";

/// The folder of everything.
pub(super) struct Stage {
    /// Where it is.
    pub(super) folder: PathBuf,
    temporary: Option<TempDir>,
    goes_on: bool,
}

impl Stage {
    /// Makes the folder, with the configuration in it.
    pub(super) fn set(dir: Option<&Path>) -> Result<Self> {
        let (folder, temporary) = folder(dir)?;
        let stage = Self { folder, temporary, goes_on: false };
        let witness = stage.witness().display().to_string();
        let config = CONFIG.replace("@WITNESS@", &witness.replace('\\', r"\\").replace('"', "\\\""));
        std::fs::write(stage.folder.join("longshore.toml"), config)?;
        std::fs::write(stage.witness(), "")?;
        Ok(stage)
    }

    /// The witnesses' file, outside the data folder.
    pub(super) fn witness(&self) -> PathBuf {
        self.folder.join("witness.log")
    }

    /// The host's data folder.
    pub(super) fn data(&self) -> PathBuf {
        self.folder.join(".longshore")
    }

    /// Leaves the folder where it is.
    pub(super) fn keep(&mut self) {
        if let Some(temporary) = self.temporary.take() {
            let _ = temporary.keep();
        }
    }

    /// Leaves the folder, and what runs in it.
    pub(super) fn keep_running(&mut self) {
        self.goes_on = true;
        self.keep();
    }

    /// Clones the repository at `url` into a folder of that name.
    pub(super) async fn clone_as(&self, name: &str, url: &str, token: &str) -> Result<Checkout> {
        let credential = STANDARD.encode(format!("{TOKEN_USER}:{token}"));
        let checkout = Checkout { folder: self.folder.join(name), credential };
        std::fs::create_dir(&checkout.folder)?;
        checkout.git(&["clone", "--quiet", url, "."]).await?;
        Ok(checkout)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if !self.goes_on {
            leftovers::end(&self.data());
        }
    }
}

fn folder(dir: Option<&Path>) -> Result<(PathBuf, Option<TempDir>)> {
    let Some(dir) = dir else {
        let made = tempfile::Builder::new().prefix("longshore-demo-").tempdir();
        let temporary = made.context("cannot make a temporary folder; name another with `--dir`")?;
        return Ok((temporary.path().canonicalize()?, Some(temporary)));
    };
    std::fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    if std::fs::read_dir(dir)?.next().is_some() {
        bail!("{} is not empty; the demo wants a folder of its own", dir.display());
    }
    Ok((dir.canonicalize()?, None))
}

/// A clone in which somebody commits.
pub(super) struct Checkout {
    folder: PathBuf,
    credential: String,
}

impl Checkout {
    /// Commits the service's source, and what was done to it; answers the commit.
    pub(super) async fn commit(&self, what: &str, broken: bool) -> Result<String> {
        let write = |name: &str, text: &str| std::fs::write(self.folder.join(name), text);
        write("main.rs", SOURCE)?;
        write("broken.rs", &broken.to_string())?;
        write("Dockerfile", DOCKERFILE)?;
        write(".gitignore", "/hello\n")?;
        // A file for each change, so that changes made at the same time do not conflict.
        write(&format!("{}.txt", what.replace(' ', "-")), what)?;
        self.git(&["add", "--all"]).await?;
        let at = if broken { Some(("GIT_COMMITTER_DATE", BROKEN_AT)) } else { None };
        self.git_with(&["commit", "--quiet", "--message", what], at).await?;
        self.git(&["rev-parse", "HEAD"]).await
    }

    /// Pushes to the branch; never by force.
    pub(super) async fn push(&self) -> Result<()> {
        self.git(&["push", "--quiet", "origin", "HEAD:refs/heads/main"]).await.map(drop)
    }

    /// Pushes; whoever lost the race for the branch pulls, and pushes again. Answers how often that was needed.
    pub(super) async fn push_in_a_race(&self) -> Result<usize> {
        for lost in 0..5 {
            if self.push().await.is_ok() {
                return Ok(lost);
            }
            self.git(&["pull", "--quiet", "--rebase", "origin", "main"]).await?;
        }
        self.push().await.map(|()| 5)
    }

    /// What the branch points to, as the host says.
    pub(super) async fn tip(&self) -> Result<String> {
        let listed = self.git(&["ls-remote", "origin", "refs/heads/main"]).await?;
        let tip = listed.split_whitespace().next().context("the branch is gone")?;
        Ok(tip.to_owned())
    }

    async fn git(&self, args: &[&str]) -> Result<String> {
        self.git_with(args, None).await
    }

    async fn git_with(&self, args: &[&str], variable: Option<(&str, &str)>) -> Result<String> {
        let mut command = Command::new("git");
        for name in MISLEADING {
            command.env_remove(name);
        }
        let output = command
            .current_dir(&self.folder)
            .envs(variable)
            .args([
                "-c",
                "user.name=Demo",
                "-c",
                "user.email=demo@example.invalid",
                "-c",
                "commit.gpgsign=false",
            ])
            .args(["-c", "init.defaultBranch=main", "-c", "http.proxy=", "-c", "core.hooksPath=/dev/null"])
            .args(args)
            .env("GIT_TERMINAL_PROMPT", "0")
            // By the environment: a command line can be read by everybody on the machine.
            .env("GIT_CONFIG_COUNT", "1")
            .env("GIT_CONFIG_KEY_0", "http.extraHeader")
            .env("GIT_CONFIG_VALUE_0", format!("Authorization: Basic {}", self.credential))
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .context("cannot run git; is it installed?")?;
        if !output.status.success() {
            bail!("git {} failed: {}", args[0], String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }
}
