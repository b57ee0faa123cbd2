//! Measurements: what releases do under traffic is the world's to say, by digest and share.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use jiff::SignedDuration;
use longshore_events::{Digest, Measure};
use longshore_ports::{Clock, Measured, Metrics, PortError, Question, Workload};

use super::workloads::Shares;
use super::{FakeWorkloads, Hole};
use crate::Air;

/// Requests a second to a workload.
const RATE: u64 = 20;
/// What a request takes, in milliseconds, and what one takes that is slow.
const TOOK_MS: [f64; 2] = [20.0, 1_000.0];
/// An answer may be as old as this, in milliseconds.
const STALENESS_MS: i64 = 2_000;

/// How a release is bad under traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Under {
    /// From this share on, in percent, every second request fails.
    Errs(u8),
    /// From this share on requests take a second.
    Slow(u8),
    /// Nobody ever asks it for anything.
    Quiet,
}

/// Whoever measures what runs in [`FakeWorkloads`]; its answers are old at times.
pub struct FakeMetrics {
    air: Arc<Air>,
    workloads: Arc<FakeWorkloads>,
    hole: Option<Hole>,
    under: Mutex<BTreeMap<Digest, Under>>,
}

impl FakeMetrics {
    /// Every release is good, unless it is said otherwise.
    pub fn new(air: Arc<Air>, workloads: Arc<FakeWorkloads>, hole: Option<Hole>) -> Self {
        Self { air, workloads, hole, under: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Digest, Under>> {
        self.under.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How releases of this digest are bad.
    pub fn behaves(&self, digest: Digest, under: Under) {
        self.lock().insert(digest, under);
    }

    /// What went wrong, in terms of traffic: a release that measured bad beside another one had more of it afterwards, or
    /// was left alone with it.
    pub fn wrong(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        for (workload, log) in self.workloads.traffic() {
            let mut settled = BTreeSet::new();
            for (at, shares) in log.iter().enumerate() {
                let alone = shares.releases.len() == 1;
                for (_, digest, weight) in &shares.releases {
                    let before = at.checked_sub(1).map(|before| &log[before]);
                    let had = before.and_then(|before| before.of(digest));
                    if let Some(had) = had.filter(|_| !settled.contains(digest))
                        && self.is_bad(digest, had)
                        && (*weight > had || alone)
                    {
                        let hex = &digest.hex()[..8];
                        wrong
                            .push(format!("{hex} of {workload} measured bad at {had} %, and got {weight} %"));
                    }
                }
                // What once had all traffic alone was not measured then: there was nothing beside it.
                settled.extend(shares.releases.iter().filter(|_| alone).map(|(_, digest, _)| digest.clone()));
            }
        }
        wrong
    }

    fn is_bad(&self, digest: &Digest, weight: u8) -> bool {
        match self.lock().get(digest) {
            Some(Under::Errs(from) | Under::Slow(from)) => weight >= *from,
            Some(Under::Quiet) => weight > 0,
            None => false,
        }
    }

    fn answer(&self, workload: &Workload, question: &Question) -> Result<Measured, PortError> {
        let under = self.lock().get(&question.digest).copied();
        let stale = if self.air.chance(|faults| faults.stale) { STALENESS_MS } else { 0 };
        let now = self.air.now() - SignedDuration::from_millis(stale);
        let (from, until) = (question.window.from, question.window.until.min(now));
        let spans = self.workloads.shares(workload, question.release, from, until);
        let (mut requests, mut bad) = (0, 0);
        for (weight, ms) in spans.into_iter().filter(|_| under != Some(Under::Quiet)) {
            let came = u64::from(weight) * ms * RATE / 100_000;
            requests += came;
            bad += if self.is_bad(&question.digest, weight) { came } else { 0 };
        }
        if requests == 0 && self.hole == Some(Hole::NothingIsGood) {
            return Ok(Measured::of(0.0, 1_000));
        }
        #[expect(clippy::cast_precision_loss, reason = "a simulated release gets few requests")]
        let (all, part) = (requests as f64, bad as f64);
        Ok(match &question.measure {
            Measure::Requests => Measured::of(all, requests),
            Measure::ErrorRate if matches!(under, Some(Under::Errs(_))) => {
                Measured::of(50.0 * part / all.max(1.0), requests)
            }
            Measure::ErrorRate => Measured::of(0.0, requests),
            Measure::Latency(_) => {
                let slow = matches!(under, Some(Under::Slow(_))) && bad > 0;
                Measured::of(TOOK_MS[usize::from(slow)], requests)
            }
            Measure::Saturation => Measured::of(10.0, requests),
            Measure::Expression(_) => {
                return Err(PortError::invalid("measure", "nobody can read expressions here"));
            }
        })
    }
}

#[async_trait]
impl Metrics for FakeMetrics {
    async fn measure(&self, question: &Question) -> Result<Measured, PortError> {
        self.air.call("metrics measure", || self.answer(&question.workload, question)).await
    }
}

impl Shares {
    /// The share of a digest.
    fn of(&self, digest: &Digest) -> Option<u8> {
        self.releases.iter().find(|(_, known, _)| known == digest).map(|(_, _, weight)| *weight)
    }
}
