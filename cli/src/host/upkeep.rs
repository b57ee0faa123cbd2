//! What goes on in the background: the bus is told of what is committed, and the sweep tells it what was lost.

use std::sync::Arc;
use std::time::Duration;

use longshore_frame::Function as _;
use longshore_intake::RefCheck;
use longshore_ports::{Hints as _, PortError, journal::Committed};
use longshore_sweep::{GRACE_MS, LIMIT, sweep};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Instant, sleep};

use super::system::System;

/// Between two sweeps.
const SWEEP: Duration = Duration::from_mins(1);
/// What the last host's bus had in mind, or this one's could not keep, is on no way that it could still arrive by.
const NO_GRACE_MS: u64 = 0;
/// Rows that are pruned after one sweep.
const PRUNED: usize = 10_000;

/// Passes on what is committed.
pub(super) async fn pass_on(system: Arc<System>, mut published: UnboundedReceiver<Committed>) {
    while let Some(committed) = published.recv().await {
        if committed.resumed {
            system.wake_all().await;
        }
        system.news.send_replace(());
        system.bus.committed(committed);
    }
}

/// Goes on with what the last host left, then sweeps for ever.
pub(super) async fn take_over_and_sweep(system: Arc<System>) {
    if let Err(error) = take_over(&system).await {
        tracing::error!(%error, "cannot see what the last host left; the sweep will");
    }
    let (mut next_prune, mut grace_ms) = (Instant::now(), NO_GRACE_MS);
    loop {
        let (journal, clock) = (&*system.journal, &*system.clock);
        let sent = sweep(journal, clock, &system.bus, grace_ms).await;
        if sent.inspect_err(|error| tracing::error!(%error, "cannot sweep")).is_ok_and(|sent| sent >= LIMIT) {
            system.bus.more_is_owed();
        }
        if next_prune <= Instant::now() {
            next_prune = Instant::now() + SWEEP;
            if let Err(error) = journal.prune(clock.now(), PRUNED).await {
                tracing::error!(%error, "cannot prune the journal");
            }
        }
        grace_ms = tokio::select! {
            () = sleep(SWEEP) => GRACE_MS,
            () = system.bus.load.hungry() => NO_GRACE_MS,
        };
    }
}

/// The last host's timers are set again, and each repository is looked at for pushes that came meanwhile.
async fn take_over(system: &System) -> Result<(), PortError> {
    for unit in system.journal.all_units().await? {
        if let Some(due) = unit.row.due {
            system.bus.wake_at(&unit.function, &unit.unit, due);
        }
    }
    for repository in &system.policy.repositories {
        system.bus.hint(RefCheck::NAME, repository.name.as_str());
    }
    Ok(())
}
