//! One release from its image to its end, and the handle by which its workload holds it.

pub(crate) mod cell;
pub(crate) mod meter;
mod monitor;
mod probe;
mod start;
mod supervisor;

use std::sync::Arc;

use longshore_ports::{DesiredRelease, Workload};
use tokio::sync::{Notify, oneshot, watch};
use tokio::task::AbortHandle;

use crate::fleet::yard::Yard;
use crate::release::cell::Cell;
use crate::state::Record;
use supervisor::Supervisor;

/// A release that exists. Dropping it leaves its process running, for a later runner to find.
pub(crate) struct Running {
    /// How it stands.
    pub(crate) cell: Arc<Cell>,
    /// What it is. A release is one image, run in one way.
    wanted: DesiredRelease,
    stop: watch::Sender<bool>,
    ended: oneshot::Receiver<Record>,
    task: AbortHandle,
}

/// How a release's supervisor ended.
#[derive(Debug)]
pub(crate) enum Ended {
    /// As told: nothing of it runs any more.
    Stopped(Box<Record>),
    /// By a fault of its own: the process may be running.
    Crashed,
}

impl Running {
    /// Begins to supervise a release; `wake` is told when it changes or ends.
    pub(crate) fn begin(yard: &Arc<Yard>, workload: &Workload, wake: &Arc<Notify>, record: Record) -> Self {
        let wanted = record.wanted.clone();
        let cell = Arc::new(Cell::new(
            workload.clone(),
            wanted.release,
            wanted.image.digest.clone(),
            yard.logs(workload).join(format!("{}.log", wanted.release)),
            Arc::clone(&yard.changes),
            Arc::clone(wake),
        ));
        let stop = watch::Sender::new(false);
        let (tell, ended) = oneshot::channel();
        let supervisor = Supervisor::new(Arc::clone(yard), Arc::clone(&cell), stop.subscribe(), record);
        // Dropped after `tell`, also when the supervisor fails.
        let farewell = Farewell(Arc::clone(wake));
        let task = tokio::spawn(async move {
            let _farewell = farewell;
            // Nobody listens when the runner itself ends.
            let _ = tell.send(supervisor.run().await);
        });
        Self { cell, wanted, stop, ended, task: task.abort_handle() }
    }

    /// Whether an order that names it means something else by its number.
    pub(crate) fn is_other(&self, named: &DesiredRelease) -> bool {
        (&self.wanted.image, &self.wanted.run) != (&named.image, &named.run)
    }

    /// Tells it to go. It is never told to stay after that.
    pub(crate) fn stop(&self) {
        self.stop.send_if_modified(|stop| !std::mem::replace(stop, true));
    }

    /// How it ended, once it has.
    pub(crate) fn ended(&mut self) -> Option<Ended> {
        match self.ended.try_recv() {
            Ok(record) => Some(Ended::Stopped(Box::new(record))),
            Err(oneshot::error::TryRecvError::Closed) => Some(Ended::Crashed),
            Err(oneshot::error::TryRecvError::Empty) => None,
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Farewell(Arc<Notify>);

impl Drop for Farewell {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}
