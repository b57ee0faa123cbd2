//! The demo's host: a child process that can be killed, and whose every trace is taken away at the end.

use std::fs::{self, File, OpenOptions};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::time::{Instant, sleep, timeout};

use super::leftovers::leftovers;
use super::stage::MISLEADING;
use crate::api::{Down, Ready};
use crate::commands::{Client, token};

/// How long the host may take to start, and to end.
const PATIENCE: Duration = Duration::from_secs(20);
/// Between two looks at a process.
const LOOK: Duration = Duration::from_millis(5);

/// A host that runs.
pub(super) struct Host {
    /// What it says of itself.
    pub(super) ready: Ready,
    /// Its API.
    pub(super) client: Client,
    child: Child,
    data: PathBuf,
    kept: bool,
}

impl Host {
    /// Starts a host on the configuration in `folder`, and waits until it is ready.
    pub(super) async fn start(folder: &Path) -> Result<Self> {
        let ready_file = folder.join("ready.json");
        let _ = fs::remove_file(&ready_file);
        let log = OpenOptions::new().create(true).append(true).open(log_file(folder))?;
        let mut child = Guard(Some(spawn(folder, log)?));
        let ready = child.ready(&ready_file).await?;
        let client = Client::new(&ready.url(), &token(&ready.token_file)?)?;
        let child = child.0.take().context("the host is gone")?;
        Ok(Self { ready, client, child, data: folder.join(".longshore"), kept: false })
    }

    /// Its token.
    pub(super) fn token(&self) -> Result<String> {
        token(&self.ready.token_file)
    }

    /// SIGKILL: no goodbye, no flush, no clean-up.
    pub(super) fn kill(&mut self) -> Result<()> {
        self.child.kill().context("cannot kill the host")?;
        self.child.wait()?;
        Ok(())
    }

    /// Leaves it running.
    pub(super) fn keep(&mut self) {
        self.kept = true;
    }

    /// `longshore down`; answers what went on running although it should not, and ends that too.
    pub(super) async fn down(mut self) -> Result<Vec<String>> {
        let asked: Result<()> =
            timeout(PATIENCE, self.client.post("/api/down", &Down { services: true })).await?;
        let until = Instant::now() + PATIENCE;
        while self.child.try_wait()?.is_none() && Instant::now() < until {
            sleep(LOOK).await;
        }
        // The runner answers before it ends.
        let until = Instant::now() + Duration::from_secs(3);
        while !leftovers(&self.data).is_empty() && Instant::now() < until {
            sleep(LOOK).await;
        }
        let left = leftovers(&self.data);
        let names = left.iter().map(|(pid, name)| format!("process {pid}, {name}"));
        let names = names.chain(self.child.try_wait()?.is_none().then(|| "the host".to_owned())).collect();
        asked.map(|()| names)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if !self.kept {
            let _ = self.kill();
        }
    }
}

/// A host that is not ready yet: killed when the wait for it is given up.
struct Guard(Option<Child>);

impl Guard {
    async fn ready(&mut self, file: &Path) -> Result<Ready> {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            if let Ok(text) = fs::read(file)
                && let Ok(ready) = serde_json::from_slice(&text)
            {
                return Ok(ready);
            }
            if let Some(status) = self.0.as_mut().map(Child::try_wait).transpose()?.flatten() {
                bail!("the host ended with {status} before it was ready");
            }
            sleep(LOOK).await;
        }
        bail!("the host was not ready within {} s", PATIENCE.as_secs())
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Where the host logs.
pub(super) fn log_file(folder: &Path) -> PathBuf {
    folder.join("host.log")
}

/// In a process group of its own: Ctrl-C is for the demo, which then ends the host in order.
fn spawn(folder: &Path, log: File) -> Result<Child> {
    let program = std::env::current_exe().context("cannot tell which program this is")?;
    let mut command = Command::new(program);
    for name in MISLEADING {
        command.env_remove(name);
    }
    command
        .current_dir(folder)
        .args(["up", "--config", "longshore.toml", "--ready-file", "ready.json"])
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .process_group(0)
        .spawn()
        .context("cannot start the host")
}
