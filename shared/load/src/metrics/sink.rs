//! What is kept of a metric's values, by its kind.

use super::{Kind, trend::Trend};

/// The values of one metric, put together.
#[derive(Debug, Clone)]
pub(crate) enum Sink {
    /// Their sum, and how many there were.
    Counter {
        /// The sum.
        sum: f64,
        /// How many values.
        samples: u64,
    },
    /// The last one, its time since the run began in nanoseconds, and the ends.
    Gauge {
        /// The last one.
        value: f64,
        /// The lowest.
        min: f64,
        /// The highest.
        max: f64,
        /// When the last one was set; 0 before the first.
        at: u64,
    },
    /// How many are not zero, of how many.
    Rate {
        /// Not zero.
        passes: u64,
        /// All.
        total: u64,
    },
    /// Their distribution.
    Trend(Box<Distribution>),
}

/// A distribution of values.
#[derive(Debug, Clone, Default)]
pub(crate) struct Distribution(pub(crate) Trend);

impl Sink {
    pub(crate) fn new(kind: Kind) -> Self {
        match kind {
            Kind::Counter => Self::Counter { sum: 0.0, samples: 0 },
            Kind::Gauge => Self::Gauge { value: 0.0, min: 0.0, max: 0.0, at: 0 },
            Kind::Rate => Self::Rate { passes: 0, total: 0 },
            Kind::Trend => Self::Trend(Box::default()),
        }
    }

    /// Counts a value; `now` is the time since the run began, in nanoseconds.
    #[inline]
    pub(crate) fn add(&mut self, added: f64, now: u64) {
        match self {
            Self::Counter { sum, samples } => {
                *sum += added;
                *samples += 1;
            }
            Self::Gauge { value, min, max, at } => {
                if *at == 0 {
                    (*min, *max) = (added, added);
                }
                (*min, *max) = (min.min(added), max.max(added));
                (*value, *at) = (added, now.max(1));
            }
            Self::Rate { passes, total } => {
                *total += 1;
                *passes += u64::from(added != 0.0);
            }
            Self::Trend(trend) => trend.0.add(added),
        }
    }

    /// Counts what another of the same kind has counted.
    pub(crate) fn merge(&mut self, other: &Self) {
        match (self, other) {
            (Self::Counter { sum, samples }, Self::Counter { sum: more, samples: also }) => {
                *sum += more;
                *samples += also;
            }
            (
                Self::Gauge { value, min, max, at },
                Self::Gauge { value: new, min: low, max: high, at: then },
            ) => {
                if *then == 0 {
                    return;
                }
                (*min, *max) = if *at == 0 { (*low, *high) } else { (min.min(*low), max.max(*high)) };
                if then >= at {
                    (*value, *at) = (*new, *then);
                }
            }
            (Self::Rate { passes, total }, Self::Rate { passes: more, total: also }) => {
                *passes += more;
                *total += also;
            }
            (Self::Trend(trend), Self::Trend(more)) => trend.0.merge(&more.0),
            _ => debug_assert!(false, "a metric has one kind"),
        }
    }

    /// Whether nothing was counted.
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Self::Counter { samples, .. } => *samples == 0,
            Self::Gauge { at, .. } => *at == 0,
            Self::Rate { total, .. } => *total == 0,
            Self::Trend(trend) => trend.0.count == 0,
        }
    }

    /// A figure of these values by k6's name for it, in a run that took `seconds`. Times are milliseconds.
    pub(crate) fn figure(&self, name: &str, seconds: f64) -> Option<f64> {
        let share = |passes: u64, total: u64| {
            #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
            let share = passes as f64 / total.max(1) as f64;
            share
        };
        match (self, name) {
            (Self::Counter { sum, .. }, "count") => Some(*sum),
            (Self::Counter { sum, .. }, "rate") => Some(if seconds > 0.0 { sum / seconds } else { 0.0 }),
            (Self::Gauge { value, .. }, "value") => Some(*value),
            (Self::Gauge { min, .. }, "min") => Some(*min),
            (Self::Gauge { max, .. }, "max") => Some(*max),
            (Self::Rate { passes, total }, "rate") => Some(share(*passes, *total)),
            #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
            (Self::Rate { passes, .. }, "passes") => Some(*passes as f64),
            #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
            (Self::Rate { passes, total }, "fails") => Some((total - passes) as f64),
            (Self::Trend(trend), name) => trend.0.figure(name),
            _ => None,
        }
    }

    /// The names of the figures in summaries; `stats` are those of trends.
    pub(crate) fn figures<'a>(&self, stats: &'a [String]) -> Vec<&'a str> {
        match self {
            Self::Counter { .. } => vec!["count", "rate"],
            Self::Gauge { .. } => vec!["value", "min", "max"],
            Self::Rate { .. } => vec!["rate", "passes", "fails"],
            Self::Trend(_) => stats.iter().map(String::as_str).collect(),
        }
    }
}

impl Trend {
    fn figure(&self, name: &str) -> Option<f64> {
        match name {
            "avg" => Some(self.mean()),
            "min" => Some(self.min),
            "med" => Some(self.quantile(0.5)),
            "max" => Some(self.max),
            #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
            "count" => Some(self.count as f64),
            other => percentile(other).map(|share| self.quantile(share)),
        }
    }
}

/// The share that `p(95)` means: 0.95.
pub(crate) fn percentile(name: &str) -> Option<f64> {
    let number: f64 = name.strip_prefix("p(")?.strip_suffix(')')?.trim().parse().ok()?;
    (0.0..=100.0).contains(&number).then_some(number / 100.0)
}
