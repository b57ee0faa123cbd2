//! Processes by pid and start time: a pid alone may be somebody else's by now.

mod launch;
pub(crate) mod ports;
pub(crate) mod stat;

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ExitStatus};
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use serde::{Deserialize, Serialize};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

pub(crate) use launch::{Launch, bound_log};

/// How often a process group is looked at while it ends.
const GROUP_POLL: Duration = Duration::from_millis(20);

/// How long a process may take to die once it is killed; one that waits for a disk takes longer, and is left to it.
const DYING: Duration = Duration::from_secs(2);

/// One process, told from a later one with the same pid by its start time; the leader of its process group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Incarnation {
    /// Its pid, and its process group.
    pub(crate) pid: u32,
    /// When it started, in clock ticks since boot (field 22 of proc(5)'s stat).
    pub(crate) started: u64,
}

impl Incarnation {
    /// The process that has `pid` now.
    pub(crate) fn of(pid: u32) -> io::Result<Self> {
        stat::read(pid)
            .map(|stat| Self { pid, started: stat.started })
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Whether it runs; one that only waits to be reaped does not.
    pub(crate) fn is_alive(self) -> bool {
        stat::read(self.pid).is_some_and(|stat| stat.started == self.started && stat.runs())
    }

    /// Whether its process group has a member that runs, although its leader may be gone. The kernel gives no pid
    /// away that still names a group, so what is found is ours unless the leader's pid is somebody else's by now.
    fn group_runs(self) -> bool {
        !self.is_recycled() && stat::group_runs(self.pid)
    }

    fn is_recycled(self) -> bool {
        stat::read(self.pid).is_some_and(|stat| stat.started != self.started)
    }

    /// Sends a signal to its process group, unless nothing of the group runs.
    fn signal_group(self, signal: Signal) {
        let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) else { return };
        if self.group_runs()
            && let Err(error) = kill_process_group(pid, signal)
        {
            tracing::warn!(process.pid = self.pid, %error, "cannot signal a process group");
        }
    }

    /// Kills what is left of its process group.
    pub(crate) fn kill_group(self) {
        self.signal_group(Signal::KILL);
    }
}

/// A running process that is watched: our own child, or one that an earlier runner started.
#[derive(Debug)]
pub(crate) struct Process {
    incarnation: Incarnation,
    child: Option<Child>,
    exit: AsyncFd<OwnedFd>,
}

impl Process {
    /// Watches a process that an earlier runner started, if it still runs.
    pub(crate) fn adopt(incarnation: Incarnation) -> io::Result<Option<Self>> {
        if !incarnation.is_alive() {
            return Ok(None);
        }
        let exit = pidfd(incarnation.pid)?;
        // Looked at again: the descriptor may be that of a process which took the pid in between.
        Ok(incarnation.is_alive().then_some(Self { incarnation, child: None, exit }))
    }

    /// Watches a child.
    pub(crate) fn of_child(incarnation: Incarnation, child: Child) -> io::Result<Self> {
        Ok(Self { incarnation, child: Some(child), exit: pidfd(incarnation.pid)? })
    }

    /// Which process it is.
    #[cfg(test)]
    pub(crate) fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    /// Waits until it has exited, and says how.
    pub(crate) async fn exited(&mut self) -> String {
        if let Err(error) = self.exit.readable().await {
            tracing::warn!(process.pid = self.incarnation.pid, %error, "cannot wait for a process; looking instead");
            while self.incarnation.is_alive() {
                sleep(GROUP_POLL).await;
            }
        }
        match self.child.as_mut().map(Child::wait) {
            Some(Ok(status)) => describe(status),
            Some(Err(_)) | None => {
                "exited; the status is unknown, since an earlier runner started it".to_owned()
            }
        }
    }

    /// Ends the process and its group: SIGTERM, and SIGKILL to what is left after `grace`.
    pub(crate) async fn end(&mut self, grace: Duration) {
        let until = Instant::now() + grace;
        self.incarnation.signal_group(Signal::TERM);
        let exited = timeout_at(until, self.exited()).await.is_ok();
        while exited && self.incarnation.group_runs() && Instant::now() < until {
            sleep_until(until.min(Instant::now() + GROUP_POLL)).await;
        }
        self.incarnation.kill_group();
        self.exited().await;
        // Its children die a moment after they were killed.
        let until = Instant::now() + DYING;
        while self.incarnation.group_runs() && Instant::now() < until {
            sleep(GROUP_POLL).await;
        }
    }
}

fn pidfd(pid: u32) -> io::Result<AsyncFd<OwnedFd>> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::InvalidInput)?;
    #[expect(
        deprecated,
        reason = "its successor is an unsafe function; with an `OwnedFd`, as here, both are sound"
    )]
    AsyncFd::with_interest(pidfd_open(pid, PidfdFlags::empty())?, Interest::READABLE)
}

fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exited with status {code}"),
        (None, Some(signal)) => format!("killed by signal {signal}"),
        (None, None) => "exited".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pid_with_another_start_time_is_not_the_process() {
        let me = Incarnation::of(std::process::id()).unwrap();
        assert!(me.is_alive());
        let earlier = Incarnation { started: me.started - 1, ..me };
        assert!(!earlier.is_alive());
        assert!(!earlier.group_runs());
    }

    #[tokio::test]
    async fn a_process_that_ignores_sigterm_is_killed_with_its_children() {
        let script = "trap '' TERM; sleep 60 & sleep 60; sleep 60";
        let folder = tempfile::tempdir().unwrap();
        let mut process = Launch::shell(script, folder.path()).hold().unwrap().go().unwrap();
        let group = process.incarnation();
        assert!(group.group_runs());
        process.end(Duration::from_millis(50)).await;
        assert!(!group.is_alive() && !group.group_runs());
    }
}
