//! A scanner: what an image holds is the world's to say, by its digest.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use jiff::Timestamp;
use longshore_events::{
    Digest,
    types::{ScanScope, ScanStatus, SeverityCounts},
};
use longshore_ports::{
    BlobRef, Clock, Key, PortError, ScanOrder, ScanReport, ScanState, Scanner, ScannerVersion,
};

use super::Hole;
use crate::Air;

const NAME: &str = "sim";
const DATABASE: &str = "1";

/// What there is to see of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inside {
    /// Something that must not run.
    Dirty,
    /// Something that no scanner can look into.
    Unreadable,
    /// Something that keeps a scanner busy for ever.
    Endless,
}

/// A scanner that takes a while, and is asked by people who see an older answer at times.
pub struct FakeScanner {
    air: Arc<Air>,
    hole: Option<Hole>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    inside: HashMap<Digest, Inside>,
    /// By key: when it ends.
    scans: HashMap<String, Timestamp>,
    begun: HashMap<Digest, usize>,
    /// Images of which something else is known than when they came.
    changed: BTreeSet<Digest>,
}

impl FakeScanner {
    /// Every image is clean, unless it is said otherwise.
    pub fn new(air: Arc<Air>, hole: Option<Hole>) -> Self {
        Self { air, hole, state: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is in an image.
    pub fn holds(&self, digest: Digest, inside: Inside) {
        self.lock().inside.insert(digest, inside);
    }

    /// From now on something that must not run is known to be in an image that was clean.
    pub fn turns(&self, digest: Digest) {
        let mut state = self.lock();
        if !state.inside.contains_key(&digest) {
            state.inside.insert(digest.clone(), Inside::Dirty);
            state.changed.insert(digest);
        }
    }

    /// Images of which something else is known than when they came.
    pub fn changed(&self) -> BTreeSet<Digest> {
        self.lock().changed.clone()
    }

    /// How often each image was scanned in which there is something to see.
    pub fn begun(&self) -> Vec<(Digest, usize)> {
        let state = self.lock();
        let is_seen =
            |digest: &Digest| !matches!(state.inside.get(digest), Some(Inside::Endless | Inside::Unreadable));
        state
            .begun
            .iter()
            .filter(|(digest, _)| is_seen(digest))
            .map(|(digest, times)| (digest.clone(), *times))
            .collect()
    }

    /// The status that may be said of an image, and whether it has findings.
    pub fn truth(&self, digest: &Digest) -> (ScanStatus, bool) {
        match self.lock().inside.get(digest) {
            None => (ScanStatus::Complete, false),
            Some(Inside::Dirty) => (ScanStatus::Complete, true),
            Some(Inside::Unreadable) => (ScanStatus::Unsupported, false),
            Some(Inside::Endless) => (ScanStatus::Failed, false),
        }
    }
}

fn report(digest: &Digest, inside: Option<Inside>) -> ScanReport {
    if inside == Some(Inside::Unreadable) {
        return ScanReport::unknown(NAME, ScanStatus::Unsupported, "it is no image");
    }
    let critical = u64::from(inside == Some(Inside::Dirty));
    ScanReport {
        scanner: NAME.into(),
        database: Some(DATABASE.into()),
        scope: vec![ScanScope::Vulnerabilities],
        status: ScanStatus::Complete,
        reason: None,
        counts: SeverityCounts { critical, ..SeverityCounts::default() },
        findings_ref: Some(BlobRef::of(digest.as_str().as_bytes()).0.to_string()),
        sbom_ref: None,
    }
}

#[async_trait]
impl Scanner for FakeScanner {
    async fn version(&self) -> Result<ScannerVersion, PortError> {
        let version = ScannerVersion { scanner: NAME.into(), database: Some(DATABASE.into()) };
        self.air.call("scanner version", || Ok(version)).await
    }

    async fn start(&self, key: &Key, order: &ScanOrder) -> Result<(), PortError> {
        let act = || {
            order.stands_under(key)?;
            let ends = self.air.after(100 + self.air.below(3_000));
            let mut state = self.lock();
            if state.scans.contains_key(&key.to_string()) && self.hole != Some(Hole::NoNames) {
                return Ok(());
            }
            state.scans.insert(key.to_string(), ends);
            *state.begun.entry(order.image.digest.clone()).or_default() += 1;
            Ok(())
        };
        self.air.call("scanner start", act).await
    }

    async fn find(&self, key: &Key, order: &ScanOrder) -> Result<Option<ScanState>, PortError> {
        let act = || {
            let stale = self.air.chance(|faults| faults.stale);
            let state = self.lock();
            let inside = state.inside.get(&order.image.digest).copied();
            let found = state.scans.get(&key.to_string()).filter(|_| !stale).map(|ends| {
                if *ends > self.air.now() || inside == Some(Inside::Endless) {
                    ScanState::Running
                } else {
                    ScanState::Ended(report(&order.image.digest, inside))
                }
            });
            Ok(found)
        };
        self.air.call("scanner find", act).await
    }
}
