//! The journal's past, as people ask for it: lists of events, what stands, what was decided upon.
//!
//! Reads are bounded. What an index does not find is looked for among the newest [`LOOKED`] events alone, by a journal
//! that has no index for it.

use async_trait::async_trait;
use jiff::Timestamp;
use longshore_events::{ChainId, Event, EventId};

use crate::PortError;
use crate::journal::{DecisionRow, Journal, LeaseRow, UnitRow};

/// How many events a journal without an index looks through for one answer, at most.
pub const LOOKED: usize = 2_000;

/// The journal's past and present, for people. Reads may be a moment late.
#[async_trait]
pub trait History: Journal {
    /// Lists events, by their number.
    ///
    /// # Errors
    /// When the journal cannot be read.
    async fn events(&self, query: &EventQuery) -> Result<Page, PortError>;

    /// The units of a function, by name; where there are more than `limit`, some of them.
    ///
    /// # Errors
    /// When the journal cannot be read.
    async fn units(&self, function: &str, limit: usize) -> Result<Vec<Unit>, PortError>;

    /// What stands now beside the units.
    ///
    /// # Errors
    /// When the journal cannot be read.
    async fn standing(&self) -> Result<Standing, PortError>;

    /// Decisions of a unit, the oldest first.
    ///
    /// # Errors
    /// When the journal cannot be read.
    async fn decisions(&self, query: &DecisionQuery) -> Result<Vec<DecisionRow>, PortError>;

    /// The units that have taken an event, by function and name; known as long as decisions are.
    ///
    /// # Errors
    /// When the journal cannot be read.
    async fn taken(&self, event: &EventId) -> Result<Vec<Taken>, PortError>;
}

/// Which decisions of a unit to list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecisionQuery {
    /// The function.
    pub function: String,
    /// Its unit.
    pub unit: String,
    /// The first ones from this version on; the last ones when absent.
    pub from: Option<u64>,
    /// At most so many.
    pub limit: usize,
}

/// A unit that has taken an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// The function.
    pub function: String,
    /// Its unit.
    pub unit: String,
    /// The unit's version that taking it made; `None` where an older release has written it, and where the event was
    /// given up before the unit could be looked at.
    pub version: Option<u64>,
}

/// Which events to list. Every condition that is given must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventQuery {
    /// Only events after this number.
    pub after: u64,
    /// Only events before this number.
    pub before: Option<u64>,
    /// Only this type.
    pub kind: Option<String>,
    /// Only this chain.
    pub chain: Option<ChainId>,
    /// Only this subject, or this service in any environment.
    pub subject: Option<String>,
    /// Only events about the commit that begins so.
    pub commit: Option<String>,
    /// The last ones rather than the first ones; in order of their numbers all the same.
    pub newest: bool,
    /// At most so many.
    pub limit: usize,
}

impl EventQuery {
    /// Whether an event fits, whatever its number.
    pub fn fits(&self, event: &Event) -> bool {
        let names = Names::of(event);
        let about = |wanted: &String| {
            let below = event.subject.strip_suffix(wanted.as_str()).is_some_and(|rest| rest.ends_with('/'));
            event.subject == *wanted || names.service.as_ref() == Some(wanted) || below
        };
        let begins = |digits: &String| names.commit.as_ref().is_some_and(|commit| commit.starts_with(digits));
        self.kind.as_ref().is_none_or(|kind| event.kind() == kind)
            && self.chain.as_ref().is_none_or(|chain| event.link.chain == *chain)
            && self.subject.as_ref().is_none_or(about)
            && self.commit.as_ref().is_none_or(begins)
    }
}

/// The service and the commit that an event's data names, by whatever type.
struct Names {
    service: Option<String>,
    commit: Option<String>,
}

impl Names {
    fn of(event: &Event) -> Self {
        let data = serde_json::to_value(&event.data).unwrap_or_default();
        let text = |name: &str| data.get(name)?.as_str().map(str::to_owned);
        Self { service: text("service"), commit: text("commit").or_else(|| text("after")) }
    }
}

/// Events that were found.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Page {
    /// The events, by their numbers.
    pub events: Vec<Recorded>,
    /// Up to where it was looked: what to ask for next, as `after`.
    pub next: u64,
    /// Back to where it was looked, when the newest were asked for: what to ask for next, as `before`. `None` when there are
    /// none before.
    pub before: Option<u64>,
}

/// An event and its place in the journal.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    /// Its number; grows with each event, with gaps.
    pub seq: u64,
    /// The event.
    pub event: Event,
}

/// A unit of a function.
#[derive(Debug, Clone, PartialEq)]
pub struct Unit {
    /// The function.
    pub function: String,
    /// The unit's name.
    pub unit: String,
    /// How it stands.
    pub row: UnitRow,
}

/// What stands beside the units.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Standing {
    /// Every lease, by name.
    pub leases: Vec<(String, LeaseRow)>,
    /// The switches that say stop, by name.
    pub stopped: Vec<String>,
    /// Deliveries that are owed; where they are very many, at least so many.
    pub deliveries: u64,
    /// When the oldest of them was written, of those that were not put off.
    pub oldest: Option<Timestamp>,
    /// Units with effects that are not seen to be done.
    pub busy: u64,
}
