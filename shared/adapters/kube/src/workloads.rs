//! The port [`Workloads`] on clusters.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use jiff::SignedDuration;
use longshore_events::EnvironmentName;
use longshore_ports::{BlobRef, Blobs, Clock, Desired, Observed, PortError, Workload, Workloads};
use serde_json::json;

use crate::api::{Api, Written};
use crate::dress::{Wanted, mark_owner};
use crate::error::KubeError;
use crate::look::{find, pods};
use crate::manifest;
use crate::mark;
use crate::object::{Object, ObjectRef, sha256};
use crate::place::Place;
use crate::running::Running;
use crate::shape::{Shape, record_of, shape};
use crate::write::{TRIES, Write};

/// Pods of a rollout that has moved within so long are not looked at: nothing is wrong yet.
const WORTH_A_LOOK: SignedDuration = SignedDuration::from_secs(4);

/// Workloads of the environments that are on clusters, and all others elsewhere.
pub struct KubeWorkloads {
    /// Where each environment is.
    pub places: BTreeMap<EnvironmentName, Place>,
    /// What runs the environments that are on no cluster.
    pub elsewhere: Option<Arc<dyn Workloads>>,
    /// Where manifests lie.
    pub blobs: Arc<dyn Blobs>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

#[async_trait]
impl Workloads for KubeWorkloads {
    async fn observe(&self, workload: &Workload) -> Result<Observed, PortError> {
        let Some(place) = self.places.get(&workload.environment) else {
            return self.elsewhere(workload)?.observe(workload).await;
        };
        let operation = || format!("look at {workload} in the namespace {}", place.api.namespace);
        self.look(&place.api, workload).await.map_err(|error| error.into_port(operation()))
    }

    async fn apply(&self, desired: &Desired) -> Result<(), PortError> {
        let workload = &desired.workload;
        let Some(place) = self.places.get(&workload.environment) else {
            return self.elsewhere(workload)?.apply(desired).await;
        };
        let operation = || format!("apply {workload} to the namespace {}", place.api.namespace);
        let wanted = self.wanted(place, desired).await?;
        let pair = (desired.generation, desired.step);
        let write = Write { api: &place.api, workload, pair, made: Mutex::default() };
        for _ in 0..TRIES {
            let done = self.converge(&write, desired, &wanted).await;
            let is_newer = |error: &KubeError| matches!(error, KubeError::Newer { generation, step, .. } if (*generation, *step) > pair);
            if done.as_ref().is_err_and(is_newer) {
                write.take_back().await;
            }
            if done.map_err(|error| error.into_port(operation()))? {
                return Ok(());
            }
        }
        Err(PortError::unavailable(operation(), "its objects change faster than they can be written"))
    }
}

impl KubeWorkloads {
    fn elsewhere(&self, workload: &Workload) -> Result<&Arc<dyn Workloads>, PortError> {
        self.elsewhere.as_ref().ok_or_else(|| {
            let why = "the environment names no cluster: write [environment.cluster]";
            PortError::invalid(format!("run {workload}"), why)
        })
    }

    async fn look(&self, api: &Api, workload: &Workload) -> Result<Observed, KubeError> {
        let running = find(api, workload).await?;
        let now = self.clock.now();
        let mut told = BTreeMap::new();
        if running.is_worth_a_look(now, WORTH_A_LOOK) {
            told = pods(api, workload, now).await?;
        }
        Ok(running.observed(&told, now))
    }

    /// The releases that shall run, with their manifests.
    async fn wanted<'a>(&self, place: &Place, desired: &'a Desired) -> Result<Vec<Wanted<'a>>, PortError> {
        let service = &desired.workload.service;
        let operation = || format!("read the manifests of {service}");
        let mut wanted = Vec::new();
        for release in &desired.releases {
            let number = release.release;
            let bad = |why: String| KubeError::Manifests { release: number, why }.into_port(operation());
            let Some(manifests) = &release.manifests else {
                return Err(bad("there are none: say under [service.manifests] where they come from".into()));
            };
            let blob = manifests.parse().map_err(|_| bad(format!("{manifests} names no blob")))?;
            let text = self.blobs.get(&BlobRef(blob)).await?;
            let text = String::from_utf8(text).map_err(|_| bad("they are no UTF-8".into()))?;
            let mut objects = manifest::parse(&text, &place.api.namespace).map_err(bad)?;
            let secret = place.pull_secret(&desired.workload, &release.image);
            let pull_secret = secret.as_ref().map(|secret| secret.name().to_owned());
            objects.extend(secret);
            wanted.push(Wanted { release, image: place.image(&release.image), pull_secret, objects });
        }
        Ok(wanted)
    }

    /// Writes the next shape. False when something changed meanwhile: it has to be looked at again.
    async fn converge(
        &self,
        write: &Write<'_>,
        desired: &Desired,
        wanted: &[Wanted<'_>],
    ) -> Result<bool, KubeError> {
        let api = write.api;
        let running = find(api, &desired.workload).await?;
        let wish = fingerprint(desired);
        fence(desired, &running, &wish)?;
        let shape = shape(desired, wanted, &running, self.clock.now())?;
        let Shape { objects, main, drain, remove, inventory } = shape;
        let Some(mut main) = main else {
            let mut record = record_with(desired, &running, &running.inventory());
            record.set_annotation(mark::WISH, &wish);
            record.set_annotation(mark::WISHED, "{}");
            write.write(record, running.record).await?;
            write.remove(&remove).await?;
            return Ok(true);
        };
        if !self.note(api, desired, &running, &inventory).await? {
            return Ok(false);
        }
        for object in objects {
            let found = running.found(&object.reference());
            write.write(object, found).await?;
        }
        for (candidate, until) in drain {
            if !matches!(
                api.annotate(&candidate, &[(mark::DRAINS_UNTIL, &until.to_string())]).await?,
                Written::Done
            ) {
                return Ok(false);
            }
        }
        write.remove(&remove).await?;
        main.set_annotation(mark::INVENTORY, &Shape::inventory_text(&inventory));
        main.set_annotation(mark::WISH, &wish);
        let found = running.found(&main.reference());
        write.write(main, found).await?;
        Ok(true)
    }

    /// Remembers objects before they are made, so that nothing is left behind by a crash.
    async fn note(
        &self,
        api: &Api,
        desired: &Desired,
        running: &Running,
        inventory: &BTreeMap<ObjectRef, bool>,
    ) -> Result<bool, KubeError> {
        let mut known = running.inventory();
        if inventory.keys().all(|of| known.contains_key(of)) {
            return Ok(true);
        }
        for of in inventory.keys() {
            known.entry(of.clone()).or_insert(false);
        }
        if let Some(main) = &running.main {
            let text = Shape::inventory_text(&known);
            return Ok(matches!(api.annotate(main, &[(mark::INVENTORY, &text)]).await?, Written::Done));
        }
        let record = record_with(desired, running, &known);
        let pair = running.pair();
        let write = Write { api, workload: &desired.workload, pair, made: Mutex::default() };
        write.write(record, running.record.clone()).await?;
        Ok(true)
    }
}

/// What remembers a workload of which nothing runs, as it is, with another inventory.
fn record_with(desired: &Desired, running: &Running, inventory: &BTreeMap<ObjectRef, bool>) -> Object {
    let of = record_of(&desired.workload);
    let mut record = Object(json!({"apiVersion": of.api_version, "kind": of.kind}));
    record.set_name(&of.name);
    mark_owner(&mut record, &desired.workload);
    for key in [mark::WISH, mark::WISHED] {
        if let Some(value) = running.record.as_ref().and_then(|record| record.annotation(key)) {
            record.set_annotation(key, value);
        }
    }
    record.set_annotation(mark::INVENTORY, &Shape::inventory_text(inventory));
    record
}

/// A wish, by its SHA-256.
fn fingerprint(desired: &Desired) -> String {
    sha256(serde_json::to_vec(&desired.releases).unwrap_or_default())
}

/// Refuses a wish that is older than what was applied, or another under the same generation and step.
fn fence(desired: &Desired, running: &Running, wish: &str) -> Result<(), KubeError> {
    let (pair, applied) = ((desired.generation, desired.step), running.pair());
    let another = pair == applied && running.wish().is_some_and(|before| before != wish);
    if pair < applied || another {
        let this =
            if another { "another wish".into() } else { format!("generation {}, step {}", pair.0, pair.1) };
        let object = desired.workload.to_string();
        return Err(KubeError::Newer { object, generation: applied.0, step: applied.1, this });
    }
    Ok(())
}
