//! What the host is made of, shared by everything that serves it.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use longshore_events::{
    ChainId, Data, Event, EventId, ImageName, Link, types::ImageDeleted, types::ImagePushed,
};
use longshore_intake::{Answer, Headers, Intake, Request, sign};
use longshore_local::{FileBlobs, FileSecrets, LocalBuilder, SqliteJournal};
use longshore_oci::server::{Change, Store, Watcher};
use longshore_oci::{Reference, Repository};
use longshore_policy::Policy;
use longshore_ports::{
    Clock, Facts as _, Hints, Journal as _, PortError, Registry, Resolved, Secret, Secrets as _,
    journal::{Commit, CommitError},
};
use longshore_runner::RunnerClient;

use super::dispatch::Bus;
use crate::api::Ready;

/// The host's own source of events: its repositories, its registry, its console.
pub(super) const OWN_SOURCE: &str = "longshore";

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
    pub(super) builder: LocalBuilder,
    pub(super) runner: Arc<RunnerClient>,
    pub(super) bus: Bus,
    pub(super) token: Secret,
    /// Told with whether the services shall stop too.
    pub(super) down: tokio::sync::watch::Sender<Option<bool>>,
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
        Ok(self.intake.receive(&Request { source: OWN_SOURCE, headers, body }).await)
    }

    /// Wakes everything that waits for the switches.
    pub(super) async fn wake_all(&self) {
        if let Ok(units) = self.journal.units(None).await {
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

/// Says what outsiders push to the host's registry. The builder's own pushes are said by `build`, in the commit that
/// ends the build.
pub(super) struct Pushes {
    pub(super) policy: Arc<Policy>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) journal: Arc<SqliteJournal>,
}

impl Pushes {
    /// The image of a service, when the change is about the tag that it follows.
    fn followed(&self, change: &Change) -> Option<ImageName> {
        let tag = change.tag.as_deref()?;
        let is = |service: &&longshore_policy::Service| {
            service.image.as_str() == change.repository.to_string() && service.tag == tag
        };
        self.policy.services.iter().find(is).map(|service| service.image.clone())
    }

    async fn say(
        &self,
        id: String,
        subject: String,
        data: Data,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let at = self.clock.now();
        let event = Event {
            link: Link { chain: ChainId::new(&id)?, cause: None },
            id: EventId::new(id)?,
            source: "longshore/registry".into(),
            subject,
            time: at,
            traceparent: None,
            dryrun: false,
            data,
        };
        let committed =
            match self.journal.commit(&Commit { at, events: vec![event], ..Commit::default() }).await {
                Ok(committed) => committed,
                Err(CommitError::Conflict(_)) => return Ok(()),
                Err(CommitError::Port(error)) => return Err(error.into()),
            };
        Ok(self.journal.publish(&committed).await?)
    }
}

#[async_trait]
impl Watcher for Pushes {
    async fn stored(&self, change: &Change) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let Some(image) = self.followed(change) else { return Ok(()) };
        let kind = <ImagePushed as longshore_events::Fact>::KIND;
        let head = self.journal.latest(kind, image.as_str()).await?;
        let newest =
            head.as_ref().and_then(|event| <ImagePushed as longshore_events::Fact>::from_data(&event.data));
        if newest.is_some_and(|newest| newest.digest == change.digest) {
            return Ok(());
        }
        let after = head.map_or_else(|| "first".to_owned(), |event| event.id.to_string());
        let id = format!(
            "registry/{image}/{}/after/{}",
            &change.digest.hex()[..16],
            after.chars().take(200).collect::<String>()
        );
        let data = ImagePushed {
            image: image.clone(),
            tag: change.tag.clone(),
            digest: change.digest.clone(),
            media_type: change.media_type.clone(),
            platforms: change.platforms.clone(),
            service: None,
            commit: None,
            forced: false,
        };
        self.say(id, image.to_string(), data.into()).await
    }

    async fn deleted(&self, change: &Change) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let Some(image) = self.followed(change) else { return Ok(()) };
        let id = format!(
            "registry/{image}/{}/deleted/{}",
            &change.digest.hex()[..16],
            self.clock.now().as_millisecond()
        );
        let data =
            ImageDeleted { image: image.clone(), tag: change.tag.clone(), digest: change.digest.clone() };
        self.say(id, image.to_string(), data.into()).await
    }
}
