//! `longshore up`: reads the configuration, runs the host, and stops it again.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use longshore_policy::{ClusterAccess, Policy, Provider, Source};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::assemble::{Host, assemble};
use super::folder::DataFolder;
use super::options::UpOptions;
use super::system::OWN_SOURCE;
use super::{announce, clusters, dispatch, folder, garbage, listen, log, runner, serve, upkeep};

/// Runs the host until it is told to stop.
///
/// # Errors
/// When it cannot start, or a part of it ended; each message says what to do.
pub fn up(options: &UpOptions) -> Result<()> {
    log::to_stderr(&options.log)?;
    let (policy, beside) = configuration(options)?;
    let data = options.data.clone().unwrap_or_else(|| beside.join(&policy.host.data));
    let folder = DataFolder::take(&data)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let ended = runtime.block_on(run(&folder, policy, options));
    runtime.shutdown_timeout(Duration::from_secs(1));
    ended
}

/// The checked configuration, and the folder that its paths are relative to.
fn configuration(options: &UpOptions) -> Result<(Policy, PathBuf)> {
    let path = options.config.clone().unwrap_or_else(|| PathBuf::from("longshore.toml"));
    let text = match std::fs::read(&path) {
        Ok(text) => text,
        Err(error) if options.config.is_none() && error.kind() == std::io::ErrorKind::NotFound => {
            tracing::warn!(
                "no longshore.toml here: the sample serves; `longshore init` writes one for your project"
            );
            longshore_policy::SAMPLE.into()
        }
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    let checked = longshore_policy::check_file(&text, &path);
    let mut policy = checked.map_err(|faults| {
        let list: Vec<String> = faults.iter().map(ToString::to_string).collect();
        anyhow::anyhow!("{} faults in the configuration:\n{}", faults.len(), list.join("\n"))
    })?;
    ensure!(
        policy.sources.iter().all(|source| source.name != OWN_SOURCE),
        "the source `{OWN_SOURCE}` is the host's own; give yours another name in {}",
        path.display()
    );
    if let Some(cluster) = &options.cluster {
        clusters::all_on(&mut policy, cluster)?;
    }
    policy.host.listen = options.listen.unwrap_or(policy.host.listen);
    policy.host.proxy = options.proxy.unwrap_or(policy.host.proxy);
    let own = Source { name: OWN_SOURCE.into(), provider: Provider::CloudEvents, secret: OWN_SOURCE.into() };
    policy.sources.push(own);
    let beside = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let advisories = policy.scan.advisories.take();
    let from_here = |folder: String| beside.join(folder).to_string_lossy().into_owned();
    for environment in &mut policy.environments {
        if let Some(ClusterAccess::Kubeconfig { file, .. }) =
            environment.cluster.as_mut().map(|cluster| &mut cluster.access)
        {
            *file = file.take().map(from_here);
        }
    }
    policy.scan.advisories = advisories.map(from_here);
    if let Some(trivy) = &mut policy.scan.trivy {
        trivy.cache = trivy.cache.take().map(from_here);
        // A name alone is looked for on the PATH.
        if trivy.program.contains('/') {
            trivy.program = from_here(std::mem::take(&mut trivy.program));
        }
    }
    Ok((policy, beside.to_owned()))
}

async fn run(folder: &DataFolder, policy: Policy, options: &UpOptions) -> Result<()> {
    let last = folder.last();
    let listener = folder::listen(policy.host.listen, last.as_ref().map(|last| last.listen)).await?;
    let host = assemble(folder, Arc::new(policy), listener.local_addr()?, last.as_ref()).await?;
    let Host { system, functions, inbox, published, store, life, mut downs } = host;

    let app = serve::app(&system, store.clone(), folder.join("git"));
    let (stop, stopped) = watch::channel(false);
    let mut server = tokio::spawn(listen::serve(listener, app, stopped));
    let mut parts = JoinSet::new();
    parts.spawn(dispatch::run(inbox, functions, system.clock.clone(), life));
    parts.spawn(upkeep::pass_on(system.clone(), published));
    parts.spawn(upkeep::take_over_and_sweep(system.clone()));
    parts.spawn(runner::keep(system.clone()));
    parts.spawn(garbage::collect(system.clone(), store));

    folder.announce(&system.ready)?;
    tracing::info!(listen = %system.ready.listen, proxy = %system.ready.proxy, "ready");
    announce::announce(&system, options)?;
    let services = tokio::select! {
        told = until_told(&mut downs) => told?,
        ended = parts.join_next() => bail!("a part of the host ended: {ended:?}; start it again, nothing is lost"),
        ended = &mut server => bail!("the server ended: {ended:?}; start the host again, nothing is lost"),
    };

    tracing::info!("stopping");
    let _ = stop.send(true);
    system.stopping.send_replace(true);
    let ((), served) = tokio::join!(system.bus.stop(), server);
    served.context("the server broke off")?;
    // Before the runner is told to end: it would be started again.
    parts.shutdown().await;
    if services {
        let why = "the services were not stopped; `longshore up`, then `longshore down` again";
        runner::shut_down(&system.runner).await.context(why)?;
    }
    Ok(())
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
