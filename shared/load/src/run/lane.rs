//! What all VUs of one event loop share, and what all loops of a run do.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

use super::checks::Checks;
use crate::fiber::Reactor;
use crate::http::Network;
use crate::log::Log;
use crate::metrics::{MetricId, Names, Store, Tagged};
use crate::options::Options;
use crate::output::Samples;
use crate::script::Sources;

/// A run, for all its threads.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) sources: Arc<Sources>,
    pub(crate) names: Arc<Names>,
    pub(crate) env: Arc<Vec<(String, String)>>,
    pub(crate) log: Arc<Log>,
    pub(crate) options: Options,
    pub(crate) network: Arc<Network>,
    /// When iterations began; not before setup has ended.
    pub(crate) begun: OnceLock<Instant>,
    /// What setup returned, as JSON.
    pub(crate) data: OnceLock<String>,
    pub(crate) progress: Vec<Progress>,
    pub(crate) stopping: AtomicBool,
    stop: Mutex<Option<Stop>>,
    /// Bytes of JavaScript objects that a VU may have.
    pub(crate) memory: usize,
}

/// Why a run ends before its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Somebody asked for it.
    Asked,
    /// A threshold that aborts.
    Threshold,
    /// The script called `exec.test.abort`.
    Script(String),
    /// The engine cannot go on.
    Failed(String),
}

/// How far a scenario is.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// Iterations begun, by all loops.
    pub(crate) begun: AtomicU64,
    pub(crate) complete: AtomicU64,
    pub(crate) interrupted: AtomicU64,
    pub(crate) active: AtomicU64,
    pub(crate) made: AtomicU64,
    pub(crate) dropped: AtomicU64,
}

impl Run {
    pub(crate) fn new(
        sources: Arc<Sources>,
        names: Arc<Names>,
        env: Arc<Vec<(String, String)>>,
        log: Arc<Log>,
        options: Options,
        network: Arc<Network>,
        memory: usize,
    ) -> Arc<Self> {
        let progress = options.scenarios.iter().map(|_| Progress::default()).collect();
        Arc::new(Self {
            sources,
            names,
            env,
            log,
            options,
            network,
            begun: OnceLock::new(),
            data: OnceLock::new(),
            progress,
            stopping: AtomicBool::new(false),
            stop: Mutex::default(),
            memory,
        })
    }

    /// Ends the run; the first reason counts.
    pub(crate) fn stop(&self, why: Stop) {
        self.stop.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(why);
        self.stopping.store(true, Ordering::Release);
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Why it ends before its time.
    pub(crate) fn why(&self) -> Option<Stop> {
        self.stop.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Nanoseconds since iterations began.
    pub(crate) fn elapsed(&self, now: Instant) -> u64 {
        let begun = self.begun.get().copied().unwrap_or(now);
        u64::try_from(now.saturating_duration_since(begun).as_nanos()).unwrap_or(u64::MAX)
    }

    /// The sum of a count over all scenarios.
    pub(crate) fn total(&self, of: fn(&Progress) -> &AtomicU64) -> u64 {
        self.progress.iter().map(|progress| of(progress).load(Ordering::Relaxed)).sum()
    }
}

/// One event loop's part of a run.
pub(crate) struct Lane {
    pub(crate) run: Arc<Run>,
    pub(crate) reactor: Rc<Reactor>,
    pub(crate) store: RefCell<Store>,
    pub(crate) checks: RefCell<Checks>,
    pub(crate) samples: Option<RefCell<Samples>>,
}

impl Lane {
    /// Counts a value.
    pub(crate) fn emit(&self, id: MetricId, value: f64, tags: &dyn Tagged) {
        self.emit_all(&[(id, value)], tags);
    }

    /// Counts values of one time with the same tags.
    pub(crate) fn emit_all(&self, values: &[(MetricId, f64)], tags: &dyn Tagged) {
        let now = Instant::now();
        let since = self.run.elapsed(now);
        let mut store = self.store.borrow_mut();
        for (id, value) in values {
            store.add(*id, *value, since, tags);
        }
        if let Some(samples) = &self.samples {
            let clock = self.run.log.clock(now);
            for (id, value) in values {
                samples.borrow_mut().add(&clock, *id, *value, tags);
            }
        }
    }
}
