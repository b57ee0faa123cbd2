//! How well delivery does: `GET /api/dora`.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The query of `GET /api/dora`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DoraQuery {
    /// The window's begin; without it, 30 days before its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// The window's end; without it, now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Only this environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// Only this service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
}

/// The answer to `GET /api/dora`: DORA's four figures, as `docs/dora.md` defines them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Dora {
    /// Since when: the window's begin, or the journal's where that is later.
    pub from: Timestamp,
    /// The window's end.
    pub until: Timestamp,
    /// There was too much to read: what is older than `from` would belong to the window, too.
    pub cut: bool,
    /// The environments that something was rolled out to, in the order of the configuration.
    pub environments: Vec<DoraEnvironment>,
}

/// An environment's figures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DoraEnvironment {
    /// Its name.
    pub name: String,
    /// All its services together.
    pub all: DoraFigures,
    /// Each of them that something was rolled out of, by name.
    pub services: Vec<DoraService>,
}

/// A service's figures in an environment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DoraService {
    /// Its name.
    pub name: String,
    /// Its figures.
    pub figures: DoraFigures,
}

/// The figures. What nothing is known of is absent, never zero.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DoraFigures {
    /// Rollouts of changes that ended: those that run or ran, and those that failed.
    pub deployments: usize,
    /// Of these, how many succeeded in a day; absent for a window of less than a day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_day: Option<f64>,
    /// Changes that went live, those that a later one overtook among them.
    pub changes: usize,
    /// From a change's push until it was live: the median, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lead_time_ms: Option<i64>,
    /// Deployments that failed: taken back, or away, before their end or later.
    pub failed: usize,
    /// Their share, in percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change_failure_percent: Option<f64>,
    /// Failures after which a good release had all the traffic again.
    pub restored: usize,
    /// How long that took: the median, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_to_restore_ms: Option<i64>,
}
