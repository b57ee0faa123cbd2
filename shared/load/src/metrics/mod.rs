//! What a run counts: metrics of k6's four kinds, their parts by tag, and how the counts of many loops become one.

mod names;
mod sink;
mod store;
mod tags;
mod trend;

pub(crate) use names::{Builtin, MetricId, Names};
pub(crate) use names::{Contains, Kind};
pub(crate) use sink::percentile;
pub(crate) use sink::{Distribution, Sink};
pub(crate) use store::{Counted, Store, Submetric};
pub(crate) use tags::{NoTags, TagList, Tagged};
pub(crate) use trend::Trend;
