//! From an accepted push to the first answer of the new commit, less what is not ours, as `longshore demo` counts it:
//! git, `prepare`, `test`, and the service from spawn to listen are taken off; polling, probing, packing, unpacking,
//! registry and journal are not.
//!
//! Pushes come one after another. A client asks the service about every millisecond, so that its own resolution adds
//! little. Where the time goes is told beside the row, stage by stage.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle, sleep};
use std::time::Duration;

use anyhow::{Context as _, Result};
use jiff::Timestamp;
use longshore_cli::demo::facts::overhead_ms;
use longshore_events::{Data, Event};

use crate::clock;
use crate::history;
use crate::http::Client;
use crate::row::Row;
use crate::settings::Settings;
use crate::stage::{HOST_NAME, Stage};
use crate::stats::{float, median, percentile};

const GOAL_P50: f64 = 15.0;
const GOAL_P99: f64 = 50.0;
/// Between an answer and the next question.
const EVERY: Duration = Duration::from_millis(1);

pub(crate) fn run(settings: &Settings) -> Result<Vec<Row>> {
    let mut stage = Stage::set(settings)?;
    let watch = Watch::start(stage.host.ready.proxy);
    let (mut overheads, mut stages) = (Vec::new(), Stages::default());
    // The first push finds everything cold, and nothing to roll over: it is not counted.
    for number in 0..=settings.pushes {
        let commit = stage.commit(&format!("change {number}"))?;
        let before = stage.events.len();
        stage.push()?;
        stage.until_running(&commit)?;
        let answered = watch.first_answer(&commit)?;
        if number > 0 {
            let events = &stage.events[before..];
            let overhead = overhead_ms(events, &commit, answered);
            overheads.push(float(overhead.context("the events of a push do not say its times")?));
            stages.note(events, answered);
        }
        if number % 50 == 0 {
            eprintln!("    {number} of {} pushes", settings.pushes);
        }
    }
    stages.tell();
    let failed = watch.end();
    for error in &failed {
        eprintln!("    a request failed: {error}");
    }
    let failed = failed.len();
    let (p50, p99) = (median(&overheads), percentile(&overheads, 0.99));
    Ok(vec![
        Row {
            name: "push overhead",
            goal: format!("p50 ≤ {GOAL_P50:.0} ms, p99 ≤ {GOAL_P99:.0} ms over ≥ 200 pushes"),
            measured: format!(
                "p50 {p50:.0} ms, p99 {p99:.0} ms over {} pushes; {failed} requests failed meanwhile",
                settings.pushes
            ),
            ratio: None,
            met: p50 <= GOAL_P50 && p99 <= GOAL_P99 && failed == 0 && settings.pushes >= 200,
        },
        bytes(&stage)?,
    ])
}

/// What the journal holds of all these pushes: events, units, decisions, receipts.
fn bytes(stage: &Stage) -> Result<Row> {
    let bytes = history::bytes(&stage.data().join("journal.sqlite"))?;
    let count = float(stage.events.len() as u64);
    let each = float(bytes) / count;
    Ok(Row {
        name: "journal of real pushes",
        goal: "≤ 2 KB an event".into(),
        measured: format!("{each:.0} bytes an event, of {count:.0} events with their units and decisions"),
        ratio: None,
        met: each <= 2_000.0,
    })
}

/// What came when, in milliseconds.
#[derive(Default)]
struct Stages(BTreeMap<String, Vec<f64>>);

impl Stages {
    fn note(&mut self, events: &[Event], answered: Timestamp) {
        let pushed = events.iter().find(|event| matches!(event.data, Data::PushReceived(_)));
        let Some(pushed) = pushed.map(|event| event.time) else { return };
        let since = |at: Timestamp| at.duration_since(pushed).as_secs_f64() * 1_000.0;
        self.add("at: answered", since(answered));
        for event in events {
            let kind = event.kind().trim_start_matches("dev.longshore.").trim_end_matches(".v1");
            self.add(&format!("at: {kind}"), since(event.time));
            if let Data::BuildFinished(fact) = &event.data
                && let Some(times) = fact.times
            {
                self.add("for: git", float(times.git_ms));
                self.add("for: prepare", float(times.prepare_ms));
                self.add("for: pack", float(times.pack_ms));
                self.add("for: push to the registry", float(times.push_ms));
            }
            if let Data::DeploymentFinished(fact) = &event.data {
                self.add("for: boot", float(fact.boot_ms.unwrap_or_default()));
            }
        }
    }

    fn add(&mut self, name: &str, ms: f64) {
        self.0.entry(name.to_owned()).or_default().push(ms);
    }

    fn tell(&self) {
        let mut lines: Vec<(f64, &String)> = self.0.iter().map(|(name, all)| (median(all), name)).collect();
        lines.sort_by(|one, other| one.1[..3].cmp(&other.1[..3]).then(one.0.total_cmp(&other.0)));
        for (ms, name) in lines {
            eprintln!("    {name:<32} {ms:>7.1} ms (median)");
        }
    }
}

/// A client that asks all the time, and notes when each commit answered first.
struct Watch {
    seen: Arc<Mutex<Seen>>,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Seen {
    first: BTreeMap<String, Timestamp>,
    failed: Vec<String>,
}

impl Watch {
    fn start(proxy: SocketAddr) -> Self {
        let (seen, ended) = <(Arc<Mutex<Seen>>, Arc<AtomicBool>)>::default();
        let (noted, stop) = (seen.clone(), ended.clone());
        let thread = Some(thread::spawn(move || watch(proxy, &noted, &stop)));
        Self { seen, ended, thread }
    }

    fn first_answer(&self, commit: &str) -> Result<Timestamp> {
        for _ in 0..5_000 {
            if let Some(at) = self.seen.lock().unwrap_or_else(PoisonError::into_inner).first.get(commit) {
                return Ok(*at);
            }
            sleep(EVERY);
        }
        anyhow::bail!("{commit} runs, but does not answer")
    }

    /// Ends it; says why requests failed.
    fn end(mut self) -> Vec<String> {
        self.ended.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        std::mem::take(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner).failed)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
    }
}

fn watch(proxy: SocketAddr, noted: &Mutex<Seen>, stop: &AtomicBool) {
    let request = format!("GET / HTTP/1.1\r\nhost: {HOST_NAME}\r\n\r\n");
    let mut client = None;
    while !stop.load(Ordering::Relaxed) {
        let answer = match client.take().map_or_else(|| Client::connect(proxy), Ok) {
            Ok(mut open) => {
                let answer = open.exchange(request.as_bytes());
                client = answer.is_ok().then_some(open);
                answer.and_then(super::http::Answer::ok)
            }
            Err(error) => Err(error),
        };
        let now = clock::now();
        let mut seen = noted.lock().unwrap_or_else(PoisonError::into_inner);
        match answer {
            Ok(answer) => {
                let commit = String::from_utf8_lossy(&answer.body).into_owned();
                seen.first.entry(commit).or_insert(now);
            }
            // Before the first release there is nothing that could answer.
            Err(_) if seen.first.is_empty() => {}
            Err(error) => seen.failed.push(error.to_string()),
        }
        drop(seen);
        sleep(EVERY);
    }
}
