//! One piece of work for a function, and what it must not run beside.

use longshore_events::{Event, EventId};
use longshore_frame::Call;

/// A unit of a function: at most one invocation works on it at a time.
pub(super) type Lane = (&'static str, String);

/// One piece of work for a function.
#[derive(Debug, Clone)]
pub(super) struct Job {
    /// The function.
    pub(super) function: &'static str,
    /// The units that it works on.
    pub(super) lanes: Vec<Lane>,
    /// What it is asked.
    pub(super) call: Call,
}

/// What makes two pieces of work the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum JobKey {
    /// An event for a function.
    Event(&'static str, EventId),
    /// A look at a unit.
    Wake(&'static str, String),
}

impl Job {
    pub(super) fn event(function: &'static str, mut units: Vec<String>, event: Event) -> Self {
        // Who stood twice in a lane would wait for itself.
        units.sort_unstable();
        units.dedup();
        let lanes = units.into_iter().map(|unit| (function, unit)).collect();
        Self { function, lanes, call: Call::Event(Box::new(event)) }
    }

    pub(super) fn wake(function: &'static str, unit: String) -> Self {
        Self { function, lanes: vec![(function, unit.clone())], call: Call::Wake(unit) }
    }

    pub(super) fn key(&self) -> JobKey {
        match &self.call {
            Call::Event(event) => JobKey::Event(self.function, event.id.clone()),
            Call::Wake(unit) => JobKey::Wake(self.function, unit.clone()),
        }
    }
}
