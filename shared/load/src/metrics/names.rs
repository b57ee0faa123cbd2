//! The metrics of a run by name: k6's own, and those that the script declares in its init code.

use std::sync::Mutex;

use serde::{Deserialize, Serialize};

/// How values of a metric are put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// The sum of all values.
    Counter,
    /// The last value.
    Gauge,
    /// The share of values that are not zero.
    Rate,
    /// The distribution of all values.
    Trend,
}

/// What values of a metric are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Contains {
    /// Bare numbers.
    Default,
    /// Milliseconds.
    Time,
    /// Bytes.
    Data,
}

/// The place of a metric among all of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct MetricId(pub(crate) usize);

/// A metric's name and nature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Definition {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) contains: Contains,
}

/// k6's own metrics, in the order of their ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Builtin {
    Vus,
    VusMax,
    Iterations,
    IterationDuration,
    DroppedIterations,
    Checks,
    GroupDuration,
    HttpReqs,
    HttpReqFailed,
    HttpReqDuration,
    HttpReqBlocked,
    HttpReqConnecting,
    HttpReqTlsHandshaking,
    HttpReqSending,
    HttpReqWaiting,
    HttpReqReceiving,
    DataSent,
    DataReceived,
}

impl Builtin {
    const ALL: [(&'static str, Kind, Contains); 18] = [
        ("vus", Kind::Gauge, Contains::Default),
        ("vus_max", Kind::Gauge, Contains::Default),
        ("iterations", Kind::Counter, Contains::Default),
        ("iteration_duration", Kind::Trend, Contains::Time),
        ("dropped_iterations", Kind::Counter, Contains::Default),
        ("checks", Kind::Rate, Contains::Default),
        ("group_duration", Kind::Trend, Contains::Time),
        ("http_reqs", Kind::Counter, Contains::Default),
        ("http_req_failed", Kind::Rate, Contains::Default),
        ("http_req_duration", Kind::Trend, Contains::Time),
        ("http_req_blocked", Kind::Trend, Contains::Time),
        ("http_req_connecting", Kind::Trend, Contains::Time),
        ("http_req_tls_handshaking", Kind::Trend, Contains::Time),
        ("http_req_sending", Kind::Trend, Contains::Time),
        ("http_req_waiting", Kind::Trend, Contains::Time),
        ("http_req_receiving", Kind::Trend, Contains::Time),
        ("data_sent", Kind::Counter, Contains::Data),
        ("data_received", Kind::Counter, Contains::Data),
    ];

    /// Its id, the same in every run.
    pub(crate) const fn id(self) -> MetricId {
        MetricId(self as usize)
    }
}

/// All metrics of a run. Only grows; ids are given in the order of declaration.
#[derive(Debug)]
pub(crate) struct Names(Mutex<Vec<Definition>>);

impl Default for Names {
    fn default() -> Self {
        let own =
            Builtin::ALL.map(|(name, kind, contains)| Definition { name: name.to_owned(), kind, contains });
        Self(Mutex::new(own.into()))
    }
}

impl Names {
    fn all(&self) -> std::sync::MutexGuard<'_, Vec<Definition>> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// The id of this metric, which is new, or was declared with the same kind before.
    ///
    /// # Errors
    /// A message for the script's author.
    pub(crate) fn declare(&self, name: &str, kind: Kind, contains: Contains) -> Result<MetricId, String> {
        let letters = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !letters || name.is_empty() || name.len() > 128 || name.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(format!(
                "invalid metric name {name:?}: use at most 128 ASCII letters, digits and underscores, and begin with \
                 a letter or an underscore"
            ));
        }
        let mut all = self.all();
        let definition = Definition { name: name.to_owned(), kind, contains };
        match all.iter().position(|known| known.name == name) {
            Some(at) if all[at] == definition => Ok(MetricId(at)),
            Some(at) => Err(format!(
                "metric {name:?} is already a {:?} of {:?} values: choose another name",
                all[at].kind, all[at].contains
            )),
            None => {
                all.push(definition);
                Ok(MetricId(all.len() - 1))
            }
        }
    }

    /// The id of a metric that was declared.
    pub(crate) fn find(&self, name: &str) -> Option<MetricId> {
        self.all().iter().position(|known| known.name == name).map(MetricId)
    }

    /// What a metric is.
    pub(crate) fn definition(&self, id: MetricId) -> Definition {
        self.all()[id.0].clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn k6s_own_metrics_have_fixed_ids() {
        let names = Names::default();
        assert_eq!(names.find("data_received"), Some(Builtin::DataReceived.id()));
        assert_eq!(names.find("http_req_duration"), Some(Builtin::HttpReqDuration.id()));
        assert_eq!(names.find("vus"), Some(Builtin::Vus.id()));
    }

    #[test]
    fn a_metric_is_declared_again_only_as_what_it_is() {
        let names = Names::default();
        let id = names.declare("mine", Kind::Trend, Contains::Time).unwrap();
        assert_eq!(names.declare("mine", Kind::Trend, Contains::Time), Ok(id));
        assert!(names.declare("mine", Kind::Rate, Contains::Default).unwrap_err().contains("already"));
        assert!(names.declare("not mine", Kind::Rate, Contains::Default).is_err());
    }
}
