//! Commands in process groups of their own, recorded before they may act.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, PipeReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use super::log::Log;
use super::process::{LOOK, MARK, Process, belonging};

/// From SIGTERM to SIGKILL.
const GRACE: Duration = Duration::from_secs(3);
/// How long a killed process may take to be gone.
const DYING: Duration = Duration::from_secs(5);
/// Waits until it is recorded, then becomes the command. When the host dies before, its input ends, and so does it.
const SHIM: &str = r#"read -r _ || exit 125; exec "$@" </dev/null"#;

/// How a command ended.
pub(super) enum Ended {
    /// By itself, with this status; `None` for a signal.
    Exited(Option<i32>),
    /// It was ended at its time limit.
    TimedOut,
}

/// A command to run.
pub(super) struct Job<'a> {
    pub(super) command: &'a [String],
    pub(super) folder: &'a Path,
    pub(super) environment: &'a BTreeMap<String, String>,
    pub(super) log: Log,
    pub(super) limit: Duration,
    /// Where groups are recorded.
    pub(super) groups: &'a Path,
    /// The build's folder: marks all that the command starts.
    pub(super) work: &'a str,
}

/// Runs a command to its end, with everything that it started: nothing of it is left. Says how it ended, and the
/// names of the processes that it left behind. When this is dropped, what runs is killed.
pub(super) async fn run(job: Job<'_>) -> io::Result<(Ended, Vec<String>)> {
    let (mut child, output) = spawn(&job)?;
    let gone = || io::Error::other("the command ended before it was recorded");
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).ok_or_else(gone)?;
    let group = Group::record(job.groups, pid, job.work)?;
    let copying = job.log.copy(output)?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(b"\n").await?;
    }
    let ended = match timeout(job.limit, child.wait()).await {
        Ok(status) => Ended::Exited(status?.code()),
        Err(_) => Ended::TimedOut,
    };
    let left = group.end().await;
    let _ = timeout(DYING, child.wait()).await;
    copying.finish().await;
    Ok((ended, left))
}

fn spawn(job: &Job<'_>) -> io::Result<(Child, PipeReader)> {
    let (output, input) = io::pipe()?;
    let child = Command::new("/bin/sh")
        .args(["-c", SHIM, "sh"])
        .args(job.command)
        .current_dir(job.folder)
        .env_clear()
        .envs(job.environment)
        .env(MARK, job.work)
        .stdin(Stdio::piped())
        .stdout(input.try_clone()?)
        .stderr(input)
        .process_group(0)
        .spawn()?;
    Ok((child, output))
}

fn signal_all(processes: &[Process], signal: Signal) {
    for process in processes {
        process.signal(signal);
    }
}

/// A running group and its record.
struct Group<'a> {
    id: i32,
    record: PathBuf,
    work: &'a str,
}

impl<'a> Group<'a> {
    /// The record need not outlive the machine, whose end is the group's end too.
    fn record(folder: &Path, id: i32, work: &'a str) -> io::Result<Self> {
        let group = Self { id, record: folder.join(id.to_string()), work };
        fs::create_dir_all(folder)?;
        fs::write(&group.record, Process::read(id)?.started.to_string())?;
        Ok(group)
    }

    fn processes(&self) -> Vec<Process> {
        belonging(|process| process.group == self.id, self.work)
    }

    /// TERM, then KILL, for whatever is still there; answers the names of that.
    async fn end(&self) -> Vec<String> {
        let left = self.processes();
        let begun = Instant::now();
        let mut now = left.clone();
        while !now.is_empty() && begun.elapsed() < GRACE + DYING {
            let first = now == left;
            let late = begun.elapsed() >= GRACE;
            if late || first {
                let signal = if late { Signal::KILL } else { Signal::TERM };
                signal_all(&now, signal);
            }
            sleep(LOOK).await;
            now = self.processes();
        }
        left.into_iter().map(|process| process.name).collect()
    }
}

impl Drop for Group<'_> {
    fn drop(&mut self) {
        signal_all(&self.processes(), Signal::KILL);
        let _ = fs::remove_file(&self.record);
    }
}

/// Ends what an earlier host's builds left running: every group that it recorded in `folder` and that is still the
/// same, and every process that is marked as of a build beside that folder. Waits until they are gone; says how many
/// there were.
///
/// # Errors
/// When the folder cannot be read.
pub fn kill_leftover_groups(folder: &Path) -> io::Result<usize> {
    let folder = std::path::absolute(folder)?;
    let work = super::work_folder(folder.parent().unwrap_or(&folder));
    let recorded = recorded(&folder)?;
    let ours = |process: &Process| recorded.contains(&process.group);
    let found = belonging(ours, &work);
    let begun = Instant::now();
    let mut now = found.clone();
    while !now.is_empty() && begun.elapsed() < DYING {
        signal_all(&now, Signal::KILL);
        std::thread::sleep(LOOK);
        now = belonging(ours, &work);
    }
    for group in recorded {
        let _ = fs::remove_file(folder.join(group.to_string()));
    }
    Ok(found.len())
}

/// The groups in `folder` whose leader is still the one that was recorded. The records of all others are removed.
fn recorded(folder: &Path) -> io::Result<Vec<i32>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut groups = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let id = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse::<i32>().ok());
        let started = fs::read_to_string(&path).ok().and_then(|text| text.parse::<u64>().ok());
        match (id, started) {
            (Some(id), Some(started)) if Process::read(id).is_ok_and(|leader| leader.started == started) => {
                groups.push(id);
            }
            _ => fs::remove_file(&path)?,
        }
    }
    Ok(groups)
}
