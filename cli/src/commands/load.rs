//! `longshore load`

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, anyhow};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use longshore_load::{Ceiling, Output, Overrides, Settings, Status, Verdict};

use super::print::note;
use crate::args::{LoadCommand, LoadMergeArgs, LoadRunArgs};

/// Runs the script until it ends, or Ctrl-C is pressed: then gracefully, and at the second time at once.
pub(super) async fn run(command: LoadCommand) -> Result<ExitCode> {
    let args = match command {
        LoadCommand::Run(args) => args,
        LoadCommand::Merge(args) => return Ok(ExitCode::from(merged(args).exit_code())),
    };
    let stop = Arc::new(AtomicBool::new(false));
    let settings = settings(*args, Arc::clone(&stop))?;
    let mut running = tokio::task::spawn_blocking(move || longshore_load::run(settings));
    let ended = tokio::select! {
        ended = &mut running => Some(ended),
        pressed = tokio::signal::ctrl_c() => {
            pressed.context("cannot hear Ctrl-C")?;
            None
        }
    };
    let verdict = if let Some(ended) = ended {
        ended
    } else {
        stop.store(true, Ordering::Relaxed);
        note("stopping: iterations are interrupted, the summary follows; Ctrl-C once more ends it at once");
        tokio::select! {
            ended = running => ended,
            _ = tokio::signal::ctrl_c() => std::process::exit(i32::from(Verdict::Stopped.exit_code())),
        }
    };
    Ok(ExitCode::from(verdict.context("the load engine failed")?.exit_code()))
}

#[expect(clippy::disallowed_methods, reason = "an entry point")]
fn settings(args: LoadRunArgs, stop: Arc<AtomicBool>) -> Result<Settings> {
    let outputs =
        args.outputs.iter().map(|text| Output::parse(text).map_err(|error| anyhow!("--out: {error}")));
    let mut settings = Settings::new(args.script, SystemTime::now());
    settings.outputs = outputs.collect::<Result<_>>()?;
    settings.overrides = Overrides {
        vus: args.vus,
        iterations: args.iterations,
        duration: args.duration,
        stages: args.stages,
        tags: args.tags,
        summary_trend_stats: args.summary_trend_stats,
        summary_time_unit: args.summary_time_unit,
        insecure: args.insecure_skip_tls_verify,
        user_agent: args.user_agent,
        rps: args.rps,
        max_redirects: args.max_redirects,
        discard_bodies: args.discard_response_bodies,
        no_reuse: args.no_connection_reuse,
        no_vu_reuse: args.no_vu_connection_reuse,
        no_setup: args.no_setup,
        no_teardown: args.no_teardown,
        no_thresholds: args.no_thresholds,
        throw: args.throw,
        segment: args.execution_segment,
    };
    // As k6 does, the script sees the environment; what is no text is nothing that it could read.
    let environment = std::env::vars_os();
    let text =
        environment.filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    settings.env = text.chain(args.env).collect();
    let targets = (!args.allowed.is_empty()).then_some(args.allowed);
    settings.ceiling = Ceiling { targets, requests: args.max_requests, ..Ceiling::default() };
    settings.summary_export = args.summary_export;
    settings.slice = args.slice;
    settings.loops = args.loops;
    settings.memory = args.vu_memory.saturating_mul(1 << 20);
    settings.max_lag = Duration::from_millis(args.max_lag);
    settings.verbose = args.verbose;
    settings.quiet = args.quiet;
    settings.stop = stop;
    settings.stdout = Box::new(io::stdout());
    if args.quiet {
        settings.stderr = Box::new(io::stderr());
    } else {
        let bars = Bars::new();
        settings.stderr = Box::new(bars.clone());
        settings.watch = Some(Box::new(move |status| bars.show(status)));
    }
    Ok(settings)
}

/// The verdict on the slices of a run.
#[expect(clippy::disallowed_methods, reason = "an entry point")]
fn merged(args: LoadMergeArgs) -> Verdict {
    let mut settings = Settings::new(PathBuf::new(), SystemTime::now());
    settings.summary_export = args.summary_export;
    settings.stdout = Box::new(io::stdout());
    let verdict = longshore_load::merge(&args.files, &mut settings);
    match &verdict {
        Verdict::Configuration(why) | Verdict::Failed(why) | Verdict::Invalid(why) => note(why),
        Verdict::Crossed(metrics) => {
            note(format!("thresholds on metrics '{}' have been crossed", metrics.join(", ")));
        }
        _ => {}
    }
    verdict
}

/// A bar for each scenario, and a line of what is measured; only a terminal shows them.
#[derive(Clone)]
struct Bars {
    all: MultiProgress,
    shown: Arc<std::sync::Mutex<Vec<ProgressBar>>>,
}

impl Bars {
    fn new() -> Self {
        Self { all: MultiProgress::new(), shown: Arc::default() }
    }

    fn show(&self, status: &Status) {
        let Ok(mut bars) = self.shown.lock() else { return };
        let scenarios = status.scenarios.len();
        while bars.len() <= scenarios {
            let bar = self.all.add(ProgressBar::new(1_000));
            let form = if bars.len() == scenarios { "{msg}" } else { "{msg:<20} [{bar:30}] {percent:>3} %" };
            if let Ok(style) = ProgressStyle::with_template(form) {
                bar.set_style(style.progress_chars("=>-"));
            }
            bars.push(bar);
        }
        for (bar, (name, share)) in bars.iter().zip(&status.scenarios) {
            bar.set_message(name.clone());
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 1,000")]
            bar.set_position((share * 1_000.0) as u64);
        }
        if let Some(line) = bars.last() {
            line.set_message(measured(status));
        }
    }
}

fn measured(status: &Status) -> String {
    let Status { active, made, complete, interrupted, dropped, .. } = status;
    let dropped = if *dropped > 0 { format!(", {dropped} dropped") } else { String::new() };
    format!(
        "running ({:.0} s), {active}/{made} VUs, {complete} complete and {interrupted} interrupted iterations{dropped}; \
         {:.0} requests/s, p(95) {:.2} ms, {:.2} % failed; generator {:.1} ms late",
        status.elapsed.as_secs_f64(),
        status.requests_per_second,
        status.p95_ms,
        status.failed * 100.0,
        status.lag_ms,
    )
}

/// The log goes above the bars.
impl Write for Bars {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.all.suspend(|| io::stderr().write_all(bytes)).map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
