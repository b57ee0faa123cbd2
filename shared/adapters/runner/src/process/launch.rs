//! Starting a program so that a crash of the runner never leaves one running that nobody knows of.
//!
//! A shell is started that waits for a line. The runner records its pid and start time durably, then writes the line,
//! and the shell becomes the program. Should the runner die before that, the shell reads the end of its input and
//! exits: the program never ran.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use super::{Incarnation, Process};

/// Waits for a line, then becomes the program, which itself gets no input.
const GATE: &str = r#"read -r _ && exec "$@" </dev/null"#;
/// How long a log may get before it is set aside, in bytes; one older part is kept.
const LOG_LIMIT: u64 = 8 << 20;

/// A program to be started.
#[derive(Debug, Clone)]
pub(crate) struct Launch {
    /// The program, by its absolute path on this machine.
    pub(crate) program: PathBuf,
    /// Its arguments.
    pub(crate) args: Vec<OsString>,
    /// Its whole environment.
    pub(crate) env: BTreeMap<String, String>,
    /// Its working folder.
    pub(crate) folder: PathBuf,
    /// Where its output goes.
    pub(crate) log: PathBuf,
}

/// A process that waits to become its program.
#[derive(Debug)]
pub(crate) struct Held {
    child: Option<Child>,
    gate: Option<ChildStdin>,
    incarnation: Incarnation,
}

impl Launch {
    /// A shell script with its log in `folder`.
    #[cfg(test)]
    pub(crate) fn shell(script: &str, folder: &Path) -> Self {
        Self {
            program: "/bin/sh".into(),
            args: vec!["-c".into(), script.into()],
            env: BTreeMap::new(),
            folder: folder.into(),
            log: folder.join("log"),
        }
    }

    /// Starts the waiting shell, in a process group of its own.
    pub(crate) fn hold(&self) -> io::Result<Held> {
        let log = open_log(&self.log)?;
        let mut child = Command::new("/bin/sh")
            .args(["-c", GATE, "sh"])
            .arg(&self.program)
            .args(&self.args)
            .env_clear()
            .envs(&self.env)
            .current_dir(&self.folder)
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0)
            .spawn()?;
        let gate = child.stdin.take();
        let incarnation = Incarnation::of(child.id());
        let incarnation = incarnation.unwrap_or(Incarnation { pid: child.id(), started: 0 });
        Ok(Held { child: Some(child), gate, incarnation })
    }
}

impl Held {
    /// Which process it is, and will be.
    pub(crate) fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    /// Lets it become its program.
    pub(crate) fn go(mut self) -> io::Result<Process> {
        self.gate.take().ok_or(io::ErrorKind::BrokenPipe)?.write_all(b"\n")?;
        let child = self.child.take().ok_or(io::ErrorKind::NotFound)?;
        Process::of_child(self.incarnation, child)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        drop(self.gate.take());
        if let Some(mut child) = self.child.take()
            && let Err(error) = child.wait()
        {
            tracing::warn!(process.pid = self.incarnation.pid, %error, "cannot wait for a process that never ran");
        }
    }
}

fn open_log(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    bound_log(path)?;
    OpenOptions::new().create(true).append(true).open(path)
}

/// Keeps a log bounded, also while a program writes to it: what is there is copied aside, and the file emptied. The
/// program appends, so that it goes on at the file's new end; what it writes between the two steps is lost.
pub(crate) fn bound_log(path: &Path) -> io::Result<()> {
    match fs::metadata(path) {
        Ok(log) if log.len() > LOG_LIMIT => {
            fs::copy(path, path.with_extension("log.1"))?;
            OpenOptions::new().write(true).open(path)?.set_len(0)
        }
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_program_runs_only_once_it_is_let_go() {
        let folder = tempfile::tempdir().unwrap();
        let launch = Launch::shell("echo ran; cat", folder.path());
        drop(launch.hold().unwrap());
        assert_eq!(fs::read_to_string(&launch.log).unwrap(), "");
        let mut process = launch.hold().unwrap().go().unwrap();
        assert_eq!(process.exited().await, "exited with status 0");
        assert_eq!(fs::read_to_string(&launch.log).unwrap(), "ran\n");
    }

    #[test]
    fn a_long_log_is_set_aside() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("7.log");
        File::create(&path).unwrap().set_len(LOG_LIMIT + 1).unwrap();
        bound_log(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().len(), 0);
        assert_eq!(fs::metadata(folder.path().join("7.log.1")).unwrap().len(), LOG_LIMIT + 1);
    }
}
