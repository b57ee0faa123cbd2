//! A program of the cluster that is running, with its log.

use std::fs::{self, OpenOptions};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

/// As much of a log as is told of a program that failed.
const TOLD: usize = 20;

/// It is ended, without mercy, when it is let go: nothing that it keeps outlives it.
pub(super) struct Component {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

impl Component {
    /// Starts it. What it says is added to the log of its name in `logs`.
    pub(super) fn start(name: &'static str, mut command: Command, logs: &Path) -> Self {
        let log = logs.join(format!("{name}.log"));
        let file = OpenOptions::new().create(true).append(true).open(&log).unwrap();
        command.stdout(file.try_clone().unwrap()).stderr(file);
        // It is entered by a program that waits for it: both are in one group.
        let child = command.process_group(0).spawn().unwrap_or_else(|error| panic!("{name}: {error}"));
        Self { name, child, log }
    }

    /// Fails with the end of the log when it has ended.
    pub(super) fn must_run(&mut self) {
        if let Some(status) = self.child.try_wait().unwrap() {
            panic!("{} has ended with {status}:\n{}", self.name, self.last_words());
        }
    }

    /// The end of its log.
    pub(super) fn last_words(&self) -> String {
        let log = fs::read(&self.log).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(TOLD)..].join("\n")
    }
}

impl Drop for Component {
    fn drop(&mut self) {
        // Of one that has been waited for, the number may be another's by now.
        if !matches!(self.child.try_wait(), Ok(None)) {
            return;
        }
        // Whoever entered it for us waits for it, and so do we: with both killed, its end would be seen by nobody here.
        let _ = match entered(&self.child) {
            Some(program) => kill_process(program, Signal::KILL),
            None => kill_process_group(Pid::from_child(&self.child), Signal::KILL),
        };
        let _ = self.child.wait();
    }
}

/// The program, behind the one that enters the namespaces for it.
fn entered(enters: &Child) -> Option<Pid> {
    let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", enters.id())).ok()?;
    Pid::from_raw(children.split_whitespace().next()?.parse().ok()?)
}
