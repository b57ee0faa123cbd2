//! Processes that are measured, and what the kernel says of them.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{CpuSet, sched_setaffinity};

/// How long a program may take to start, or to end.
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(5);

/// A program that runs until this is dropped.
pub(crate) struct Server {
    child: Child,
}

impl Server {
    /// Starts it on `core`, or anywhere; what it prints goes to the file `log`.
    pub(crate) fn start(program: &Path, arguments: &[&str], core: Option<usize>, log: &Path) -> Result<Self> {
        let mut command = match core {
            Some(core) => {
                let mut command = Command::new("taskset");
                command.arg("--cpu-list").arg(core.to_string()).arg(program);
                command
            }
            None => Command::new(program),
        };
        if let Some(folder) = log.parent() {
            command.current_dir(folder);
        }
        let file = File::options().create(true).append(true).open(log)?;
        command.args(arguments).stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        for name in
            ["LONGSHORE_DATA", "LONGSHORE_HOST", "LONGSHORE_LOG", "LONGSHORE_OUTPUT", "LONGSHORE_TOKEN"]
        {
            command.env_remove(name);
        }
        let child = command.spawn().with_context(|| format!("cannot start {}", program.display()))?;
        Ok(Self { child })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it listens.
    pub(crate) fn listens(&mut self, address: SocketAddr) -> Result<()> {
        self.until("listen", || TcpStream::connect(address).is_ok().then_some(()))
    }

    /// Waits until `found` finds something; an error when the program ends before.
    pub(crate) fn until<T>(&mut self, what: &str, found: impl Fn() -> Option<T>) -> Result<T> {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if let Some(found) = found() {
                return Ok(found);
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("a program ended with {status} before it could {what}");
            }
            sleep(LOOK);
        }
        bail!("a program did not {what} within {} s", PATIENCE.as_secs())
    }

    /// Asks it to end, and waits until it has.
    pub(crate) fn terminate(&mut self) -> Result<()> {
        if let Some(pid) = Pid::from_raw(i32::try_from(self.pid())?) {
            kill_process(pid, Signal::TERM)?;
        }
        self.ends()
    }

    /// Waits until it has ended.
    pub(crate) fn ends(&mut self) -> Result<()> {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if self.child.try_wait()?.is_some() {
                return Ok(());
            }
            sleep(LOOK);
        }
        bail!("a program did not end within {} s", PATIENCE.as_secs())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Processor time that a process has used, all of its threads together.
pub(crate) fn cpu(pid: u32) -> Result<Duration> {
    times(&pid.to_string(), 11)
}

/// The same to the nanosecond, of the threads that it has now.
pub(crate) fn cpu_exact(pid: u32) -> Result<Duration> {
    let mut used = Duration::ZERO;
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        let text = fs::read_to_string(thread?.path().join("schedstat"))?;
        let nanoseconds = text.split(' ').next().and_then(|field| field.parse().ok());
        used += Duration::from_nanos(nanoseconds.context("the kernel counts no processor time of threads")?);
    }
    Ok(used)
}

/// Processor time that this process's children used that have ended.
pub(crate) fn cpu_of_children() -> Result<Duration> {
    times("self", 13)
}

/// The sum of two of the kernel's fields in a row, user and system time; fields are counted after the program's name.
fn times(process: &str, first: usize) -> Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    let fields = stat.rsplit_once(") ").context("the kernel's line on a process is cut off")?.1;
    let mut ticks = fields.split(' ').skip(first);
    let mut next = || ticks.next().and_then(|field| field.parse::<u64>().ok());
    let used = next().zip(next()).map(|(user, system)| user + system);
    let used = used.context("the kernel's line on a process has no times")?;
    Ok(Duration::from_millis(used * 1_000 / rustix::param::clock_ticks_per_second()))
}

/// Memory that a process holds, in bytes.
pub(crate) fn rss(pid: u32) -> Result<u64> {
    memory(pid, "VmRSS:")
}

/// The most memory that a process held since [`forget_peak`], in bytes.
pub(crate) fn peak(pid: u32) -> Result<u64> {
    memory(pid, "VmHWM:")
}

/// Begins anew to watch for the most memory that a process holds.
pub(crate) fn forget_peak(pid: u32) -> Result<()> {
    fs::write(format!("/proc/{pid}/clear_refs"), "5").context("cannot watch a process's memory")
}

fn memory(pid: u32, name: &str) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    Ok(kib.with_context(|| format!("the kernel says no {name} of process {pid}"))? * 1024)
}

/// Keeps this thread, and those that it starts from now on, on one core.
pub(crate) fn stay_on(core: usize) -> Result<()> {
    let mut set = CpuSet::new();
    set.set(core);
    sched_setaffinity(None, &set).context("cannot choose a core")
}

/// A loopback address that was free a moment ago.
pub(crate) fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_says_what_this_process_uses() -> Result<()> {
        let own = std::process::id();
        assert!(rss(own)? > 100 << 10 && peak(own)? >= rss(own)?);
        assert!(cpu_exact(own)? > Duration::ZERO);
        cpu(own).map(drop)
    }
}
