//! Slices of a run: what one generator has counted, written so that it adds up with what the others have; and the
//! verdict on all of them together.
//!
//! Histograms are written whole (HdrHistogram's V2 encoding, deflated): percentiles cannot be merged.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer, Serializer, V2DeflateSerializer};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::metrics::{Contains, Distribution, Kind, Names, Sink, Store, Trend};
use crate::options::{Options, Overrides, Segment, parts};
use crate::run::{Checks, Flat, Settings, Verdict};
use crate::summary::{Report, write as write_summary};

/// The form of a slice; another one is refused.
const FORM: u32 = 1;

/// What one generator has counted.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Slice {
    form: u32,
    segment: String,
    /// As the script exports them, with the flags' figures of trends.
    options: Value,
    trend_stats: Vec<String>,
    duration_ms: f64,
    complete: u64,
    interrupted: u64,
    late: Option<String>,
    setup_data: Option<String>,
    metrics: Vec<Metric>,
    checks: Vec<Flat>,
    lag: Values,
}

#[derive(Debug, Serialize, Deserialize)]
struct Metric {
    name: String,
    kind: Kind,
    contains: Contains,
    /// It is the part of a metric that a threshold speaks of.
    part: bool,
    values: Values,
}

#[derive(Debug, Serialize, Deserialize)]
enum Values {
    Counter { sum: f64, samples: u64 },
    Gauge { value: f64, min: f64, max: f64, at: u64 },
    Rate { passes: u64, total: u64 },
    Trend { count: u64, sum: f64, min: f64, max: f64, values: String, below: Option<String> },
}

fn encode(histogram: &Histogram<u64>) -> Result<String, String> {
    let mut bytes = Vec::new();
    let written = V2DeflateSerializer::new().serialize(histogram, &mut bytes);
    written.map(|_| STANDARD.encode(bytes)).map_err(|error| format!("a histogram cannot be written: {error}"))
}

fn decode(text: &str) -> Result<Histogram<u64>, String> {
    let bytes = STANDARD.decode(text).map_err(|error| format!("a histogram is not base64: {error}"))?;
    let read = Deserializer::new().deserialize(&mut bytes.as_slice());
    read.map_err(|error| format!("a histogram cannot be read: {error}"))
}

impl Values {
    fn of(sink: &Sink) -> Result<Self, String> {
        Ok(match sink {
            Sink::Counter { sum, samples } => Self::Counter { sum: *sum, samples: *samples },
            Sink::Gauge { value, min, max, at } => {
                Self::Gauge { value: *value, min: *min, max: *max, at: *at }
            }
            Sink::Rate { passes, total } => Self::Rate { passes: *passes, total: *total },
            Sink::Trend(trend) => Self::of_trend(&trend.0)?,
        })
    }

    fn of_trend(trend: &Trend) -> Result<Self, String> {
        let (values, below) = trend.histograms();
        Ok(Self::Trend {
            count: trend.count,
            sum: trend.sum,
            min: trend.min,
            max: trend.max,
            values: encode(values)?,
            below: below.map(encode).transpose()?,
        })
    }

    fn sink(&self) -> Result<Sink, String> {
        Ok(match self {
            Self::Counter { sum, samples } => Sink::Counter { sum: *sum, samples: *samples },
            Self::Gauge { value, min, max, at } => {
                Sink::Gauge { value: *value, min: *min, max: *max, at: *at }
            }
            Self::Rate { passes, total } => Sink::Rate { passes: *passes, total: *total },
            Self::Trend { count, sum, min, max, values, below } => {
                let below = below.as_deref().map(decode).transpose()?;
                let trend = Trend::of([*sum, *min, *max], *count, decode(values)?, below);
                Sink::Trend(Box::new(Distribution(trend)))
            }
        })
    }
}

impl Slice {
    pub(crate) fn of(report: &Report) -> Result<Self, String> {
        let metrics = report.store.all().into_iter().map(|counted| {
            Ok(Metric {
                name: counted.name.clone(),
                kind: counted.definition.kind,
                contains: counted.definition.contains,
                part: counted.part.is_some(),
                values: Values::of(counted.sink)?,
            })
        });
        Ok(Self {
            form: FORM,
            segment: report.options.segment.to_string(),
            options: report.options.raw.clone(),
            trend_stats: report.options.trend_stats.clone(),
            duration_ms: report.seconds() * 1_000.0,
            complete: report.complete,
            interrupted: report.interrupted,
            late: report.late().then(|| report.lateness()),
            setup_data: report.setup_data.clone(),
            metrics: metrics.collect::<Result<_, String>>()?,
            checks: report.checks.flat(),
            lag: Values::of_trend(&report.lag.0)?,
        })
    }

    fn segment(&self) -> Result<Segment, String> {
        Segment::parse(&self.segment)
    }

    /// What was counted, as a store of its own.
    fn store(&self, names: &Arc<Names>, options: &Options) -> Result<Store, String> {
        for metric in self.metrics.iter().filter(|metric| !metric.part) {
            names.declare(&metric.name, metric.kind, metric.contains)?;
        }
        let wanted = Arc::new(parts(&options.thresholds, names)?);
        let mut store = Store::new(Arc::clone(names), wanted);
        for metric in &self.metrics {
            store.put(&metric.name, metric.values.sink()?);
        }
        Ok(store)
    }
}

/// Puts the slices of a run together, writes the summary of the whole, and judges it once.
pub fn merge(files: &[PathBuf], settings: &mut Settings) -> Verdict {
    match merged(files) {
        Ok((report, late)) => {
            let crossed = report.crossed();
            if let Err(error) = write_summary(settings, &report, None) {
                return Verdict::Failed(error);
            }
            match late {
                Some(late) => Verdict::Invalid(late),
                None if crossed.is_empty() => Verdict::Passed,
                None => Verdict::Crossed(crossed),
            }
        }
        Err(why) => Verdict::Configuration(why),
    }
}

fn merged(files: &[PathBuf]) -> Result<(Report, Option<String>), String> {
    let read = |path: &PathBuf| {
        let wrong = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let text = std::fs::read_to_string(path).map_err(|error| wrong(&error))?;
        let slice: Slice = serde_json::from_str(&text).map_err(|error| wrong(&error))?;
        if slice.form == FORM { Ok(slice) } else { Err(wrong(&"is of another version: run the slices anew")) }
    };
    let slices: Vec<Slice> = files.iter().map(read).collect::<Result<_, String>>()?;
    let Some(first) = slices.first() else { return Err("there are no slices".to_owned()) };
    Segment::are_whole(slices.iter().map(Slice::segment).collect::<Result<_, _>>()?)?;
    if slices.iter().any(|slice| slice.options != first.options) {
        return Err("the slices are of runs with different options".to_owned());
    }
    let flags = Overrides { summary_trend_stats: Some(first.trend_stats.clone()), ..Overrides::default() };
    let mut options = Options::read(&first.options, &flags)?;
    options.segment = Segment::default();
    let names = Arc::new(Names::default());
    let stores = slices.iter().map(|slice| slice.store(&names, &options)).collect::<Result<Vec<_>, _>>()?;
    let mut store = Store::new(Arc::clone(&names), Arc::new(parts(&options.thresholds, &names)?));
    for other in &stores {
        store.merge(other);
    }
    let (mut checks, mut lag) = (Checks::default(), Distribution::default());
    for slice in &slices {
        checks.merge(&Checks::of(&slice.checks));
        if let Sink::Trend(late) = slice.lag.sink()? {
            lag.0.merge(&late.0);
        }
    }
    let longest = slices.iter().map(|slice| slice.duration_ms).fold(0.0, f64::max);
    let late = slices
        .iter()
        .find_map(|slice| slice.late.clone().map(|late| format!("slice {}: {late}", slice.segment)));
    let report = Report {
        options,
        store,
        checks,
        lag,
        max_lag: Duration::MAX,
        duration: Duration::from_secs_f64(longest / 1_000.0),
        complete: slices.iter().map(|slice| slice.complete).sum(),
        interrupted: slices.iter().map(|slice| slice.interrupted).sum(),
        setup_data: first.setup_data.clone(),
    };
    Ok((report, late))
}
