//! `longshore load`: k6's flags by k6's names, as far as they are supported.

use std::path::PathBuf;

use clap::{ArgAction, Args, Subcommand};

/// `longshore load`
#[derive(Debug, Subcommand)]
pub enum LoadCommand {
    /// Run a script of k6, and judge it by its thresholds: status 99 when one does not hold.
    Run(Box<LoadRunArgs>),
    /// Put the slices of a run together, and judge the whole once.
    Merge(LoadMergeArgs),
}

/// `longshore load merge`
#[derive(Debug, Clone, Args)]
pub struct LoadMergeArgs {
    /// What `load run --slice` wrote, of every part of the run.
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// Write the summary to a file, as JSON.
    #[arg(long, value_name = "FILE")]
    pub summary_export: Option<PathBuf>,
}

/// `longshore load run`
#[derive(Debug, Clone, Args)]
pub struct LoadRunArgs {
    /// The script.
    #[arg(value_name = "SCRIPT")]
    pub script: PathBuf,
    /// Virtual users.
    #[arg(short = 'u', long, value_name = "N")]
    pub vus: Option<u64>,
    /// How long, as in 90s or 1m30s.
    #[arg(short, long, value_name = "TIME")]
    pub duration: Option<String>,
    /// Iterations of all virtual users together.
    #[arg(short, long, value_name = "N")]
    pub iterations: Option<u64>,
    /// A stage, as in 30s:10; may be given several times.
    #[arg(short, long = "stage", value_name = "TIME:N")]
    pub stages: Vec<String>,
    /// What the script finds in `__ENV`, beside the environment itself.
    #[arg(short, long = "env", value_name = "NAME=VALUE", value_parser = pair)]
    pub env: Vec<(String, String)>,
    /// A tag of every value.
    #[arg(long = "tag", value_name = "NAME=VALUE", value_parser = pair)]
    pub tags: Vec<(String, String)>,
    /// Write every single value: json=FILE or csv=FILE.
    #[arg(long = "out", value_name = "FORM=FILE")]
    pub outputs: Vec<String>,
    /// Write the summary to a file, as JSON.
    #[arg(long, value_name = "FILE")]
    pub summary_export: Option<PathBuf>,
    /// The figures of trends, as in avg,p(99).
    #[arg(long, value_name = "FIGURES", value_delimiter = ',')]
    pub summary_trend_stats: Option<Vec<String>>,
    /// The unit of times in the summary: s, ms or us.
    #[arg(long, value_name = "UNIT")]
    pub summary_time_unit: Option<String>,
    /// Execute a part of the run, as in 0:1/2; others execute the rest.
    #[arg(long, value_name = "FROM:TO")]
    pub execution_segment: Option<String>,
    /// Write what this part has counted to a file, for `load merge`; thresholds are judged there.
    #[arg(long, value_name = "FILE")]
    pub slice: Option<PathBuf>,
    /// No banner, no progress and no summary.
    #[arg(short, long)]
    pub quiet: bool,
    /// Say what helps to find faults, too.
    #[arg(short, long)]
    pub verbose: bool,
    /// Accept any certificate.
    #[arg(long)]
    pub insecure_skip_tls_verify: bool,
    /// The header `User-Agent`.
    #[arg(long, value_name = "TEXT")]
    pub user_agent: Option<String>,
    /// Requests a second at most.
    #[arg(long, value_name = "N")]
    pub rps: Option<u64>,
    /// Redirects that are followed.
    #[arg(long, value_name = "N")]
    pub max_redirects: Option<u32>,
    /// Keep no bodies.
    #[arg(long)]
    pub discard_response_bodies: bool,
    /// A connection for each request.
    #[arg(long)]
    pub no_connection_reuse: bool,
    /// New connections for each iteration.
    #[arg(long)]
    pub no_vu_connection_reuse: bool,
    /// Leave out setup.
    #[arg(long)]
    pub no_setup: bool,
    /// Leave out teardown.
    #[arg(long)]
    pub no_teardown: bool,
    /// Judge nothing.
    #[arg(long)]
    pub no_thresholds: bool,
    /// Throw when a request fails.
    #[arg(short = 'w', long)]
    pub throw: bool,
    /// Accepted for k6's sake: colours are never in the summary.
    #[arg(long, hide = true)]
    pub no_color: bool,
    /// Accepted for k6's sake: nothing is reported to anybody.
    #[arg(long, hide = true)]
    pub no_usage_report: bool,
    /// Accepted for k6's sake: there is no API while a run goes on.
    #[arg(long, hide = true, value_name = "ADDRESS")]
    pub address: Option<String>,
    /// A target that the run may speak to, and no others: a name, `*.name`, name:port, an address or a network; may be
    /// given several times.
    #[arg(long = "allow", value_name = "TARGET", help_heading = "Limits")]
    pub allowed: Vec<String>,
    /// Requests that the run may make.
    #[arg(long, value_name = "N", help_heading = "Limits")]
    pub max_requests: Option<u64>,
    /// The run is invalid, with status 95, when the generator itself is later than this in one of a hundred wake-ups.
    #[arg(long, value_name = "MS", default_value_t = 100, help_heading = "Limits")]
    pub max_lag: u64,
    /// Megabytes of JavaScript objects that a virtual user may have.
    #[arg(long, value_name = "MB", default_value_t = 256, help_heading = "Limits")]
    pub vu_memory: usize,
    /// Threads; without it, one for each processor.
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true, action = ArgAction::Set)]
    pub loops: usize,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or_else(|| format!("{text:?} must be NAME=VALUE"))?;
    Ok((name.to_owned(), value.to_owned()))
}
