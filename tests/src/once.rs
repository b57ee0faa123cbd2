//! A fault put in on purpose: the gate's verdict on an image is read once, and what it is later is not asked for.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use jiff::Timestamp;
use longshore_events::{Event, EventId, Fact as _, types::GateEvaluated};
use longshore_ports::{
    Facts, Journal, PortError,
    journal::{Commit, CommitError, Committed, Open, Opened, Owed},
};
use longshore_sim::MemoryJournal;

/// A journal whose verdicts are those that were read first, and are not held fast.
pub(crate) struct Once {
    journal: Arc<MemoryJournal>,
    read: Mutex<HashMap<String, Event>>,
}

impl Once {
    pub(crate) fn new(journal: Arc<MemoryJournal>) -> Self {
        Self { journal, read: Mutex::default() }
    }
}

#[async_trait]
impl Facts for Once {
    async fn latest(&self, kind: &str, subject: &str) -> Result<Option<Event>, PortError> {
        let known = self.read.lock().unwrap_or_else(PoisonError::into_inner).get(subject).cloned();
        if kind == GateEvaluated::KIND && known.is_some() {
            return Ok(known);
        }
        let read = self.journal.latest(kind, subject).await?;
        if let Some(event) = read.as_ref().filter(|_| kind == GateEvaluated::KIND) {
            let mut all = self.read.lock().unwrap_or_else(PoisonError::into_inner);
            all.insert(subject.to_owned(), event.clone());
        }
        Ok(read)
    }
}

#[async_trait]
impl Journal for Once {
    async fn open(&self, ask: &Open) -> Result<Opened, PortError> {
        self.journal.open(ask).await
    }

    async fn commit(&self, commit: &Commit) -> Result<Committed, CommitError> {
        let mut commit = commit.clone();
        commit.relied_on.retain(|relied| relied.kind != GateEvaluated::KIND);
        self.journal.commit(&commit).await
    }

    async fn publish(&self, committed: &Committed) -> Result<(), PortError> {
        self.journal.publish(committed).await
    }

    async fn event(&self, id: &EventId) -> Result<Option<Event>, PortError> {
        self.journal.event(id).await
    }

    async fn owed(&self, now: Timestamp, grace_ms: u64, limit: usize) -> Result<Owed, PortError> {
        self.journal.owed(now, grace_ms, limit).await
    }
}
