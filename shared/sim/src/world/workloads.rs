//! What runs: releases that start, become ready or never do, and get traffic.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use longshore_events::Digest;
use longshore_ports::{
    Clock, Desired, ErrorKind, Observed, ObservedRelease, Phase, PortError, Progress, Workload, Workloads,
};

use super::Hole;
use crate::Air;

/// An answer may be as old as this, in milliseconds.
const STALENESS_MS: i64 = 2_000;
/// How long a cluster works on a wish.
const WORKS: SignedDuration = SignedDuration::from_millis(400);

/// A process runner or a cluster, as far as `deploy` can tell.
pub struct FakeWorkloads {
    air: Arc<Air>,
    hole: Option<Hole>,
    /// It is a cluster: it comes to a wish only when that is applied once more, after a while.
    is_cluster: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    workloads: BTreeMap<Workload, Running>,
    bad: BTreeSet<Digest>,
    faults: BTreeMap<(Workload, u64), Fault>,
    wrong: Vec<String>,
}

/// A fault that was put into a workload on purpose; it ends by itself, if nobody ends it.
struct Fault {
    until: Timestamp,
    reverted: bool,
}

#[derive(Default)]
struct Running {
    desired: Option<Desired>,
    started: BTreeMap<u64, Timestamp>,
    applied: Timestamp,
    /// When the wish was applied once more, after the outside had come to where that helps.
    again: Option<Timestamp>,
    before: Observed,
    log: Vec<Shares>,
}

/// Who had which share of the traffic from some moment on.
#[derive(Debug, Clone)]
pub(super) struct Shares {
    since: Timestamp,
    /// Number, digest and share in percent.
    pub(super) releases: Vec<(u64, Digest, u8)>,
}

impl FakeWorkloads {
    /// Nothing runs.
    pub fn new(air: Arc<Air>, hole: Option<Hole>) -> Self {
        Self { air, hole, is_cluster: false, state: Mutex::default() }
    }

    /// It is a cluster: it comes to a wish only when that is applied once more, after a while; and what it replaced in
    /// place it can bring back.
    #[must_use]
    pub fn as_cluster(self, is_cluster: bool) -> Self {
        Self { is_cluster, ..self }
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

    /// Who had which share of each workload's traffic, in order.
    pub(super) fn traffic(&self) -> Vec<(Workload, Vec<Shares>)> {
        let state = self.lock();
        state.workloads.iter().map(|(workload, running)| (workload.clone(), running.log.clone())).collect()
    }

    /// The shares that a release had in a span of time, each with how long, in milliseconds.
    pub(super) fn shares(
        &self,
        workload: &Workload,
        release: u64,
        from: Timestamp,
        until: Timestamp,
    ) -> Vec<(u8, u64)> {
        let state = self.lock();
        let log = state.workloads.get(workload).map(|running| running.log.as_slice()).unwrap_or_default();
        let ends = log.iter().skip(1).map(|next| next.since).chain([until]);
        let spans = log.iter().zip(ends).filter_map(|(shares, end)| {
            let ms = shares.since.max(from).duration_until(end.min(until)).as_millis();
            let weight = shares.releases.iter().find(|(number, ..)| *number == release)?.2;
            Some((weight, u64::try_from(ms).ok()?))
        });
        spans.collect()
    }

    /// Puts a fault into a workload until then. Named: the same again is no other, and one that was ended stays so.
    ///
    /// # Errors
    /// Those of the air.
    pub async fn disturb(&self, workload: &Workload, name: u64, until: Timestamp) -> Result<(), PortError> {
        let act = || {
            let mut state = self.lock();
            let key = (workload.clone(), name);
            if until <= self.air.now() || state.faults.contains_key(&key) {
                return Ok(());
            }
            self.air.note(|| format!("fault {name} is put into {workload}"));
            let desired = state.workloads.get(workload).and_then(|running| running.desired.as_ref());
            if desired.is_some_and(|desired| desired.releases.len() > 1) {
                state.wrong.push(format!("a fault was put into {workload} in mid-rollout"));
            }
            state.faults.insert(key, Fault { until, reverted: false });
            Ok(())
        };
        self.air.call("workloads disturb", act).await
    }

    /// Ends a fault; one that never was never will be.
    ///
    /// # Errors
    /// Those of the air.
    pub async fn soothe(&self, workload: &Workload, name: u64) -> Result<(), PortError> {
        let act = || {
            self.air.note(|| format!("fault {name} of {workload} is ended"));
            let until = self.air.now();
            let mut state = self.lock();
            let fault = state.faults.entry((workload.clone(), name));
            fault.or_insert(Fault { until, reverted: true }).reverted = true;
            Ok(())
        };
        self.air.call("workloads soothe", act).await
    }

    /// Whether a fault is there; the answer may be old.
    ///
    /// # Errors
    /// Those of the air.
    pub async fn is_disturbed(&self, workload: &Workload, name: u64) -> Result<bool, PortError> {
        let act = || {
            let stale = self.air.chance(|faults| faults.stale);
            let fault = self.lock();
            let fault = fault.faults.get(&(workload.clone(), name));
            Ok(fault.is_some_and(|fault| self.air.now() < fault.until && (stale || !fault.reverted)))
        };
        self.air.call("workloads is disturbed", act).await
    }

    /// How far a cluster has come with a wish.
    fn progress(&self, running: &Running, now: Timestamp) -> Progress {
        match running.again {
            _ if !self.is_cluster => Progress::Settled,
            _ if now < running.applied + WORKS => Progress::Working,
            Some(again) if again <= now => Progress::Settled,
            _ => Progress::Again,
        }
    }

    fn starts_ready_at(started: Timestamp) -> Timestamp {
        started + SignedDuration::from_millis(300)
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
            progress: Progress::Settled,
        }
    }

    /// Whether the wish must be refused: `Some(false)` is an older or another one, `Some(true)` the same again.
    fn fence(&self, desired: &Desired) -> Option<bool> {
        let applied = self.workloads.get(&desired.workload)?.desired.as_ref()?;
        let (old, new) = ((applied.generation, applied.step), (desired.generation, desired.step));
        if new > old { None } else { Some(new == old && applied == desired) }
    }

    fn apply(&mut self, desired: &Desired, now: Timestamp, is_cluster: bool) {
        let active = |((workload, _), fault): (&(Workload, u64), &Fault)| {
            *workload == desired.workload && !fault.reverted && now < fault.until
        };
        if self.faults.iter().any(active) {
            self.wrong.push(format!("a rollout of {} met a fault", desired.workload));
        }
        let before = self.observe(&desired.workload, now);
        let seen = self.observe(&desired.workload, now - SignedDuration::from_millis(STALENESS_MS));
        let running = self.workloads.entry(desired.workload.clone()).or_default();
        for release in &desired.releases {
            let double = desired
                .releases
                .iter()
                .any(|other| other.image.digest == release.image.digest && other.release != release.release);
            if double {
                self.wrong.push(format!("{} runs twice", release.image.digest.hex()));
            }
            let gone =
                running.started.contains_key(&release.release) && before.release(release.release).is_none();
            if gone && !is_cluster {
                self.wrong.push(format!("release {} of {} came back", release.release, desired.workload));
            }
            running.started.entry(release.release).or_insert(now);
        }
        // Who was ready long enough for everybody to see it.
        let ready: Vec<u64> =
            seen.releases.iter().filter(|r| r.phase == Phase::Ready).map(|r| r.release).collect();
        let stays = |number: &u64| desired.releases.iter().any(|release| release.release == *number);
        let had_traffic = |release: &u64| before.release(*release).is_some_and(|release| release.weight > 0);
        for release in desired.releases.iter().filter(|release| release.weight > 0) {
            let steals = ready.iter().filter(|number| stays(number)).any(had_traffic)
                && !had_traffic(&release.release);
            if steals && self.bad.contains(&release.image.digest) {
                self.wrong
                    .push(format!("{} took the traffic and was never ready", release.image.digest.hex()));
            }
        }
        let share = |release: &longshore_ports::DesiredRelease| {
            (release.release, release.image.digest.clone(), release.weight)
        };
        running.log.push(Shares { since: now, releases: desired.releases.iter().map(share).collect() });
        running.applied = now;
        running.again = None;
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
            let age = if stale { self.air.below(usize::try_from(STALENESS_MS).unwrap_or(1)) } else { 0 };
            let moment = self.air.now() - SignedDuration::from_millis(i64::try_from(age).unwrap_or(0));
            match state.workloads.get(workload) {
                Some(running) if moment < running.applied => Ok(running.before.clone()),
                Some(running) => {
                    let progress = self.progress(running, moment);
                    Ok(Observed { progress, ..state.observe(workload, moment) })
                }
                None => Ok(Observed::default()),
            }
        };
        self.air.call("workloads observe", act).await
    }

    async fn apply(&self, desired: &Desired) -> Result<(), PortError> {
        let act = || {
            let mut state = self.lock();
            let fence = if self.hole == Some(Hole::NoFence) { None } else { state.fence(desired) };
            match fence {
                Some(true) => {
                    let now = self.air.now();
                    let running = state.workloads.get_mut(&desired.workload);
                    if let Some(running) = running.filter(|running| running.applied + WORKS <= now) {
                        running.again.get_or_insert(now);
                    }
                    Ok(())
                }
                Some(false) => {
                    let why = "a newer generation or step was applied, or another wish under the same";
                    Err(PortError::new(ErrorKind::Conflict, format!("apply {}", desired.workload), why))
                }
                None => {
                    self.air.note(|| describe(desired));
                    state.apply(desired, self.air.now(), self.is_cluster);
                    Ok(())
                }
            }
        };
        self.air.call("workloads apply", act).await
    }
}

/// A wish in one line of the history.
fn describe(desired: &Desired) -> String {
    use std::fmt::Write as _;
    let mut line = format!("{} becomes {}.{}:", desired.workload, desired.generation, desired.step);
    for release in &desired.releases {
        let digest = &release.image.digest.hex()[..8];
        let _ = write!(line, " {}({digest})={}%", release.release, release.weight);
    }
    line
}
