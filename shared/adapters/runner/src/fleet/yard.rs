//! What all workloads of a runner share.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use longshore_ports::Workload;

use crate::changes::Changes;
use crate::error::RunnerError;
use crate::image::{Images, Store, blocking};
use crate::process::ports::Ports;
use crate::proxy::table::Table;
use crate::state::State;

/// What all workloads of a runner share.
pub(crate) struct Yard {
    /// What is durable.
    pub(crate) state: State,
    /// Unpacked images.
    pub(crate) images: Arc<Store>,
    /// Free ports.
    pub(crate) ports: Ports,
    /// What changed.
    pub(crate) changes: Arc<Changes>,
    /// The proxy's routes.
    pub(crate) table: Arc<Table>,
    /// How many processors there are to take.
    pub(crate) processors: usize,
    logs: PathBuf,
}

impl Yard {
    /// The yard of the data folder `data`.
    pub(crate) fn new(data: &Path, images: Arc<dyn Images>, changes: Changes) -> Self {
        Self {
            state: State::new(data),
            images: Arc::new(Store::new(data, images)),
            ports: Ports::new(std::process::id()),
            changes: Arc::new(changes),
            table: Arc::default(),
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            logs: data.join("logs"),
        }
    }

    /// Where the logs of a workload are.
    pub(crate) fn logs(&self, workload: &Workload) -> PathBuf {
        self.logs.join(workload.environment.as_str()).join(workload.service.as_str())
    }

    /// Works on what is durable, where waiting for the disk holds nobody up.
    pub(crate) async fn durably(
        &self,
        work: impl FnOnce(&State) -> Result<(), RunnerError> + Send + 'static,
    ) -> std::io::Result<()> {
        let state = self.state.clone();
        blocking(move || work(&state).map_err(std::io::Error::other)).await
    }
}
