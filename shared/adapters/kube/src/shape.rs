//! What the cluster shall look like next, decided in pure code from the wish, the manifests and what stands.
//!
//! The workload of the manifests keeps its name and is changed in place: whoever scales, budgets or selects it goes on to. While two
//! releases run, the other one is a Deployment beside it, the *candidate*. A candidate that has won gives its traffic back when the
//! workload of the manifests runs the same release. Each wish is reached by applying it again whenever what it waits for is there
//! ([`longshore_ports::Progress::Again`]): nothing of ours runs in the cluster meanwhile.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use longshore_ports::{Desired, Workload};
use serde_json::Value;

use crate::dress::{Wanted, beside_of, dress, mark_owner};
use crate::error::KubeError;
use crate::mark;
use crate::object::{Object, ObjectRef};
use crate::running::Running;
use crate::standing::standing;
use crate::traffic::{Mode, Traffic, Weights, needed};

/// So long a gateway may need to hear that the traffic moved.
const PROPAGATES: SignedDuration = SignedDuration::from_secs(3);

/// What to write, and what to remove.
#[derive(Debug, Default)]
pub(crate) struct Shape {
    /// In this order, and before the main one.
    pub(crate) objects: Vec<Object>,
    /// Carries the wish: it is durable once this is written. `None` when nothing shall run.
    pub(crate) main: Option<Object>,
    /// Those beside it whose traffic is gone, and until when they end what they were asked.
    pub(crate) drain: Vec<(Object, Timestamp)>,
    /// What no release wants any more, and nothing needs.
    pub(crate) remove: Vec<ObjectRef>,
    /// All objects of the workload from now on, and whether a release wants each.
    pub(crate) inventory: BTreeMap<ObjectRef, bool>,
}

impl Shape {
    /// The inventory as it is kept.
    pub(crate) fn inventory_text(inventory: &BTreeMap<ObjectRef, bool>) -> String {
        let entry = |(of, wanted): (&ObjectRef, &bool)| {
            if *wanted { of.text() } else { format!("-{}", of.text()) }
        };
        Value::from(inventory.iter().map(entry).collect::<Vec<_>>()).to_string()
    }
}

/// The shape for a wish.
///
/// # Errors
/// When the manifests cannot be applied, or the strategy cannot be had with them.
pub(crate) fn shape(
    desired: &Desired,
    wanted: &[Wanted<'_>],
    running: &Running,
    now: Timestamp,
) -> Result<Shape, KubeError> {
    let Some(primary) = primary(wanted, running) else { return Ok(nothing(running)) };
    let candidate = wanted.iter().find(|one| one.release.release != primary.release.release);
    let bad = |of: &Wanted<'_>| {
        let release = of.release.release;
        move |why: String| KubeError::Manifests { release, why }
    };
    let (objects, main) = dress(&desired.workload, primary).map_err(bad(primary))?;
    let mut plan = Plan {
        workload: &desired.workload,
        running,
        now,
        traffic: None,
        objects,
        main,
        mode: Mode::Selector,
    };
    let pods = plan.objects[main].template().map_or(Object(Value::Null), |template| Object(template.clone()));
    plan.traffic = Some(Traffic::of(&plan.objects, &pods.texts("/metadata/labels")));
    let mut shape = match candidate {
        Some(candidate) => {
            let beside = beside_of(&desired.workload, candidate, &plan.objects).map_err(bad(candidate))?;
            plan.two(primary, candidate, beside)?
        }
        None => plan.one(primary),
    };
    let wished: Weights = desired.releases.iter().map(|one| (one.release, one.weight)).collect();
    if let Some(main) = &mut shape.main {
        main.set_annotation(mark::WISHED, &serde_json::json!(wished).to_string());
    }
    Ok(shape)
}

/// The release that the workload of the manifests runs, or shall run.
fn primary<'a, 'b>(wanted: &'b [Wanted<'a>], running: &Running) -> Option<&'b Wanted<'a>> {
    let runs = running.primary();
    let same = wanted.iter().find(|one| Some(one.release.release) == runs);
    same.or_else(|| wanted.iter().max_by_key(|one| one.release.weight))
}

/// Nothing shall run: all goes, what carries the wish last.
fn nothing(running: &Running) -> Shape {
    let main = running.main.as_ref().map(Object::reference);
    let mut remove: Vec<ObjectRef> =
        running.inventory().into_keys().filter(|of| Some(of) != main.as_ref()).collect();
    remove.extend(running.candidates.iter().chain(&running.siblings).map(Object::reference));
    remove.sort();
    remove.dedup();
    remove.extend(main);
    Shape { remove, ..Shape::default() }
}

/// On the way to a shape.
struct Plan<'a> {
    workload: &'a Workload,
    running: &'a Running,
    now: Timestamp,
    traffic: Option<Traffic>,
    objects: Vec<Object>,
    main: usize,
    mode: Mode,
}

impl Plan<'_> {
    /// One release shall run.
    fn one(mut self, primary: &Wanted<'_>) -> Shape {
        let release = primary.release.release;
        let arrived = self.running.primary() == Some(release) && self.running.has_arrived(self.now);
        let had = self.running.weights();
        let serving: Vec<&Object> = self.running.serving().collect();
        let bridge = serving
            .iter()
            .filter_map(|one| one.release())
            .find(|one| had.get(one).is_some_and(|had| *had > 0));
        // Until it has arrived, who had the traffic beside it has it all.
        let weights = match bridge.filter(|_| !arrived) {
            Some(other) => {
                let weights = Weights::from([(other, 100)]);
                let mode =
                    if self.running.mode() == Some(Mode::Route) { Mode::Route } else { Mode::Selector };
                self.share(mode, &weights, None);
                weights
            }
            None => Weights::from([(release, 100)]),
        };
        let mut shape = self.finish(&weights);
        let keep = !arrived || !serving.is_empty() || self.running.drains(self.now);
        if arrived {
            let drain =
                SignedDuration::from_millis(i64::try_from(primary.release.run.drain_ms).unwrap_or(i64::MAX));
            let until = self.now + drain.max(PROPAGATES);
            shape.drain = serving.iter().map(|one| ((*one).clone(), until)).collect();
        }
        if !keep {
            let stale = shape.inventory.iter().filter(|(_, wanted)| !**wanted);
            shape.remove = stale.map(|(of, _)| of.clone()).collect();
            shape.inventory.retain(|_, wanted| *wanted);
        }
        shape
    }

    /// Two releases shall run side by side.
    fn two(
        mut self,
        primary: &Wanted<'_>,
        candidate: &Wanted<'_>,
        beside: Vec<Object>,
    ) -> Result<Shape, KubeError> {
        let main = &self.objects[self.main];
        if main.kind() != "Deployment" {
            let (kind, name) = (main.kind(), main.name());
            let why = format!(
                "two releases of the {kind} {name} cannot run side by side: give the environment the strategy rolling"
            );
            return Err(KubeError::Strategy { why });
        }
        let (old, new) = (primary.release, candidate.release);
        let instances = self.running.instances().or(main.number("/spec/replicas")).unwrap_or(1);
        let wished_mode = self.mode_for(new.weight);
        let wished_needs =
            needed(wished_mode, instances, new.weight).map_err(|why| KubeError::Strategy { why })?;
        let had = self.running.weights().get(&new.release).copied().unwrap_or(0);
        let can_have = |needs: u64| {
            let mut ours = self.running.serving().filter(|one| one.release() == Some(new.release)).peekable();
            let has = |one: &Object| {
                let stands = standing(one, self.now);
                stands.complete && stands.available >= needs
            };
            ours.peek().is_some() && ours.all(has)
        };
        // More traffic comes once there are enough instances for it; by numbers alone it comes with them.
        let moves = new.weight <= had || wished_mode == Mode::Instances || can_have(wished_needs);
        let share = if moves { new.weight } else { had };
        let mode =
            if moves { wished_mode } else { self.running.mode().unwrap_or_else(|| self.mode_for(had)) };
        let needs = if moves && wished_mode != Mode::Instances {
            wished_needs
        } else {
            needed(self.mode_for(had), instances, had).unwrap_or(1)
        };
        let weights = Weights::from([(old.release, 100 - share), (new.release, share)]);
        self.share(mode, &weights, Some(new.release));
        let gone = |one: &&Object| one.release() != Some(new.release);
        let remove: Vec<ObjectRef> =
            self.running.candidates.iter().filter(gone).map(Object::reference).collect();
        let first: Vec<Object> = beside
            .into_iter()
            .map(|mut object| {
                if object.label(mark::TRACK).is_some() {
                    object.set(&["spec"], "replicas", wished_needs.into());
                    object.set_annotation(mark::NEEDS, &needs.to_string());
                }
                object
            })
            .collect();
        self.objects.extend(first);
        let mut shape = self.finish(&weights);
        shape.inventory.retain(|of, _| !remove.contains(of));
        shape.remove = remove;
        Ok(shape)
    }

    fn mode_for(&self, weight: u8) -> Mode {
        self.traffic.as_ref().map_or(Mode::Selector, |traffic| traffic.mode(weight))
    }

    fn share(&mut self, mode: Mode, weights: &Weights, new: Option<u64>) {
        self.mode = mode;
        if let Some(traffic) = &self.traffic {
            traffic.share(&mut self.objects, mode, weights, new);
        }
    }

    /// Puts the objects into their order, and says on the main one what was decided.
    fn finish(&mut self, weights: &Weights) -> Shape {
        let mut objects = std::mem::take(&mut self.objects);
        let mut main = objects.remove(self.main);
        for object in &mut objects {
            mark_owner(object, self.workload);
        }
        objects.sort_by_key(order);
        let mut inventory = self.running.inventory();
        // One that an older wish made after a newer one had been there is not in it.
        inventory.extend(self.running.candidates.iter().map(|one| (one.reference(), false)));
        for wanted in inventory.values_mut() {
            *wanted = false;
        }
        inventory.extend(objects.iter().chain([&main]).map(|object| (object.reference(), true)));
        main.set_annotation(mark::WEIGHTS, &serde_json::json!(weights).to_string());
        main.set_annotation(mark::MODE, self.mode.name());
        Shape { objects, main: Some(main), inventory, ..Shape::default() }
    }
}

/// What others need comes first; then who gets the traffic; then what has pods.
fn order(object: &Object) -> u8 {
    match object.kind() {
        "ServiceAccount" | "Role" | "RoleBinding" | "ConfigMap" | "Secret" | "PersistentVolumeClaim" => 0,
        "Service" => 1,
        _ if object.template_path().is_some() => 3,
        _ => 2,
    }
}

/// The name of what remembers a workload of which nothing runs.
pub(crate) fn record_of(workload: &Workload) -> ObjectRef {
    let name = format!("longshore-{}-{}", workload.environment, workload.service);
    ObjectRef::new("v1", "ConfigMap", &name)
}

#[cfg(test)]
#[path = "shape_tests.rs"]
mod tests;
