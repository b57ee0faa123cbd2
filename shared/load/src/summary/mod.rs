//! What is said at a run's end: text for people, JSON for programs, and what the script's own `handleSummary` makes.

mod data;
mod format;
mod text;

use std::fs;
use std::io::Write;
use std::time::Duration;

use serde_json::Value;

use crate::fiber::Lag;
use crate::metrics::Store;
use crate::options::Options;
use crate::run::{Checks, Settings};

/// Everything that a run has come to.
pub(crate) struct Report {
    pub(crate) options: Options,
    pub(crate) store: Store,
    pub(crate) checks: Checks,
    pub(crate) lag: Lag,
    pub(crate) max_lag: Duration,
    pub(crate) duration: Duration,
    pub(crate) complete: u64,
    pub(crate) interrupted: u64,
    /// What setup returned, as JSON.
    pub(crate) setup_data: Option<String>,
}

impl Report {
    pub(crate) fn seconds(&self) -> f64 {
        self.duration.as_secs_f64()
    }

    /// The metrics, or the parts of them, whose thresholds do not hold.
    pub(crate) fn crossed(&self) -> Vec<String> {
        let of = self.options.thresholds.iter().filter(|of| {
            let sink = self.store.find(&of.metric);
            of.all.iter().any(|threshold| !threshold.holds(sink, self.seconds()))
        });
        of.map(|of| of.metric.clone()).collect()
    }

    /// How late the loops were in one of a hundred wake-ups, in milliseconds.
    pub(crate) fn lag_ms(&self) -> f64 {
        self.lag.0.quantile(0.99)
    }

    /// Whether the engine was too late for its figures to mean anything. Few wake-ups have no hundredth.
    pub(crate) fn late(&self) -> bool {
        self.lag.0.count >= 200 && self.lag_ms() > self.max_lag.as_secs_f64() * 1_000.0
    }

    pub(crate) fn lateness(&self) -> String {
        format!(
            "the run is invalid: the generator itself was {:.1} ms late in one of a hundred wake-ups, and {} ms are allowed: \
             give it more processors or fewer VUs, or let the script compute less",
            self.lag_ms(),
            self.max_lag.as_millis()
        )
    }

    /// What `handleSummary` is given.
    pub(crate) fn data(&self) -> Value {
        data::data(self)
    }
}

/// What stands above a run.
pub(crate) fn banner(settings: &mut Settings, options: &Options) {
    let outputs: Vec<String> = settings.outputs.iter().map(format::output).collect();
    let outputs = if outputs.is_empty() { "-".to_owned() } else { outputs.join(", ") };
    let mut said = format!(
        "\n     execution: local\n        script: {}\n        output: {outputs}\n\n{}\n",
        settings.script.display(),
        text::scenarios(options)
    );
    said.push('\n');
    // A reader that has gone away does not end the run.
    let _ = settings.stdout.write_all(said.as_bytes());
    let _ = settings.stdout.flush();
}

/// Writes the summary: the script's own (as JSON, an object of texts by file), or the usual one.
///
/// # Errors
/// A file cannot be written.
pub(crate) fn write(settings: &mut Settings, report: &Report, own: Option<&str>) -> Result<(), String> {
    let save = |path: &str, text: &str| fs::write(path, text).map_err(|error| format!("{path}: {error}"));
    let own: Option<Value> = own.and_then(|json| serde_json::from_str(json).ok());
    let mut said = String::new();
    match own {
        Some(Value::Object(files)) => {
            for (name, value) in &files {
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                match name.as_str() {
                    "stdout" | "stderr" => said.push_str(&text),
                    path => save(path, &text)?,
                }
            }
        }
        _ if settings.quiet => {}
        _ => said = text::summary(report),
    }
    if !settings.quiet {
        said.push_str(&text::last_lines(report));
    }
    let _ = settings.stdout.write_all(said.as_bytes());
    let _ = settings.stdout.flush();
    if let Some(path) = &settings.summary_export {
        let export =
            serde_json::to_string_pretty(&data::export(report)).map_err(|error| error.to_string())?;
        fs::write(path, export + "\n").map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(())
}
