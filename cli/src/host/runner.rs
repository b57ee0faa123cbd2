//! The runner: its configuration, its process, and keeping it alive.

use std::fs::OpenOptions;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use longshore_ports::Hints as _;
use longshore_runner::RunnerClient;
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use super::dispatch::Bus;
use super::folder::{DataFolder, write_private};
use super::options::RunnerOptions;

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
    /// Its password.
    token: String,
}

impl RunnerFile {
    pub(super) fn new(folder: &DataFolder, proxy: SocketAddr, registry: String, token: String) -> Self {
        Self { data: folder.join("runner"), socket: socket(&folder.path), proxy, registry, token }
    }
}

/// Sockets have short names: in the data folder where that fits, else beside other temporary files.
pub(super) fn socket(data: &Path) -> PathBuf {
    let inside = data.join("runner.sock");
    if inside.as_os_str().len() <= 100 {
        return inside;
    }
    let name = longshore_ports::BlobRef::of(data.as_os_str().as_encoded_bytes()).0;
    std::env::temp_dir().join(format!("longshore-{}.sock", &name.hex()[..24]))
}

/// `longshore runner`: runs until it is told to stop.
///
/// # Errors
/// When it cannot serve, or another runner does.
pub fn runner(options: &RunnerOptions) -> Result<()> {
    super::log_to_stderr(&options.log);
    let text = std::fs::read(&options.config)
        .with_context(|| format!("cannot read {}", options.config.display()))?;
    let file: RunnerFile = serde_json::from_slice(&text).context("the runner's configuration is damaged")?;
    let config = longshore_runner::Config {
        data: file.data,
        socket: file.socket,
        proxy: file.proxy,
        pull: longshore_runner::PullAccess {
            registry: Some(file.registry),
            login: Some((crate::api::TOKEN_USER.to_owned(), file.token)),
        },
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(longshore_runner::serve(config))?;
    Ok(())
}

/// Writes the runner's file and makes sure that it runs. Answers where its proxy listens.
pub(super) async fn ensure(
    folder: &DataFolder,
    file: &RunnerFile,
    client: &RunnerClient,
) -> Result<SocketAddr> {
    let path = folder.join("runner.json");
    write_private(&path, &serde_json::to_vec_pretty(file)?)?;
    if let Ok(info) = client.info().await {
        return Ok(info.proxy);
    }
    start(&folder.path)?;
    for _ in 0..200 {
        if let Ok(info) = client.info().await {
            return Ok(info.proxy);
        }
        sleep(Duration::from_millis(25)).await;
    }
    anyhow::bail!("the runner did not start within 5 s; its log is {}", folder.join("runner.log").display())
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
pub(super) async fn keep(
    data: PathBuf,
    client: Arc<RunnerClient>,
    bus: Bus,
    environments: Vec<(String, String)>,
) {
    let mut since = 0;
    loop {
        match client.changes(since).await {
            Ok(changed) => {
                since = changed.next;
                let any =
                    environments.iter().map(|(environment, service)| format!("{environment}/{service}"));
                let units: Vec<String> = match changed.workloads {
                    Some(workloads) => workloads.iter().map(ToString::to_string).collect(),
                    None => any.collect(),
                };
                for unit in units {
                    bus.hint("deploy", &unit);
                }
            }
            Err(error) => {
                since = 0;
                if client.info().await.is_err() {
                    tracing::warn!(%error, "the runner does not answer; starting it");
                    if let Err(error) = start(&data) {
                        tracing::error!(%error, "cannot start the runner");
                    }
                }
                sleep(Duration::from_millis(300)).await;
            }
        }
    }
}
