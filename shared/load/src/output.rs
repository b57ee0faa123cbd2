//! Every single value of a run, written as it comes: k6's `--out json` and `--out csv`.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::json;

use crate::metrics::{MetricId, Names, Submetric, Tagged};

/// A form of output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// A JSON object a line: metrics when they are first seen, and points.
    Json(PathBuf),
    /// A point a line.
    Csv(PathBuf),
}

impl Output {
    /// What `--out` says: `json=file` or `csv=file`.
    ///
    /// # Errors
    /// Neither of them.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some(("json", path)) if !path.is_empty() => Ok(Self::Json(path.into())),
            Some(("csv", path)) if !path.is_empty() => Ok(Self::Csv(path.into())),
            _ => Err(format!("{text:?} is not an output: write json=FILE or csv=FILE")),
        }
    }

    fn path(&self) -> &Path {
        match self {
            Self::Json(path) | Self::Csv(path) => path,
        }
    }
}

/// An open output, for all loops.
#[derive(Debug)]
pub(crate) struct Sink {
    form: Output,
    file: Mutex<File>,
    names: Arc<Names>,
    wanted: Arc<Vec<Submetric>>,
    thresholds: Vec<(String, Vec<String>)>,
    seen: Mutex<Vec<MetricId>>,
    failed: Mutex<Option<String>>,
}

impl Sink {
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn open(
        form: &Output,
        names: Arc<Names>,
        wanted: Arc<Vec<Submetric>>,
        thresholds: Vec<(String, Vec<String>)>,
    ) -> io::Result<Arc<Self>> {
        let mut file = File::create(form.path())?;
        if let Output::Csv(_) = form {
            writeln!(file, "metric_name,timestamp,metric_value,{},extra_tags", CSV_TAGS.join(","))?;
        }
        let (form, file) = (form.clone(), Mutex::new(file));
        let (seen, failed) = (Mutex::default(), Mutex::default());
        Ok(Arc::new(Self { form, file, names, wanted, thresholds, seen, failed }))
    }

    fn write(&self, bytes: &[u8]) {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = file.write_all(bytes) {
            let error = format!("{}: {error}", self.form.path().display());
            self.failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        }
    }

    /// The first error of writing.
    pub(crate) fn error(&self) -> Option<String> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The line that tells of a metric, the first time that it is seen.
    fn introduce(&self, id: MetricId) -> Option<String> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.contains(&id) {
            return None;
        }
        seen.push(id);
        let definition = self.names.definition(id);
        let of = self.thresholds.iter().find(|(metric, _)| *metric == definition.name);
        let parts = self.wanted.iter().filter(|part| part.parent == id).map(|part| {
            let suffix = part.name.split_once('{').map_or("", |(_, rest)| rest.trim_end_matches('}'));
            let tags: serde_json::Map<_, _> =
                part.tags.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
            json!({"name": part.name, "suffix": suffix, "tags": tags})
        });
        let parts: Vec<_> = parts.collect();
        let line = json!({
            "type": "Metric",
            "data": {
                "name": definition.name,
                "type": definition.kind,
                "contains": definition.contains,
                "thresholds": of.map_or(&[][..], |(_, all)| all),
                "submetrics": if parts.is_empty() { json!(null) } else { json!(parts) },
            },
            "metric": definition.name,
        });
        Some(format!("{line}\n"))
    }
}

const CSV_TAGS: [&str; 14] = [
    "check",
    "error",
    "error_code",
    "expected_response",
    "group",
    "method",
    "name",
    "proto",
    "scenario",
    "service",
    "status",
    "subproto",
    "tls_version",
    "url",
];

/// How much is gathered before it is written.
const GATHERED: usize = 64 << 10;

/// One loop's way to all outputs.
pub(crate) struct Samples {
    outputs: Vec<(Arc<Sink>, Vec<u8>)>,
    known: Vec<bool>,
    names: Vec<String>,
}

impl Samples {
    pub(crate) fn new(sinks: &[Arc<Sink>]) -> Option<Self> {
        let outputs: Vec<_> = sinks.iter().map(|sink| (Arc::clone(sink), Vec::new())).collect();
        (!outputs.is_empty()).then_some(Self { outputs, known: Vec::new(), names: Vec::new() })
    }

    /// Writes a value.
    pub(crate) fn add(&mut self, time: &jiff::Timestamp, id: MetricId, value: f64, tags: &dyn Tagged) {
        let first = self.introduce(id);
        for (sink, gathered) in &mut self.outputs {
            match sink.form {
                Output::Json(_) => {
                    if first && let Some(line) = sink.introduce(id) {
                        // Before any point of this metric from any loop.
                        sink.write(line.as_bytes());
                    }
                    write_json(gathered, &self.names[id.0], time, value, tags);
                }
                Output::Csv(_) => write_csv(gathered, &self.names[id.0], time, value, tags),
            }
            if gathered.len() >= GATHERED {
                sink.write(gathered);
                gathered.clear();
            }
        }
    }

    /// Whether this loop sees the metric for the first time.
    fn introduce(&mut self, id: MetricId) -> bool {
        let Some((sink, _)) = self.outputs.first() else { return false };
        while self.names.len() <= id.0 {
            self.names.push(sink.names.definition(MetricId(self.names.len())).name);
            self.known.push(false);
        }
        !std::mem::replace(&mut self.known[id.0], true)
    }

    /// Writes what is gathered.
    pub(crate) fn flush(&mut self) {
        for (sink, gathered) in &mut self.outputs {
            sink.write(gathered);
            gathered.clear();
        }
    }
}

fn write_json(out: &mut Vec<u8>, name: &str, time: &jiff::Timestamp, value: f64, tags: &dyn Tagged) {
    // A map of its own keeps the names in order, as k6 does.
    let mut all = std::collections::BTreeMap::new();
    tags.each_tag(&mut |name, value| {
        all.insert(name.to_owned(), value.to_owned());
    });
    let value = number(value);
    let line = json!({"metric": name, "type": "Point", "data": {"time": time.to_string(), "value": value, "tags": all}});
    out.extend_from_slice(line.to_string().as_bytes());
    out.push(b'\n');
}

/// A whole number without a fraction, as JavaScript and Go write it.
pub(crate) fn number(value: f64) -> serde_json::Value {
    #[expect(clippy::cast_possible_truncation, reason = "whole, and within bounds")]
    if value.fract() == 0.0 && value.abs() < 1e15 { json!(value as i64) } else { json!(value) }
}

fn write_csv(out: &mut Vec<u8>, name: &str, time: &jiff::Timestamp, value: f64, tags: &dyn Tagged) {
    let mut row = format!("{name},{},{value:.6}", time.as_second());
    for column in CSV_TAGS {
        row.push(',');
        row.push_str(&field(&tags.tag(column).unwrap_or_default()));
    }
    let mut extra = Vec::new();
    tags.each_tag(&mut |name, value| {
        if !CSV_TAGS.contains(&name) {
            extra.push(format!("{name}={value}"));
        }
    });
    extra.sort();
    row.push(',');
    row.push_str(&field(&extra.join("&")));
    row.push('\n');
    out.extend_from_slice(row.as_bytes());
}

/// A field of a row (RFC 4180).
fn field(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}
