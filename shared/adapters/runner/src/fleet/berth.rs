//! One workload: what was ordered of it, the releases that exist, and the traffic among them.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use longshore_ports::{Desired, DesiredRelease, Measured, Observed, Progress, Question, Workload};
use tokio::sync::{Mutex, Notify, watch};
use tokio::time::sleep;

use super::fence::{self, Verdict};
use super::yard::Yard;
use crate::error::Refused;
use crate::proxy::route::{Lane, Route};
use crate::release::{Ended, Running};
use crate::state::{Record, Stored};
use crate::wire::Listed;

/// When what could not be made durable is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// One workload.
pub(crate) struct Berth {
    workload: Workload,
    yard: Arc<Yard>,
    route: Arc<Route>,
    /// Told when something of it changed.
    wake: Arc<Notify>,
    /// How many releases exist.
    alive: watch::Sender<usize>,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    stored: Option<Stored>,
    running: BTreeMap<u64, Running>,
    /// Everything ends, and nothing is started any more.
    closing: bool,
}

impl Berth {
    /// A workload of which nothing was ordered.
    pub(crate) fn new(workload: Workload, yard: Arc<Yard>) -> Self {
        let (route, wake) = (Arc::default(), Arc::default());
        Self { workload, yard, route, wake, alive: watch::Sender::new(0), inner: Mutex::default() }
    }

    /// Goes on where an earlier runner ended.
    pub(crate) async fn resume(&self, stored: Stored, records: Vec<Record>) {
        let mut inner = self.inner.lock().await;
        for record in records {
            self.begin(&mut inner, record);
        }
        inner.stored = Some(stored);
        self.converge(&mut inner).await;
    }

    /// Takes an order; it is durable when this returns.
    pub(crate) async fn apply(&self, order: Desired) -> Result<(), Refused> {
        let mut inner = self.inner.lock().await;
        if inner.closing {
            return Err(Refused::Unavailable("the runner is on its way out".into()));
        }
        match fence::check(inner.stored.as_ref().map(|stored| &stored.desired), &order) {
            Verdict::Same => return Ok(()),
            Verdict::Newer => {}
            verdict @ (Verdict::Older | Verdict::Other) => return Err(inner.conflict(&order, verdict)),
        }
        if let Some(other) = order.releases.iter().find(|named| inner.is_other(named)) {
            let (release, workload) = (other.release, &self.workload);
            let why = "stands for another image or another way to run; give it a new number";
            return Err(Refused::Conflict(format!("release {release} of {workload} {why}")));
        }
        let mut stored = inner.stored.clone().unwrap_or_else(|| Stored::new(order.clone()));
        // What was ready before the order came keeps what it had: the traffic may not have been moved to it yet.
        stored.move_traffic(|release| inner.is_ready(release));
        stored.desired = order;
        self.save(&stored).await.map_err(|error| Refused::Unavailable(error.to_string()))?;
        inner.stored = Some(stored);
        self.yard.changes.say(&self.workload);
        self.converge(&mut inner).await;
        Ok(())
    }

    /// Follows what changes, for ever.
    pub(crate) async fn keep(&self) {
        loop {
            self.wake.notified().await;
            self.converge(&mut *self.inner.lock().await).await;
        }
    }

    /// Takes one look at everything, and does what is to be done.
    async fn converge(&self, inner: &mut Inner) {
        if let Err(error) = self.try_converge(inner).await {
            tracing::error!(workload = %self.workload, %error, "cannot make the state durable; trying again");
            let wake = Arc::clone(&self.wake);
            tokio::spawn(async move {
                sleep(AGAIN).await;
                wake.notify_one();
            });
        }
        self.alive.send_replace(inner.running.len());
    }

    async fn try_converge(&self, inner: &mut Inner) -> io::Result<()> {
        let reaped = self.reap(inner).await;
        if !inner.closing {
            self.begin_missing(inner);
            self.move_traffic(inner).await?;
        }
        let stored = inner.stored.as_ref();
        for (release, running) in &inner.running {
            if inner.closing || stored.is_none_or(|stored| stored.is_over(*release)) {
                running.stop();
            }
        }
        reaped
    }

    /// Takes leave of releases that ended.
    async fn reap(&self, inner: &mut Inner) -> io::Result<()> {
        let ended: Vec<(u64, Ended)> = inner
            .running
            .iter_mut()
            .filter_map(|(release, running)| Some((*release, running.ended()?)))
            .collect();
        for (release, ended) in ended {
            inner.running.remove(&release);
            self.yard.changes.say(&self.workload);
            match ended {
                Ended::Crashed => self.begin_again(inner, release)?,
                // Its record stays, so that the next start is not taken for the first.
                Ended::Stopped(_) if inner.closing => {}
                Ended::Stopped(record) => self.forget(inner, &record).await?,
            }
        }
        Ok(())
    }

    /// Its supervisor failed: another one adopts its process.
    fn begin_again(&self, inner: &mut Inner, release: u64) -> io::Result<()> {
        tracing::error!(workload = %self.workload, release, "a supervisor failed; another one takes over");
        let record = self.yard.state.load_record(&self.workload, release).map_err(io::Error::other)?;
        if let Some(record) = record {
            self.begin(inner, record);
        }
        Ok(())
    }

    async fn forget(&self, inner: &mut Inner, record: &Record) -> io::Result<()> {
        let release = record.wanted.release;
        self.yard.ports.give_back(record.port);
        if record.starts > 0
            && let Some(stored) = &mut inner.stored
        {
            stored.ended(release, record.starts);
            self.save(stored).await?;
        }
        let workload = self.workload.clone();
        self.yard.durably(move |state| state.forget(&workload, release)).await
    }

    fn begin_missing(&self, inner: &mut Inner) {
        let Some(stored) = &inner.stored else { return };
        let missing =
            stored.desired.releases.iter().filter(|named| !inner.running.contains_key(&named.release));
        let missing = missing.map(|named| Record::new(named, stored.past.get(&named.release).copied()));
        for record in missing.collect::<Vec<_>>() {
            self.begin(inner, record);
        }
    }

    fn begin(&self, inner: &mut Inner, record: Record) {
        let release = record.wanted.release;
        let running = Running::begin(&self.yard, &self.workload, &self.wake, record);
        inner.running.insert(release, running);
    }

    async fn move_traffic(&self, inner: &mut Inner) -> io::Result<()> {
        let Some(mut moved) = inner.stored.clone() else { return Ok(()) };
        if moved.move_traffic(|release| inner.is_ready(release)) {
            self.save(&moved).await?;
            inner.stored = Some(moved);
            self.yard.changes.say(&self.workload);
        }
        let Inner { stored: Some(stored), running, .. } = inner else { return Ok(()) };
        let lane = |(release, running): (&u64, &Running)| Lane {
            cell: Arc::clone(&running.cell),
            share: stored.share(*release),
            ordered: stored.named(*release).map_or(0, |named| named.weight),
            trusted: stored.trusted.contains(release),
        };
        self.route.set(running.iter().map(lane).collect());
        let routed = (!stored.desired.releases.is_empty()).then(|| Arc::clone(&self.route));
        self.yard.table.set(&self.workload, routed);
        Ok(())
    }

    async fn save(&self, stored: &Stored) -> io::Result<()> {
        let stored = stored.clone();
        self.yard.durably(move |state| state.save(&stored)).await
    }

    /// What runs now.
    pub(crate) async fn observe(&self) -> Observed {
        let inner = self.inner.lock().await;
        let Some(stored) = &inner.stored else { return Observed::default() };
        let releases = inner.running.iter();
        Observed {
            generation: stored.desired.generation,
            step: stored.desired.step,
            releases: releases
                .map(|(release, running)| running.cell.observed(stored.share(*release)))
                .collect(),
            progress: Progress::Settled,
        }
    }

    /// What was measured of a release that runs.
    pub(crate) async fn measure(&self, question: &Question) -> Result<Measured, Refused> {
        let inner = self.inner.lock().await;
        let running = inner.running.get(&question.release);
        let Some(running) = running.filter(|running| running.cell.digest == question.digest) else {
            return Ok(Measured::unknown(format!("release {} does not run", question.release)));
        };
        running.cell.meter.measure(&question.measure, question.window, self.yard.processors)
    }

    /// What runs now, with its processes; `None` when nothing was ever ordered.
    pub(crate) async fn list(&self) -> Option<Listed> {
        let inner = self.inner.lock().await;
        let stored = inner.stored.as_ref()?;
        let releases = inner.running.iter();
        Some(Listed {
            workload: self.workload.clone(),
            generation: stored.desired.generation,
            step: stored.desired.step,
            hosts: self.yard.table.hosts(&self.workload),
            releases: releases
                .map(|(release, running)| running.cell.listed(stored.share(*release)))
                .collect(),
        })
    }

    /// The log of a release, or of the newest one.
    pub(crate) async fn log(&self, release: Option<u64>) -> Option<PathBuf> {
        let newest = self.inner.lock().await.running.keys().next_back().copied();
        Some(self.yard.logs(&self.workload).join(format!("{}.log", release.or(newest)?)))
    }

    /// Ends everything: nothing is left running when this returns. A later runner starts again what was ordered.
    pub(crate) async fn close(&self) {
        {
            let mut inner = self.inner.lock().await;
            inner.closing = true;
            self.converge(&mut inner).await;
        }
        // The sender lives as long as `self`, so that waiting cannot fail.
        let _ = self.alive.subscribe().wait_for(|alive| *alive == 0).await;
    }
}

impl Inner {
    fn conflict(&self, order: &Desired, verdict: Verdict) -> Refused {
        let Desired { workload, generation, step, .. } = order;
        let newest =
            self.stored.as_ref().map_or((0, 0), |stored| (stored.desired.generation, stored.desired.step));
        let why = match verdict {
            Verdict::Other => "was applied with other arguments".to_owned(),
            _ => format!("is older than {}.{}, which was applied before", newest.0, newest.1),
        };
        Refused::Conflict(format!("step {generation}.{step} of {workload} {why}"))
    }

    fn is_ready(&self, release: u64) -> bool {
        self.running.get(&release).is_some_and(|running| running.cell.is_ready())
    }

    /// Whether an order means something else by the number of a release that exists.
    fn is_other(&self, named: &DesiredRelease) -> bool {
        self.running.get(&named.release).is_some_and(|running| running.is_other(named))
    }
}
