//! `longshore up`: puts the host together, and takes it apart again.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use longshore_build::Build;
use longshore_deploy::Deploy;
use longshore_frame::Frame;
use longshore_git::{GitCommand, Source as GitSource};
use longshore_intake::{Intake, RefCheck};
use longshore_local::builder::{Parts, kill_leftover_groups};
use longshore_local::{FileBlobs, FileSecrets, LocalBuilder, SqliteJournal};
use longshore_oci::client::{Client, Credentials};
use longshore_oci::server::Store;
use longshore_policy::{Policy, Provider, Source};
use longshore_ports::{Clock, Hints as _};
use longshore_runner::RunnerClient;
use longshore_sweep::sweep;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};

use super::dispatch::{self, Bus, CLAIM_MS};
use super::folder::{self, DataFolder};
use super::functions::{hosted, routes};
use super::images::{GitCheckout, Packer};
use super::options::UpOptions;
use super::system::{MachineClock, OWN_SOURCE, OwnRegistry, Pushes, System};
use super::{answers, runner, serve};
use crate::api::{Ready, TOKEN_USER};

/// Between two sweeps.
const SWEEP: Duration = Duration::from_mins(1);
/// Between two looks at something that goes on, in milliseconds; hints come earlier.
const POLL_MS: u64 = 1_000;
/// Variables of the host that builds are given: where tools are, and nothing that could be secret.
const BUILD_ENVIRONMENT: &[&str] = &[
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "TMPDIR",
    "CARGO_HOME",
    "RUSTUP_HOME",
    "RUSTUP_TOOLCHAIN",
    "GOPATH",
    "GOCACHE",
];

/// Runs the host until it is told to stop.
///
/// # Errors
/// When it cannot start; each message says what to do.
pub fn up(options: &UpOptions) -> Result<()> {
    super::log_to_stderr(&options.log);
    let (policy, beside) = configuration(options)?;
    let data = options.data.clone().unwrap_or_else(|| beside.join(&policy.host.data));
    let folder = DataFolder::take(&data)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(run(folder, policy, options))?;
    runtime.shutdown_timeout(Duration::from_secs(1));
    Ok(())
}

/// The checked configuration, and the folder that its paths are relative to.
fn configuration(options: &UpOptions) -> Result<(Policy, PathBuf)> {
    let path = options.config.clone().unwrap_or_else(|| PathBuf::from("longshore.toml"));
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if options.config.is_none() && error.kind() == std::io::ErrorKind::NotFound => bail!(
            "there is no longshore.toml here; write one with `longshore init`, or name one with `--config`"
        ),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    let checked = longshore_policy::check(&text, &path.display().to_string());
    let mut policy = checked.map_err(|faults| {
        let list: Vec<String> = faults.iter().map(ToString::to_string).collect();
        anyhow::anyhow!("{} faults in the configuration:\n{}", faults.len(), list.join("\n"))
    })?;
    policy.host.listen = options.listen.unwrap_or(policy.host.listen);
    policy.host.proxy = options.proxy.unwrap_or(policy.host.proxy);
    let own = Source { name: OWN_SOURCE.into(), provider: Provider::CloudEvents, secret: OWN_SOURCE.into() };
    policy.sources.push(own);
    let beside = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Ok((policy, beside.to_owned()))
}

async fn run(folder: DataFolder, policy: Policy, options: &UpOptions) -> Result<()> {
    let last = folder.last();
    let listener = folder::listen(policy.host.listen, last.as_ref().map(|last| last.listen)).await?;
    let listen = listener.local_addr()?;
    let token = folder.token().await?;
    let policy = Arc::new(policy);
    let clock: Arc<dyn Clock> = Arc::new(MachineClock);
    let killed = kill_leftover_groups(&folder.join("build").join("groups"))?;
    if killed > 0 {
        tracing::info!(killed, "ended what the last host's builds left running");
    }

    let secrets = Arc::new(FileSecrets::open(&folder.join("secrets"), secret_variables())?);
    for source in &policy.sources {
        secrets.ensure(&source.secret)?;
    }
    let (bus, inbox) = Bus::new();
    let (published, mut publishes) = mpsc::unbounded_channel();
    let journal = Arc::new(SqliteJournal::open(&folder.join("journal.sqlite"), routes(), Some(published))?);
    let expired = journal.expire_claims().await?;
    let blobs = Arc::new(FileBlobs::open(&folder.join("blobs"))?);
    let store = Store::open(&folder.join("registry"))?;
    let git = Arc::new(repositories(&folder, &policy).await?);

    // The runner, which may have gone on since the last host.
    let password = String::from_utf8_lossy(token.expose()).into_owned();
    let runner_client = Arc::new(RunnerClient::new(runner::socket(&folder.path)));
    let registry_url = format!("http://{listen}");
    let wanted_proxy = match (policy.host.proxy, &last) {
        (wanted, Some(last)) if wanted.port() == 0 => last.proxy,
        (wanted, _) => wanted,
    };
    let file = runner::RunnerFile::new(&folder, wanted_proxy, registry_url, password.clone());
    let proxy = runner::ensure(&folder, &file, &runner_client).await?;

    let credentials = Credentials { user: TOKEN_USER.to_owned(), password };
    let packer =
        Packer { store: store.clone(), registry: Client::new(&listen.to_string(), Some(credentials))? };
    let life = folder::random_name(6)?;
    let builder = LocalBuilder::open(Parts {
        folder: folder.join("build"),
        life: life.clone(),
        policy: policy.clone(),
        checkout: Arc::new(GitCheckout(git.clone())),
        pack: Arc::new(packer),
        blobs: blobs.clone(),
        hints: Arc::new(bus.clone()),
        environment: build_environment(),
    })?;
    let frame = Frame::new(journal.clone(), blobs.clone(), clock.clone(), CLAIM_MS);
    let functions = vec![
        hosted(
            Build {
                policy: policy.clone(),
                builder: Arc::new(builder.clone()),
                builder_name: "packer".into(),
                git: git.clone(),
                facts: journal.clone(),
                poll_ms: POLL_MS,
            },
            &frame,
        ),
        hosted(
            Deploy {
                policy: policy.clone(),
                workloads: runner_client.clone(),
                git: git.clone(),
                registry: Arc::new(OwnRegistry(store.clone())),
                facts: journal.clone(),
                poll_ms: POLL_MS,
            },
            &frame,
        ),
        hosted(RefCheck { git: git.clone(), policy: policy.clone() }, &frame),
    ];

    let ready = Ready {
        listen,
        proxy,
        token_file: folder.join(crate::api::TOKEN_FILE),
        data: folder.path.clone(),
        pid: std::process::id(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let (down, mut downs) = watch::channel(None);
    let system = Arc::new(System {
        ready: ready.clone(),
        intake: Intake {
            journal: journal.clone(),
            secrets: secrets.clone(),
            clock: clock.clone(),
            policy: policy.clone(),
        },
        policy: policy.clone(),
        clock: clock.clone(),
        journal: journal.clone(),
        blobs,
        secrets,
        builder,
        runner: runner_client.clone(),
        bus: bus.clone(),
        token,
        down,
    });

    let dispatcher = tokio::spawn(dispatch::run(inbox, functions, clock.clone(), life));
    let pass_on = bus.clone();
    let woken = system.clone();
    tokio::spawn(async move {
        while let Some(committed) = publishes.recv().await {
            if committed.resumed {
                woken.wake_all().await;
            }
            pass_on.committed(committed);
        }
    });
    let watcher = Pushes { policy: policy.clone(), clock: clock.clone(), journal: journal.clone() };
    let app = serve::app(&system, store, Arc::new(watcher), folder.join("git"));
    let (stop, mut stopped) = watch::channel(false);
    let server = tokio::spawn(async move {
        let stopping = async move {
            let _ = stopped.wait_for(|stop| *stop).await;
        };
        axum::serve(listener, app).with_graceful_shutdown(stopping).await
    });
    let environments = policy.environments.iter().flat_map(|environment| {
        environment.services.iter().map(|service| (environment.name.to_string(), service.to_string()))
    });
    tokio::spawn(runner::keep(
        folder.path.clone(),
        runner_client.clone(),
        bus.clone(),
        environments.collect(),
    ));
    let sweeper = (journal.clone(), clock.clone(), bus.clone(), policy.clone());
    tokio::spawn(async move {
        let (journal, clock, bus, policy) = sweeper;
        loop {
            for repository in &policy.repositories {
                bus.hint("refcheck", repository.name.as_str());
            }
            if let Err(error) = sweep(&*journal, &*clock, &bus).await {
                tracing::error!(%error, "cannot sweep");
            }
            resume_timers(&journal, &bus).await;
            tokio::time::sleep(SWEEP).await;
            if let Err(error) = journal.prune(clock.now(), 10_000).await {
                tracing::error!(%error, "cannot prune the journal");
            }
        }
    });

    folder.announce(&ready)?;
    tracing::info!(%listen, %proxy, expired, "ready");
    answers::announce(&system, options)?;
    let services = until_told(&mut downs).await?;
    tracing::info!("stopping");
    bus.stop().await;
    let _ = stop.send(true);
    if services {
        if let Err(error) = runner_client.shutdown().await {
            tracing::error!(%error, "the runner did not stop");
        }
        let _ = std::fs::remove_file(folder.join(crate::api::HOST_FILE));
    }
    let _ = tokio::time::timeout(Duration::from_secs(3), server).await;
    dispatcher.abort();
    Ok(())
}

/// What is due later is woken by a timer; those of the last host are gone.
async fn resume_timers(journal: &SqliteJournal, bus: &Bus) {
    let Ok(units) = journal.units(None).await else { return };
    for unit in units {
        if let Some(due) = unit.row.due {
            bus.wake_at(&unit.function, &unit.unit, due);
        }
    }
}

/// Waits for a signal or for `longshore down`; true when the services shall stop too.
async fn until_told(downs: &mut watch::Receiver<Option<bool>>) -> Result<bool> {
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        _ = term.recv() => Ok(false),
        _ = int.recv() => Ok(false),
        told = downs.wait_for(Option::is_some) => Ok(told.ok().and_then(|told| *told).unwrap_or(false)),
    }
}

/// The repositories, the host's own made and hooked up.
async fn repositories(folder: &DataFolder, policy: &Policy) -> Result<GitCommand> {
    let source = |repository: &longshore_policy::Repository| {
        let source = repository.url.clone().map_or(GitSource::Hosted, GitSource::Mirror);
        (repository.name.clone(), source)
    };
    let git = GitCommand::new(folder.join("git"), policy.repositories.iter().map(source));
    let program = std::env::current_exe().context("cannot tell which program this is")?;
    for repository in policy.repositories.iter().filter(|repository| repository.url.is_none()) {
        let script = format!(
            "#!/bin/sh\n# Written by longshore up; tells the host about pushes.\nexec {} hook post-receive --data {} --repository {}\n",
            quoted(&program),
            quoted(&folder.path),
            repository.name
        );
        git.init_bare(&repository.name, &repository.branch, &script).await?;
    }
    Ok(git)
}

/// A path as one word of a shell.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}

#[expect(clippy::disallowed_methods, reason = "an entry point")]
fn build_environment() -> BTreeMap<String, String> {
    BUILD_ENVIRONMENT
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), std::env::var(name).ok()?)))
        .collect()
}

fn secret_variables() -> Vec<(String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| name.starts_with("LONGSHORE_SECRET_"))
        .collect()
}
