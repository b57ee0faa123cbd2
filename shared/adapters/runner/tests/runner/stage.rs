//! A registry, a runner and a client, and what the tests ask of them.

use std::fs;
use std::future::Future;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use longshore_events::{EnvironmentName, ServiceName};
use longshore_ports::{
    Desired, DesiredRelease, Health, Observed, ObservedRelease, Phase, ProbeTarget, RunSpec, Workload,
    Workloads,
};
use longshore_runner::{ListedRelease, RunnerClient};
use tempfile::TempDir;
use tokio::time::timeout;

use crate::process::{RunnerProcess, client};
use crate::registry::Registry;
use crate::traffic::Traffic;

/// What takes longer never happens.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// One runner with all it needs; what it started ends with it.
pub(crate) struct Stage {
    pub(crate) runner: RunnerProcess,
    pub(crate) client: RunnerClient,
    pub(crate) registry: Registry,
    pub(crate) traffic: Traffic,
    pub(crate) data: PathBuf,
    since: Mutex<u64>,
    pub(crate) folder: TempDir,
}

impl Stage {
    pub(crate) async fn open() -> Self {
        let folder = TempDir::new().unwrap();
        let registry = Registry::open(folder.path()).await;
        let data = folder.path().join("runner");
        let (runner, client) = (RunnerProcess::start(&data, &registry.address), client(&data));
        let traffic = Traffic::to(answers(&client).await);
        Self { runner, client, registry, traffic, data, since: Mutex::default(), folder }
    }

    /// Starts the runner again.
    pub(crate) async fn start_again(&mut self) {
        self.runner = RunnerProcess::start(&self.data, &self.registry.address);
        assert_eq!(answers(&self.client).await, self.traffic.proxy, "the proxy keeps its port");
    }

    /// Release `number` of the service that says `version`.
    pub(crate) async fn release(&self, number: u64, version: &str, weight: u8) -> DesiredRelease {
        let image = self.registry.image(version, "/service").await;
        let env = [("WITNESS".to_owned(), self.witness().display().to_string())].into();
        let target = ProbeTarget::Http("/ready".into());
        let ready = Health { target, interval_ms: 50, timeout_ms: 5_000, failures: 2 };
        let run = RunSpec { env, args: None, ready, health: None, drain_ms: 20_000, stop_ms: 2_000 };
        DesiredRelease { release: number, image, weight, run, manifests: None }
    }

    /// Applies to `prod/shop`.
    pub(crate) async fn apply(&self, pair: (u64, u32), releases: &[DesiredRelease]) {
        self.apply_to(&workload("prod", "shop"), pair, releases).await;
    }

    pub(crate) async fn apply_to(
        &self,
        workload: &Workload,
        (generation, step): (u64, u32),
        releases: &[DesiredRelease],
    ) {
        let desired = Desired { workload: workload.clone(), generation, step, releases: releases.to_vec() };
        self.client.apply(&desired).await.unwrap();
    }

    /// One release of `prod/shop`, ready.
    pub(crate) async fn with_one(version: &str) -> Self {
        let stage = Self::open().await;
        stage.apply((1, 0), &[stage.release(1, version, 100).await]).await;
        stage.until_ready(1).await;
        stage
    }

    /// Waits until `prod/shop` is as `reached` wants it.
    pub(crate) async fn until(&self, what: &str, reached: impl Fn(&Observed) -> bool) -> Observed {
        let mut seen = Observed::default();
        let looked = timeout(PATIENCE, async {
            loop {
                seen = self.client.observe(&workload("prod", "shop")).await.unwrap();
                if reached(&seen) {
                    return;
                }
                self.change().await;
            }
        });
        assert!(looked.await.is_ok(), "never seen: {what}; but {seen:?}");
        seen
    }

    /// Waits until a release of `prod/shop` is as `reached` wants it.
    pub(crate) async fn until_release(
        &self,
        number: u64,
        what: &str,
        reached: impl Fn(&ObservedRelease) -> bool,
    ) -> ObservedRelease {
        let seen = self.until(what, |seen| seen.release(number).is_some_and(&reached)).await;
        seen.release(number).unwrap().clone()
    }

    pub(crate) async fn until_ready(&self, number: u64) -> ObservedRelease {
        self.until_release(number, "a ready release", |seen| seen.phase == Phase::Ready).await
    }

    /// Waits until so many requests are open at the only release of `prod/shop`.
    pub(crate) async fn until_open(&self, requests: usize) {
        let open = async || (self.listed().await.open == requests).then_some(());
        eventually("open requests", open).await;
    }

    /// Waits until something has changed at the runner, or a little while.
    pub(crate) async fn change(&self) {
        let since = *self.since.lock().unwrap();
        if let Ok(changed) = timeout(Duration::from_millis(100), self.client.changes(since)).await {
            *self.since.lock().unwrap() = changed.unwrap().next;
        }
    }

    /// The only release of `prod/shop`, as the list shows it.
    pub(crate) async fn listed(&self) -> ListedRelease {
        self.client.list().await.unwrap().remove(0).releases.remove(0)
    }

    /// The file to which each start of a service appends a line.
    pub(crate) fn witness(&self) -> PathBuf {
        self.folder.path().join("witness")
    }

    /// A line for each start: version, release, how often it was started before.
    pub(crate) fn starts(&self) -> Vec<String> {
        let text = fs::read_to_string(self.witness()).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }
}

/// A workload by its names.
pub(crate) fn workload(environment: &str, service: &str) -> Workload {
    Workload {
        environment: EnvironmentName::new(environment).unwrap(),
        service: ServiceName::new(service).unwrap(),
    }
}

/// Tries until it works: where nobody tells when it will.
pub(crate) async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, attempt: impl Fn() -> F) -> T {
    let tried = timeout(PATIENCE, async {
        loop {
            if let Some(done) = attempt().await {
                return done;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    tried.await.unwrap_or_else(|_| panic!("never: {what}"))
}

/// Whether a process is there, other than to be reaped.
pub(crate) fn is_alive(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

async fn answers(client: &RunnerClient) -> std::net::SocketAddr {
    eventually("the runner answers", async || client.info().await.ok()).await.proxy
}
