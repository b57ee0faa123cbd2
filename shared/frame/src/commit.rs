//! How a decision becomes one commit, and how commits are written.

use std::sync::atomic::Ordering::Relaxed;

use longshore_events::{Event, InvalidName, Link, types::EventDeadlettered};
use longshore_ports::{
    PortError,
    journal::{
        Commit, CommitError, DecisionRow, LeaseRow, LeaseWrite, Open, Opened, Receipt, Todo, UnitRow,
        UnitWrite,
    },
};

use crate::{
    At, Cause, Decision, Function, Lease, Said,
    handle::{Delivery, Run, Stage, UNANSWERED, holder},
    record::Record,
    replay, retry,
};

/// What a decision saw, and its record, are kept in Blobs when they are longer than this, in bytes.
const INLINE: usize = 4096;

/// What a commit is made from.
pub(crate) struct Plan<'a> {
    pub(crate) unit: &'a str,
    pub(crate) at: At,
    pub(crate) row: &'a UnitRow,
    pub(crate) opened: &'a Opened,
    pub(crate) ask: &'a Open,
    pub(crate) stage: &'a Stage,
}

impl<F: Function> Run<'_, F> {
    /// The commit of a decision.
    pub(crate) async fn commit_of(
        &self,
        plan: &Plan<'_>,
        told: Option<&Delivery<'_, F::Input>>,
        cause: &Cause<F::Input>,
        seen: &F::Seen,
        decision: Decision<F::State, F::Effect>,
    ) -> Result<Commit, PortError> {
        let Plan { unit, at, row, opened, ask, stage } = *plan;
        let version = row.version + 1;
        let link = told.map(|delivery| delivery.event.then()).or_else(|| row.link.clone());
        let todo: Vec<Todo> = decision.effects.iter().map(|effect| self.todo(unit, effect)).collect();
        let busy = !todo.is_empty();
        let state = write(&decision.state);
        let kept = self.decision_row(plan, cause, seen, &decision, &state).await?;
        let mut facts = decision.facts;
        if let Stage::GaveUp(failure) = stage
            && let Some(link) = &link
        {
            facts.push(deadlettered::<F>(unit, link, failure.error.clone(), failure.attempts));
        }
        let forward = todo.iter().any(|todo| !todo.key.restoring);
        let new = UnitRow {
            version,
            state,
            todo,
            claim: busy.then(|| self.invocation.to_owned()),
            until: busy.then(|| retry::after(at.now, self.frame.claim_ms)),
            attempts: 0,
            // To look again is owed, too: a crash before it must not lose it.
            due: if decision.again { Some(at.now) } else { decision.wake },
            link,
            marked: if busy { row.marked.clone() } else { Vec::new() },
        };
        Ok(Commit {
            at: at.now,
            unit: Some(Self::write(unit, row, new)),
            receipt: told.map(|delivery| receipt::<F>(unit, delivery, opened)),
            lease: ask
                .lease
                .as_ref()
                .and_then(|name| lease_write::<F>(unit, name, opened, &at, decision.hold_lease)),
            relied_on: decision.relied_on,
            running: if forward { ask.switches.clone() } else { Vec::new() },
            events: self.events(unit, &version.to_string(), facts)?,
            decision: Some(kept),
            ..Commit::default()
        })
    }

    /// What the decision was made of, and what it was.
    async fn decision_row(
        &self,
        plan: &Plan<'_>,
        cause: &Cause<F::Input>,
        seen: &F::Seen,
        decision: &Decision<F::State, F::Effect>,
        state: &str,
    ) -> Result<DecisionRow, PortError> {
        let Plan { unit, at, row, .. } = *plan;
        let version = row.version + 1;
        let record = Record::of(decision, cause, &at, version, (&row.state, state));
        Ok(DecisionRow {
            function: F::NAME.into(),
            unit: unit.into(),
            version,
            at: at.now,
            cause: cause_text(cause),
            seen: self.keep(write(seen)).await?,
            record: Some(self.keep(write(&record)).await?),
        })
    }

    fn todo(&self, unit: &str, effect: &F::Effect) -> Todo {
        Todo { key: self.function.key(unit, effect), effect: write(effect) }
    }

    /// A unit's new row, conditional on the one that was read.
    pub(crate) fn write(unit: &str, read: &UnitRow, row: UnitRow) -> UnitWrite {
        UnitWrite {
            function: F::NAME.into(),
            unit: unit.into(),
            read_version: read.version,
            read_marks: read.marked.len(),
            row,
        }
    }

    /// The events of what is said. Their ids depend on the unit's version, so that the same decision says the same
    /// events.
    pub(crate) fn events(
        &self,
        unit: &str,
        version: &str,
        facts: Vec<Said>,
    ) -> Result<Vec<Event>, PortError> {
        let time = self.now();
        let event = |(n, said): (usize, Said)| {
            Ok(Event {
                id: replay::fact(F::NAME, unit, version, n)?,
                source: format!("longshore/{}", F::NAME),
                subject: said.subject,
                time,
                link: said.link,
                traceparent: None,
                dryrun: false,
                data: said.data,
            })
        };
        let events: Result<Vec<Event>, InvalidName> = facts.into_iter().enumerate().map(event).collect();
        events.map_err(|error| PortError::invalid(format!("say the facts of {unit}"), error))
    }

    /// A text of a decision row, or where it lies when it is long.
    async fn keep(&self, text: String) -> Result<String, PortError> {
        if text.len() <= INLINE {
            return Ok(text);
        }
        Ok(replay::elsewhere(&self.frame.blobs.put(text.into_bytes()).await?))
    }

    /// Commits and publishes; the row is the one that was written. `None` when something changed meanwhile, or the
    /// reply was lost: read again.
    pub(crate) async fn try_commit(&self, commit: &Commit) -> Result<Option<UnitRow>, PortError> {
        match self.write_all(commit).await {
            Ok(()) => {
                self.unanswered.store(0, Relaxed);
                Ok(Some(commit.unit.as_ref().map(|write| write.row.clone()).unwrap_or_default()))
            }
            Err(CommitError::Port(error)) if !error.is_temporary() || self.given_up() => Err(error),
            Err(error) => {
                tracing::debug!(function = F::NAME, %error, "read again");
                Ok(None)
            }
        }
    }

    /// The journal has been asked often enough for now.
    fn given_up(&self) -> bool {
        self.unanswered.fetch_add(1, Relaxed) + 1 >= UNANSWERED
    }

    async fn write_all(&self, commit: &Commit) -> Result<(), CommitError> {
        #[cfg(feature = "mutants")]
        if let Some(commits) = crate::mutant::split(self.frame.mutant, commit) {
            for commit in commits {
                self.write_one(&commit).await?;
            }
            return Ok(());
        }
        self.write_one(commit).await
    }

    async fn write_one(&self, commit: &Commit) -> Result<(), CommitError> {
        let committed = self.frame.journal.commit(commit).await?;
        if let Err(error) = self.frame.journal.publish(&committed).await {
            tracing::warn!(function = F::NAME, %error, "not published; the sweep sends it");
        }
        Ok(())
    }
}

/// The receipt of a told event; it clears the delivery when the unit is the last one without.
pub(crate) fn receipt<F: Function>(
    unit: &str,
    delivery: &Delivery<'_, F::Input>,
    opened: &Opened,
) -> Receipt {
    let done = |other: &String| other == unit || opened.receipts.contains(other);
    Receipt {
        function: F::NAME.into(),
        event: delivery.event.id.clone(),
        unit: Some(unit.to_owned()),
        clears: delivery.units.iter().all(done),
    }
}

fn cause_text<I>(cause: &Cause<I>) -> String {
    match cause {
        Cause::Told(told) => format!("told {}", told.id),
        Cause::Woken => "woken".into(),
        Cause::Done => "done".into(),
        Cause::Failed(failure) => format!("failed {}: {}", failure.key, failure.error),
    }
}

fn lease_write<F: Function>(
    unit: &str,
    name: &str,
    opened: &Opened,
    at: &At,
    hold: bool,
) -> Option<LeaseWrite> {
    let holder = hold.then(|| holder::<F>(unit));
    let ((Lease::Free(generation), true) | (Lease::Mine(generation), _)) = (at.lease, hold) else {
        return None;
    };
    Some(LeaseWrite {
        name: name.to_owned(),
        read: opened.lease.clone(),
        row: LeaseRow { holder, generation },
    })
}

/// That an event is given up.
pub(crate) fn deadlettered<F: Function>(unit: &str, link: &Link, error: String, attempts: u32) -> Said {
    let data = EventDeadlettered {
        original: link.cause.clone(),
        function: F::NAME.into(),
        unit: Some(unit.to_owned()),
        error,
        attempts,
    };
    Said { subject: F::NAME.into(), link: link.clone(), data: data.into() }
}

fn write<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| "null".into())
}
