//! The runner: its configuration, its process, and keeping it alive.

use std::fs::OpenOptions;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use longshore_deploy::Deploy;
use longshore_frame::Function as _;
use longshore_policy::{Environment, Policy};
use longshore_ports::{BlobRef, Hints as _, Secret};
use longshore_runner::RunnerClient;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use super::folder::{DataFolder, write_private};
use super::options::RunnerOptions;
use super::system::System;
use crate::api::{TOKEN_FILE, TOKEN_USER};

/// Between two looks whether the runner answers.
const LOOK: Duration = Duration::from_millis(25);
/// Looks until it must have started.
const START_LOOKS: u32 = 200;
/// How long it has to end.
const END: Timespec = Timespec { tv_sec: 10, tv_nsec: 0 };
/// Between two starts when it does not start at all.
const AGAIN: Duration = Duration::from_secs(2);

/// The file that tells the runner how to run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RunnerFile {
    /// Its data folder.
    data: PathBuf,
    /// Its socket.
    socket: PathBuf,
    /// Where its proxy listens.
    proxy: SocketAddr,
    /// The registry that images without a host come from.
    registry: String,
    /// Where its password lies.
    token_file: PathBuf,
    /// The password's SHA-256: another one is another configuration.
    token_digest: String,
}

impl RunnerFile {
    pub(super) fn new(folder: &DataFolder, proxy: SocketAddr, registry: String, token: &Secret) -> Self {
        Self {
            data: folder.join("runner"),
            socket: socket(&folder.path),
            proxy,
            registry,
            token_file: folder.join(TOKEN_FILE),
            token_digest: BlobRef::of(token.expose()).0.hex().to_owned(),
        }
    }

    /// Whether a runner that was started by `before`, and whose proxy listens on `proxy`, does what this file says.
    fn serves(&self, before: &Self, proxy: SocketAddr) -> bool {
        let same_proxy = self.proxy.port() == 0 || self.proxy == proxy;
        same_proxy && self.registry == before.registry && self.token_digest == before.token_digest
    }
}

/// Sockets have short names: in the data folder where that fits, else beside other temporary files.
pub(super) fn socket(data: &Path) -> PathBuf {
    let inside = data.join("runner.sock");
    if inside.as_os_str().len() <= 100 {
        return inside;
    }
    let name = BlobRef::of(data.as_os_str().as_encoded_bytes()).0;
    std::env::temp_dir().join(format!("longshore-{}.sock", &name.hex()[..24]))
}

/// `longshore runner`: runs until it is told to stop.
///
/// # Errors
/// When it cannot serve, or another runner does.
pub fn runner(options: &RunnerOptions) -> Result<()> {
    super::log::to_stderr(&options.log)?;
    let text = std::fs::read(&options.config)
        .with_context(|| format!("cannot read {}", options.config.display()))?;
    let file: RunnerFile = serde_json::from_slice(&text).context("the runner's configuration is damaged")?;
    let config = longshore_runner::Config {
        data: file.data,
        socket: file.socket,
        proxy: file.proxy,
        pull: longshore_runner::PullAccess {
            registry: Some(file.registry),
            login: Some((TOKEN_USER.to_owned(), crate::commands::token(&file.token_file)?)),
        },
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(longshore_runner::serve(config))?;
    Ok(())
}

/// Writes the runner's file and makes sure that a runner runs by it. Answers where its proxy listens.
pub(super) async fn ensure(
    folder: &DataFolder,
    file: &RunnerFile,
    client: &RunnerClient,
) -> Result<SocketAddr> {
    let path = folder.join("runner.json");
    let before = std::fs::read(&path).ok().and_then(|text| serde_json::from_slice(&text).ok());
    write_private(&path, &serde_json::to_vec_pretty(file)?)?;
    if let Ok(info) = client.info().await {
        if before.is_some_and(|before| file.serves(&before, info.proxy)) {
            return Ok(info.proxy);
        }
        tracing::info!("the runner's configuration changed; starting it again, its processes go on");
        end(info.pid).await?;
    }
    start(&folder.path)?;
    answers(client).await.with_context(|| {
        format!("the runner did not start; its log is {}", folder.join("runner.log").display())
    })
}

/// Waits until the runner answers, and says where its proxy listens.
async fn answers(client: &RunnerClient) -> Result<SocketAddr> {
    let mut last = None;
    for _ in 0..START_LOOKS {
        match client.info().await {
            Ok(info) => return Ok(info.proxy),
            Err(error) => last = Some(error),
        }
        sleep(LOOK).await;
    }
    Err(last.map_or_else(|| anyhow::anyhow!("it was not asked"), Into::into))
}

/// Ends the runner and leaves its processes running. Returns when it is gone, and its lock with it.
async fn end(pid: u32) -> Result<()> {
    let Some(process) = process(pid)? else { return Ok(()) };
    pidfd_send_signal(&process, Signal::TERM).context("cannot end the runner")?;
    gone(process).await
}

/// Ends everything that runs, and the runner. Returns when it is gone.
pub(super) async fn shut_down(client: &RunnerClient) -> Result<()> {
    let runner = process(client.info().await?.pid)?;
    client.shutdown().await?;
    match runner {
        Some(runner) => gone(runner).await,
        None => Ok(()),
    }
}

/// A handle of a process, if it is there: its number alone could be another's by now.
fn process(pid: u32) -> Result<Option<OwnedFd>> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).context("the runner has no pid")?;
    match pidfd_open(pid, PidfdFlags::NONBLOCK) {
        Err(Errno::SRCH) => Ok(None),
        process => process.map(Some).context("cannot watch the runner"),
    }
}

/// Waits until a process is gone.
async fn gone(process: OwnedFd) -> Result<()> {
    let wait = move || poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&END));
    match tokio::task::spawn_blocking(wait).await? {
        Ok(0) => anyhow::bail!("the runner does not end; end the process `longshore runner` by hand"),
        waited => waited.map(|_| ()).context("cannot watch the runner"),
    }
}

/// Starts the runner in a process group of its own, so that it outlives this host.
fn start(data: &Path) -> Result<()> {
    let log = OpenOptions::new().create(true).append(true).open(data.join("runner.log"))?;
    let program = std::env::current_exe().context("cannot tell which program this is")?;
    let mut child = Command::new(program)
        .arg("runner")
        .arg("--config")
        .arg(data.join("runner.json"))
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .process_group(0)
        .spawn()
        .context("cannot start the runner")?;
    // Reaped when it ends, so that it does not stay as a zombie of this host.
    std::thread::spawn(move || child.wait());
    Ok(())
}

/// Passes on what changes at the runner, and starts it again when it dies.
pub(super) async fn keep(system: Arc<System>) {
    let mut since = 0;
    loop {
        match system.runner.changes(since).await {
            Ok(changed) => {
                since = changed.next;
                let units = changed.workloads.map(|some| some.iter().map(ToString::to_string).collect());
                for unit in units.unwrap_or_else(|| workloads(&system.policy)) {
                    system.bus.hint(Deploy::NAME, &unit);
                }
            }
            Err(error) => {
                since = 0;
                if system.runner.info().await.is_err() {
                    tracing::warn!(%error, "the runner does not answer; starting it");
                    start_again(&system).await;
                }
                sleep(LOOK).await;
            }
        }
    }
}

async fn start_again(system: &System) {
    let started = match start(&system.ready.data) {
        Ok(()) => answers(&system.runner).await.map(|_| ()),
        Err(error) => Err(error),
    };
    if let Err(error) = started {
        tracing::error!(error = format!("{error:#}"), "cannot start the runner; trying again");
        sleep(AGAIN).await;
    }
}

/// Every workload of the configuration, as `deploy` names its units.
fn workloads(policy: &Policy) -> Vec<String> {
    let of = |environment: &Environment| {
        environment
            .services
            .iter()
            .map(|service| format!("{}/{service}", environment.name))
            .collect::<Vec<_>>()
    };
    policy.environments.iter().flat_map(of).collect()
}
