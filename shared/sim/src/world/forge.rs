//! A forge that shows statuses, and people who are told.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use longshore_events::CommitId;
use longshore_ports::{CommitStatus, Forge, Key, Notice, Notify, PortError};

use crate::Air;

/// What is shown beside commits, and what people were told.
pub struct FakeForge {
    air: Arc<Air>,
    /// All that was ever written, by commit and context, in order.
    shown: Mutex<BTreeMap<(CommitId, String), Vec<CommitStatus>>>,
    told: Mutex<Vec<(String, Notice)>>,
}

impl FakeForge {
    /// Nothing is shown, and nobody was told anything.
    pub fn new(air: Arc<Air>) -> Self {
        Self { air, shown: Mutex::default(), told: Mutex::default() }
    }

    fn shown(&self) -> MutexGuard<'_, BTreeMap<(CommitId, String), Vec<CommitStatus>>> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All that was ever shown of a commit in a context, in order.
    pub fn written(&self, commit: &CommitId, context: &str) -> Vec<CommitStatus> {
        self.shown().get(&(commit.clone(), context.to_owned())).cloned().unwrap_or_default()
    }

    /// What is shown of a commit: the newest of each context.
    pub fn beside(&self, commit: &CommitId) -> Vec<CommitStatus> {
        let shown = self.shown();
        let of = shown.iter().filter(|((of, _), _)| of == commit);
        of.filter_map(|(_, all)| all.last().cloned()).collect()
    }

    /// What people were told, each with its key.
    pub fn told(&self) -> Vec<(String, Notice)> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl Forge for FakeForge {
    async fn status(&self, _key: &Key, status: &CommitStatus) -> Result<(), PortError> {
        let act = || {
            let place = (status.commit.clone(), status.context.clone());
            self.shown().entry(place).or_default().push(status.clone());
            Ok(())
        };
        self.air.call("forge status", act).await
    }
}

#[async_trait]
impl Notify for FakeForge {
    async fn tell(&self, key: &Key, notice: &Notice) -> Result<(), PortError> {
        let act = || {
            let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
            told.push((key.to_string(), notice.clone()));
            Ok(())
        };
        self.air.call("notify", act).await
    }
}
