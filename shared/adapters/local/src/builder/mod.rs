//! Builds on this machine: a clean checkout, the service's own commands, the packer.
//!
//! A build is recorded before it begins, and runs as a task of the host. One that a host's death cut off counts as
//! never begun: `find` answers `None`, and the same key begins it anew. The commands run in process groups of their
//! own, each recorded before its command may act, so that the next host can end what was left behind.

mod container;
mod group;
mod log;
mod process;
mod record;
mod render;
mod room;
mod run;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use std::time::Instant;

use async_trait::async_trait;
use longshore_events::{
    CommitId, Digest, RepositoryName, ServiceName,
    types::{BuildTimes, PlatformDigest},
};
use longshore_policy::{Policy, Service, ServiceSource};
use longshore_ports::{
    Blobs, BuildFailure, BuildOrder, BuildStatus, Builder, Built, ErrorKind, Hints, Key, PortError,
};
use tokio::sync::{Mutex, Semaphore};

pub use container::Containers;
pub use group::kill_leftover_groups;
use record::Records;

/// Builds of different services at a time.
const AT_ONCE: usize = 2;

/// Makes a folder a clean checkout of a commit.
#[async_trait]
pub trait Checkout: Send + Sync {
    /// Answers the commit's time, in seconds since the epoch.
    ///
    /// # Errors
    /// When the commit is not to be had.
    async fn checkout(
        &self,
        repo: &RepositoryName,
        commit: &CommitId,
        folder: &Path,
    ) -> Result<u64, PortError>;
}

/// Makes an image of a folder, and pushes it.
#[async_trait]
pub trait Pack: Send + Sync {
    /// Packs and pushes one image.
    ///
    /// # Errors
    /// When it cannot be packed, with a reason for people, or not be pushed now.
    async fn pack(&self, job: &PackJob) -> Result<Packed, PortError>;
}

/// What to pack.
#[derive(Debug, Clone)]
pub struct PackJob {
    /// The service.
    pub service: Service,
    /// Where the tag names it.
    pub tag: String,
    /// The build's context.
    pub context: PathBuf,
    /// The Dockerfile, relative to it.
    pub dockerfile: String,
    /// Build arguments.
    pub args: BTreeMap<String, String>,
    /// The names of the secrets that RUN may mount.
    pub secrets: Vec<String>,
    /// The time of everything in the image, in seconds since the epoch.
    pub epoch: u64,
    /// An empty folder to work in.
    pub work: PathBuf,
    /// The build's log.
    pub log: PathBuf,
    /// When the build must have ended.
    pub until: Instant,
}

/// An image in the registry.
#[derive(Debug, Clone)]
pub struct Packed {
    /// Its digest.
    pub digest: Digest,
    /// Its media type.
    pub media_type: String,
    /// The manifests of an index.
    pub platforms: Vec<PlatformDigest>,
    /// How long packing took, in milliseconds.
    pub pack_ms: u64,
    /// How long pushing took, in milliseconds.
    pub push_ms: u64,
}

/// Builds on this machine.
#[derive(Clone)]
pub struct LocalBuilder(Arc<Inner>);

struct Inner {
    folder: PathBuf,
    policy: Arc<Policy>,
    checkout: Arc<dyn Checkout>,
    pack: Arc<dyn Pack>,
    blobs: Arc<dyn Blobs>,
    hints: Arc<dyn Hints>,
    environment: BTreeMap<String, String>,
    records: Records,
    slots: Semaphore,
    services: StdMutex<HashMap<ServiceName, Arc<Mutex<()>>>>,
}

/// What a builder is made of.
pub struct Parts {
    /// Its folder.
    pub folder: PathBuf,
    /// Names this life of the host: what an earlier one left running was cut off.
    pub life: String,
    /// The configuration.
    pub policy: Arc<Policy>,
    /// Where sources come from.
    pub checkout: Arc<dyn Checkout>,
    /// What packs.
    pub pack: Arc<dyn Pack>,
    /// Where logs end.
    pub blobs: Arc<dyn Blobs>,
    /// Who is told when a build ends.
    pub hints: Arc<dyn Hints>,
    /// The environment of the commands: nothing else of the host's is passed on.
    pub environment: BTreeMap<String, String>,
}

impl LocalBuilder {
    /// A builder over its folder.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn open(parts: Parts) -> std::io::Result<Self> {
        let parts = Parts { folder: std::path::absolute(&parts.folder)?, ..parts };
        let records = Records::open(&parts.folder.join("builds"), parts.life)?;
        Ok(Self(Arc::new(Inner {
            folder: parts.folder,
            policy: parts.policy,
            checkout: parts.checkout,
            pack: parts.pack,
            blobs: parts.blobs,
            hints: parts.hints,
            environment: parts.environment,
            records,
            slots: Semaphore::new(AT_ONCE),
            services: StdMutex::default(),
        })))
    }

    /// The log of a build that runs, or ran last: of a service, at a commit where one is named.
    pub fn log(&self, service: &ServiceName, commit: Option<&str>) -> Option<(PathBuf, bool)> {
        let record = self.0.records.newest(service, commit)?;
        let running = matches!(self.0.records.status(&record), Some(BuildStatus::Running));
        Some((self.0.log_path(&record.order), running))
    }
}

impl Inner {
    fn log_path(&self, order: &BuildOrder) -> PathBuf {
        self.folder.join("logs").join(format!("{}-{}.log", order.service, order.commit))
    }

    fn lane(&self, service: &ServiceName) -> Arc<Mutex<()>> {
        let mut services = self.services.lock().unwrap_or_else(PoisonError::into_inner);
        services.entry(service.clone()).or_default().clone()
    }

    fn source(&self, order: &BuildOrder) -> Result<(&Service, &ServiceSource), PortError> {
        let service = self.policy.service(&order.service);
        let found = service.and_then(|service| Some((service, service.source.as_ref()?)));
        let unknown = "the configuration names no such service, or no source for it";
        found.ok_or_else(|| PortError::invalid(format!("build {}", order.service), unknown))
    }

    /// One whole build, in its turn.
    async fn build(&self, key: &Key, order: &BuildOrder) {
        let lane = self.lane(&order.service);
        let _turn = lane.lock().await;
        let Ok(_slot) = self.slots.acquire().await else { return };
        let status = match self.source(order) {
            Ok(source) => self.run(order, source).await,
            Err(error) => failed(error.to_string()),
        };
        if let Err(error) = self.records.end(key, status) {
            tracing::error!(key = %key, %error, "cannot record how a build ended; after a restart it is begun again");
        }
    }

    async fn run(&self, order: &BuildOrder, source: (&Service, &ServiceSource)) -> BuildStatus {
        let mut run = run::Run::new(self, order, source);
        let mut ended = run.all().await;
        for _ in 1..room::TRIES {
            let Some(reason) = ended.as_ref().err().filter(|why| room::was_missing(why, &self.folder)) else {
                break;
            };
            let (service, commit) = (&order.service, &order.commit);
            tracing::error!(%service, %commit, reason, "the disk is full; the build begins again when there is room");
            room::comes(&self.folder).await;
            run = run::Run::new(self, order, source);
            ended = run.all().await;
        }
        let times = run.times;
        let logs_ref = self.keep_log(&self.log_path(order)).await;
        match ended {
            Ok(built) => BuildStatus::Succeeded(Built { logs_ref, times, ..built }),
            Err(reason) => BuildStatus::Failed(BuildFailure { reason, logs_ref, times }),
        }
    }

    /// A log that cannot be kept does not fail its build.
    async fn keep_log(&self, log: &Path) -> Option<String> {
        let read =
            tokio::fs::read(log).await.map_err(|error| PortError::unavailable("read a build's log", error));
        let kept = match read {
            Ok(content) => self.blobs.put(content).await,
            Err(error) => Err(error),
        };
        kept.inspect_err(|error| tracing::warn!(%error, "a build's log is not kept"))
            .ok()
            .map(|blob| blob.0.to_string())
    }
}

/// A begun build. Whichever way its task ends, who waits is told to look; without an end on record it was cut off.
struct Begun {
    inner: Arc<Inner>,
    key: Key,
}

impl Drop for Begun {
    fn drop(&mut self) {
        self.inner.records.cut_off(&self.key);
        self.inner.hints.hint(&self.key.function, &self.key.unit);
    }
}

fn failed(reason: String) -> BuildStatus {
    BuildStatus::Failed(BuildFailure { reason, logs_ref: None, times: BuildTimes::default() })
}

/// Where checkouts lie, in a builder's folder.
fn work_folder(folder: &Path) -> String {
    folder.join("work").to_string_lossy().into_owned()
}

#[async_trait]
impl Builder for LocalBuilder {
    async fn start(&self, key: &Key, order: &BuildOrder) -> Result<(), PortError> {
        let operation = format!("begin the build {key}");
        self.0.source(order)?;
        let begun = self
            .0
            .records
            .begin(key, order)
            .map_err(|error| PortError::unavailable(operation.clone(), error))?;
        match begun {
            record::Begun::Other => {
                Err(PortError::new(ErrorKind::Conflict, operation, "the key stands for another order"))
            }
            record::Begun::Already => Ok(()),
            record::Begun::Now => {
                let (begun, order) = (Begun { inner: self.0.clone(), key: key.clone() }, order.clone());
                tokio::spawn(async move { begun.inner.build(&begun.key, &order).await });
                Ok(())
            }
        }
    }

    async fn find(&self, key: &Key) -> Result<Option<BuildStatus>, PortError> {
        Ok(self.0.records.get(key).and_then(|record| self.0.records.status(&record)))
    }
}

#[cfg(test)]
mod tests;
