//! What was said: `GET /api/timeline` and `GET /api/events`.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The query of `GET /api/timeline`: exactly one of the three.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TimelineQuery {
    /// The newest chain of this service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// The chain of this commit, or of the start of one (4 digits or more).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// This chain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chain: Option<String>,
}

/// The answer to `GET /api/timeline`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Timeline {
    /// The chain.
    pub chain: String,
    /// Its events, by time.
    pub entries: Vec<TimelineEntry>,
}

/// One event of a timeline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TimelineEntry {
    /// Its id.
    pub id: String,
    /// Its number in the journal.
    pub seq: u64,
    /// When.
    pub time: Timestamp,
    /// Since the first event of the timeline, in milliseconds.
    pub ms: i64,
    /// Its type, e.g. `dev.longshore.push.received.v1`.
    pub kind: String,
    /// What it is about.
    pub subject: String,
    /// One line for people.
    pub summary: String,
    /// The event that it follows from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// How deep it stands in the tree of causes: 0 for one without a cause in this timeline.
    pub depth: usize,
}

/// The query of `GET /api/events`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct EventsQuery {
    /// Only events after this number; the last `limit` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
    /// Only this type; `push.received` stands for `dev.longshore.push.received.v1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Only this subject, or this service in any environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// At most so many; 100 when absent, never more than 1,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// With `after`: how long to wait for the first one when there is none, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_ms: Option<u64>,
}

/// The answer to `GET /api/events`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Events {
    /// The events, by their numbers.
    pub events: Vec<EventEntry>,
    /// What to ask for next, as `after`.
    pub next: u64,
}

/// One event of a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EventEntry {
    /// Its number in the journal.
    pub seq: u64,
    /// One line for people.
    pub summary: String,
    /// The event, as CloudEvents JSON. `GET /api/events/{id}` answers the same, with the id percent-encoded.
    pub event: Value,
}
