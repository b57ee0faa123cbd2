//! What stands of a workload in the cluster, and what that means.

use std::collections::BTreeMap;

use jiff::Timestamp;
use longshore_events::Digest;
use longshore_ports::{Observed, ObservedRelease, Phase, Progress};

use crate::mark;
use crate::object::{Object, ObjectRef};
use crate::standing::{Standing, standing};
use crate::traffic::{Mode, Weights};
use crate::trouble::Pods;

/// What stands of a workload.
#[derive(Debug, Default)]
pub(crate) struct Running {
    /// The workload of the manifests that carries what was wished.
    pub(crate) main: Option<Object>,
    /// Other workloads of the manifests.
    pub(crate) siblings: Vec<Object>,
    /// What runs beside them, and goes again.
    pub(crate) candidates: Vec<Object>,
    /// What is remembered of a workload of which nothing runs.
    pub(crate) record: Option<Object>,
}

impl Running {
    /// Sorts objects that have pods.
    pub(crate) fn sort(objects: Vec<Object>) -> Self {
        let mut running = Self::default();
        for object in objects.into_iter().filter(|object| !object.is_going()) {
            if object.label(mark::TRACK) == Some(mark::CANDIDATE) {
                running.candidates.push(object);
            } else if object.annotation(mark::INVENTORY).is_some() && running.main.is_none() {
                running.main = Some(object);
            } else {
                running.siblings.push(object);
            }
        }
        running
    }

    /// The object as it was read, if it was.
    pub(crate) fn found(&self, of: &ObjectRef) -> Option<Object> {
        let all = self.main.iter().chain(&self.siblings).chain(&self.candidates);
        all.filter(|object| object.reference() == *of).map(Object::clone).next()
    }

    /// What carries the wish.
    fn carrier(&self) -> Option<&Object> {
        self.main.as_ref().or(self.record.as_ref())
    }

    /// The newest (generation, step) whose wish is durable.
    pub(crate) fn pair(&self) -> (u64, u32) {
        self.carrier().map_or((0, 0), Object::pair)
    }

    /// The wish of that pair, by its SHA-256.
    pub(crate) fn wish(&self) -> Option<&str> {
        self.carrier()?.annotation(mark::WISH)
    }

    fn weights_of(&self, key: &str) -> Weights {
        let text = self.carrier().and_then(|carrier| carrier.annotation(key));
        text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
    }

    /// The shares that are wished.
    pub(crate) fn wished(&self) -> Weights {
        self.weights_of(mark::WISHED)
    }

    /// The shares that were applied.
    pub(crate) fn weights(&self) -> Weights {
        self.weights_of(mark::WEIGHTS)
    }

    /// How they were.
    pub(crate) fn mode(&self) -> Option<Mode> {
        Mode::parse(self.carrier()?.annotation(mark::MODE)?)
    }

    /// All objects of the workload, and whether some release still wants each.
    pub(crate) fn inventory(&self) -> BTreeMap<ObjectRef, bool> {
        let mut all = BTreeMap::new();
        for carrier in self.record.iter().chain(&self.main) {
            let text = carrier.annotation(mark::INVENTORY).unwrap_or_default();
            let entries: Vec<String> = serde_json::from_str(text).unwrap_or_default();
            for entry in entries {
                let (wanted, name) =
                    entry.strip_prefix('-').map_or((true, entry.as_str()), |name| (false, name));
                if let Some(of) = ObjectRef::parse(name) {
                    all.insert(of, wanted);
                }
            }
        }
        all
    }

    pub(crate) fn has_stale(&self) -> bool {
        self.main.is_some() && self.inventory().values().any(|wanted| !wanted)
    }

    /// The release that the workload of the manifests runs.
    pub(crate) fn primary(&self) -> Option<u64> {
        self.main.as_ref()?.release()
    }

    /// Instances that the workload of the manifests shall have now.
    pub(crate) fn instances(&self) -> Option<u64> {
        self.main.as_ref()?.number("/spec/replicas")
    }

    /// The workload of the manifests runs its newest template, and is ready.
    pub(crate) fn has_arrived(&self, now: Timestamp) -> bool {
        let mut all = self.main.iter().chain(&self.siblings);
        self.main.is_some() && all.all(|object| standing(object, now).ready)
    }

    /// Those beside it that have traffic, or wait for it.
    pub(crate) fn serving(&self) -> impl Iterator<Item = &Object> {
        self.candidates.iter().filter(|one| one.annotation(mark::DRAINS_UNTIL).is_none())
    }

    /// When the last of those beside it that have no traffic any more may go.
    fn drained_at(&self) -> Option<Timestamp> {
        let until = |one: &Object| one.annotation(mark::DRAINS_UNTIL)?.parse().ok();
        self.candidates.iter().filter_map(until).max()
    }

    /// One of those still ends what it was asked.
    pub(crate) fn drains(&self, now: Timestamp) -> bool {
        self.drained_at().is_some_and(|until| now < until)
    }

    /// How far the wish has come.
    pub(crate) fn progress(&self, now: Timestamp) -> Progress {
        let (Some(_), wished) = (&self.main, self.wished()) else { return Progress::Settled };
        if wished.len() > 1 {
            return self.shared(&wished, now);
        }
        match self.has_arrived(now) {
            false => Progress::Working,
            true if self.serving().next().is_some() => Progress::Again,
            true if self.drains(now) => Progress::Working,
            true if !self.candidates.is_empty() || self.has_stale() || self.weights() != wished => {
                Progress::Again
            }
            true => Progress::Settled,
        }
    }

    /// Two releases run: the share moves once there are enough instances for it.
    fn shared(&self, wished: &Weights, now: Timestamp) -> Progress {
        let has_all = self.serving().all(|one| {
            let stands = standing(one, now);
            stands.complete && stands.available >= stands.wanted
        });
        match (self.weights() == *wished, has_all) {
            (true, _) if self.mode() != Some(Mode::Instances) => Progress::Settled,
            (true, true) => Progress::Settled,
            (false, true) => Progress::Again,
            (_, false) => Progress::Working,
        }
    }

    /// The releases of which something runs: for each, what stands of it.
    fn by_release(&self) -> BTreeMap<u64, Vec<&Object>> {
        let mut all: BTreeMap<u64, Vec<&Object>> = BTreeMap::new();
        for object in self.main.iter().chain(&self.siblings).chain(&self.candidates) {
            if let Some(release) = object.release() {
                all.entry(release).or_default().push(object);
            }
        }
        all
    }

    /// Whether something is not ready, so that its pods are worth a look. What has just begun is not.
    pub(crate) fn is_worth_a_look(&self, now: Timestamp, after: jiff::SignedDuration) -> bool {
        let lasts = |object: &&Object| {
            let stands = standing(object, now);
            !stands.ready && stands.since.is_none_or(|since| now >= since + after)
        };
        self.by_release().values().flatten().any(lasts)
    }

    /// What `deploy` is told, with what is known of the pods of each release.
    pub(crate) fn observed(&self, pods: &BTreeMap<u64, Pods>, now: Timestamp) -> Observed {
        let (generation, step) = self.pair();
        let weights = self.weights();
        let releases = self.by_release().into_iter().filter_map(|(release, objects)| {
            let weight = weights.get(&release).copied().unwrap_or(0);
            observed(release, &objects, weight, pods.get(&release), now)
        });
        Observed { generation, step, releases: releases.collect(), progress: self.progress(now) }
    }
}

/// One release. Beside one that is ready, another of the same release may still be on its way in or out.
fn observed(
    release: u64,
    objects: &[&Object],
    weight: u8,
    pods: Option<&Pods>,
    now: Timestamp,
) -> Option<ObservedRelease> {
    let stands: Vec<Standing> = objects.iter().map(|object| standing(object, now)).collect();
    let candidate = objects.iter().position(|one| one.label(mark::TRACK) == Some(mark::CANDIDATE));
    let goes = |object: &&&Object| object.annotation(mark::DRAINS_UNTIL).is_some();
    let all_go = objects.iter().filter(goes).count() == objects.len();
    let ready = stands.iter().all(|one| one.ready) || candidate.is_some_and(|at| stands[at].ready);
    let failed = stands.iter().find_map(|one| one.failed.clone());
    let trouble = pods.and_then(|pods| pods.trouble.as_ref());
    let phase = match trouble {
        _ if all_go => Phase::Stopping,
        _ if ready => Phase::Ready,
        _ if failed.is_some() => Phase::Failed,
        Some(trouble) => trouble.phase,
        None if stands.iter().all(|one| one.complete) => Phase::Unready,
        None => Phase::Starting,
    };
    let reason = failed.or(trouble.map(|trouble| trouble.said.clone())).filter(|_| !ready);
    // While one takes the place of another instance by instance, so does its share.
    let arrives = |one: &Standing| u64::from(weight) * one.updated.min(one.wanted) / one.wanted.max(1);
    let weight = match stands.as_slice() {
        [one] if !one.complete && weight == 100 => u8::try_from(arrives(one)).unwrap_or(weight),
        _ => weight,
    };
    let restarts = pods.map_or(0, |pods| u32::try_from(pods.restarts).unwrap_or(u32::MAX));
    let digest = objects.iter().find_map(|object| digest(object))?;
    Some(ObservedRelease { release, digest, weight, phase, reason, restarts, boot_ms: None })
}

/// The digest that a workload runs.
fn digest(object: &Object) -> Option<Digest> {
    Digest::new(object.annotation(mark::DIGEST)?).ok()
}
