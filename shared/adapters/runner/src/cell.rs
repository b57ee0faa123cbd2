//! One release as the proxy, the API and its supervisor share it.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use longshore_events::Digest;
use longshore_ports::{ObservedRelease, Phase, Workload};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use crate::changes::Changes;
use crate::proxy::Pool;
use crate::wire::ListedRelease;

/// Locks a mutex whose data is valid after each statement, so that a panic elsewhere cannot have left it half done.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One release that exists.
#[derive(Debug)]
pub(crate) struct Cell {
    /// Of which workload.
    pub(crate) workload: Workload,
    /// Its number.
    pub(crate) release: u64,
    /// What runs.
    pub(crate) digest: Digest,
    /// Where its output goes.
    pub(crate) log: PathBuf,
    /// Idle connections to its process.
    pub(crate) pool: Pool,
    /// Told by the proxy when a request failed: the supervisor probes at once.
    pub(crate) suspect: Notify,
    /// Requests sent to it.
    pub(crate) requests: AtomicU64,
    /// Requests that failed.
    pub(crate) errors: AtomicU64,
    status: Mutex<Status>,
    open: watch::Sender<usize>,
    changes: Arc<Changes>,
    /// Told when the workload's releases should be looked at again.
    wake: Arc<Notify>,
}

/// How a release stands.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Status {
    /// Its phase.
    pub(crate) phase: Phase,
    /// Why.
    pub(crate) reason: Option<String>,
    /// Starts after the first.
    pub(crate) restarts: u32,
    /// From its start until it listened, in milliseconds.
    pub(crate) boot_ms: Option<u64>,
    /// Its port.
    pub(crate) port: Option<u16>,
    /// Its process.
    pub(crate) pid: Option<u32>,
    /// Since when it is ready without a break.
    pub(crate) ready_since: Option<Instant>,
}

impl Cell {
    /// A release that is about to be fetched.
    pub(crate) fn new(
        workload: Workload,
        release: u64,
        digest: Digest,
        log: PathBuf,
        changes: Arc<Changes>,
        wake: Arc<Notify>,
    ) -> Self {
        let status = Status {
            phase: Phase::Pulling,
            reason: None,
            restarts: 0,
            boot_ms: None,
            port: None,
            pid: None,
            ready_since: None,
        };
        Self {
            workload,
            release,
            digest,
            log,
            pool: Pool::default(),
            suspect: Notify::new(),
            requests: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            status: Mutex::new(status),
            open: watch::Sender::new(0),
            changes,
            wake,
        }
    }

    /// How it stands now.
    pub(crate) fn status(&self) -> Status {
        locked(&self.status).clone()
    }

    /// Its phase now.
    pub(crate) fn phase(&self) -> Phase {
        locked(&self.status).phase
    }

    /// Changes how it stands, and tells those who wait, if it is a change.
    pub(crate) fn update(&self, change: impl FnOnce(&mut Status)) {
        let changed = {
            let mut status = locked(&self.status);
            let before = status.clone();
            change(&mut status);
            let ready = status.phase == Phase::Ready;
            status.ready_since = ready.then(|| status.ready_since.unwrap_or_else(Instant::now));
            *status != before
        };
        if changed {
            self.changes.say(&self.workload);
            self.wake.notify_one();
        }
    }

    /// Changes its phase.
    pub(crate) fn stand(&self, phase: Phase, reason: Option<String>) {
        self.update(|status| (status.phase, status.reason) = (phase, reason));
    }

    /// Opens a request, if it is in one of `phases`. Nothing can be opened once it stops, so that it drains.
    pub(crate) fn enter(self: &Arc<Self>, phases: &[Phase]) -> Option<Open> {
        let status = locked(&self.status);
        let port = status.port.filter(|_| phases.contains(&status.phase))?;
        self.open.send_modify(|open| *open += 1);
        self.requests.fetch_add(1, Ordering::Relaxed);
        Some(Open { cell: Arc::clone(self), port })
    }

    /// Waits until no request is open.
    pub(crate) async fn drained(&self) {
        // The sender lives as long as `self`, so that waiting cannot fail.
        let _ = self.open.subscribe().wait_for(|open| *open == 0).await;
    }

    /// As the port shows it.
    pub(crate) fn observed(&self, weight: u8) -> ObservedRelease {
        let status = self.status();
        ObservedRelease {
            release: self.release,
            digest: self.digest.clone(),
            weight: if status.phase == Phase::Stopping { 0 } else { weight },
            phase: status.phase,
            reason: status.reason,
            restarts: status.restarts,
            boot_ms: status.boot_ms,
        }
    }

    /// As the list shows it.
    pub(crate) fn listed(&self, weight: u8) -> ListedRelease {
        let status = self.status();
        ListedRelease {
            observed: self.observed(weight),
            pid: status.pid,
            port: status.port,
            open: *self.open.borrow(),
            requests: self.requests.load(Ordering::Relaxed),
            errors: self.errors.load(Ordering::Relaxed),
            log: self.log.clone(),
        }
    }
}

/// An open request; it counts until dropped.
#[derive(Debug)]
pub(crate) struct Open {
    /// To which release it goes.
    pub(crate) cell: Arc<Cell>,
    /// The port of the release's process.
    pub(crate) port: u16,
}

impl Open {
    /// Notes that it failed.
    pub(crate) fn failed(&self) {
        self.cell.errors.fetch_add(1, Ordering::Relaxed);
        self.cell.suspect.notify_one();
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.cell.open.send_modify(|open| *open = open.saturating_sub(1));
    }
}
