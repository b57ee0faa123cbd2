//! All workloads of a runner.

mod berth;
mod fence;
mod order;
pub(crate) mod yard;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use longshore_ports::{Desired, Measured, Observed, Question, Workload};
use tokio::task::JoinSet;

use self::berth::Berth;
use self::yard::Yard;
use crate::error::{Refused, RunnerError};
use crate::release::cell::locked;
use crate::wire::Listed;

/// All workloads of a runner. Their tasks end with it; their processes do not.
pub(crate) struct Fleet {
    yard: Arc<Yard>,
    berths: Mutex<BTreeMap<Workload, Arc<Berth>>>,
    tasks: Mutex<JoinSet<()>>,
}

impl Fleet {
    /// Goes on where an earlier runner ended: its processes are found again.
    pub(crate) async fn resume(yard: Arc<Yard>) -> Result<Self, RunnerError> {
        let fleet = Self { yard, berths: Mutex::default(), tasks: Mutex::default() };
        let loaded = fleet.yard.state.load()?;
        let wanted = loaded.iter().flat_map(|(stored, records)| {
            stored.desired.releases.iter().chain(records.iter().map(|record| &record.wanted))
        });
        fleet.yard.images.sweep(&wanted.map(|release| &release.image.digest).collect())?;
        for (_, records) in &loaded {
            for record in records {
                fleet.yard.ports.note(record.port);
            }
        }
        for (stored, records) in loaded {
            let berth = fleet.berth(&stored.desired.workload);
            berth.resume(stored, records).await;
        }
        Ok(fleet)
    }

    /// What all workloads share.
    pub(crate) fn yard(&self) -> &Yard {
        &self.yard
    }

    fn berth(&self, workload: &Workload) -> Arc<Berth> {
        let mut berths = locked(&self.berths);
        if let Some(berth) = berths.get(workload) {
            return Arc::clone(berth);
        }
        let berth = Arc::new(Berth::new(workload.clone(), Arc::clone(&self.yard)));
        berths.insert(workload.clone(), Arc::clone(&berth));
        let kept = Arc::clone(&berth);
        locked(&self.tasks).spawn(async move { kept.keep().await });
        berth
    }

    fn find(&self, workload: &Workload) -> Option<Arc<Berth>> {
        locked(&self.berths).get(workload).map(Arc::clone)
    }

    fn all(&self) -> Vec<Arc<Berth>> {
        locked(&self.berths).values().map(Arc::clone).collect()
    }

    /// Takes an order; it is durable when this returns.
    pub(crate) async fn apply(&self, order: Desired) -> Result<(), Refused> {
        order::check(&order).map_err(|fault| Refused::Invalid(format!("{}: {fault}", order.workload)))?;
        self.berth(&order.workload).apply(order).await
    }

    /// What runs of a workload.
    pub(crate) async fn observe(&self, workload: &Workload) -> Observed {
        match self.find(workload) {
            Some(berth) => berth.observe().await,
            None => Observed::default(),
        }
    }

    /// What was measured of a release.
    pub(crate) async fn measure(&self, question: &Question) -> Result<Measured, Refused> {
        match self.find(&question.workload) {
            Some(berth) => berth.measure(question).await,
            None => Ok(Measured::unknown(format!("{} does not run", question.workload))),
        }
    }

    /// Every workload.
    pub(crate) async fn list(&self) -> Vec<Listed> {
        let mut all = Vec::new();
        for berth in self.all() {
            all.extend(berth.list().await);
        }
        all
    }

    /// The log of a release, or of the newest one.
    pub(crate) async fn log(&self, workload: &Workload, release: Option<u64>) -> Option<PathBuf> {
        self.find(workload)?.log(release).await
    }

    /// Ends everything: nothing is left running when this returns.
    pub(crate) async fn close(&self) {
        let mut closing = JoinSet::new();
        for berth in self.all() {
            closing.spawn(async move { berth.close().await });
        }
        closing.join_all().await;
    }
}
