//! One invocation of git.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use longshore_ports::{ErrorKind, PortError};
use tokio::process::Command;
use tokio::time::timeout;

/// How long one invocation may take.
const LIMIT: Duration = Duration::from_secs(120);
/// The search path of a machine whose own is not given.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Why git failed.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// It could not be started.
    #[error("cannot run git: {0}; is it installed?")]
    Start(#[source] std::io::Error),
    /// It took too long.
    #[error("git {0} took longer than {limit} s", limit = LIMIT.as_secs())]
    Slow(String),
    /// It said no.
    #[error("git {what}: {said}")]
    Said {
        /// What was asked.
        what: String,
        /// Its exit status.
        status: Option<i32>,
        /// What it said, in one line.
        said: String,
    },
}

impl GitError {
    /// The error of a port: what git says no to stays so, unless the network is in between.
    pub(crate) fn port(self, operation: &str) -> PortError {
        let missing = |said: &str| {
            ["not a git repository", "bad object", "unknown revision", "Not a valid"]
                .iter()
                .any(|s| said.contains(s))
        };
        let kind = match &self {
            Self::Said { said, .. } if missing(said) => ErrorKind::NotFound,
            Self::Said { .. } | Self::Slow(_) | Self::Start(_) => ErrorKind::Unavailable,
        };
        PortError::new(kind, operation, self)
    }
}

/// A git command with nothing of the surroundings: no hooks, no configuration but the repository's, no prompts.
pub(crate) fn git(repository: &Path, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
    let mut command = Command::new("git");
    command
        .env_clear()
        .env("PATH", PATH)
        .env("HOME", "/nonexistent")
        .env("LC_ALL", "C")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .args(["-c", "core.hooksPath=/dev/null", "-c", "protocol.ext.allow=never", "-c", "safe.directory=*"])
        .args(["-c", "gc.auto=0", "-c", "filter.lfs.smudge=", "-c", "filter.lfs.required=false"])
        .arg("--git-dir")
        .arg(repository)
        .args(args)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

/// Runs it and answers what it printed.
pub(crate) async fn run(mut command: Command, what: &str) -> Result<Vec<u8>, GitError> {
    let output = timeout(LIMIT, command.output()).await.map_err(|_| GitError::Slow(what.into()))?;
    let output = output.map_err(GitError::Start)?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.lines().last().unwrap_or("it gave no reason").to_owned();
    Err(GitError::Said { what: what.into(), status: output.status.code(), said })
}

/// Runs it and answers its first line.
pub(crate) async fn line(command: Command, what: &str) -> Result<String, GitError> {
    let out = run(command, what).await?;
    Ok(String::from_utf8_lossy(&out).lines().next().unwrap_or_default().to_owned())
}
