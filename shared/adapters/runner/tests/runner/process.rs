//! The runner's process: this very program, started again with one test of it.

use std::io::{BufRead, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use longshore_runner::{Config, PullAccess, RunnerClient};

/// A runner that is killed with its handle.
pub(crate) struct RunnerProcess {
    child: Child,
}

impl RunnerProcess {
    /// Starts one on the folder `data`, which pulls from `registry`.
    pub(crate) fn start(data: &Path, registry: &str) -> Self {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(data.with_extension("log"));
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "process::the_runner_itself", "--ignored", "--nocapture"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(log.unwrap())
            .spawn()
            .unwrap();
        writeln!(child.stdin.take().unwrap(), "{}\n{registry}", data.display()).unwrap();
        Self { child }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM; whether it ended well.
    pub(crate) fn terminate(&mut self) -> bool {
        signal(self.pid(), rustix::process::Signal::TERM);
        self.ended()
    }

    /// Waits for its end; whether that was a good one.
    pub(crate) fn ended(&mut self) -> bool {
        self.child.wait().unwrap().success()
    }
}

impl Drop for RunnerProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a signal to one process.
pub(crate) fn signal(pid: u32, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}

/// The client of the runner on `data`.
pub(crate) fn client(data: &Path) -> RunnerClient {
    RunnerClient::new(data.with_extension("sock"))
}

#[test]
#[ignore = "the other tests start it, as the runner's process"]
fn the_runner_itself() {
    let mut lines = std::io::stdin().lock().lines();
    let (Some(Ok(data)), Some(Ok(registry))) = (lines.next(), lines.next()) else { return };
    let config = Config {
        socket: Path::new(&data).with_extension("sock"),
        data: data.into(),
        proxy: "127.0.0.1:0".parse().unwrap(),
        pull: PullAccess { registry: Some(registry), login: None },
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    if let Err(error) = runtime.block_on(longshore_runner::serve(config)) {
        eprintln!("{error}");
        std::process::exit(1);
    }
}
