//! What runs on this machine, from `/proc`: which processes belong to a build, and ending them.
//!
//! A process belongs to a build by its group, or by the variable [`MARK`] that everything a build starts inherits:
//! one that left the group (`setsid`, a daemon) is found by that.

use std::fs;
use std::io;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// Names the folder of the build, in the environment of its commands.
pub(super) const MARK: &str = "LONGSHORE_WORK";
/// Between two looks at what is still there.
pub(super) const LOOK: Duration = Duration::from_millis(20);

/// A process, by its number and its start time: together they name one process only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Process {
    pid: i32,
    /// When it started, in clock ticks since the machine did.
    pub(super) started: u64,
    pub(super) group: i32,
    /// Its command's name, as the kernel keeps it.
    pub(super) name: String,
    zombie: bool,
}

impl Process {
    /// The process of that number. Source: proc_pid_stat(5), fields 2, 3, 5 and 22.
    pub(super) fn read(pid: i32) -> io::Result<Self> {
        let stat = fs::read(format!("/proc/{pid}/stat"))?;
        let stat = String::from_utf8_lossy(&stat);
        let strange = || io::Error::other(format!("/proc/{pid}/stat is not what it should be"));
        // A name may hold anything, brackets and white space too.
        let (before, after) = stat.rsplit_once(") ").ok_or_else(strange)?;
        let name = before.split_once('(').map_or("", |(_, name)| name).to_owned();
        let mut fields = after.split_whitespace();
        let state = fields.next().ok_or_else(strange)?;
        let group = fields.nth(1).and_then(|field| field.parse().ok()).ok_or_else(strange)?;
        let started = fields.nth(16).and_then(|field| field.parse().ok()).ok_or_else(strange)?;
        Ok(Self { pid, started, group, name, zombie: state == "Z" })
    }

    /// Whether its environment says that it belongs to the build in this folder, or one below it.
    fn is_marked(&self, folder: &str) -> bool {
        let Ok(environment) = fs::read(format!("/proc/{}/environ", self.pid)) else { return false };
        environment.split(|&b| b == 0).any(|entry| {
            let folder_of = entry.strip_prefix(MARK.as_bytes()).and_then(|rest| rest.strip_prefix(b"="));
            let below = folder_of.and_then(|found| found.strip_prefix(folder.as_bytes()));
            below.is_some_and(|below| below.is_empty() || below[0] == b'/')
        })
    }

    /// Sends a signal, unless another process has the number now.
    pub(super) fn signal(&self, signal: Signal) {
        if let (Ok(now), Some(pid)) = (Self::read(self.pid), Pid::from_raw(self.pid))
            && now.started == self.started
        {
            let _ = kill_process(pid, signal);
        }
    }
}

/// Every live process that is in `group`, or marked with `folder`. What a dead parent never reaped is not live.
pub(super) fn belonging(group: impl Fn(&Process) -> bool, folder: &str) -> Vec<Process> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    let live = pids.filter_map(|pid| Process::read(pid).ok()).filter(|process| !process.zombie);
    live.filter(|process| group(process) || process.is_marked(folder)).collect()
}
