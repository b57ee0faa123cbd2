//! What a decision is given, and what it says.

use jiff::{SignedDuration, Timestamp};
use longshore_events::{Data, EventId, Link};
use longshore_ports::{Key, journal::Relied};
use serde::{Deserialize, Serialize};

/// What made a unit look.
#[derive(Debug, Clone, PartialEq)]
pub enum Cause<I> {
    /// It was told an event.
    Told(Told<I>),
    /// It is due, or was hinted at, or asked to look again.
    Woken,
    /// The effects that it decided last were performed.
    Done,
    /// They could not be performed; it must come to an end and drop its lease.
    Failed(Failure),
}

/// An event, as it is told to one unit.
#[derive(Debug, Clone, PartialEq)]
pub struct Told<I> {
    /// The event's data.
    pub input: I,
    /// The event's id.
    pub id: EventId,
    /// When it happened.
    pub time: Timestamp,
    /// The link of what follows from it.
    pub link: Link,
}

/// Effects that could not be performed. Stored with the decision that it led to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The effect that failed.
    pub key: Key,
    /// The last error.
    pub error: String,
    /// How often it was tried.
    pub attempts: u32,
}

/// When and under what a decision is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct At {
    /// The time.
    pub now: Timestamp,
    /// The lease that the unit may want.
    pub lease: Lease,
    /// The switch says stop: no effect but restoring ones.
    pub stopped: bool,
}

/// How the lease stands. Stored with each decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lease {
    /// The unit wants none.
    None,
    /// Nobody holds it; taking it in this commit mints this generation.
    Free(u64),
    /// This unit holds it, since this generation.
    Mine(u64),
    /// Another unit holds it: wait, and decide no effects.
    Theirs,
}

/// What was decided: all of it is committed together, or none.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision<S, E> {
    /// The unit's state from now on.
    pub state: S,
    /// What shall be done outside, in this order.
    pub effects: Vec<E>,
    /// What is said.
    pub facts: Vec<Said>,
    /// When to look again at the latest.
    pub wake: Option<Timestamp>,
    /// Take or keep the lease; false drops it.
    pub hold_lease: bool,
    /// The heads that this decision relied on: it is committed only while they are unchanged.
    pub relied_on: Vec<Relied>,
    /// Look once more at once; only without effects.
    pub again: bool,
}

/// A fact that is said by a decision. Its id, source and time come from the frame.
#[derive(Debug, Clone, PartialEq)]
pub struct Said {
    /// What it is about.
    pub subject: String,
    /// Its place in the causal order.
    pub link: Link,
    /// The fact.
    pub data: Data,
}

/// A span of so many milliseconds, as configurations and entry points say them.
pub fn span(ms: u64) -> SignedDuration {
    SignedDuration::from_millis(i64::try_from(ms).unwrap_or(i64::MAX / 2))
}

impl<S, E> Decision<S, E> {
    /// Nothing but this state: no effects, no facts, no wake-up, no lease.
    pub fn rest(state: S) -> Self {
        Self {
            state,
            effects: Vec::new(),
            facts: Vec::new(),
            wake: None,
            hold_lease: false,
            relied_on: Vec::new(),
            again: false,
        }
    }

    /// Adds an effect.
    #[must_use]
    pub fn effect(mut self, effect: E) -> Self {
        self.effects.push(effect);
        self
    }

    /// Adds a fact.
    #[must_use]
    pub fn say(mut self, subject: impl Into<String>, link: &Link, data: impl Into<Data>) -> Self {
        self.facts.push(Said { subject: subject.into(), link: link.clone(), data: data.into() });
        self
    }

    /// Looks again at `at`, or earlier when that is already set.
    #[must_use]
    pub fn wake(mut self, at: Timestamp) -> Self {
        self.wake = Some(self.wake.map_or(at, |wake| wake.min(at)));
        self
    }

    /// Takes or keeps the lease.
    #[must_use]
    pub fn hold(mut self) -> Self {
        self.hold_lease = true;
        self
    }
}
