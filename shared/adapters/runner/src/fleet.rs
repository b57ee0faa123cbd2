//! All workloads: what was ordered of each, and the releases that exist.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use longshore_ports::{Desired, DesiredRelease, Observed, Phase, Workload};
use tokio::sync::{Notify, watch};

use crate::cell::{Cell, Open, locked};
use crate::changes::Changes;
use crate::error::{Refused, RunnerError};
use crate::fence::{self, Verdict};
use crate::images::Store;
use crate::ports::Ports;
use crate::process::Process;
use crate::state::{Record, State, Stored};
use crate::supervise::supervise;
use crate::wire::Listed;

/// How long a process that no order names any more has to end.
const STRAY_GRACE: Duration = Duration::from_secs(10);

/// Everything that the runner runs.
pub(crate) struct Fleet {
    pub(crate) state: State,
    pub(crate) store: Arc<Store>,
    pub(crate) ports: Ports,
    pub(crate) changes: Arc<Changes>,
    pub(crate) wake: Arc<Notify>,
    logs: PathBuf,
    live: Mutex<BTreeMap<Workload, Live>>,
    /// One order at a time: each is durable before the next is compared with it.
    ordering: tokio::sync::Mutex<bool>,
    turn: AtomicUsize,
}

/// A workload with its releases.
struct Live {
    stored: Stored,
    releases: BTreeMap<u64, Running>,
}

/// A release that exists.
#[derive(Clone)]
struct Running {
    cell: Arc<Cell>,
    stop: watch::Sender<bool>,
}

impl Fleet {
    pub(crate) fn new(data: &std::path::Path, store: Arc<Store>, changes: Arc<Changes>) -> Self {
        Self {
            state: State::new(data),
            store,
            ports: Ports::new(std::process::id()),
            changes,
            wake: Arc::new(Notify::new()),
            logs: data.join("logs"),
            live: Mutex::default(),
            ordering: tokio::sync::Mutex::new(true),
            turn: AtomicUsize::new(0),
        }
    }

    /// Goes on where an earlier runner ended: its processes are found again.
    pub(crate) fn resume(self: &Arc<Self>) -> Result<(), RunnerError> {
        let loaded = self.state.load()?;
        let needed = loaded
            .iter()
            .flat_map(|(stored, _)| &stored.desired.releases)
            .map(|release| &release.image.digest);
        self.store.sweep(&needed.collect())?;
        for (stored, records) in loaded {
            for record in &records {
                self.ports.note(record.port);
            }
            let workload = stored.desired.workload.clone();
            locked(&self.live)
                .insert(workload.clone(), Live { stored: stored.clone(), releases: BTreeMap::new() });
            for record in records {
                if !stored.desired.releases.iter().any(|release| release.release == record.release) {
                    tokio::spawn(Arc::clone(self).end_stray(workload.clone(), record));
                }
            }
            self.converge(&workload);
        }
        Ok(())
    }

    async fn end_stray(self: Arc<Self>, workload: Workload, record: Record) {
        if let Some(incarnation) = record.process
            && let Ok(Some(mut process)) = Process::adopt(incarnation)
        {
            process.end(STRAY_GRACE).await;
        }
        self.ended(&workload, &record);
    }

    /// Takes an order: durable when this returns, reached later.
    pub(crate) async fn apply(self: &Arc<Self>, order: Desired) -> Result<(), Refused> {
        let open = self.ordering.lock().await;
        if !*open {
            return Err(Refused::Unavailable("the runner is on its way out".into()));
        }
        check(&order)?;
        let known = locked(&self.live).get(&order.workload).map(|live| live.stored.clone());
        match fence::check(known.as_ref().map(|stored| &stored.desired), &order) {
            Verdict::Same => return Ok(()),
            Verdict::Newer => {}
            Verdict::Older => {
                return Err(Refused::Conflict("a newer generation or step was applied before".into()));
            }
            Verdict::Other => {
                return Err(Refused::Conflict(
                    "the same generation and step stands for something else".into(),
                ));
            }
        }
        let workload = order.workload.clone();
        let mut stored = known.unwrap_or_else(|| Stored::new(order.clone()));
        let shares = order.releases.iter().filter(|release| release.weight > 0);
        stored.trusted.extend(shares.map(|release| release.release));
        stored.desired = order;
        let (state, durable) = (self.state.clone(), stored.clone());
        let saved =
            crate::images::blocking(move || state.save(&durable).map_err(std::io::Error::other)).await;
        saved.map_err(|error| Refused::Unavailable(error.to_string()))?;
        let mut live = locked(&self.live);
        match live.get_mut(&workload) {
            Some(known) => known.stored = stored,
            None => drop(live.insert(workload.clone(), Live { stored, releases: BTreeMap::new() })),
        }
        drop(live);
        self.changes.say(&workload);
        self.converge(&workload);
        Ok(())
    }

    /// Starts what is missing, and stops what is not named any more.
    fn converge(self: &Arc<Self>, workload: &Workload) {
        let mut live = locked(&self.live);
        let Some(live) = live.get_mut(workload) else { return };
        for (number, running) in &live.releases {
            if !live.stored.desired.releases.iter().any(|release| release.release == *number) {
                running.stop.send_replace(true);
            }
        }
        for release in live.stored.desired.releases.clone() {
            if !live.releases.contains_key(&release.release) {
                let before = live.stored.past.get(&release.release).copied().unwrap_or(0);
                let running = self.start(workload, release.clone(), before);
                live.releases.insert(release.release, running);
            }
        }
    }

    fn start(self: &Arc<Self>, workload: &Workload, release: DesiredRelease, before: u32) -> Running {
        let log = self.logs.join(workload.environment.as_str()).join(workload.service.as_str());
        let cell = Arc::new(Cell::new(
            workload.clone(),
            release.release,
            release.image.digest.clone(),
            log.join(format!("{}.log", release.release)),
            Arc::clone(&self.changes),
            Arc::clone(&self.wake),
        ));
        let stop = watch::Sender::new(false);
        let (fleet, running) = (Arc::clone(self), Running { cell: Arc::clone(&cell), stop: stop.clone() });
        let workload = workload.clone();
        tokio::spawn(async move {
            let record = supervise(&fleet, &cell, &release, stop.subscribe(), before).await;
            fleet.ended(&workload, &record);
            fleet.store.leave(&release.image.digest).await;
        });
        running
    }

    /// A release has ended for good.
    fn ended(&self, workload: &Workload, record: &Record) {
        let stored = {
            let mut live = locked(&self.live);
            let Some(live) = live.get_mut(workload) else { return };
            live.releases.remove(&record.release);
            live.stored.ended(record.release, record.starts);
            live.stored.clone()
        };
        let saved = self.state.save(&stored).and_then(|()| self.state.forget(workload, record.release));
        if let Err(error) = saved {
            tracing::error!(%workload, release = record.release, %error, "cannot forget a release that ended");
        }
        self.ports.give_back(record.port);
        self.changes.say(workload);
        self.wake.notify_waiters();
    }

    /// What runs of a workload.
    pub(crate) fn observe(&self, workload: &Workload) -> Observed {
        let live = locked(&self.live);
        let Some(live) = live.get(workload) else { return Observed::default() };
        let desired = &live.stored.desired;
        let releases = live.releases.iter();
        Observed {
            generation: desired.generation,
            step: desired.step,
            releases: releases.map(|(number, running)| running.cell.observed(live.weight(*number))).collect(),
        }
    }

    /// Every workload.
    pub(crate) fn list(&self) -> Vec<Listed> {
        let live = locked(&self.live);
        live.iter()
            .map(|(workload, one)| Listed {
                workload: workload.clone(),
                generation: one.stored.desired.generation,
                step: one.stored.desired.step,
                hosts: hosts(workload),
                releases: one
                    .releases
                    .iter()
                    .map(|(number, running)| running.cell.listed(one.weight(*number)))
                    .collect(),
            })
            .collect()
    }

    /// The log of a release: of the newest one where none is named.
    pub(crate) fn log(&self, workload: &Workload, release: Option<u64>) -> Option<PathBuf> {
        let folder = self.logs.join(workload.environment.as_str()).join(workload.service.as_str());
        let newest =
            || locked(&self.live).get(workload).and_then(|live| live.releases.keys().next_back().copied());
        let release = release.or_else(newest)?;
        Some(folder.join(format!("{release}.log")))
    }

    /// The release that takes the next request for `host`; an error says why none does.
    pub(crate) fn route(&self, host: &str) -> Result<Open, Unroutable> {
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name).to_ascii_lowercase();
        let live = locked(&self.live);
        let mut matching = live.iter().filter(|(workload, _)| hosts(workload).contains(&name));
        let only = || if live.len() == 1 { live.values().next() } else { None };
        let known = || live.keys().flat_map(hosts).collect();
        // `service.localhost` in two environments names neither.
        let found = match (matching.next(), matching.next()) {
            (Some((_, live)), None) => Some(live),
            (Some(_), Some(_)) => None,
            (None, _) => only(),
        };
        found.ok_or_else(|| Unroutable::Unknown(known()))?.choose(self.turn.fetch_add(1, Ordering::Relaxed))
    }

    /// Ends everything: nothing is left running when this returns.
    pub(crate) async fn shutdown(&self) {
        *self.ordering.lock().await = false;
        for running in locked(&self.live).values().flat_map(|live| live.releases.values()) {
            running.stop.send_replace(true);
        }
        loop {
            let told = self.wake.notified();
            if locked(&self.live).values().all(|live| live.releases.is_empty()) {
                return;
            }
            let _ = tokio::time::timeout(Duration::from_millis(100), told).await;
        }
    }
}

/// Why no release takes a request.
pub(crate) enum Unroutable {
    /// No workload has that name; these are known.
    Unknown(Vec<String>),
    /// No release of it is ready.
    NotReady,
}

impl Live {
    fn weight(&self, release: u64) -> u8 {
        let named = self.stored.desired.releases.iter().find(|named| named.release == release);
        named.map_or(0, |named| named.weight)
    }

    /// By weight among those that are ready; when none with a weight is, one that had the traffic before.
    fn choose(&self, turn: usize) -> Result<Open, Unroutable> {
        let ready =
            |number: &u64| self.releases.get(number).filter(|running| running.cell.phase() == Phase::Ready);
        let desired = &self.stored.desired.releases;
        let weighted: Vec<(u64, usize)> = desired
            .iter()
            .filter(|release| release.weight > 0 && ready(&release.release).is_some())
            .map(|release| (release.release, usize::from(release.weight)))
            .collect();
        let total: usize = weighted.iter().map(|(_, weight)| weight).sum();
        // 37 has no factor in common with 100: the shares are mixed rather than in blocks, and exact over a round.
        let mut at = if total == 0 { 0 } else { turn.wrapping_mul(37) % total };
        let by_weight = weighted.iter().find(|(_, weight)| {
            let here = at < *weight;
            at = at.saturating_sub(*weight);
            here
        });
        let standing_in = || self.stored.trusted.iter().rev().copied().find(|number| ready(number).is_some());
        let number = by_weight.map(|(number, _)| *number).or_else(standing_in).ok_or(Unroutable::NotReady)?;
        let cell = self.releases.get(&number).map(|running| &running.cell);
        cell.and_then(|cell| cell.enter(&[Phase::Ready])).ok_or(Unroutable::NotReady)
    }
}

/// The `Host` headers by which the proxy knows a workload.
fn hosts(workload: &Workload) -> Vec<String> {
    let Workload { environment, service } = workload;
    vec![format!("{service}.{environment}.localhost"), format!("{service}.localhost")]
}

fn check(order: &Desired) -> Result<(), Refused> {
    let total: u32 = order.releases.iter().map(|release| u32::from(release.weight)).sum();
    let mut numbers: Vec<u64> = order.releases.iter().map(|release| release.release).collect();
    numbers.sort_unstable();
    numbers.dedup();
    if numbers.len() != order.releases.len() {
        return Err(Refused::Invalid("a release is named twice".into()));
    }
    if !order.releases.is_empty() && total != 100 {
        return Err(Refused::Invalid(format!("the weights make {total} percent, not 100")));
    }
    Ok(())
}
