//! A run from its script to its verdict.

mod arrivals;
mod checks;
mod coordinate;
mod lane;
mod life;
mod plan;
mod ramp;
mod service;
mod watch;
mod worker;

pub(crate) use checks::{Check, Checks, Flat, Tree};
pub use coordinate::run;
pub(crate) use lane::{Lane, Stop};

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, SystemTime};

use crate::limits::Ceiling;
use crate::options::Overrides;
use crate::output::Output;

/// What to run, and how.
pub struct Settings {
    /// The script's file.
    pub script: PathBuf,
    /// What stands above the script's own options.
    pub overrides: Overrides,
    /// What the script finds in `__ENV`.
    pub env: Vec<(String, String)>,
    /// Where every single value goes.
    pub outputs: Vec<Output>,
    /// A file for the summary as JSON (`--summary-export`).
    pub summary_export: Option<PathBuf>,
    /// A file for what this part of the run has counted, to be merged with the others'.
    pub slice: Option<PathBuf>,
    /// What the run may do to others.
    pub ceiling: Ceiling,
    /// Event loops, each in a thread of its own; 0 is one for each processor.
    pub loops: usize,
    /// Bytes of JavaScript objects that a VU may have.
    pub memory: usize,
    /// The run is invalid when the loops were later than this in one of a hundred wake-ups.
    pub max_lag: Duration,
    /// No banner and no summary.
    pub quiet: bool,
    /// Says what is for finding faults, too.
    pub verbose: bool,
    /// What the clock says now.
    pub started: SystemTime,
    /// Where the summary goes.
    pub stdout: Box<dyn Write + Send>,
    /// Where the log goes.
    pub stderr: Box<dyn Write + Send>,
    /// Set from outside, it ends the run as Ctrl-C does: gracefully, with a summary.
    pub stop: Arc<AtomicBool>,
    /// Told each second how far the run is.
    pub watch: Option<Watcher>,
}

impl Settings {
    /// A run of this script with everything else by default, which says nothing.
    pub fn new(script: PathBuf, started: SystemTime) -> Self {
        Self {
            script,
            overrides: Overrides::default(),
            env: Vec::new(),
            outputs: Vec::new(),
            summary_export: None,
            slice: None,
            ceiling: Ceiling::default(),
            loops: 0,
            memory: 256 << 20,
            max_lag: Duration::from_millis(100),
            quiet: false,
            verbose: false,
            started,
            stdout: Box::new(std::io::sink()),
            stderr: Box::new(std::io::sink()),
            stop: Arc::default(),
            watch: None,
        }
    }
}

/// Whoever is told how far a run is.
pub type Watcher = Box<dyn FnMut(&Status) + Send>;

/// How far a run is.
#[derive(Debug, Clone, PartialEq)]
pub struct Status {
    /// Since iterations began.
    pub elapsed: Duration,
    /// VUs that have an iteration under way.
    pub active: u64,
    /// VUs that are made.
    pub made: u64,
    /// Iterations that ended by themselves.
    pub complete: u64,
    /// Iterations that were interrupted.
    pub interrupted: u64,
    /// Iterations for which no VU was free.
    pub dropped: u64,
    /// Each scenario: its name, and how much of its time or work is done, from 0 to 1.
    pub scenarios: Vec<(String, f64)>,
    /// Requests of the last second.
    pub requests_per_second: f64,
    /// The 95th percentile of all requests' durations, in milliseconds.
    pub p95_ms: f64,
    /// How late the generator itself was in one of a hundred wake-ups, in milliseconds.
    pub lag_ms: f64,
    /// The share of requests that failed.
    pub failed: f64,
}

/// What a run came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// All thresholds hold.
    Passed,
    /// Thresholds do not hold: the metrics, or the parts of them.
    Crossed(Vec<String>),
    /// The engine was too late for its figures to mean anything.
    Invalid(String),
    /// Ended from outside.
    Stopped,
    /// Ended by the script, which says why.
    Aborted(String),
    /// The script or its options cannot be run.
    Configuration(String),
    /// The script threw where that ends the run.
    Script(String),
    /// `setup` took longer than it may.
    SetupTimeout,
    /// `teardown` took longer than it may.
    TeardownTimeout,
    /// The engine could not go on.
    Failed(String),
}

impl Verdict {
    /// The exit status: k6's, and 95 for an invalid run.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Passed => 0,
            Self::Invalid(_) => 95,
            Self::Crossed(_) => 99,
            Self::SetupTimeout => 100,
            Self::TeardownTimeout => 101,
            Self::Configuration(_) => 104,
            Self::Stopped => 105,
            Self::Script(_) => 107,
            Self::Aborted(_) => 108,
            Self::Failed(_) => 103,
        }
    }
}
