//! The journal: the one durable record. The bus only hints at it.
//!
//! Rows: *event* (the fact, and so the timeline); *delivery* (event, function: owed, written in the commit that writes
//! the event); *receipt* (function, unit, event: that unit's first commit for the event); *unit* (the state of a piece
//! of work); *decision* (what it was made of, for replay); *head* (the newest fact of a type for a subject);
//! *lease*; *switch* (the stop switches).
//!
//! [`Journal::commit`] writes all of a decision together or not at all.

use async_trait::async_trait;
use jiff::Timestamp;
use longshore_events::types::RequestKind;
use longshore_events::{Data, Event, EventId, Link};
use serde::{Deserialize, Serialize};

use crate::{Key, PortError};

/// The journal, as the frame uses it. Reads are consistent: they see every commit that was answered before.
#[async_trait]
pub trait Journal: Facts {
    /// Everything that a decision of one unit is conditional on, in one read.
    ///
    /// # Errors
    /// When the journal cannot be read.
    async fn open(&self, ask: &Open) -> Result<Opened, PortError>;

    /// Writes a decision, all of it or nothing. Events that exist already are left as they are, and owe nothing new.
    ///
    /// # Errors
    /// [`CommitError::Conflict`] when something that it was conditional on has changed: nothing was written. On
    /// [`CommitError::Port`] it may have been written all the same.
    async fn commit(&self, commit: &Commit) -> Result<Committed, CommitError>;

    /// Tells the bus about a commit: what is owed and when to wake. Only a hint; what is lost here is sent again by
    /// the sweep.
    ///
    /// # Errors
    /// When the bus does not take it.
    async fn publish(&self, committed: &Committed) -> Result<(), PortError>;

    /// The event of an id.
    ///
    /// # Errors
    /// When the journal cannot be read.
    async fn event(&self, id: &EventId) -> Result<Option<Event>, PortError>;

    /// What is owed for longer than `grace_ms`, due or past its claim at `now`, oldest first, at most `limit` of each. Rows
    /// that a clock which was set back makes later than `now` may be named at once.
    ///
    /// # Errors
    /// When the journal cannot be read.
    async fn owed(&self, now: Timestamp, grace_ms: u64, limit: usize) -> Result<Owed, PortError>;
}

/// The newest facts: the only way for one function to know of another.
#[async_trait]
pub trait Facts: Send + Sync {
    /// The newest event of a type about a subject.
    ///
    /// # Errors
    /// When the journal cannot be read.
    async fn latest(&self, kind: &str, subject: &str) -> Result<Option<Event>, PortError>;
}

/// What to read for a decision.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Open {
    /// The function.
    pub function: String,
    /// Its unit.
    pub unit: String,
    /// The lease that it may want, as `environment/service`.
    pub lease: Option<String>,
    /// The names of the switches that can stop it.
    pub switches: Vec<String>,
    /// The event to be told, with all units of this function that it concerns.
    pub told: Option<(EventId, Vec<String>)>,
}

/// What was read for a decision.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Opened {
    /// The unit, when it exists.
    pub unit: Option<UnitRow>,
    /// The lease, when it was ever taken.
    pub lease: Option<LeaseRow>,
    /// The switches, of those asked for, that say stop.
    pub stopped: Vec<String>,
    /// Whether the told event is owed to the function.
    pub owed: bool,
    /// The units, of those told, that have a receipt for the event.
    pub receipts: Vec<String>,
    /// How often the delivery was put off.
    pub delivery_attempts: u32,
}

/// The state of one piece of work.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct UnitRow {
    /// Counts the commits of the unit; 0 when it does not exist yet.
    pub version: u64,
    /// The function's state, as JSON.
    pub state: String,
    /// Effects that were decided and not yet seen to be done.
    pub todo: Vec<Todo>,
    /// The invocation that performs `todo`.
    pub claim: Option<String>,
    /// Until when no other invocation may take `todo` over.
    pub until: Option<Timestamp>,
    /// How often `todo` or the look before it was tried in vain.
    pub attempts: u32,
    /// When to look again.
    pub due: Option<Timestamp>,
    /// The link of what the unit says next, from the last event it was told.
    pub link: Option<Link>,
    /// Events that came while the unit was busy, oldest first. Each is still owed.
    pub marked: Vec<EventId>,
}

/// An effect that was decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Todo {
    /// What it means.
    pub key: Key,
    /// Its arguments, as JSON.
    pub effect: String,
}

/// A lease: the one lock per service and environment.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LeaseRow {
    /// Who holds it, as `function/unit`; `None` when it is free.
    pub holder: Option<String>,
    /// How often it was taken.
    pub generation: u64,
}

/// All that one decision writes, and what it is conditional on.
#[derive(Debug, Clone, Default)]
pub struct Commit {
    /// When it was decided.
    pub at: Timestamp,
    /// The unit's new row.
    pub unit: Option<UnitWrite>,
    /// The receipt for the event that was told.
    pub receipt: Option<Receipt>,
    /// Puts a delivery off.
    pub postpone: Option<Postpone>,
    /// The lease's new row.
    pub lease: Option<LeaseWrite>,
    /// Heads that must be as they were read.
    pub relied_on: Vec<Relied>,
    /// Switches that must not say stop.
    pub running: Vec<String>,
    /// Sets a switch; not when the commit has events and none of them is new: a late redelivery must not set it again.
    pub switch: Option<SwitchWrite>,
    /// Events to write, each with what it owes and the head that it becomes.
    pub events: Vec<Event>,
    /// What was decided upon, for replay.
    pub decision: Option<DecisionRow>,
}

/// A unit's new row. Conditional on version and marks being as they were read.
#[derive(Debug, Clone)]
pub struct UnitWrite {
    /// The function.
    pub function: String,
    /// Its unit.
    pub unit: String,
    /// The version that was read; 0 for a unit that did not exist.
    pub read_version: u64,
    /// The number of marks that were read.
    pub read_marks: usize,
    /// The new row. Its version is `read_version + 1`, or `read_version` for a mark alone.
    pub row: UnitRow,
}

/// That a unit has taken an event. The version of the unit that the same commit writes is kept with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The function.
    pub function: String,
    /// The event.
    pub event: EventId,
    /// The unit; `None` when the event concerns no unit of the function.
    pub unit: Option<String>,
    /// Nothing of the event is owed to the function any more.
    pub clears: bool,
}

/// That a delivery is tried again later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Postpone {
    /// The function.
    pub function: String,
    /// The event.
    pub event: EventId,
    /// How often it was tried.
    pub attempts: u32,
    /// When to try again.
    pub due: Timestamp,
}

/// A lease's new row, conditional on the old one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseWrite {
    /// `environment/service`.
    pub name: String,
    /// The row as it was read; `None` when it did not exist.
    pub read: Option<LeaseRow>,
    /// The new row; the same as `read` to be conditional only.
    pub row: LeaseRow,
}

/// A head that a decision relied on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relied {
    /// The event type.
    pub kind: String,
    /// The subject.
    pub subject: String,
    /// The event that was the newest; `None` when there was none.
    pub event: Option<EventId>,
}

/// A stop switch's new position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SwitchWrite {
    /// `all`, or an environment's name.
    pub name: String,
    /// Stop, or go on.
    pub stop: bool,
}

impl SwitchWrite {
    /// The switch that a request sets. A dry run sets none.
    pub fn of(event: &Event) -> Option<Self> {
        let Data::RequestMade(request) = &event.data else { return None };
        let stop = match request.what {
            _ if event.dryrun => return None,
            RequestKind::Stop => true,
            RequestKind::Resume => false,
            RequestKind::RollBack => return None,
        };
        Some(Self { name: request.target.clone(), stop })
    }
}

/// What was decided upon.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DecisionRow {
    /// The function.
    pub function: String,
    /// Its unit.
    pub unit: String,
    /// The unit's version that the decision made.
    pub version: u64,
    /// When.
    pub at: Timestamp,
    /// What made it look: `told <event id>`, `woken`, `done` or `failed …`.
    pub cause: String,
    /// What it saw, as JSON; or, when that is long, where it lies in Blobs.
    pub seen: String,
    /// What it was made of besides, and what was decided, as JSON of the frame; or where that lies. `None` in rows of
    /// releases that did not write it.
    pub record: Option<String>,
}

/// What a commit wrote, for the bus.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Committed {
    /// What is owed now: function and event.
    pub owed: Vec<(String, Event)>,
    /// When to wake the unit: function, unit and time.
    pub wake: Option<(String, String, Timestamp)>,
    /// A switch went back to go: stopped units may look again.
    pub resumed: bool,
}

/// Why a commit was not answered with success.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// Something that it was conditional on has changed; nothing was written.
    #[error("{0} changed since it was read")]
    Conflict(String),
    /// The journal failed; it may have been written all the same.
    #[error(transparent)]
    Port(#[from] PortError),
}

/// What the sweep sends again.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Owed {
    /// Deliveries: function and event.
    pub deliveries: Vec<(String, Event)>,
    /// Units past `due` or `until`: function and unit.
    pub units: Vec<(String, String)>,
}

/// Which functions are owed an event of a type. Generated from every function's `TAKES`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Routes(pub Vec<(&'static str, &'static [&'static str])>);

impl Routes {
    /// The functions that take events of type `kind`.
    pub fn takers(&self, kind: &str) -> impl Iterator<Item = &'static str> {
        self.0.iter().filter(move |(_, kinds)| kinds.contains(&kind)).map(|(function, _)| *function)
    }
}
