//! What releases do under traffic, in numbers.

use async_trait::async_trait;
use longshore_events::{Digest, Measure, Number, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{PortError, Workload};

/// Measures what releases do. Nothing is changed by it.
#[async_trait]
pub trait Metrics: Send + Sync {
    /// What was measured of a release in a window. An answer may be stale: without the last of the window. What nothing
    /// was measured of is unknown, and never 0.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Invalid`] when this can never be measured here, such as an expression where there are none;
    /// temporary when nobody answers.
    async fn measure(&self, question: &Question) -> Result<Measured, PortError>;
}

/// What is asked of a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// Where, and what service.
    pub workload: Workload,
    /// The generation that first started the release.
    pub release: u64,
    /// What runs.
    pub digest: Digest,
    /// What is measured.
    pub measure: Measure,
    /// When.
    pub window: Window,
}

/// A span of time. What lies ahead of now counts as not measured yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Its begin.
    pub from: Timestamp,
    /// Its end, which is not part of it.
    pub until: Timestamp,
}

/// What was measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measured {
    /// There is a value.
    Value {
        /// In the measure's unit.
        value: Number,
        /// How many requests it was made of; for [`Measure::Saturation`], how many looks.
        samples: u64,
    },
    /// There is none.
    Unknown {
        /// Why, in one line.
        why: String,
        /// Whoever measures began to do so only then, within the window.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        since: Option<Timestamp>,
    },
}

impl Measured {
    /// No value, for this reason.
    pub fn unknown(why: impl Into<String>) -> Self {
        Self::Unknown { why: why.into(), since: None }
    }

    /// A value made of so many samples; unknown when it is made of none, or is no number.
    pub fn of(value: f64, samples: u64) -> Self {
        match Number::new(value) {
            _ if samples == 0 => Self::unknown("it got no requests"),
            Some(value) => Self::Value { value, samples },
            None => Self::unknown(format!("what was measured is no number: {value}")),
        }
    }
}
