//! What the host is made of, shared by everything that serves it.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use longshore_console::Console;
use longshore_events::ImageName;
use longshore_intake::{Answer, Headers, Intake, Request, sign};
use longshore_local::{FileBlobs, FileSecrets, LocalBuilder, SqliteJournal};
use longshore_oci::server::Store;
use longshore_oci::{Reference, Repository};
use longshore_policy::Policy;
use longshore_ports::{Clock, Hints as _, PortError, Registry, Resolved, Secret, Secrets as _, Workloads};
use longshore_runner::RunnerClient;
use tokio::sync::watch;

use super::dispatch::Bus;
use crate::api::Ready;

pub(super) use longshore_intake::OWN_SOURCE;

/// The machine's clock.
pub(crate) struct MachineClock;

impl Clock for MachineClock {
    #[expect(clippy::disallowed_methods, reason = "the one place where the host's time comes from")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// A running host.
pub(super) struct System {
    pub(super) ready: Ready,
    pub(super) policy: Arc<Policy>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) journal: Arc<SqliteJournal>,
    pub(super) blobs: Arc<FileBlobs>,
    pub(super) secrets: Arc<FileSecrets>,
    pub(super) intake: Intake,
    pub(super) console: Console,
    pub(super) builder: LocalBuilder,
    pub(super) runner: Arc<RunnerClient>,
    /// Where releases run: the runner, and the clusters.
    pub(super) workloads: Arc<dyn Workloads>,
    pub(super) bus: Bus,
    pub(super) token: Secret,
    /// Told with whether the services shall stop too.
    pub(super) down: watch::Sender<Option<bool>>,
    /// Told after each commit.
    pub(super) news: watch::Sender<()>,
    /// Told when the host stops: nobody shall be kept waiting.
    pub(super) stopping: watch::Sender<bool>,
}

impl System {
    /// Takes events from the host's own source: signs them, so that they go the way of every webhook.
    pub(super) async fn take_own(&self, content_type: &str, body: &[u8]) -> Result<Answer, PortError> {
        let secrets = self.secrets.get(OWN_SOURCE).await?;
        let now = self.clock.now().as_second();
        let signed = secrets.first().and_then(|secret| sign::standard(secret, "own", now, body));
        let signed =
            signed.ok_or_else(|| PortError::invalid("sign an event", "the host's own secret is damaged"))?;
        let headers = signed.into_iter().chain([("content-type", content_type.to_owned())]);
        let headers: Headers = headers.collect();
        Ok(self.intake.receive(&Request { source: OWN_SOURCE, query: "", headers, body }).await)
    }

    /// Wakes everything that waits for the switches.
    pub(super) async fn wake_all(&self) {
        if let Ok(units) = self.journal.all_units().await {
            for unit in units.iter().filter(|unit| unit.row.due.is_some()) {
                self.bus.hint(&unit.function, &unit.unit);
            }
        }
    }
}

/// What the host's own registry knows.
pub(super) struct OwnRegistry(pub(super) Store);

#[async_trait]
impl Registry for OwnRegistry {
    async fn resolve(&self, image: &ImageName, reference: &str) -> Result<Option<Resolved>, PortError> {
        let operation = format!("resolve {image}:{reference}");
        let invalid = |error| PortError::invalid(operation.clone(), error);
        let repository: Repository = image.as_str().parse().map_err(invalid)?;
        let reference: Reference = reference.parse().map_err(invalid)?;
        let store = self.0.clone();
        let read = tokio::task::spawn_blocking(move || store.manifest(&repository, &reference)).await;
        let read = read.map_err(|error| PortError::unavailable(operation.clone(), error))?;
        let stored = read.map_err(|error| PortError::unavailable(operation.clone(), error))?;
        Ok(stored.map(|stored| Resolved {
            digest: stored.digest,
            media_type: stored.media_type,
            platforms: Vec::new(),
        }))
    }
}
