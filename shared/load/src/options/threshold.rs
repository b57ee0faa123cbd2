//! Thresholds: `p(95)<500` of a metric, or of a part of it by tags, `http_req_duration{status:200}`.

use std::time::Duration;

use serde_json::Value;

use super::duration;
use crate::metrics::{Kind, Names, Sink, Submetric, percentile};

/// A limit that decides whether a run passed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Threshold {
    /// As the script writes it.
    pub(crate) source: String,
    figure: String,
    operator: Operator,
    limit: f64,
    pub(crate) abort: bool,
    pub(crate) delay: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
    Equal,
    Unequal,
}

/// Longest first: `<` is also how `<=` begins.
const OPERATORS: [(&str, Operator); 8] = [
    ("===", Operator::Equal),
    ("!==", Operator::Unequal),
    ("==", Operator::Equal),
    ("!=", Operator::Unequal),
    (">=", Operator::GreaterOrEqual),
    ("<=", Operator::LessOrEqual),
    (">", Operator::Greater),
    ("<", Operator::Less),
];

/// All thresholds of one metric or part.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Thresholds {
    /// As in the options: `metric` or `metric{tag:value}`.
    pub(crate) metric: String,
    pub(crate) all: Vec<Threshold>,
}

impl Threshold {
    fn read(value: &Value) -> Result<Self, String> {
        match value {
            Value::String(source) => Self::parse(source),
            Value::Object(fields) => {
                let known = ["threshold", "abortOnFail", "delayAbortEval"];
                if let Some(other) = fields.keys().find(|name| !known.contains(&name.as_str())) {
                    return Err(format!(
                        "a threshold has no field {other:?}: use one of {}",
                        known.join(", ")
                    ));
                }
                let source = fields.get("threshold").and_then(Value::as_str);
                let mut made = Self::parse(source.ok_or("a threshold needs the field \"threshold\"")?)?;
                made.abort = fields.get("abortOnFail").and_then(Value::as_bool).unwrap_or(false);
                made.delay = fields
                    .get("delayAbortEval")
                    .filter(|value| !value.is_null())
                    .map_or(Ok(Duration::ZERO), duration::of)?;
                Ok(made)
            }
            other => Err(format!("{other} is not a threshold: write for example \"p(95)<500\"")),
        }
    }

    fn parse(source: &str) -> Result<Self, String> {
        let wrong =
            |what: &str| format!("threshold {source:?}: {what}, as in \"p(95)<500\" or \"rate>=0.99\"");
        let at = source.find(['<', '>', '=', '!']).ok_or_else(|| wrong("there is no comparison"))?;
        let (figure, rest) = source.split_at(at);
        let (name, operator) = OPERATORS
            .iter()
            .find(|(name, _)| rest.starts_with(name))
            .ok_or_else(|| wrong("the comparison must be one of > >= < <= == === != !=="))?;
        let limit: f64 =
            rest[name.len()..].trim().parse().map_err(|_| wrong("what is compared with must be a number"))?;
        let figure: String = figure.chars().filter(|c| !c.is_whitespace()).collect();
        let known = ["count", "rate", "value", "avg", "min", "med", "max"];
        if !known.contains(&figure.as_str()) && percentile(&figure).is_none() {
            return Err(wrong("the figure must be one of count, rate, value, avg, min, med, max, p(N)"));
        }
        let (source, operator) = (source.to_owned(), *operator);
        Ok(Self { source, figure, operator, limit, abort: false, delay: Duration::ZERO })
    }

    fn suits(&self, kind: Kind) -> bool {
        match kind {
            Kind::Counter => ["count", "rate"].contains(&self.figure.as_str()),
            Kind::Gauge => self.figure == "value",
            Kind::Rate => self.figure == "rate",
            Kind::Trend => !["count", "rate", "value"].contains(&self.figure.as_str()),
        }
    }

    /// The name of the figure, `p(95)`.
    pub(crate) fn figure(&self) -> &str {
        &self.figure
    }

    /// The figure itself, of a run that took `seconds`.
    pub(crate) fn value(&self, sink: &Sink, seconds: f64) -> f64 {
        sink.figure(&self.figure, seconds).unwrap_or(0.0)
    }

    /// Whether it holds. Unlike k6, of nothing counted a threshold does not hold, except one that wants none of a
    /// counter.
    pub(crate) fn holds(&self, sink: Option<&Sink>, seconds: f64) -> bool {
        let none = Sink::new(Kind::Counter);
        let sink = match sink {
            Some(sink) if !sink.is_empty() => sink,
            Some(sink @ Sink::Counter { .. }) => sink,
            None if self.figure == "count" => &none,
            _ => return false,
        };
        let value = self.value(sink, seconds);
        match self.operator {
            Operator::Greater => value > self.limit,
            Operator::GreaterOrEqual => value >= self.limit,
            Operator::Less => value < self.limit,
            Operator::LessOrEqual => value <= self.limit,
            Operator::Equal => (value - self.limit).abs() < f64::EPSILON * self.limit.abs().max(1.0),
            Operator::Unequal => (value - self.limit).abs() >= f64::EPSILON * self.limit.abs().max(1.0),
        }
    }
}

/// The thresholds of the options.
pub(crate) fn read(value: &Value) -> Result<Vec<Thresholds>, String> {
    let Value::Object(fields) = value else {
        return Err("thresholds: must be an object of metrics".to_owned());
    };
    let mut all = Vec::new();
    for (metric, list) in fields {
        let one = std::slice::from_ref(list);
        let list = list.as_array().map_or(one, Vec::as_slice);
        let read: Result<Vec<_>, _> = list.iter().map(Threshold::read).collect();
        let read = read.map_err(|error| format!("thresholds of {metric}: {error}"))?;
        all.push(Thresholds { metric: metric.clone(), all: read });
    }
    all.sort_by(|a, b| a.metric.cmp(&b.metric));
    Ok(all)
}

/// The parts of metrics that thresholds speak of, once all metrics are declared.
///
/// # Errors
/// A metric that is not declared, tags that cannot be read, a figure that its metric has not.
pub(crate) fn parts(thresholds: &[Thresholds], names: &Names) -> Result<Vec<Submetric>, String> {
    let mut parts = vec![Submetric {
        name: "http_req_duration{expected_response:true}".to_owned(),
        parent: crate::metrics::Builtin::HttpReqDuration.id(),
        tags: vec![("expected_response".to_owned(), "true".to_owned())],
    }];
    for of in thresholds {
        let (name, tags) = split(&of.metric)?;
        let Some(parent) = names.find(name) else {
            return Err(format!(
                "thresholds: no metric is named {name:?}: declare it in the script's init code"
            ));
        };
        let kind = names.definition(parent).kind;
        if let Some(threshold) = of.all.iter().find(|threshold| !threshold.suits(kind)) {
            let (source, figure) = (&threshold.source, &threshold.figure);
            return Err(format!("threshold {source:?} of {name}: a {kind:?} has no {figure}"));
        }
        if let Some(tags) = tags
            && !parts.iter().any(|known| known.name == of.metric)
        {
            parts.push(Submetric { name: of.metric.clone(), parent, tags });
        }
    }
    Ok(parts)
}

type Tags = Vec<(String, String)>;

/// The metric and the tags of `metric{tag:value,…}`.
fn split(metric: &str) -> Result<(&str, Option<Tags>), String> {
    let Some((name, rest)) = metric.split_once('{') else { return Ok((metric, None)) };
    let wrong =
        || format!("thresholds: {metric:?} must be a metric, or a metric and tags as in name{{tag:value}}");
    let inner = rest.strip_suffix('}').ok_or_else(wrong)?;
    let unquoted = |text: &str| text.trim().trim_matches(['"', '\'']).to_owned();
    let one = |pair: &str| {
        let (tag, value) = pair.split_once(':').ok_or_else(wrong)?;
        Ok((unquoted(tag), unquoted(value)))
    };
    Ok((name.trim(), Some(inner.split(',').map(one).collect::<Result<_, String>>()?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Builtin;

    #[test]
    fn thresholds_are_read_and_judged() {
        let mut sink = Sink::new(Kind::Trend);
        (1..=100).for_each(|n| sink.add(f64::from(n), 1));
        for (source, holds) in [
            ("p(95)<500", true),
            ("p(95) < 95", false),
            ("max<=100", true),
            ("min===1", true),
            ("avg!=50.5", false),
            ("med>=50.4", true),
            ("p(99.9)>99", true),
        ] {
            let threshold = Threshold::parse(source).unwrap();
            assert_eq!(threshold.holds(Some(&sink), 1.0), holds, "{source}");
        }
    }

    #[test]
    fn a_threshold_without_samples_does_not_hold() {
        let threshold = Threshold::parse("p(95)<500").unwrap();
        assert!(!threshold.holds(Some(&Sink::new(Kind::Trend)), 1.0));
        assert!(!threshold.holds(None, 1.0));
        assert!(Threshold::parse("count<1").unwrap().holds(Some(&Sink::new(Kind::Counter)), 1.0));
    }

    #[test]
    fn what_cannot_be_a_threshold_is_said() {
        for source in ["cound>1", "p(101)<1", "p(95)", "avg<x", "avg<", "rate=>1"] {
            assert!(Threshold::parse(source).is_err(), "{source}");
        }
    }

    #[test]
    fn parts_are_found_by_their_tags() {
        let names = Names::default();
        let read = |text: &str| read(&serde_json::from_str(text).unwrap()).unwrap();
        let parts = parts(&read(r#"{"http_reqs{name:a, status:200}": ["count>1"]}"#), &names).unwrap();
        assert_eq!(parts[1].parent, Builtin::HttpReqs.id());
        assert_eq!(parts[1].tags[1], ("status".to_owned(), "200".to_owned()));
        for wrong in
            [r#"{"nothing": ["count>1"]}"#, r#"{"http_reqs": ["avg>1"]}"#, r#"{"http_reqs{x": ["count>1"]}"#]
        {
            assert!(super::parts(&read(wrong), &names).is_err(), "{wrong}");
        }
    }
}
