//! What `scan` remembers of an image. Stored: samples of every release load for ever.

use jiff::Timestamp;
use longshore_events::Link;
use longshore_ports::{ScanOrder, ScanReport, ScannerVersion};
use serde::{Deserialize, Serialize};

/// The state of one unit.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct State {
    /// Where it stands.
    #[serde(default)]
    pub stage: Stage,
    /// What to scan; `None` before the image was heard of.
    #[serde(default)]
    pub order: Option<ScanOrder>,
    /// The link of what is said about it.
    #[serde(default)]
    pub link: Option<Link>,
    /// How many scans of it were begun: the generation of the last one.
    #[serde(default)]
    pub scans: u64,
    /// What the last scan was begun with.
    #[serde(default)]
    pub version: Option<ScannerVersion>,
    /// When the scan that goes on counts as failed.
    #[serde(default)]
    pub deadline: Option<Timestamp>,
    /// What was said last.
    #[serde(default)]
    pub said: Option<ScanReport>,
    /// When a scan ended that did not look through all; `None` after one that did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed_at: Option<Timestamp>,
}

/// Where a scan stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Not begun.
    #[default]
    Waiting,
    /// Begun.
    Scanning,
    /// At its end, whichever.
    Ended,
}

/// The only effect: begin a scan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Begin {
    /// Which scan of the image it is.
    pub number: u64,
    /// What to scan.
    pub order: ScanOrder,
}
