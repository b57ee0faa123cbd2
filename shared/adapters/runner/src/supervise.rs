//! One release from its image to its end: fetched, started, probed, started again, drained, stopped.

use std::sync::Arc;
use std::time::Duration;

use longshore_ports::{DesiredRelease, Phase};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use crate::cell::Cell;
use crate::fleet::Fleet;
use crate::platform::{self, Entry};
use crate::probe::{Strikes, listens, probe};
use crate::process::{Launch, Process, bound_log};
use crate::state::Record;

/// The first wait before a process is started again; it doubles from then on.
const BACKOFF: Duration = Duration::from_millis(100);
/// The longest such wait.
const LONGEST: Duration = Duration::from_secs(30);
/// Between two probes of a process that was never ready.
const EAGER: Duration = Duration::from_millis(10);
/// One that was ready for so long starts without a wait again.
const STEADY: Duration = Duration::from_secs(10);

/// What ended a process's time.
enum End {
    Exited(String),
    Unhealthy(String),
    Stop,
}

/// Runs a release until it is told to stop; answers its last record.
pub(crate) async fn supervise(
    fleet: &Arc<Fleet>,
    cell: &Arc<Cell>,
    release: &DesiredRelease,
    mut stop: watch::Receiver<bool>,
    before: u32,
) -> Record {
    fleet.store.need(&release.image.digest);
    let found = fleet.state.load_record(&cell.workload, cell.release).ok().flatten();
    let mut record = found.unwrap_or_else(|| Record {
        release: cell.release,
        digest: cell.digest.clone(),
        starts: before,
        process: None,
        port: 0,
        ready: false,
        boot_ms: None,
    });
    let entry = tokio::select! {
        entry = prepare(fleet, cell, release) => entry,
        _ = stop.wait_for(|stop| *stop) => None,
    };
    let Some(entry) = entry else {
        // It can never run, or was stopped before: an earlier runner's process may still be there.
        let _ = stop.wait_for(|stop| *stop).await;
        cell.stand(Phase::Stopping, None);
        if let Some(incarnation) = record.process {
            Process::end_found(incarnation, Duration::from_millis(release.run.stop_ms)).await;
        }
        return record;
    };
    let mut wait = BACKOFF;
    loop {
        let adopted = record.process.and_then(|incarnation| Process::adopt(incarnation).ok().flatten());
        let started = match adopted {
            Some(process) => Ok(process),
            None => start(fleet, cell, &entry, &mut record),
        };
        let begun = Instant::now();
        let end = match started {
            Ok(process) => live(fleet, cell, release, process, &mut record, &mut stop).await,
            Err(error) => End::Exited(format!("cannot start: {error}")),
        };
        record.process = None;
        let reason = match end {
            End::Stop => return record,
            End::Exited(reason) | End::Unhealthy(reason) => reason,
        };
        if *stop.borrow() {
            return record;
        }
        if begun.elapsed() > STEADY {
            wait = BACKOFF;
        }
        cell.update(|status| {
            (status.phase, status.pid) = (Phase::Backoff, None);
            status.reason = Some(reason);
        });
        if timeout(wait, stop.wait_for(|stop| *stop)).await.is_ok() {
            return record;
        }
        wait = (wait * 2).min(LONGEST);
    }
}

/// The image, unpacked and found fit for this machine; `None` when it can never run.
async fn prepare(fleet: &Arc<Fleet>, cell: &Arc<Cell>, release: &DesiredRelease) -> Option<Entry> {
    let mut wait = BACKOFF;
    let unpacked = loop {
        match fleet.store.unpacked(&release.image).await {
            Ok(unpacked) => break unpacked,
            Err(error) if error.is_temporary() => cell.stand(Phase::Pulling, Some(error.to_string())),
            Err(error) => {
                cell.stand(Phase::Failed, Some(error.to_string()));
                return None;
            }
        }
        sleep(wait).await;
        wait = (wait * 2).min(LONGEST);
    };
    match platform::resolve(&unpacked, &release.run) {
        Ok(entry) => Some(entry),
        Err(unfit) => {
            cell.stand(Phase::Failed, Some(unfit.to_string()));
            None
        }
    }
}

/// Starts the process: recorded before it may act.
fn start(fleet: &Fleet, cell: &Cell, entry: &Entry, record: &mut Record) -> std::io::Result<Process> {
    if record.port == 0 {
        record.port = fleet.ports.take().ok_or_else(|| std::io::Error::other("no port is free"))?;
    }
    let mut env = entry.env.clone();
    env.extend([
        ("PORT".to_owned(), record.port.to_string()),
        ("LONGSHORE_ENVIRONMENT".to_owned(), cell.workload.environment.to_string()),
        ("LONGSHORE_SERVICE".to_owned(), cell.workload.service.to_string()),
        ("LONGSHORE_RELEASE".to_owned(), cell.release.to_string()),
        ("LONGSHORE_DIGEST".to_owned(), cell.digest.to_string()),
        ("LONGSHORE_RESTART".to_owned(), record.starts.to_string()),
    ]);
    let launch = Launch {
        program: entry.program.clone(),
        args: entry.args.iter().map(Into::into).collect(),
        env,
        folder: entry.folder.clone(),
        log: cell.log.clone(),
    };
    if let Some(gone) = record.process {
        // It exited while no runner looked; its children may still hold the port.
        gone.kill_group();
    }
    let held = launch.hold()?;
    record.starts += 1;
    record.ready = false;
    record.process = Some(held.incarnation());
    fleet.state.save_record(&cell.workload, record).map_err(std::io::Error::other)?;
    held.go()
}

/// A running process until it ends, is found unhealthy, or is told to stop.
async fn live(
    fleet: &Arc<Fleet>,
    cell: &Arc<Cell>,
    release: &DesiredRelease,
    mut process: Process,
    record: &mut Record,
    stop: &mut watch::Receiver<bool>,
) -> End {
    let (pid, port) = (process.incarnation().pid, record.port);
    let was_ready = record.ready;
    cell.update(|status| {
        (status.pid, status.port) = (Some(pid), Some(port));
        status.restarts = record.starts.saturating_sub(1);
        status.boot_ms = record.boot_ms;
        status.phase = if was_ready { Phase::Ready } else { Phase::Starting };
        status.reason = None;
    });
    let grace = Duration::from_millis(release.run.stop_ms);
    let end = tokio::select! {
        how = process.exited() => End::Exited(how),
        why = watch_over(fleet, cell, release, record) => End::Unhealthy(why),
        _ = stop.wait_for(|stop| *stop) => End::Stop,
    };
    match &end {
        End::Exited(_) => process.incarnation().kill_group(),
        End::Unhealthy(why) => {
            cell.stand(Phase::Unready, Some(why.clone()));
            process.end(grace).await;
        }
        End::Stop => {
            cell.stand(Phase::Stopping, None);
            let _ = timeout(Duration::from_millis(release.run.drain_ms), cell.drained()).await;
            process.end(grace).await;
        }
    }
    end
}

/// Probes for ever; ends only when the process must be restarted.
async fn watch_over(
    fleet: &Arc<Fleet>,
    cell: &Arc<Cell>,
    release: &DesiredRelease,
    record: &mut Record,
) -> String {
    let (run, port) = (&release.run, record.port);
    if !record.ready {
        let begun = Instant::now();
        let mut wait = EAGER;
        while !listens(port).await {
            sleep(wait).await;
            wait = (wait + Duration::from_millis(1)).min(EAGER * 5);
        }
        let boot = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        record.boot_ms.get_or_insert(boot);
        while let Err(why) = probe(&run.ready, port).await {
            cell.update(|status| status.reason = Some(why));
            sleep(wait).await;
        }
        record.ready = true;
        cell.update(|status| {
            (status.phase, status.reason, status.boot_ms) = (Phase::Ready, None, record.boot_ms);
        });
        if let Err(error) = fleet.state.save_record(&cell.workload, record) {
            tracing::warn!(%error, "cannot record that a release is ready");
        }
    }
    let (mut strikes, mut ills) = (Strikes::default(), Strikes::default());
    let interval = Duration::from_millis(run.ready.interval_ms.max(10));
    loop {
        // A request that failed is a reason to look at once.
        let _ = timeout(interval, cell.suspect.notified()).await;
        let _ = bound_log(&cell.log);
        let outcome = probe(&run.ready, port).await;
        let unready = strikes.count(outcome.is_err(), run.ready.failures);
        match outcome {
            Ok(()) => cell.stand(Phase::Ready, None),
            Err(why) if unready => cell.stand(Phase::Unready, Some(why)),
            Err(_) => {}
        }
        if let Some(health) = &run.health {
            let outcome = probe(health, port).await;
            if ills.count(outcome.is_err(), health.failures) {
                return format!("unhealthy: {}", outcome.err().unwrap_or_default());
            }
        }
    }
}
