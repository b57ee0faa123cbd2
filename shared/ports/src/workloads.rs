//! What runs: releases of a service in an environment, and the traffic among them.

use std::collections::BTreeMap;
use std::fmt;

use async_trait::async_trait;
use longshore_events::{Digest, EnvironmentName, ImageRef, ServiceName};
use serde::{Deserialize, Serialize};

use crate::PortError;

/// Observes and sets what runs.
#[async_trait]
pub trait Workloads: Send + Sync {
    /// What runs of a workload now. An answer may be stale. A workload that was never applied is empty, with
    /// generation 0.
    ///
    /// # Errors
    /// When the outside cannot be asked.
    async fn observe(&self, workload: &Workload) -> Result<Observed, PortError>;

    /// Makes the outside converge to `desired`: starts what is new, moves the traffic when its receiver is ready or
    /// at once if it already was, drains and stops what is not named any more. Returns when the wish is durable, not
    /// when it is reached.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Conflict`] when a newer (generation, step) was applied before, or other arguments under
    /// the same; [`crate::ErrorKind::Invalid`] when it can never run.
    async fn apply(&self, desired: &Desired) -> Result<(), PortError>;
}

/// A service in an environment.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Workload {
    /// Where.
    pub environment: EnvironmentName,
    /// What.
    pub service: ServiceName,
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.environment, self.service)
    }
}

/// What shall run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Desired {
    /// Of which workload.
    pub workload: Workload,
    /// The lease's generation, and the step within it. The outside refuses an older pair.
    pub generation: u64,
    /// See `generation`.
    pub step: u32,
    /// The releases that shall run side by side; none means that nothing shall run.
    pub releases: Vec<DesiredRelease>,
}

/// One release of a workload that shall run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DesiredRelease {
    /// The generation that first started it: names the release on the outside.
    pub release: u64,
    /// What runs.
    pub image: ImageRef,
    /// Its share of the traffic, 0 to 100 percent.
    pub weight: u8,
    /// How it runs.
    pub run: RunSpec,
    /// The Kubernetes manifests that were rendered with the image: their name in Blobs. What runs on no cluster needs none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifests: Option<String>,
}

/// How a release runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunSpec {
    /// Environment variables, over those of the image.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Arguments, in place of the image's `CMD`.
    #[serde(default)]
    pub args: Option<Vec<String>>,
    /// When it may get traffic.
    pub ready: Health,
    /// When it must be restarted; none means only when it exits.
    #[serde(default)]
    pub health: Option<Health>,
    /// How long open requests may go on once it gets no new ones, in milliseconds.
    pub drain_ms: u64,
    /// How long it has from SIGTERM to SIGKILL, in milliseconds.
    pub stop_ms: u64,
}

/// A probe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// What is asked.
    pub target: ProbeTarget,
    /// Between two probes once it is ready, in milliseconds.
    pub interval_ms: u64,
    /// How long an answer may take, in milliseconds.
    pub timeout_ms: u64,
    /// How many probes in a row must fail before it counts as failed.
    pub failures: u32,
}

/// What a probe asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProbeTarget {
    /// `PORT` accepts a connection.
    Tcp,
    /// A GET of this path on `PORT` answers 200 to 399.
    Http(String),
}

/// What runs now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Observed {
    /// The newest (generation, step) that was applied; (0, 0) when none was.
    pub generation: u64,
    /// See `generation`.
    pub step: u32,
    /// The releases that exist, those that drain or stop included.
    pub releases: Vec<ObservedRelease>,
    /// How far the outside has come with what was applied last.
    #[serde(default, skip_serializing_if = "Progress::is_settled")]
    pub progress: Progress,
}

/// How far the outside has come with what was applied last. What converges by itself is always settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Progress {
    /// It is as wished, or comes to it by itself.
    #[default]
    Settled,
    /// It is on its way, and somebody has to look again.
    Working,
    /// It has come to where the same wish has to be applied again, to go on.
    Again,
}

impl Progress {
    /// Nothing is left to do.
    pub fn is_settled(&self) -> bool {
        *self == Self::Settled
    }
}

impl Observed {
    /// The release that generation `release` started.
    pub fn release(&self, release: u64) -> Option<&ObservedRelease> {
        self.releases.iter().find(|observed| observed.release == release)
    }
}

/// One release that exists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObservedRelease {
    /// The generation that first started it.
    pub release: u64,
    /// What runs.
    pub digest: Digest,
    /// Its share of the traffic now, in percent.
    pub weight: u8,
    /// How it stands.
    pub phase: Phase,
    /// Why it stands so, where that helps: the last error, exit status or failing probe.
    #[serde(default)]
    pub reason: Option<String>,
    /// How often it was started again after an exit.
    pub restarts: u32,
    /// From the start of its process until it listened, in milliseconds.
    #[serde(default)]
    pub boot_ms: Option<u64>,
}

/// How a release stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Its image is fetched and unpacked.
    Pulling,
    /// It runs, and was never ready.
    Starting,
    /// It is ready.
    Ready,
    /// It was ready, and is not now.
    Unready,
    /// It exited, and is started again after a while.
    Backoff,
    /// It can never run; `reason` says why.
    Failed,
    /// It gets no new requests, and is on its way out.
    Stopping,
}
