//! From a verdict to the first step of the rollout, and from a step's end to the next one: how late is the wish with the
//! runner?
//!
//! Pushes come one after another, each a canary of three steps that are held for a tenth of a second. A thread asks the
//! runner each millisecond which wish was applied last, so that it is late by that at most. A verdict counts from the time
//! of `gate.evaluated`, which is that of its decision: before its commit. A step's end is what its evidence says it is: when
//! the step began to be measured, and its hold.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle, sleep};
use std::time::Duration;

use anyhow::{Context as _, Result};
use jiff::{SignedDuration, Timestamp};
use longshore_events::{Data, Event};
use longshore_ports::{Workload, Workloads as _};
use longshore_runner::RunnerClient;

use crate::clock;
use crate::host::runtime;
use crate::row::Row;
use crate::settings::Settings;
use crate::stage::Stage;
use crate::stats::{median, percentile};

const GOAL_MS: f64 = 50.0;
/// Fewer say nothing of a 99th percentile.
const LEAST: usize = 200;
const HOLD: SignedDuration = SignedDuration::from_millis(100);
const STRATEGY: &str = r#"
[environment.strategy]
kind = "canary"
hold = "100ms"
[[environment.strategy.step]]
weight = 20
[[environment.strategy.step]]
weight = 50
[[environment.strategy.step]]
weight = 80
[[environment.strategy.check]]
name = "requests"
measure = "requests"
limit = "1000000"
on_unknown = "pass"
"#;
/// Between an answer of the runner and the next question.
const EVERY: Duration = Duration::from_millis(1);

pub(crate) fn run(settings: &Settings) -> Result<Vec<Row>> {
    let mut stage = Stage::set_with(settings, STRATEGY)?;
    let watch = Watch::start(stage.host.runner())?;
    // The first one has nothing to go step by step from.
    for number in 0..=settings.pushes {
        let commit = stage.commit(&format!("change {number}"))?;
        stage.push()?;
        stage.until_running(&commit)?;
        if number % 50 == 0 {
            eprintln!("    {number} of {} rollouts", settings.pushes);
        }
    }
    let applied = watch.end();
    let (verdicts, steps) = times(&stage.events, &applied)?;
    Ok(vec![
        row("verdict to first step", "from the verdict to the runner's wish", &verdicts),
        row("step to next step", "from a step's end to the runner's next wish", &steps),
    ])
}

fn row(name: &'static str, what: &str, times: &[f64]) -> Row {
    let (p50, p99) = (median(times), percentile(times, 0.99));
    Row {
        name,
        goal: format!("p99 ≤ {GOAL_MS:.0} ms over ≥ {LEAST}"),
        measured: format!("p50 {p50:.1} ms, p99 {p99:.1} ms over {} {what}", times.len()),
        ratio: None,
        met: p99 <= GOAL_MS && times.len() >= LEAST,
    }
}

type Applied = BTreeMap<(u64, u32), Timestamp>;

/// How long each verdict and each step's end took to become a wish with the runner, in milliseconds.
fn times(events: &[Event], applied: &Applied) -> Result<(Vec<f64>, Vec<f64>)> {
    let (mut verdicts, mut steps) = (Vec::new(), Vec::new());
    let since = |wish: (u64, u32), from: Timestamp| {
        // One that is followed at once may be seen as the one after it.
        let seen = applied.range(wish..).next().filter(|((generation, _), _)| *generation == wish.0);
        let (_, at) = seen.with_context(|| format!("the wish {wish:?} was never seen"))?;
        anyhow::Ok(at.duration_since(from).as_secs_f64() * 1_000.0)
    };
    for event in events {
        match &event.data {
            Data::DeploymentStarted(fact) => {
                let judged = events.iter().find_map(|event| match &event.data {
                    Data::GateEvaluated(gate) if gate.digest == fact.to => Some(event.time),
                    _ => None,
                });
                let judged = judged.context("a rollout began without a verdict")?;
                if fact.from.is_some() {
                    verdicts.push(since((generation(&fact.deployment)?, 1), judged)?);
                }
            }
            Data::VerificationFinished(fact) => {
                steps.push(since((generation(&fact.deployment)?, fact.step + 1), fact.from + HOLD)?);
            }
            _ => {}
        }
    }
    Ok((verdicts, steps))
}

/// Of `environment/service/generation`.
fn generation(deployment: &str) -> Result<u64> {
    Ok(deployment.rsplit('/').next().unwrap_or_default().parse()?)
}

/// Who asks the runner all the time, and notes when each wish was there first.
struct Watch {
    seen: Arc<Mutex<Applied>>,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    fn start(runner: RunnerClient) -> Result<Self> {
        let (seen, ended) = <(Arc<Mutex<Applied>>, Arc<AtomicBool>)>::default();
        let (noted, stop) = (seen.clone(), ended.clone());
        let workload = Workload { environment: "local".parse()?, service: "hello".parse()? };
        let runtime = runtime()?;
        let look = move || {
            while !stop.load(Ordering::Relaxed) {
                if let Ok(observed) = runtime.block_on(runner.observe(&workload)) {
                    let wish = (observed.generation, observed.step);
                    noted
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .entry(wish)
                        .or_insert_with(clock::now);
                }
                sleep(EVERY);
            }
        };
        Ok(Self { seen, ended, thread: Some(thread::spawn(look)) })
    }

    /// Ends it; says when it saw what.
    fn end(mut self) -> Applied {
        self.ended.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        std::mem::take(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
    }
}
