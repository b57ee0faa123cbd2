//! The life of a release: fetched, started, watched, started again, drained, stopped.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use longshore_ports::Phase;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::monitor::Monitor;
use crate::fleet::yard::Yard;
use crate::image::Unpacked;
use crate::process::Process;
use crate::release::cell::Cell;
use crate::state::Record;

/// One that was ready for so long has its waits begin anew.
const STEADY: Duration = Duration::from_secs(10);

/// Runs one release.
pub(super) struct Supervisor {
    pub(super) yard: Arc<Yard>,
    pub(super) cell: Arc<Cell>,
    pub(super) stop: watch::Receiver<bool>,
    pub(super) record: Record,
    /// The image, once it is here.
    pub(super) image: Option<Unpacked>,
}

/// Where a life goes on.
enum Next {
    /// After a wait, with another process.
    Again(String),
    /// It can never run.
    Fail(String),
    /// It has to go; nothing of it runs.
    End,
}

impl Supervisor {
    pub(super) fn new(yard: Arc<Yard>, cell: Arc<Cell>, stop: watch::Receiver<bool>, record: Record) -> Self {
        Self { yard, cell, stop, record, image: None }
    }

    /// Runs it until it has to go, and answers its last record.
    pub(super) async fn run(mut self) -> Record {
        let images = Arc::clone(&self.yard.images);
        images.need(&self.record.wanted.image.digest);
        let mut backoff = Backoff::default();
        let mut process = self.adopt();
        loop {
            let next = match process.take() {
                Some(process) => self.watch(process, &mut backoff).await,
                None => self.begin(&mut process).await,
            };
            let reason = match next {
                None => continue,
                Some(Next::Again(reason)) => reason,
                Some(Next::Fail(reason)) => {
                    self.cell.stand(Phase::Failed, Some(reason));
                    gone(&mut self.stop).await;
                    break;
                }
                Some(Next::End) => break,
            };
            if !self.pause(reason, backoff.next()).await {
                break;
            }
        }
        self.cell.stand(Phase::Stopping, None);
        self.record.process = None;
        let digest = self.record.wanted.image.digest.clone();
        tokio::spawn(async move { images.leave(&digest).await });
        self.record
    }

    /// The process that an earlier runner started, if it still runs.
    fn adopt(&mut self) -> Option<Process> {
        self.restarts();
        let incarnation = self.record.process?;
        match Process::adopt(incarnation) {
            Ok(Some(process)) => {
                tracing::info!(workload = %self.cell.workload, release = self.cell.release, process.pid = incarnation.pid, "adopted");
                return Some(process);
            }
            Ok(None) => incarnation.kill_group(),
            Err(error) => tracing::warn!(process.pid = incarnation.pid, %error, "cannot adopt a process"),
        }
        self.record.process = None;
        None
    }

    /// Starts a process, unless told to go before.
    async fn begin(&mut self, process: &mut Option<Process>) -> Option<Next> {
        let mut stop = self.stop.clone();
        let prepared = tokio::select! {
            biased;
            () = gone(&mut stop) => return Some(Next::End),
            prepared = self.prepare() => prepared,
        };
        let launch = match prepared {
            Ok(entry) => entry,
            Err(never) => return Some(Next::Fail(never)),
        };
        match self.start(launch).await {
            Ok(started) => *process = Some(started),
            Err(error) => return Some(Next::Again(format!("cannot start: {error}"))),
        }
        None
    }

    /// Watches a process until it ends or has to.
    async fn watch(&mut self, mut process: Process, backoff: &mut Backoff) -> Option<Next> {
        let mut stop = self.stop.clone();
        let mut monitor = Monitor::new(self);
        let next = tokio::select! {
            biased;
            () = gone(&mut stop) => Next::End,
            how = process.exited() => Next::Again(how),
            why = monitor.run() => Next::Again(why),
        };
        let steady = self.cell.status().ready_since.is_some_and(|since| since.elapsed() >= STEADY);
        let run = &self.record.wanted.run;
        let grace = Duration::from_millis(run.stop_ms);
        match &next {
            Next::End => {
                self.cell.stand(Phase::Stopping, None);
                let drain = Duration::from_millis(run.drain_ms);
                tokio::select! {
                    _ = timeout(drain, self.cell.drained()) => {}
                    _ = process.exited() => {}
                }
            }
            Next::Again(reason) | Next::Fail(reason) => self.cell.stand(Phase::Backoff, Some(reason.clone())),
        }
        self.cell.pool.clear();
        process.end(grace).await;
        self.cell.update(|status| status.pid = None);
        if steady {
            backoff.reset();
        }
        Some(next)
    }

    /// Waits before the next start; false when told to go.
    async fn pause(&mut self, reason: String, wait: Duration) -> bool {
        self.cell.stand(Phase::Backoff, Some(reason));
        let until = Instant::now() + wait;
        tokio::time::timeout_at(until, gone(&mut self.stop)).await.is_err()
    }

    /// Shows how often it was started after an exit.
    pub(super) fn restarts(&self) {
        let restarts = self.record.starts.saturating_sub(1);
        self.cell.update(|status| status.restarts = restarts);
    }

    /// Makes the record durable.
    pub(super) async fn save(&self) -> io::Result<()> {
        let (workload, record) = (self.cell.workload.clone(), self.record.clone());
        self.yard.durably(move |state| state.save_record(&workload, &record)).await
    }
}

/// Returns when the release has to go.
async fn gone(stop: &mut watch::Receiver<bool>) {
    if stop.wait_for(|stop| *stop).await.is_err() {
        // The workload is dropped when the runner ends, and this task with it: there is nothing to do until then.
        std::future::pending::<()>().await;
    }
}

/// The waits between starts: each twice the last.
#[derive(Debug, Default)]
struct Backoff(u32);

impl Backoff {
    const FIRST: Duration = Duration::from_millis(100);
    const LONGEST: Duration = Duration::from_secs(30);

    fn next(&mut self) -> Duration {
        let wait = Self::FIRST.saturating_mul(1 << self.0.min(20)).min(Self::LONGEST);
        self.0 += 1;
        wait
    }

    fn reset(&mut self) {
        self.0 = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest() {
        let mut backoff = Backoff::default();
        let waits: Vec<u128> = (0..11).map(|_| backoff.next().as_millis()).collect();
        assert_eq!(waits, [100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000, 30000]);
        backoff.reset();
        assert_eq!(backoff.next(), Backoff::FIRST);
    }
}
