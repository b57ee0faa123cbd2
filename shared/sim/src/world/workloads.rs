//! What runs: releases that start, become ready or never do, and get traffic.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use jiff::Timestamp;
use longshore_events::Digest;
use longshore_ports::{
    Clock, Desired, ErrorKind, Observed, ObservedRelease, Phase, PortError, Workload, Workloads,
};

use super::Hole;
use crate::Air;

/// A process runner or a cluster, as far as `deploy` can tell.
pub struct FakeWorkloads {
    air: Arc<Air>,
    hole: Option<Hole>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    workloads: BTreeMap<Workload, Running>,
    bad: BTreeSet<Digest>,
    wrong: Vec<String>,
}

#[derive(Default)]
struct Running {
    desired: Option<Desired>,
    started: BTreeMap<u64, Timestamp>,
    before: Observed,
}

impl FakeWorkloads {
    /// Nothing runs.
    pub fn new(air: Arc<Air>, hole: Option<Hole>) -> Self {
        Self { air, hole, state: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Releases of this digest never become ready.
    pub fn never_ready(&self, digest: Digest) {
        self.lock().bad.insert(digest);
    }

    /// What went wrong, in the terms of what runs.
    pub fn wrong(&self) -> Vec<String> {
        self.lock().wrong.clone()
    }

    /// The releases that run with their traffic, as it really is.
    pub fn truth(&self, workload: &Workload) -> Vec<(Digest, u8)> {
        let state = self.lock();
        let desired = state.workloads.get(workload).and_then(|running| running.desired.as_ref());
        let releases = desired.map(|desired| desired.releases.as_slice()).unwrap_or_default();
        releases.iter().map(|release| (release.image.digest.clone(), release.weight)).collect()
    }

    fn starts_ready_at(started: Timestamp) -> Timestamp {
        started + jiff::SignedDuration::from_millis(300)
    }
}

impl State {
    fn observe(&self, workload: &Workload, now: Timestamp) -> Observed {
        let Some(running) = self.workloads.get(workload) else { return Observed::default() };
        let Some(desired) = &running.desired else { return Observed::default() };
        let release = |release: &longshore_ports::DesiredRelease| {
            let started = running.started.get(&release.release).copied().unwrap_or(now);
            let ready =
                FakeWorkloads::starts_ready_at(started) <= now && !self.bad.contains(&release.image.digest);
            ObservedRelease {
                release: release.release,
                digest: release.image.digest.clone(),
                weight: release.weight,
                phase: if ready { Phase::Ready } else { Phase::Starting },
                reason: None,
                restarts: 0,
                boot_ms: None,
            }
        };
        Observed {
            generation: desired.generation,
            step: desired.step,
            releases: desired.releases.iter().map(release).collect(),
        }
    }

    /// Whether the wish must be refused: `Some(false)` is an older or another one, `Some(true)` the same again.
    fn fence(&self, desired: &Desired) -> Option<bool> {
        let applied = self.workloads.get(&desired.workload)?.desired.as_ref()?;
        let (old, new) = ((applied.generation, applied.step), (desired.generation, desired.step));
        if new > old { None } else { Some(new == old && applied == desired) }
    }

    fn apply(&mut self, desired: &Desired, now: Timestamp) {
        let before = self.observe(&desired.workload, now);
        let running = self.workloads.entry(desired.workload.clone()).or_default();
        for release in &desired.releases {
            let live = before
                .releases
                .iter()
                .any(|other| other.digest == release.image.digest && other.release != release.release);
            if live && !running.started.contains_key(&release.release) {
                self.wrong.push(format!("{} was started while it ran", release.image.digest.hex()));
            }
            let gone =
                running.started.contains_key(&release.release) && before.release(release.release).is_none();
            if gone {
                self.wrong.push(format!("release {} of {} came back", release.release, desired.workload));
            }
            running.started.entry(release.release).or_insert(now);
        }
        let gets = |observed: &Observed, digest: &Digest| {
            observed.releases.iter().any(|release| release.digest == *digest && release.weight > 0)
        };
        for release in desired.releases.iter().filter(|release| release.weight > 0) {
            let good = !self.bad.contains(&release.image.digest);
            let alone = !before.releases.iter().any(|release| release.weight > 0);
            if !good && !alone && !gets(&before, &release.image.digest) {
                self.wrong.push(format!("{} got traffic and was never ready", release.image.digest.hex()));
            }
        }
        running.before = before;
        running.desired = Some(desired.clone());
    }
}

#[async_trait]
impl Workloads for FakeWorkloads {
    async fn observe(&self, workload: &Workload) -> Result<Observed, PortError> {
        let act = || {
            let stale = self.air.chance(|faults| faults.stale);
            let state = self.lock();
            match state.workloads.get(workload) {
                Some(running) if stale => Ok(running.before.clone()),
                _ => Ok(state.observe(workload, self.air.now())),
            }
        };
        self.air.call("workloads observe", act).await
    }

    async fn apply(&self, desired: &Desired) -> Result<(), PortError> {
        let act = || {
            let mut state = self.lock();
            let fence = if self.hole == Some(Hole::NoFence) { None } else { state.fence(desired) };
            match fence {
                Some(true) => Ok(()),
                Some(false) => {
                    let why = "a newer generation or step was applied, or another wish under the same";
                    Err(PortError::new(ErrorKind::Conflict, format!("apply {}", desired.workload), why))
                }
                None => {
                    state.apply(desired, self.air.now());
                    Ok(())
                }
            }
        };
        self.air.call("workloads apply", act).await
    }
}
