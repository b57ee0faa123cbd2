//! All workloads: what was ordered of each, and the releases that exist.

mod order;
mod routing;

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use longshore_events::Digest;
use longshore_ports::{Desired, DesiredRelease, Observed, Phase, Workload};
use tokio::sync::{Notify, watch};

pub(crate) use self::routing::Unroutable;
use self::routing::hosts;
use crate::cell::{Cell, locked};
use crate::changes::Changes;
use crate::error::{Refused, RunnerError};
use crate::fence::{self, Verdict};
use crate::images::{Store, blocking};
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
    /// One change of what is durable at a time: each is written before the next is compared with it.
    ordering: tokio::sync::Mutex<Doors>,
    turn: AtomicUsize,
}

/// Whether orders are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doors {
    Open,
    Closed,
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
            ordering: tokio::sync::Mutex::new(Doors::Open),
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
                    self.end_stray(&workload, record);
                }
            }
            self.converge(&workload);
        }
        Ok(())
    }

    /// Ends a release that an earlier runner was about to end.
    fn end_stray(self: &Arc<Self>, workload: &Workload, record: Record) {
        let running = self.running(workload, record.release, record.digest.clone());
        running.cell.stand(Phase::Stopping, None);
        if let Some(live) = locked(&self.live).get_mut(workload) {
            live.releases.insert(record.release, running);
        }
        let (fleet, workload) = (Arc::clone(self), workload.clone());
        tokio::spawn(async move {
            if let Some(incarnation) = record.process {
                Process::end_found(incarnation, STRAY_GRACE).await;
            }
            fleet.ended(&workload, &record).await;
        });
    }

    /// Takes an order: durable when this returns, reached later.
    pub(crate) async fn apply(self: &Arc<Self>, order: Desired) -> Result<(), Refused> {
        let doors = self.ordering.lock().await;
        if *doors == Doors::Closed {
            return Err(Refused::Unavailable("the runner is on its way out".into()));
        }
        order::check(&order)?;
        let known = locked(&self.live).get(&order.workload).map(|live| live.stored.clone());
        match fence::check(known.as_ref().map(|stored| &stored.desired), &order) {
            Verdict::Same => return Ok(()),
            Verdict::Newer => {
                let before = known.as_ref().map(|stored| stored.desired.releases.as_slice());
                order::check_known(&order, before.unwrap_or_default())?;
            }
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
        let saved = blocking(move || state.save(&durable).map_err(io::Error::other)).await;
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

    fn running(&self, workload: &Workload, release: u64, digest: Digest) -> Running {
        let log = self.logs.join(workload.environment.as_str()).join(workload.service.as_str());
        let cell = Cell::new(
            workload.clone(),
            release,
            digest,
            log.join(format!("{release}.log")),
            Arc::clone(&self.changes),
            Arc::clone(&self.wake),
        );
        Running { cell: Arc::new(cell), stop: watch::Sender::new(false) }
    }

    fn start(self: &Arc<Self>, workload: &Workload, release: DesiredRelease, before: u32) -> Running {
        let running = self.running(workload, release.release, release.image.digest.clone());
        let (fleet, cell, stop) = (Arc::clone(self), Arc::clone(&running.cell), running.stop.subscribe());
        let workload = workload.clone();
        tokio::spawn(async move {
            let record = supervise(&fleet, &cell, &release, stop, before).await;
            fleet.ended(&workload, &record).await;
            fleet.store.leave(&release.image.digest).await;
        });
        running
    }

    /// A release has ended for good; it is started anew if an order has named it again meanwhile.
    async fn ended(self: &Arc<Self>, workload: &Workload, record: &Record) {
        let doors = self.ordering.lock().await;
        let stored = {
            let mut live = locked(&self.live);
            let Some(live) = live.get_mut(workload) else { return };
            live.stored.ended(record.release, record.starts);
            live.stored.clone()
        };
        let (state, of, release) = (self.state.clone(), workload.clone(), record.release);
        let forget = move || state.save(&stored).and_then(|()| state.forget(&of, release));
        if let Err(error) = blocking(move || forget().map_err(io::Error::other)).await {
            tracing::error!(%workload, release, %error, "cannot forget a release that ended");
        }
        if let Some(live) = locked(&self.live).get_mut(workload) {
            live.releases.remove(&release);
        }
        self.ports.give_back(record.port);
        self.changes.say(workload);
        if *doors == Doors::Open {
            self.converge(workload);
        }
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

    /// Ends everything: nothing is left running when this returns.
    pub(crate) async fn shutdown(&self) {
        *self.ordering.lock().await = Doors::Closed;
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
