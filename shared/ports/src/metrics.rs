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

impl Question {
    /// A query or an expression of the configuration over so many seconds: what is asked about stands in the place of
    /// `$environment`, `$service`, `$digest`, `$release` (a number), `$window` (`300s`) and `$quantile` (`0.99`). Names and
    /// digests hold nothing that would end a text within it.
    pub fn fill(&self, template: &str, seconds: i64) -> String {
        let quantile = match &self.measure {
            Measure::Latency(percentile) => percentile.share().to_string(),
            _ => String::new(),
        };
        let values = [
            ("environment", self.workload.environment.to_string()),
            ("service", self.workload.service.to_string()),
            ("digest", self.digest.to_string()),
            ("release", self.release.to_string()),
            ("window", format!("{seconds}s")),
            ("quantile", quantile),
        ];
        let mut filled = String::with_capacity(template.len() + 100);
        let mut rest = template;
        while let Some((before, after)) = rest.split_once('$') {
            filled.push_str(before);
            let end = after.find(|c: char| !c.is_ascii_lowercase()).unwrap_or(after.len());
            match values.iter().find(|(name, _)| *name == &after[..end]) {
                Some((_, value)) => filled.push_str(value),
                // Such as the end of a line in a regular expression.
                None => filled.extend(["$", &after[..end]]),
            }
            rest = &after[end..];
        }
        filled.push_str(rest);
        filled
    }
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

#[cfg(test)]
mod tests {
    use longshore_events::Percentile;

    use super::*;

    #[test]
    fn variables_are_replaced_and_everything_else_stays() {
        let at = Timestamp::from_second(7).unwrap();
        let question = Question {
            workload: Workload { environment: "live".parse().unwrap(), service: "shop".parse().unwrap() },
            release: 3,
            digest: Digest::new(format!("sha256:{}", "a".repeat(64))).unwrap(),
            measure: Measure::Latency(Percentile::new(9_990).unwrap()),
            window: Window { from: at, until: at },
        };
        let template =
            "q($quantile, x{e=\"$environment\",s=\"$service\",r=\"$release\",p=~\"a.$\"}[$window]) # $other$";
        let filled = question.fill(template, 90);
        assert_eq!(filled, "q(0.999, x{e=\"live\",s=\"shop\",r=\"3\",p=~\"a.$\"}[90s]) # $other$");
        assert!(question.fill("$digest", 1).starts_with("sha256:aaaa"));
    }

    #[test]
    fn what_is_made_of_nothing_or_is_no_number_is_unknown() {
        for (value, samples) in [(0.0, 0), (f64::NAN, 5), (f64::INFINITY, 5)] {
            assert!(matches!(Measured::of(value, samples), Measured::Unknown { .. }), "{value} of {samples}");
        }
        assert!(matches!(Measured::of(0.0, 5), Measured::Value { samples: 5, .. }));
    }
}
