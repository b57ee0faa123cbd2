//! The port [`Workloads`] on clusters.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use jiff::{SignedDuration, Timestamp};
use longshore_events::{EnvironmentName, ImageRef};
use longshore_ports::{BlobRef, Blobs, Clock, Desired, Observed, PortError, Secret, Workload, Workloads};
use serde_json::json;

use crate::api::{Api, Written};
use crate::dress::{Wanted, mark_owner};
use crate::error::KubeError;
use crate::manifest;
use crate::mark;
use crate::object::{Object, ObjectRef};
use crate::running::Running;
use crate::shape::{Shape, record_of, shape};
use crate::trouble::{self, Look, Pods, Trouble};

/// Kinds with pods besides Deployments, in the order in which they are looked for.
const OTHERS: &[(&str, &str)] =
    &[("apps/v1", "StatefulSet"), ("apps/v1", "DaemonSet"), ("batch/v1", "CronJob"), ("batch/v1", "Job")];
/// How often an object is read again that somebody else changed meanwhile.
const TRIES: usize = 5;
/// Pods of a rollout that has moved within so long are not looked at: nothing is wrong yet.
const WORTH_A_LOOK: SignedDuration = SignedDuration::from_secs(4);

/// Where an environment's workloads run.
pub struct Place {
    api: Api,
    /// Where nodes pull images from whose name has no registry.
    own: Option<OwnRegistry>,
}

/// A registry as the nodes of a cluster reach it.
pub struct OwnRegistry {
    /// Its host, with its port.
    pub host: String,
    /// Who may pull there: a user's name and the password; `None` when anybody may.
    pub login: Option<(String, Secret)>,
}

impl Place {
    /// A namespace of the cluster behind `client`. Images without a registry in their name are pulled from `own`.
    pub fn new(client: kube::Client, namespace: String, own: Option<OwnRegistry>) -> Self {
        Self { api: Api::new(client, namespace), own }
    }

    /// Where the nodes pull an image from whose name has no registry.
    fn own(&self, image: &ImageRef) -> Option<&OwnRegistry> {
        self.own.as_ref().filter(|_| !image.name.has_registry())
    }

    /// The image as the nodes pull it.
    fn image(&self, image: &ImageRef) -> String {
        self.own(image).map_or(image.to_string(), |own| format!("{}/{image}", own.host))
    }

    /// What lets nodes pull the image, where they need it.
    fn pull_secret(&self, workload: &Workload, image: &ImageRef) -> Option<Object> {
        let own = self.own(image)?;
        let (user, password) = own.login.as_ref()?;
        let auth = BASE64_STANDARD.encode([user.as_bytes(), b":", password.expose()].concat());
        let logins = json!({"auths": {own.host.clone(): {"auth": auth}}}).to_string();
        let name = format!("{}-pull-{}", workload.service, &sha256(&logins)[..8]);
        Some(Object(json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "kubernetes.io/dockerconfigjson",
            "metadata": {"name": name, "namespace": self.api.namespace},
            "data": {".dockerconfigjson": BASE64_STANDARD.encode(logins)},
        })))
    }
}

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
        if !running.worth_a_look(now, WORTH_A_LOOK).is_empty() {
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
        let (api, pair) = (write.api, write.pair);
        let running = find(api, &desired.workload).await?;
        let wish = fingerprint(desired);
        fence(desired, &running, &wish)?;
        let shape = shape(desired, wanted, &running, self.clock.now())?;
        let Shape { objects, main, drain, remove, inventory } = shape;
        let Some(mut main) = main else {
            let mut record = record_with(desired, &running, &running.inventory());
            say(&mut record, pair, &wish);
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
        say(&mut main, pair, &wish);
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
    for key in [mark::GENERATION, mark::STEP, mark::WISH, mark::WISHED] {
        if let Some(value) = running.record.as_ref().and_then(|record| record.annotation(key)) {
            record.set_annotation(key, value);
        }
    }
    record.set_annotation(mark::INVENTORY, &Shape::inventory_text(inventory));
    record
}

impl Running {
    /// The object as it was read, if it was.
    fn found(&self, of: &ObjectRef) -> Option<Object> {
        let all = self.main.iter().chain(&self.siblings).chain(&self.candidates);
        all.filter(|object| object.reference() == *of).map(Object::clone).next()
    }
}

/// Everything of a workload that has pods; or what is remembered of it.
async fn find(api: &Api, workload: &Workload) -> Result<Running, KubeError> {
    let query = format!("labelSelector={}", mark::selector(workload));
    let mut objects = api.list("apps/v1", "Deployment", &query).await?;
    let mut running = Running::sort(objects.clone());
    for (version, kind) in OTHERS {
        if running.main.is_some() {
            break;
        }
        objects.extend(api.list(version, kind, &query).await?);
        running = Running::sort(objects.clone());
    }
    if running.main.is_none() {
        running.record = api.get(&record_of(workload)).await?;
        return Ok(running);
    }
    for (of, wanted) in running.inventory() {
        let has_pods = OTHERS.contains(&(of.api_version.as_str(), of.kind.as_str()));
        if wanted && has_pods && running.found(&of).is_none() {
            running.siblings.extend(api.get(&of).await?);
        }
    }
    Ok(running)
}

/// What is told of the pods of each release.
async fn pods(api: &Api, workload: &Workload, now: Timestamp) -> Result<BTreeMap<u64, Pods>, KubeError> {
    let query = format!("labelSelector={}", mark::selector(workload));
    let all = api.list("v1", "Pod", &query).await?;
    let mut releases: BTreeMap<u64, Vec<&Object>> = BTreeMap::new();
    for pod in &all {
        if let Some(release) = pod.release() {
            releases.entry(release).or_default().push(pod);
        }
    }
    let mut told = BTreeMap::new();
    for (release, pods) in releases {
        let mut of = trouble::look_at(pods.into_iter(), now);
        if let Some(trouble) = &mut of.trouble {
            more(api, trouble).await;
        }
        told.insert(release, of);
    }
    Ok(told)
}

/// Adds what is said elsewhere. Nobody is refused an answer because that may not be read.
async fn more(api: &Api, trouble: &mut Trouble) {
    let said = match trouble.look.take() {
        None => return,
        Some(Look::Log { pod, container }) => {
            let ended = trouble.said.starts_with("CrashLoopBackOff");
            api.log(&pod, &container, ended).await.map(|log| log.trim().replace('\n', " | "))
        }
        Some(Look::Events { pod }) => events(api, &pod).await,
    };
    match said {
        Ok(said) if !said.is_empty() => {
            trouble.said.push_str(": ");
            trouble.said.push_str(&said);
            trouble.phase = trouble::with_words(trouble.phase, &said);
        }
        Ok(_) => {}
        Err(error) => tracing::debug!(%error, "nothing more is known of it"),
    }
}

/// What was warned of last about a pod.
async fn events(api: &Api, pod: &str) -> Result<String, KubeError> {
    let query = format!("fieldSelector=involvedObject.kind=Pod,involvedObject.name={pod},type=Warning");
    let all = api.list("v1", "Event", &query).await?;
    // The back-off repeats no cause.
    let told = all.iter().filter(|event| event.text("/reason") != "BackOff");
    let last = told.max_by_key(|event| event.text("/lastTimestamp").to_owned());
    Ok(last.map(|event| event.text("/message").trim().to_owned()).unwrap_or_default())
}

/// A wish, by its SHA-256.
fn fingerprint(desired: &Desired) -> String {
    sha256(serde_json::to_vec(&desired.releases).unwrap_or_default())
}

/// The SHA-256 of a text, in hexadecimal digits.
fn sha256(text: impl AsRef<[u8]>) -> String {
    BlobRef::of(text.as_ref()).0.hex().to_owned()
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

fn say(object: &mut Object, pair: (u64, u32), wish: &str) {
    object.set_annotation(mark::GENERATION, &pair.0.to_string());
    object.set_annotation(mark::STEP, &pair.1.to_string());
    object.set_annotation(mark::WISH, wish);
}

/// Writes for one wish.
struct Write<'a> {
    api: &'a Api,
    workload: &'a Workload,
    pair: (u64, u32),
    /// What was not there before.
    made: Mutex<Vec<ObjectRef>>,
}

impl Write<'_> {
    /// Writes an object, unless a newer wish did. `found` is how it was read, if it was.
    async fn write(&self, mut object: Object, mut found: Option<Object>) -> Result<(), KubeError> {
        object.set_annotation(mark::GENERATION, &self.pair.0.to_string());
        object.set_annotation(mark::STEP, &self.pair.1.to_string());
        let of = object.reference();
        for _ in 0..TRIES {
            if found.is_none() {
                found = self.api.get(&of).await?;
            }
            let Some(there) = found.take() else {
                note_template(&mut object, None);
                match self.api.create(&object).await? {
                    Written::Done => {
                        self.made.lock().unwrap_or_else(PoisonError::into_inner).push(of);
                        return Ok(());
                    }
                    Written::Stale => continue,
                    Written::Managed(fields) => return Err(managed(&of, &fields)),
                }
            };
            self.check(&there)?;
            keep_replicas(&mut object, &there);
            note_template(&mut object, Some(&there));
            match self.api.apply(&object, &there).await? {
                Written::Done => return Ok(()),
                Written::Stale => {}
                // An autoscaler that the manifests do not have: the number is its own.
                Written::Managed(fields) if fields.iter().all(|(field, _)| field == ".spec.replicas") => {
                    object.leave_replicas();
                }
                Written::Managed(fields) => return Err(managed(&of, &fields)),
            }
        }
        Err(KubeError::Silent { said: format!("changes {of} faster than it can be written") })
    }

    /// Removes objects that are this workload's, unless a newer wish wrote them.
    async fn remove(&self, all: &[ObjectRef]) -> Result<(), KubeError> {
        for of in all {
            match self.remove_one(of).await {
                // A release is not taken back because something old may not be removed.
                Err(error @ KubeError::Forbidden { .. }) => {
                    tracing::warn!(object = %of, %error, "it is left behind");
                }
                done => done?,
            }
        }
        Ok(())
    }

    async fn remove_one(&self, of: &ObjectRef) -> Result<(), KubeError> {
        for _ in 0..TRIES {
            let Some(there) = self.api.get(of).await? else { return Ok(()) };
            let is_ours = there.label(mark::SERVICE) == Some(self.workload.service.as_str())
                && there.label(mark::ENVIRONMENT) == Some(self.workload.environment.as_str());
            if !is_ours || there.is_going() {
                return Ok(());
            }
            self.check(&there)?;
            if let Written::Done = self.api.delete(&there).await? {
                return Ok(());
            }
        }
        Err(KubeError::Silent { said: format!("changes {of} faster than it can be removed") })
    }

    /// A newer wish was written meanwhile, which knows nothing of what was made since: that goes.
    async fn take_back(&self) {
        let made = std::mem::take(&mut *self.made.lock().unwrap_or_else(PoisonError::into_inner));
        for of in made {
            if let Err(error) = self.remove_one(&of).await {
                tracing::info!(object = %of, %error, "it stays");
            }
        }
    }

    /// That nobody else's object is touched, and none that a newer wish wrote.
    fn check(&self, there: &Object) -> Result<(), KubeError> {
        let (environment, service) = (there.label(mark::ENVIRONMENT), there.label(mark::SERVICE));
        let ours = (Some(self.workload.environment.as_str()), Some(self.workload.service.as_str()));
        let object = there.reference().to_string();
        if (environment.is_some() || service.is_some()) && (environment, service) != ours {
            let owner = format!("{}/{}", environment.unwrap_or("?"), service.unwrap_or("?"));
            return Err(KubeError::Taken { object, owner });
        }
        if there.is_going() {
            return Err(KubeError::Silent { said: format!("still removes {object}") });
        }
        let (generation, step) = there.pair();
        if (generation, step) > self.pair {
            let this = format!("generation {}, step {}", self.pair.0, self.pair.1);
            return Err(KubeError::Newer { object, generation, step, this });
        }
        Ok(())
    }
}

/// Says with which of the object's generations its pods' template comes.
fn note_template(object: &mut Object, there: Option<&Object>) {
    let Some(template) = object.template() else { return };
    let template = sha256(template.to_string());
    let before = there.filter(|there| there.annotation(mark::TEMPLATE) == Some(&template));
    let since = match (before.and_then(|before| before.annotation(mark::TEMPLATE_SINCE)), there) {
        (Some(since), _) => since.to_owned(),
        (None, Some(there)) => (there.number("/metadata/generation").unwrap_or(0) + 1).to_string(),
        (None, None) => "1".into(),
    };
    object.set_annotation(mark::TEMPLATE, &template);
    object.set_annotation(mark::TEMPLATE_SINCE, &since);
}

fn managed(of: &ObjectRef, fields: &[(String, String)]) -> KubeError {
    let each = fields.iter().map(|(field, said)| format!("{field}: {said}"));
    KubeError::Managed { object: of.to_string(), fields: each.collect::<Vec<_>>().join("; ") }
}

/// A number of instances that the manifests leave to others stays what it is: what this manager once set would be taken
/// away with the field.
fn keep_replicas(object: &mut Object, there: &Object) {
    const REPLICAS: &[&str] = &["spec", "replicas"];
    let leaves = object.0.pointer("/spec/replicas").is_none();
    let scales = matches!(object.kind(), "Deployment" | "StatefulSet");
    if let Some(now) = there.number("/spec/replicas").filter(|_| leaves && scales && there.owns(REPLICAS)) {
        object.set(&["spec"], "replicas", now.into());
    }
}
