//! The loop: observe → decide → commit → perform → observe → decide → commit.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use jiff::Timestamp;
use longshore_events::{Event, EventId, Takes};
use longshore_ports::{
    Blobs, Clock, Journal, PortError,
    journal::{Commit, Open, Opened, Receipt},
};

use crate::{At, Cause, Decision, Failure, Function, Lease, Told, commit::Plan};

/// Looks of one unit in one invocation, conflicts included, after which the sweep tries later.
pub(crate) const LOOKS: u32 = 100;
/// Commits in a row that may go without a good answer: one reply may be lost, but a journal that is out is left alone.
pub(crate) const UNANSWERED: u32 = 3;

/// What every function needs of the outside to run at all.
#[derive(Clone)]
pub struct Frame {
    /// The journal.
    pub journal: Arc<dyn Journal>,
    /// For what is too large for the journal's rows.
    pub blobs: Arc<dyn Blobs>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// How long an invocation may live, with a margin, in milliseconds: after that its effects are taken over.
    pub claim_ms: u64,
    /// A fault put in on purpose.
    #[cfg(feature = "mutants")]
    pub mutant: Option<crate::Mutant>,
}

impl Frame {
    /// A frame over these ports; see the fields.
    pub fn new(
        journal: Arc<dyn Journal>,
        blobs: Arc<dyn Blobs>,
        clock: Arc<dyn Clock>,
        claim_ms: u64,
    ) -> Self {
        Self {
            journal,
            blobs,
            clock,
            claim_ms,
            #[cfg(feature = "mutants")]
            mutant: None,
        }
    }
}

/// What an invocation is asked to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Call {
    /// Take an event.
    Event(Box<Event>),
    /// Look at a unit.
    Wake(String),
}

/// Runs a function for one call, and for the events that waited for the units it freed.
///
/// `invocation` names this run of it, and no other.
///
/// # Errors
/// When the journal fails. Whatever was not committed is still owed, so the caller need not do anything but may try
/// again; failures of other ports are committed, and never come back from here.
pub async fn handle<F: Function>(
    function: &F,
    frame: &Frame,
    invocation: &str,
    call: Call,
) -> Result<(), PortError> {
    let mut run = Run { function, frame, invocation, freed: VecDeque::new(), unanswered: AtomicU32::new(0) };
    let mut next = Some(call);
    while let Some(call) = next {
        match call {
            Call::Event(event) => run.deliver(&event).await?,
            Call::Wake(unit) => run.look(&unit, None).await?,
        }
        next = run.next_freed().await?;
    }
    Ok(())
}

/// One invocation.
pub(crate) struct Run<'a, F> {
    pub(crate) function: &'a F,
    pub(crate) frame: &'a Frame,
    pub(crate) invocation: &'a str,
    /// Events that waited for a unit that this invocation freed.
    freed: VecDeque<EventId>,
    /// Commits since the last that was answered.
    pub(crate) unanswered: AtomicU32,
}

/// An event on its way to one unit.
pub(crate) struct Delivery<'a, I> {
    pub(crate) event: &'a Event,
    pub(crate) units: &'a [String],
    input: I,
}

/// Where a unit stands within one invocation.
#[derive(Debug, Clone)]
pub(crate) enum Stage {
    /// No effect of this invocation is open: it may be told, or look.
    Look,
    /// The open effects were performed.
    Performed,
    /// They could not be.
    GaveUp(Failure),
}

/// What comes after a step.
pub(crate) enum Next {
    /// Something changed meanwhile: read again and go on at the same stage.
    Reread,
    /// The event that was to be told is dealt with, or waits as a mark: go on at this stage.
    Go(Stage),
    /// Nothing is left to do here.
    Rest,
}

impl<F: Function> Run<'_, F> {
    async fn next_freed(&mut self) -> Result<Option<Call>, PortError> {
        while let Some(id) = self.freed.pop_front() {
            if let Some(event) = self.frame.journal.event(&id).await? {
                return Ok(Some(Call::Event(Box::new(event))));
            }
        }
        Ok(None)
    }

    async fn deliver(&mut self, event: &Event) -> Result<(), PortError> {
        let input = F::Input::from_data(&event.data).filter(|_| !event.dryrun);
        let units = input.as_ref().map(|input| self.function.units(input)).unwrap_or_default();
        let Some(input) = input.filter(|_| !units.is_empty()) else { return self.clear(event).await };
        for unit in &units {
            let delivery = Delivery { event, units: &units, input: input.clone() };
            self.look(unit, Some(delivery)).await?;
        }
        Ok(())
    }

    /// Nothing of the event is owed any more.
    async fn clear(&self, event: &Event) -> Result<(), PortError> {
        let receipt = Receipt { function: F::NAME.into(), event: event.id.clone(), unit: None, clears: true };
        let commit = Commit { at: self.now(), receipt: Some(receipt), ..Commit::default() };
        self.try_commit(&commit).await.map(|_| ())
    }

    /// Looks at one unit until nothing is left to do.
    async fn look(&mut self, unit: &str, told: Option<Delivery<'_, F::Input>>) -> Result<(), PortError> {
        let mut told = told;
        let mut stage = Stage::Look;
        for _ in 0..LOOKS {
            match self.step(unit, told.as_ref(), &stage).await? {
                Next::Reread => {}
                Next::Go(after) => (stage, told) = (after, None),
                Next::Rest => return Ok(()),
            }
        }
        let why = "others kept changing it; it is tried again later";
        Err(PortError::unavailable(format!("commit {}/{unit}", F::NAME), why))
    }

    /// Opens the unit and takes it one commit further.
    async fn step(
        &mut self,
        unit: &str,
        told: Option<&Delivery<'_, F::Input>>,
        stage: &Stage,
    ) -> Result<Next, PortError> {
        let mut ask = self.question(unit, &F::State::default(), told);
        let mut opened = self.frame.journal.open(&ask).await?;
        let row = opened.unit.clone().unwrap_or_default();
        let mine = !row.todo.is_empty() && row.claim.as_deref() == Some(self.invocation);
        match stage {
            Stage::Look if mine => return self.perform(unit, &row).await,
            Stage::Performed | Stage::GaveUp(_) if !mine => return Ok(Next::Rest), // outlived its claim
            _ => {}
        }
        if let Some(delivery) = told
            && let Some(all) = settled(unit, delivery, &opened)
        {
            if all && opened.owed {
                self.clear(delivery.event).await?;
            }
            return Ok(Next::Rest);
        }
        if !row.todo.is_empty() && !mine {
            return self.wait_or_take_over(unit, &row, told).await;
        }
        let state = match read(unit, &row.state) {
            Ok(state) => state.unwrap_or_default(),
            Err(error) => return self.put_off(unit, &row, told, &opened, &error).await,
        };
        let wanted = self.question(unit, &state, told);
        if wanted.lease != ask.lease {
            ask = wanted;
            opened = self.frame.journal.open(&ask).await?;
            if opened.unit.clone().unwrap_or_default() != row {
                return Ok(Next::Reread);
            }
        }
        let at = self.at(unit, &opened, &ask);
        let plan = Plan { unit, at, row: &row, opened: &opened, ask: &ask, stage };
        self.decide(&plan, told, state).await
    }

    /// Observes, decides, commits, and performs what was committed.
    async fn decide(
        &mut self,
        plan: &Plan<'_>,
        told: Option<&Delivery<'_, F::Input>>,
        state: F::State,
    ) -> Result<Next, PortError> {
        let Plan { unit, row, .. } = *plan;
        let cause = cause(plan.stage, told);
        let seen = match self.function.observe(unit, &state, &cause).await {
            Ok(seen) => seen,
            Err(error) => return self.put_off(unit, row, told, plan.opened, &error).await,
        };
        // To look may have taken long: it is decided by the time at which it is decided.
        let plan = &Plan { at: At { now: self.now(), ..plan.at }, ..*plan };
        let decision = self.function.decide(unit, &plan.at, state.clone(), cause.clone(), &seen);
        if cause == Cause::Woken && changes_nothing(plan, &state, &decision) {
            return Ok(Next::Rest);
        }
        let again = decision.again;
        let commit = self.commit_of(plan, told, &cause, &seen, decision).await?;
        let Some(new) = self.try_commit(&commit).await? else { return Ok(Next::Reread) };
        if !new.todo.is_empty() {
            return self.perform(unit, &new).await;
        }
        self.freed.extend(row.marked.iter().cloned());
        Ok(if again { Next::Go(Stage::Look) } else { Next::Rest })
    }

    fn question(&self, unit: &str, state: &F::State, told: Option<&Delivery<'_, F::Input>>) -> Open {
        let mut switches = vec!["all".to_owned()];
        switches.extend(self.function.environment(unit));
        Open {
            function: F::NAME.into(),
            unit: unit.into(),
            lease: self.function.lease(unit, state),
            switches,
            told: told.map(|delivery| (delivery.event.id.clone(), delivery.units.to_vec())),
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.frame.clock.now()
    }

    fn at(&self, unit: &str, opened: &Opened, ask: &Open) -> At {
        let row = opened.lease.clone().unwrap_or_default();
        let lease = match row.holder {
            _ if ask.lease.is_none() => Lease::None,
            None => Lease::Free(row.generation + 1),
            Some(other) if other == holder::<F>(unit) => Lease::Mine(row.generation),
            Some(_) => Lease::Theirs,
        };
        let at = At { now: self.now(), lease, stopped: !opened.stopped.is_empty() };
        #[cfg(feature = "mutants")]
        let at = crate::mutant::blind(self.frame.mutant, at, row.generation);
        at
    }
}

/// `Some` when the unit needs no telling: it has a receipt, or nothing is owed. True when all units have one.
fn settled<I>(unit: &str, delivery: &Delivery<'_, I>, opened: &Opened) -> Option<bool> {
    let has = |unit: &str| opened.receipts.iter().any(|receipt| receipt == unit);
    (has(unit) || !opened.owed).then(|| delivery.units.iter().all(|unit| has(unit)))
}

fn cause<I: Clone>(stage: &Stage, told: Option<&Delivery<'_, I>>) -> Cause<I> {
    match (stage, told) {
        (Stage::Performed, _) => Cause::Done,
        (Stage::GaveUp(failure), _) => Cause::Failed(failure.clone()),
        (Stage::Look, None) => Cause::Woken,
        (Stage::Look, Some(Delivery { event, input, .. })) => Cause::Told(Told {
            input: input.clone(),
            id: event.id.clone(),
            time: event.time,
            link: event.then(),
        }),
    }
}

/// A wake-up that changes nothing writes nothing.
fn changes_nothing<S: PartialEq, E>(plan: &Plan<'_>, state: &S, decision: &Decision<S, E>) -> bool {
    decision.state == *state
        && decision.effects.is_empty()
        && decision.facts.is_empty()
        && decision.wake == plan.row.due
        && !decision.again
        && plan.row.attempts == 0
        && plan.row.marked.is_empty()
        && decision.hold_lease == matches!(plan.at.lease, Lease::Mine(_))
}

/// The name under which a unit holds a lease.
pub(crate) fn holder<F: Function>(unit: &str) -> String {
    format!("{}/{unit}", F::NAME)
}

/// Reads a stored row; `None` when there is none yet.
pub(crate) fn read<T: serde::de::DeserializeOwned>(unit: &str, text: &str) -> Result<Option<T>, PortError> {
    if text.is_empty() {
        return Ok(None);
    }
    let invalid = |error| PortError::invalid(format!("read the stored row of {unit}"), error);
    serde_json::from_str(text).map(Some).map_err(invalid)
}
