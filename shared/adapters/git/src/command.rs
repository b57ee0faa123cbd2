//! One invocation of git: with nothing of the surroundings, in a process group of its own, within limits.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use longshore_ports::{ErrorKind, PortError};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;
use tokio::time::timeout;

use crate::group::Group;

/// How long an invocation without network may take.
pub(crate) const LOCAL: Duration = Duration::from_mins(2);
/// How long one with network may take.
pub(crate) const NETWORK: Duration = Duration::from_mins(10);

/// The most that is kept of what git prints, in bytes.
const MAX_OUT: u64 = 32 * 1024 * 1024;
const MAX_ERR: u64 = 64 * 1024;

/// The search path of a machine whose own is not given.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Variables that git, ssh and the shell of a hook may see of the host's environment.
const ALLOWED: &[&str] = &[
    "PATH",
    "HOME",
    "USER",
    "TMPDIR",
    "SSH_AUTH_SOCK",
    "SSL_CERT_FILE",
    "https_proxy",
    "http_proxy",
    "no_proxy",
];

/// Why git failed.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// It could not be started, or its folder not be written.
    #[error("cannot run git: {0}; is it installed, and the data folder writable?")]
    Start(#[source] io::Error),
    /// It took too long.
    #[error("git {what} took longer than {} s and was ended", limit.as_secs())]
    Slow {
        /// What was asked.
        what: String,
        /// How long it had.
        limit: Duration,
    },
    /// It printed too much.
    #[error("git {0} printed more than {MAX_OUT} bytes")]
    TooMuch(String),
    /// It said no.
    #[error("git {what}: {said}")]
    Said {
        /// What was asked.
        what: String,
        /// Its exit status.
        status: Option<i32>,
        /// What it said, in one line, without credentials.
        said: String,
    },
}

impl GitError {
    /// The error of a port: what is not there stays so; anything else may be the network, or a disk.
    pub(crate) fn port(self, operation: &str) -> PortError {
        let missing = |said: &str| {
            ["not a git repository", "bad object", "unknown revision", "Not a valid", "failed to unpack tree"]
                .iter()
                .any(|known| said.contains(known))
        };
        let kind = match &self {
            Self::Said { said, .. } if missing(said) => ErrorKind::NotFound,
            Self::TooMuch(_) => ErrorKind::Invalid,
            Self::Said { .. } | Self::Slow { .. } | Self::Start(_) => ErrorKind::Unavailable,
        };
        PortError::new(kind, operation, self)
    }

    /// A lock of an invocation that was killed is in the way.
    pub(crate) fn is_locked(&self) -> bool {
        matches!(self, Self::Said { said, .. } if said.contains(".lock': File exists"))
    }
}

/// What every invocation has in common.
#[derive(Debug, Clone, Default)]
pub(crate) struct Surroundings(Vec<(OsString, OsString)>);

impl Surroundings {
    /// Of these variables, those that git may see.
    pub(crate) fn of(vars: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let allowed = |name: &OsString| ALLOWED.iter().any(|known| name == known);
        Self(vars.into_iter().filter(|(name, _)| allowed(name)).collect())
    }

    /// A git command: no configuration but the repository's, no hooks, no prompts, no commands as transports.
    pub(crate) fn git(
        &self,
        repository: &Path,
        args: impl IntoIterator<Item = impl AsRef<OsStr>>,
    ) -> Command {
        let mut command = bare(self.0.iter().map(|(name, value)| (name, value)));
        command
            .args([
                "-c",
                "core.hooksPath=/dev/null",
                "-c",
                "protocol.ext.allow=never",
                "-c",
                "safe.directory=*",
            ])
            .args([
                "-c",
                "core.fsmonitor=false",
                "-c",
                "gc.autoDetach=false",
                "-c",
                "maintenance.autoDetach=false",
            ])
            .arg("--git-dir")
            .arg(repository)
            .args(args)
            .stdin(Stdio::null());
        command
    }
}

/// The git command without arguments, in a clean environment and a process group of its own.
pub(crate) fn bare<'a>(vars: impl Iterator<Item = (&'a OsString, &'a OsString)>) -> Command {
    let mut command = Command::new("git");
    command
        .env_clear()
        .env("PATH", PATH)
        .envs(vars)
        .env("LC_ALL", "C")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_SSH_COMMAND", "ssh -o BatchMode=yes")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    command
}

/// Runs it and answers what it printed.
pub(crate) async fn run(mut command: Command, what: &str, limit: Duration) -> Result<Vec<u8>, GitError> {
    let mut child = command.spawn().map_err(GitError::Start)?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let mut group = Group::of(child);
    let all = async {
        // A stream that goes on beyond its bound is not read: the command is ended instead of waited for.
        let (out, err) = tokio::join!(bounded(stdout, MAX_OUT), bounded(stderr, MAX_ERR));
        let (out, err) = (out?, err?);
        let whole = out.len() as u64 <= MAX_OUT;
        let status = if whole { Some(group.wait().await?) } else { None };
        io::Result::Ok((status, out, err))
    };
    let ended = timeout(limit, all).await;
    match ended {
        Err(_) => Err(GitError::Slow { what: what.into(), limit }),
        Ok(Err(error)) => Err(GitError::Start(error)),
        Ok(Ok((None, ..))) => Err(GitError::TooMuch(what.into())),
        Ok(Ok((Some(status), out, _))) if status.success() => Ok(out),
        Ok(Ok((Some(status), _, err))) => {
            Err(GitError::Said { what: what.into(), status: status.code(), said: reason(&err) })
        }
    }
}

/// Runs it and answers its first line.
pub(crate) async fn line(command: Command, what: &str) -> Result<String, GitError> {
    let out = run(command, what, LOCAL).await?;
    Ok(String::from_utf8_lossy(&out).lines().next().unwrap_or_default().to_owned())
}

async fn bounded(stream: Option<impl AsyncRead + Unpin>, most: u64) -> io::Result<Vec<u8>> {
    let mut read = Vec::new();
    if let Some(stream) = stream {
        stream.take(most + 1).read_to_end(&mut read).await?;
    }
    Ok(read)
}

/// The line of git's complaint that says why: the first fatal one, else the last.
fn reason(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let is_why = |line: &&str| line.starts_with("fatal:") || line.starts_with("error:");
    let line = text.lines().find(is_why).or_else(|| text.lines().last()).unwrap_or("it gave no reason");
    redacted(line)
}

/// A text without the user and password of any URL in it.
pub(crate) fn redacted(text: &str) -> String {
    let mut words = text.split("://");
    let mut clean = words.next().unwrap_or_default().to_owned();
    for rest in words {
        let end = rest.find(|c: char| c == '/' || c == '\'' || c.is_whitespace()).unwrap_or(rest.len());
        let from = rest[..end].rfind('@').map_or(0, |at| at + 1);
        clean.push_str("://");
        clean.push_str(&rest[from..]);
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        command
    }

    #[test]
    fn credentials_do_not_get_into_errors() {
        for (said, clean) in [
            ("fatal: 'https://me:s3cret@host/x.git/' not found", "fatal: 'https://host/x.git/' not found"),
            ("https://a:b@h ssh://c@d/e@f", "https://h ssh://d/e@f"),
            ("no url: me@there", "no url: me@there"),
        ] {
            assert_eq!(redacted(said), clean);
        }
    }

    #[test]
    fn only_allowed_variables_reach_git() {
        let vars = [("PATH", "/x"), ("GIT_DIR", "/evil"), ("AWS_SECRET_ACCESS_KEY", "s")];
        let kept = Surroundings::of(vars.map(|(name, value)| (name.into(), value.into())));
        assert_eq!(kept.0, [("PATH".into(), "/x".into())]);
    }

    #[tokio::test]
    async fn a_command_that_hangs_is_ended_with_its_children() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        // A grandchild holds the pipe open for writing until it is ended.
        let script = format!("(exec sleep 1000 >{0}) & wait", pipe.display());
        let hung = run(shell(&script), "hang", Duration::from_millis(300));
        let end = tokio::task::spawn_blocking(move || std::fs::read(pipe));
        assert!(matches!(hung.await, Err(GitError::Slow { .. })));
        end.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_command_that_prints_without_end_is_ended() {
        let endless = run(shell("exec cat /dev/zero"), "endless", LOCAL).await;
        assert!(matches!(endless, Err(GitError::TooMuch(_))));
    }

    #[tokio::test]
    async fn the_fatal_line_is_the_reason() {
        let script = "echo hint: x >&2; echo 'fatal: no' >&2; echo bye >&2; exit 3";
        match run(shell(script), "x", LOCAL).await {
            Err(GitError::Said { status: Some(3), said, .. }) => assert_eq!(said, "fatal: no"),
            other => panic!("{other:?}"),
        }
    }
}
