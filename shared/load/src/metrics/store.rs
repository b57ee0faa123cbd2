//! All values of a run, or of one of its loops.

use std::sync::Arc;

use super::names::Definition;
use super::{MetricId, Names, Sink, Tagged};

/// The part of a metric whose values have these tags; named as in thresholds, `metric{tag:value}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Submetric {
    pub(crate) name: String,
    pub(crate) parent: MetricId,
    pub(crate) tags: Vec<(String, String)>,
}

/// The sinks of all metrics. Those of loops are merged into one at the end.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    names: Arc<Names>,
    wanted: Arc<Vec<Submetric>>,
    series: Vec<Series>,
}

#[derive(Debug, Clone)]
struct Series {
    sink: Sink,
    /// Places in `wanted`, with what was counted.
    parts: Vec<(usize, Sink)>,
}

/// A metric or a part of one, with what was counted.
pub(crate) struct Counted<'a> {
    pub(crate) name: String,
    pub(crate) definition: Definition,
    /// The tags that make it a part.
    pub(crate) part: Option<&'a Submetric>,
    pub(crate) sink: &'a Sink,
}

impl Store {
    pub(crate) fn new(names: Arc<Names>, wanted: Arc<Vec<Submetric>>) -> Self {
        Self { names, wanted, series: Vec::new() }
    }

    fn grow(&mut self, id: MetricId) {
        while self.series.len() <= id.0 {
            let next = MetricId(self.series.len());
            let kind = self.names.definition(next).kind;
            let of_this =
                |(place, part): (usize, &Submetric)| (part.parent == next).then(|| (place, Sink::new(kind)));
            let parts = self.wanted.iter().enumerate().filter_map(of_this).collect();
            self.series.push(Series { sink: Sink::new(kind), parts });
        }
    }

    /// Counts a value; `now` is the time since the run began, in nanoseconds.
    #[inline]
    pub(crate) fn add(&mut self, id: MetricId, value: f64, now: u64, tags: &dyn Tagged) {
        if self.series.len() <= id.0 {
            self.grow(id);
        }
        let series = &mut self.series[id.0];
        series.sink.add(value, now);
        for (place, sink) in &mut series.parts {
            let wanted = &self.wanted[*place].tags;
            if wanted.iter().all(|(name, value)| tags.tag(name).is_some_and(|found| found == value.as_str()))
            {
                sink.add(value, now);
            }
        }
    }

    /// Counts what another has counted.
    pub(crate) fn merge(&mut self, other: &Self) {
        for (place, theirs) in other.series.iter().enumerate() {
            self.grow(MetricId(place));
            let ours = &mut self.series[place];
            ours.sink.merge(&theirs.sink);
            for ((_, ours), (_, theirs)) in ours.parts.iter_mut().zip(&theirs.parts) {
                ours.merge(theirs);
            }
        }
    }

    /// Sets what was counted of a metric, or of a part; what nobody asks for is left out.
    pub(crate) fn put(&mut self, name: &str, sink: Sink) {
        if let Some(place) = self.wanted.iter().position(|part| part.name == name) {
            let parent = self.wanted[place].parent;
            self.grow(parent);
            let parts = self.series[parent.0].parts.iter_mut();
            parts.filter(|(known, _)| *known == place).for_each(|(_, known)| *known = sink.clone());
        } else if let Some(id) = self.names.find(name) {
            self.grow(id);
            self.series[id.0].sink = sink;
        }
    }

    /// What was counted of a metric, or of a part by its name.
    pub(crate) fn find(&self, name: &str) -> Option<&Sink> {
        if let Some(place) = self.wanted.iter().position(|part| part.name == name) {
            let series = self.series.get(self.wanted[place].parent.0)?;
            return series.parts.iter().find(|(known, _)| *known == place).map(|(_, sink)| sink);
        }
        self.sink(self.names.find(name)?)
    }

    /// What was counted of a metric.
    pub(crate) fn sink(&self, id: MetricId) -> Option<&Sink> {
        self.series.get(id.0).map(|series| &series.sink)
    }

    /// Every metric, each followed by its parts.
    pub(crate) fn all(&self) -> Vec<Counted<'_>> {
        let mut all = Vec::new();
        for (place, series) in self.series.iter().enumerate() {
            let definition = self.names.definition(MetricId(place));
            let name = definition.name.clone();
            all.push(Counted { name, definition: definition.clone(), part: None, sink: &series.sink });
            for (place, sink) in &series.parts {
                let part = &self.wanted[*place];
                let (name, definition) = (part.name.clone(), definition.clone());
                all.push(Counted { name, definition, part: Some(part), sink });
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Builtin, NoTags, TagList};
    use super::*;

    #[test]
    fn a_part_counts_what_has_its_tags() {
        let part = |name: &str, tags: &[(&str, &str)]| Submetric {
            name: name.to_owned(),
            parent: Builtin::HttpReqs.id(),
            tags: tags.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        };
        let wanted = Arc::new(vec![part("a", &[("x", "1")]), part("b", &[("x", "1"), ("y", "2")])]);
        let mut store = Store::new(Arc::default(), wanted);
        let mut tags = TagList::default();
        tags.set("x", "1");
        store.add(Builtin::HttpReqs.id(), 1.0, 1, &tags);
        store.add(Builtin::HttpReqs.id(), 1.0, 1, &NoTags);
        tags.set("y", "2");
        store.add(Builtin::HttpReqs.id(), 1.0, 1, &tags);
        let mut merged = store.clone();
        merged.merge(&store);
        for (name, count) in [("http_reqs", 3.0), ("a", 2.0), ("b", 1.0)] {
            assert_eq!(store.find(name).unwrap().figure("count", 1.0), Some(count), "{name}");
            assert_eq!(merged.find(name).unwrap().figure("count", 1.0), Some(2.0 * count), "{name}");
        }
    }
}
