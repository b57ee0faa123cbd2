//! Commands in process groups of their own, recorded before they may act.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

/// From SIGTERM to SIGKILL.
const GRACE: Duration = Duration::from_secs(3);
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
    pub(super) log: File,
    pub(super) limit: Duration,
    /// Where groups are recorded.
    pub(super) groups: &'a Path,
}

/// Runs a command to its end, with everything that it started: nothing of its group is left. Says how it ended, and
/// whether it left others behind.
pub(super) async fn run(job: Job<'_>) -> io::Result<(Ended, bool)> {
    let mut child = spawn(&job)?;
    let Some(pid) = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw) else {
        return Err(io::Error::other("the command ended before it was recorded"));
    };
    let record = Record::write(job.groups, pid)?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(b"\n").await?;
    }
    let ended = match timeout(job.limit, child.wait()).await {
        Ok(status) => Ended::Exited(status?.code()),
        Err(_) => Ended::TimedOut,
    };
    let left = test_kill_process_group(pid).is_ok();
    end_group(pid).await;
    let _ = timeout(GRACE, child.wait()).await;
    record.remove();
    Ok((ended, left))
}

fn spawn(job: &Job<'_>) -> io::Result<Child> {
    Command::new("/bin/sh")
        .args(["-c", SHIM, "sh"])
        .args(job.command)
        .current_dir(job.folder)
        .env_clear()
        .envs(job.environment)
        .stdin(Stdio::piped())
        .stdout(job.log.try_clone()?)
        .stderr(job.log.try_clone()?)
        .process_group(0)
        .spawn()
}

/// TERM, then KILL, for whatever of the group is still there.
async fn end_group(pid: Pid) {
    if kill_process_group(pid, Signal::TERM).is_err() {
        return;
    }
    for _ in 0..60 {
        if test_kill_process_group(pid).is_err() {
            return;
        }
        sleep(GRACE / 60).await;
    }
    let _ = kill_process_group(pid, Signal::KILL);
}

/// The file of a running group.
struct Record(PathBuf);

impl Record {
    fn write(folder: &Path, pid: Pid) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let number = pid.as_raw_nonzero().get();
        let path = folder.join(number.to_string());
        crate::write::write_whole(&path, start_time(number)?.to_string().as_bytes(), 0o644)?;
        Ok(Self(path))
    }

    fn remove(self) {
        let _ = std::fs::remove_file(self.0);
    }
}

/// Ends every process group that an earlier host recorded in `folder` and that is still the same; says how many.
///
/// # Errors
/// When the folder cannot be read.
pub fn kill_leftover_groups(folder: &Path) -> io::Result<usize> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        entries => entries?,
    };
    let mut killed = 0;
    for entry in entries {
        let path = entry?.path();
        let number =
            path.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse::<i32>().ok());
        let recorded = std::fs::read_to_string(&path).ok().and_then(|text| text.trim().parse::<u64>().ok());
        if let (Some(number), Some(recorded)) = (number, recorded)
            && start_time(number).is_ok_and(|started| started == recorded)
            && let Some(pid) = Pid::from_raw(number)
            && kill_process_group(pid, Signal::KILL).is_ok()
        {
            killed += 1;
        }
        let _ = std::fs::remove_file(&path);
    }
    Ok(killed)
}

/// When a process started, in clock ticks since the machine did: with its number it names one process only.
/// Source: proc_pid_stat(5), field 22.
fn start_time(pid: i32) -> io::Result<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let after_name = stat.rsplit_once(')').map(|(_, rest)| rest).unwrap_or_default();
    let field = after_name.split_whitespace().nth(19).and_then(|field| field.parse().ok());
    field.ok_or_else(|| io::Error::other(format!("/proc/{pid}/stat has no start time")))
}
