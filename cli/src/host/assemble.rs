//! Puts the host together: adapters on the data folder, and the functions over them.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use longshore_build::Build;
use longshore_console::{Console, Setup};
use longshore_deploy::Deploy;
use longshore_forge::{ForgeGit, ForgeStatus};
use longshore_frame::Frame;
use longshore_gate::Gate;
use longshore_git::GitCommand;
use longshore_intake::{Intake, RefCheck};
use longshore_local::builder::{Containers, Parts, kill_leftover_groups};
use longshore_local::{FileBlobs, FileSecrets, LocalBuilder, SqliteJournal};
use longshore_oci::client::{Credentials, Registries};
use longshore_oci::server::Store;
use longshore_policy::{Policy, Repository};
use longshore_ports::{Clock, Git, Notify, Secret, journal::Committed};
use longshore_report::Report;
use longshore_runner::RunnerClient;
use longshore_scan::Scan;
use longshore_webhook::webhooks;
use tokio::sync::{mpsc, watch};

use super::clusters::{self, Own};
use super::dispatch::{Bus, CLAIM_MS, Inbox};
use super::folder::{self, DataFolder};
use super::functions::{Runs, hosted, routes};
use super::images::{GitCheckout, Packer};
use super::metrics::metrics;
use super::runner;
use super::scanner::scanner;
use super::system::{MachineClock, OwnRegistry, System};
use crate::api::{Ready, TOKEN_USER};

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

/// A host that is ready to be served and run.
pub(super) struct Host {
    pub(super) system: Arc<System>,
    pub(super) functions: Vec<Arc<dyn Runs>>,
    pub(super) inbox: Inbox,
    pub(super) published: mpsc::UnboundedReceiver<Committed>,
    pub(super) store: Store,
    /// Names this life of the host.
    pub(super) life: String,
    pub(super) downs: watch::Receiver<Option<bool>>,
}

/// Takes over from the last host, opens everything, and makes sure that the runner runs.
pub(super) async fn assemble(
    folder: &DataFolder,
    policy: Arc<Policy>,
    listen: SocketAddr,
    last: Option<&Ready>,
) -> Result<Host> {
    let killed = kill_leftover_groups(&folder.join("build").join("groups"))?;
    let (to_bus, published) = mpsc::unbounded_channel();
    let journal = Arc::new(SqliteJournal::open(&folder.join("journal.sqlite"), routes(), Some(to_bus))?);
    let expired = journal.expire_claims().await?;
    if killed > 0 || expired > 0 {
        tracing::info!(
            killed,
            expired,
            "ended what the last host's builds left running, and took over its work"
        );
    }
    let secrets = secrets(folder, &policy)?;
    let token = folder.token().await?;
    let store = Store::open(&folder.join("registry"))?;
    let git = Arc::new(repositories(folder, &policy).await?);
    // What lies at a forge is asked there; git clones it all the same.
    let knows: Arc<dyn Git> = Arc::new(ForgeGit::of(&policy, secrets.clone(), git.clone())?);
    let (runner, proxy) = run_runner(folder, &policy, listen, &token, last).await?;
    let (bus, inbox) = Bus::new();
    let blobs = Arc::new(FileBlobs::open(&folder.join("blobs"))?);
    let clock: Arc<dyn Clock> = Arc::new(MachineClock);
    let own = Own { listen, token: &token, blobs: blobs.clone(), clock: clock.clone() };
    let workloads = clusters::workloads(&policy, runner.clone(), own).await?;
    let life = folder::random_name(6)?;
    let containers = find_containers(folder, listen, &token, &secrets)?;
    let builder_name =
        containers.as_ref().map_or("packer".into(), |found| format!("packer or {}", found.program()));
    let builder = LocalBuilder::open(Parts {
        folder: folder.join("build"),
        life: life.clone(),
        policy: policy.clone(),
        checkout: Arc::new(GitCheckout(git)),
        pack: Arc::new(Packer { store: store.clone(), containers }),
        blobs: blobs.clone(),
        hints: Arc::new(bus.clone()),
        environment: build_environment(),
    })?;
    let (down, downs) = watch::channel(None);
    let ready = ready(folder, listen, proxy);
    let system = Arc::new(System {
        console: Console {
            journal: journal.clone(),
            blobs: blobs.clone(),
            workloads: Some(workloads.clone()),
            policy: policy.clone(),
            clock: clock.clone(),
            routes: routes(),
            host: Some(ready.clone()),
            setup: Setup { poll_ms: POLL_MS, builder: builder_name.clone() },
        },
        ready,
        intake: Intake {
            journal: journal.clone(),
            secrets: secrets.clone(),
            clock: clock.clone(),
            policy: policy.clone(),
            registry: Arc::new(Registries::default()),
            hints: Arc::new(bus.clone()),
        },
        policy,
        clock,
        journal,
        blobs,
        secrets,
        builder,
        runner,
        workloads,
        bus,
        token,
        down,
        news: watch::Sender::new(()),
        stopping: watch::Sender::new(false),
    });
    let functions = functions(&system, &builder_name, &knows, &store).await?;
    Ok(Host { system, functions, inbox, published, store, life, downs })
}

/// What builds the Dockerfiles that the packer refuses, when it is there.
fn find_containers(
    folder: &DataFolder,
    listen: SocketAddr,
    token: &Secret,
    secrets: &Arc<FileSecrets>,
) -> Result<Option<Containers>> {
    let login = BASE64_STANDARD.encode([TOKEN_USER.as_bytes(), b":", token.expose()].concat());
    let (at, secrets) = (folder.join("build"), secrets.clone());
    let found = Containers::find(&at, (listen, login), secrets, build_environment())?;
    tracing::info!(tool = found.as_ref().map(Containers::program), "what builds Dockerfiles with RUN");
    Ok(found)
}

/// The functions, as [`routes`] lists them.
async fn functions(
    system: &System,
    builder_name: &str,
    git: &Arc<dyn Git>,
    store: &Store,
) -> Result<Vec<Arc<dyn Runs>>> {
    let System { policy, journal, blobs, clock, builder, runner, workloads, secrets, .. } = system;
    let frame = Frame::new(journal.clone(), blobs.clone(), clock.clone(), CLAIM_MS);
    let build = Build {
        policy: policy.clone(),
        builder: Arc::new(builder.clone()),
        builder_name: builder_name.to_owned(),
        git: git.clone(),
        facts: journal.clone(),
        poll_ms: POLL_MS,
    };
    let deploy = Deploy {
        policy: policy.clone(),
        workloads: workloads.clone(),
        metrics: metrics(&policy.metrics, runner, secrets.clone(), clock.clone())?,
        git: git.clone(),
        registry: Arc::new(OwnRegistry(store.clone())),
        facts: journal.clone(),
        poll_ms: POLL_MS,
    };
    let check = RefCheck { git: git.clone(), policy: policy.clone() };
    let scan = Scan {
        policy: policy.clone(),
        scanner: scanner(system, store).await?,
        facts: journal.clone(),
        poll_ms: POLL_MS,
    };
    let gate = Gate {
        policy: policy.clone(),
        facts: journal.clone(),
        blobs: blobs.clone(),
        signatures: Arc::new(registries(system)),
    };
    let ways = webhooks(&policy.notify, secrets)?;
    let report = Report {
        policy: policy.clone(),
        forge: Arc::new(ForgeStatus::of(policy, secrets.clone())?),
        notify: (!ways.is_empty()).then(|| Arc::new(ways) as Arc<dyn Notify>),
        facts: journal.clone(),
        blobs: blobs.clone(),
    };
    Ok(vec![
        hosted(build, &frame),
        hosted(deploy, &frame),
        hosted(gate, &frame),
        hosted(check, &frame),
        hosted(report, &frame),
        hosted(scan, &frame),
    ])
}

/// All registries that images lie in: the host's own, which asks for the token, and others as anybody may ask them.
fn registries(system: &System) -> Registries {
    let listen = system.ready.listen;
    let ip = if listen.ip().is_unspecified() { Ipv4Addr::LOCALHOST.into() } else { listen.ip() };
    let own = SocketAddr::new(ip, listen.port()).to_string();
    let password = String::from_utf8_lossy(system.token.expose()).into_owned();
    let login = Credentials { user: TOKEN_USER.to_owned(), password };
    Registries::new(BTreeMap::from([(own.clone(), login)])).with_ours(own)
}

fn ready(folder: &DataFolder, listen: SocketAddr, proxy: SocketAddr) -> Ready {
    Ready {
        listen,
        proxy,
        token_file: folder.join(crate::api::TOKEN_FILE),
        data: folder.path.clone(),
        pid: std::process::id(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    }
}

/// The secrets, one made for each source that has none.
fn secrets(folder: &DataFolder, policy: &Policy) -> Result<Arc<FileSecrets>> {
    let secrets = FileSecrets::open(&folder.join("secrets"), secret_variables())?;
    for source in &policy.sources {
        secrets.ensure(&source.secret)?;
    }
    Ok(Arc::new(secrets))
}

/// The runner, which may have gone on since the last host, and where its proxy listens.
async fn run_runner(
    folder: &DataFolder,
    policy: &Policy,
    listen: SocketAddr,
    token: &Secret,
    last: Option<&Ready>,
) -> Result<(Arc<RunnerClient>, SocketAddr)> {
    let client = Arc::new(RunnerClient::new(runner::socket(&folder.path)));
    let wanted = match (policy.host.proxy, last) {
        // The same address again, as bookmarks know it.
        (wanted, Some(last)) if wanted.port() == 0 => last.proxy,
        (wanted, _) => wanted,
    };
    let file = runner::RunnerFile::new(folder, wanted, format!("http://{listen}"), token);
    let proxy = runner::ensure(folder, &file, &client).await?;
    Ok((client, proxy))
}

/// The repositories, the host's own made and hooked up.
async fn repositories(folder: &DataFolder, policy: &Policy) -> Result<GitCommand> {
    // What ssh and proxies need to reach the repositories that are mirrored.
    let git = GitCommand::of(folder.join("git"), policy).with_environment(std::env::vars_os());
    let program = std::env::current_exe().context("cannot tell which program this is")?;
    for repository in policy.repositories.iter().filter(|repository| repository.url.is_none()) {
        let script = hook_script(&program, &folder.path, repository);
        git.init_bare(&repository.name, &repository.branch, &script).await?;
    }
    Ok(git)
}

fn hook_script(program: &Path, data: &Path, repository: &Repository) -> String {
    let (program, data, name) = (quoted(program), quoted(data), &repository.name);
    format!(
        "#!/bin/sh\n# Written by longshore up; tells the host about pushes.\n\
         exec {program} hook post-receive --data {data} --repository {name}\n"
    )
}

/// A path as one word of a shell.
pub(super) fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}

#[expect(clippy::disallowed_methods, reason = "an entry point")]
pub(super) fn build_environment() -> BTreeMap<String, String> {
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
