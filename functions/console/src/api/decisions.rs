//! What was decided, and of what: `GET /api/decisions`.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The query of `GET /api/decisions`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DecisionsQuery {
    /// A unit, as `function/unit`; or a chain, the commit of one (4 digits or more), or a service, whose newest it is.
    pub of: String,
    /// Of a unit: the last so many; 100 when absent, never more than 300.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// The answer to `GET /api/decisions`: what decisions were made of, so that they can be made once more.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decisions {
    /// The chain, where it is not a unit that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chain: Option<String>,
    /// How long the functions here wait between two looks, in milliseconds.
    pub poll_ms: u64,
    /// What builds here, by name.
    pub builder: String,
    /// Decisions of units, each without a gap; a unit may have several.
    pub trails: Vec<Trail>,
    /// There were more, older ones than one answer takes.
    pub cut: bool,
}

/// Decisions of one unit, without a gap.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trail {
    /// The function.
    pub function: String,
    /// Its unit.
    pub unit: String,
    /// Its decisions, the oldest first.
    pub decisions: Vec<DecisionEntry>,
    /// The state that the last of them left, as it is stored; absent where that is not known any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left: Option<String>,
}

/// One decision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DecisionEntry {
    /// The unit's version that it made.
    pub version: u64,
    /// When.
    pub at: Timestamp,
    /// What made the unit look.
    pub cause: String,
    /// What it saw, as JSON.
    pub seen: String,
    /// What it was made of besides, and what was decided, as the frame stores it; absent where an older release made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<String>,
    /// The event that it was told, as CloudEvents JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told: Option<Value>,
    /// The events that it said.
    pub said: Vec<Value>,
}
