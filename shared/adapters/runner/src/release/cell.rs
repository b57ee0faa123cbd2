//! One release as the proxy, the API and its supervisor share it.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hyper::header::HeaderValue;
use longshore_events::Digest;
use longshore_ports::{ObservedRelease, Phase, Workload};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::meter::Meter;
use crate::changes::Changes;
use crate::clock::now_ms;
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
    /// Its number and its digest, as headers of its answers.
    pub(crate) labels: [HeaderValue; 2],
    /// Where its output goes.
    pub(crate) log: PathBuf,
    /// Idle connections to its process.
    pub(crate) pool: Pool,
    /// Told by the proxy when a request failed: the supervisor probes at once.
    pub(crate) suspect: Notify,
    /// What it did, by time.
    pub(crate) meter: Meter,
    /// Requests sent to it.
    requests: AtomicU64,
    /// Requests that failed.
    errors: AtomicU64,
    status: Mutex<Status>,
    /// The port of its process while it is ready, 0 while it is not: all that a request has to look at.
    door: AtomicU16,
    open: AtomicUsize,
    /// Told when the last open request ends behind a closed door.
    last: Notify,
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
    /// When this runner started its process.
    pub(crate) started: Option<Instant>,
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
            started: None,
        };
        let label = HeaderValue::from_str(digest.as_str()).unwrap_or(HeaderValue::from_static("unknown"));
        Self {
            workload,
            release,
            digest,
            labels: [HeaderValue::from(release), label],
            log,
            pool: Pool::default(),
            suspect: Notify::new(),
            meter: Meter::new(now_ms()),
            requests: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            status: Mutex::new(status),
            door: AtomicU16::new(0),
            open: AtomicUsize::new(0),
            last: Notify::new(),
            changes,
            wake,
        }
    }

    /// How it stands now.
    pub(crate) fn status(&self) -> Status {
        locked(&self.status).clone()
    }

    /// Changes how it stands, and tells those who wait, if it is a change.
    pub(crate) fn update(&self, change: impl FnOnce(&mut Status)) {
        let changed = {
            let mut status = locked(&self.status);
            let before = status.clone();
            change(&mut status);
            let ready = status.phase == Phase::Ready;
            status.ready_since = ready.then(|| status.ready_since.unwrap_or_else(Instant::now));
            self.door.store(status.port.filter(|_| ready).unwrap_or(0), Ordering::SeqCst);
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

    /// Whether it takes requests.
    pub(crate) fn is_ready(&self) -> bool {
        self.door.load(Ordering::SeqCst) != 0
    }

    /// Opens a request, if it is ready. Nothing can be opened once it stops, so that it drains.
    pub(crate) fn enter(self: &Arc<Self>) -> Option<Open> {
        // Counted before the look at the door: who closes it sees the count, or we see it closed.
        self.open.fetch_add(1, Ordering::SeqCst);
        let port = self.door.load(Ordering::SeqCst);
        let noted = AtomicBool::new(port == 0);
        let open = Open { cell: Arc::clone(self), port, begun: Instant::now(), noted };
        if port == 0 {
            return None;
        }
        self.requests.fetch_add(1, Ordering::Relaxed);
        Some(open)
    }

    /// Waits until no request is open, once it takes no more.
    pub(crate) async fn drained(&self) {
        loop {
            let told = self.last.notified();
            if self.open.load(Ordering::SeqCst) == 0 {
                return;
            }
            told.await;
        }
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
            open: self.open.load(Ordering::SeqCst),
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
    begun: Instant,
    /// How it went is known.
    noted: AtomicBool,
}

impl Open {
    /// Notes that the head of its answer is there, and whether that is an error of the release.
    pub(crate) fn answered(&self, is_error: bool) {
        self.cell.errors.fetch_add(u64::from(is_error), Ordering::Relaxed);
        self.note(is_error);
    }

    /// Notes that it got no answer: whether the release is well is looked at now.
    pub(crate) fn failed(&self) {
        self.answered(true);
        self.cell.suspect.notify_one();
    }

    fn note(&self, failed: bool) {
        if !self.noted.swap(true, Ordering::Relaxed) {
            self.cell.meter.request(now_ms(), self.begun.elapsed(), failed);
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        // A client that left before there was an answer: it took so long at least.
        self.note(false);
        if self.cell.open.fetch_sub(1, Ordering::SeqCst) == 1 && !self.cell.is_ready() {
            self.cell.last.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::cell;

    #[tokio::test]
    async fn what_was_opened_holds_a_closed_door_until_its_end() {
        let cell = cell(1);
        assert!(cell.enter().is_none());
        cell.update(|status| (status.phase, status.port) = (Phase::Ready, Some(7)));
        let open = cell.enter().unwrap();
        assert_eq!((open.port, cell.listed(0).open), (7, 1));
        cell.stand(Phase::Stopping, None);
        assert!(cell.enter().is_none());
        let ((), ()) = tokio::join!(cell.drained(), async { drop(open) });
        assert_eq!((cell.listed(0).open, cell.listed(0).requests), (0, 1));
    }
}
