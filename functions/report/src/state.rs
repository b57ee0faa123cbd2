//! What `report` remembers. Stored: samples of every release load for ever.

use std::collections::BTreeSet;

use jiff::Timestamp;
use longshore_ports::{CommitStatus, Notice};
use serde::{Deserialize, Serialize};

/// The state of one unit.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct State {
    /// When what was told last happened: events come in any order.
    #[serde(default)]
    pub happened: Option<Timestamp>,
    /// The status that was said last.
    #[serde(default)]
    pub said: Option<CommitStatus>,
    /// How often something was said: the generation of the last time.
    #[serde(default)]
    pub number: u64,
    /// The findings of an image that people need not be told of any more; `None` before the first scan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known: Option<BTreeSet<String>>,
}

/// The only effect: say something.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Say {
    /// Which time of the unit it is.
    pub number: u64,
    /// What.
    pub what: What,
}

/// What is said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// Beside a commit.
    Status(CommitStatus),
    /// To people.
    Notice(Notice),
}
