//! Watching a running process: when it listens, whether it is ready, whether it is well.

use std::future::pending;
use std::time::Duration;

use longshore_ports::Phase;
use tokio::time::{Instant, sleep, timeout};

use super::supervisor::Supervisor;
use crate::clock::now_ms;
use crate::image::blocking;
use crate::process::{bound_log, stat};
use crate::release::probe::{Strikes, listens, probe};

/// Between two looks at a process that was never ready; a tenth longer each time.
const EAGER: Duration = Duration::from_millis(10);
/// The longest such wait.
const PATIENT: Duration = Duration::from_millis(250);
/// The shortest time between two probes of one that was.
const SHORTEST: Duration = Duration::from_millis(10);
/// How often a log's length is looked at.
const LOG_LOOK: Duration = Duration::from_secs(5);

/// Watches one process.
pub(super) struct Monitor<'a> {
    supervisor: &'a mut Supervisor,
}

impl<'a> Monitor<'a> {
    /// Begins with what is known of the process.
    pub(super) fn new(supervisor: &'a mut Supervisor) -> Self {
        let record = &supervisor.record;
        let (pid, port) = (record.process.map(|process| process.pid), record.port);
        let (was_ready, boot_ms) = (record.ready, record.boot_ms);
        supervisor.cell.update(|status| {
            (status.pid, status.port, status.boot_ms) = (pid, Some(port), boot_ms);
            (status.phase, status.reason) = (if was_ready { Phase::Ready } else { Phase::Starting }, None);
        });
        Self { supervisor }
    }

    /// Watches for ever; returns only when the process must be restarted, and says why.
    pub(super) async fn run(&mut self) -> String {
        let log = self.supervisor.cell.log.clone();
        let bound = async move {
            loop {
                sleep(LOG_LOOK).await;
                let log = log.clone();
                if let Err(error) = blocking(move || bound_log(&log)).await {
                    tracing::warn!(%error, "cannot bound a log");
                }
            }
        };
        tokio::select! {
            why = self.probe() => why,
            () = bound => String::new(),
        }
    }

    async fn probe(&mut self) -> String {
        if !self.supervisor.record.ready {
            self.become_ready().await;
        }
        let supervisor = &*self.supervisor;
        tokio::select! {
            () = stay_ready(supervisor) => String::new(),
            why = stay_well(supervisor) => why,
        }
    }

    async fn become_ready(&mut self) {
        let mut wait = EAGER;
        loop {
            match self.first_look().await {
                Ok(()) => break,
                Err(why) => self.supervisor.cell.update(|status| status.reason = Some(why)),
            }
            sleep(wait).await;
            wait = (wait + wait / 10).min(PATIENT);
        }
        self.supervisor.record.ready = true;
        // Before anybody is told: a later runner goes on with it as ready, without a gap in its traffic.
        if let Err(error) = self.supervisor.save().await {
            tracing::warn!(%error, "cannot record that a release is ready");
        }
        self.supervisor.cell.stand(Phase::Ready, None);
    }

    /// Whether it listens, and from then on whether it is ready.
    async fn first_look(&mut self) -> Result<(), String> {
        let Supervisor { cell, record, .. } = &mut *self.supervisor;
        if record.boot_ms.is_none() {
            if !listens(record.port).await {
                return Err(format!("nothing listens on port {} yet", record.port));
            }
            let started = cell.status().started;
            record.boot_ms = started.and_then(|started| u64::try_from(started.elapsed().as_millis()).ok());
            let boot_ms = record.boot_ms;
            cell.update(|status| status.boot_ms = boot_ms);
        }
        probe(&self.supervisor.record.wanted.run.ready, self.supervisor.record.port).await
    }
}

/// Probes whether it is ready, for ever.
async fn stay_ready(supervisor: &Supervisor) {
    let (cell, port) = (&supervisor.cell, supervisor.record.port);
    let mut strikes = Strikes::default();
    loop {
        let ready = &supervisor.record.wanted.run.ready;
        let outcome = probe(ready, port).await;
        match (strikes.count(outcome.is_err(), ready.failures), outcome) {
            (_, Ok(())) => cell.stand(Phase::Ready, None),
            (true, Err(why)) => cell.stand(Phase::Unready, Some(why)),
            (false, Err(_)) => {}
        }
        look(supervisor);
        let next = Instant::now() + Duration::from_millis(ready.interval_ms).max(SHORTEST);
        // A request that failed is a reason to look at once, but not more often than the shortest interval.
        sleep(SHORTEST).await;
        let _ = timeout(next.saturating_duration_since(Instant::now()), cell.suspect.notified()).await;
    }
}

/// Notes how much of the processors the process takes.
fn look(supervisor: &Supervisor) {
    let (meter, now) = (&supervisor.cell.meter, now_ms());
    let Some(process) = supervisor.record.process.filter(|_| meter.is_due(now)) else { return };
    if let Some(stat) = stat::read(process.pid) {
        meter.look(now, process.pid, stat.cpu_ms());
    }
}

/// Probes whether it is well, until it is not; says why.
async fn stay_well(supervisor: &Supervisor) -> String {
    let mut strikes = Strikes::default();
    let Some(health) = &supervisor.record.wanted.run.health else { return pending().await };
    loop {
        sleep(Duration::from_millis(health.interval_ms).max(SHORTEST)).await;
        let outcome = probe(health, supervisor.record.port).await;
        if strikes.count(outcome.is_err(), health.failures) {
            return format!("not well: {}", outcome.err().unwrap_or_default());
        }
    }
}
