//! What scans found in what runs: `GET /api/findings`.

use jiff::Timestamp;
use longshore_events::types::{ScanStatus, Severity, SeverityCounts};
use longshore_ports::Finding;
use serde::{Deserialize, Serialize};

/// The query of `GET /api/findings`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct FindingsQuery {
    /// Only what this service runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// Only what runs in this environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// Only findings that are at least so bad.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
}

/// The answer to `GET /api/findings`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FindingsOfImages {
    /// When it was asked.
    pub at: Timestamp,
    /// The images that run, each once.
    pub images: Vec<ImageFindings>,
}

/// What was found in an image that runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ImageFindings {
    /// The image at its digest.
    pub image: String,
    /// Who runs it: `environment/service`.
    pub runs_in: Vec<String>,
    /// The last scan; absent when none has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scan: Option<LastScan>,
    /// What was found, the worst first; at most 1,000.
    pub findings: Vec<KnownFinding>,
    /// How many there are, of those that were asked for; where the list of the scan was cut, of those that it names.
    pub total: usize,
    /// How many of these a newer version of their package mends.
    pub mended: usize,
}

/// A scan that has ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LastScan {
    /// What scanned.
    pub scanner: String,
    /// What it compared with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// When that was said.
    pub at: Timestamp,
    /// Whether it looked through all: only `complete` counts.
    pub status: ScanStatus,
    /// Why it did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// All its findings.
    pub counts: SeverityCounts,
}

/// A finding, and who has accepted it for a while.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KnownFinding {
    /// The finding.
    #[serde(flatten)]
    pub finding: Finding,
    /// Until when a waiver of the configuration accepts it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waived_until: Option<Timestamp>,
}
