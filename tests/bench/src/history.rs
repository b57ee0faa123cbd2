//! The SQLite journal by itself: does an event cost more as the past grows, or as there are more services? And how many
//! bytes does one leave behind?
//!
//! An event is what the host makes of a push: a commit of the event, a receipt of the function that has nothing to do, and
//! a read and a commit of the one that has: its unit's state, its decision and its receipt. Many are under way at a time,
//! as in the host, so that they share the disk's flushes.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use anyhow::{Context as _, Result};
use longshore_events::types::{PushReceived, RefKind};
use longshore_events::{ChainId, CommitId, Event, EventId, Fact as _, Link, RefName, RepositoryName};
use longshore_local::SqliteJournal;
use longshore_ports::Journal as _;
use longshore_ports::journal::{Commit, DecisionRow, Open, Receipt, Routes, UnitWrite};
use rusqlite::Connection;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::clock;
use crate::host::runtime;
use crate::push_body::{commit_id, delivery_id};
use crate::row::Row;
use crate::settings::Settings;
use crate::stats::{float, median};

/// Events under way at a time.
const AT_ONCE: u64 = 64;
/// Events in one timed turn.
const TURN: u64 = 2_000;
const TURNS: usize = 5;
/// The history at which the first turns begin.
const YOUNG: u64 = 1_000;
/// Above this it is not flat.
const FLAT: f64 = 1.2;
const BYTES: f64 = 2_000.0;

pub(crate) fn run(settings: &Settings) -> Result<Vec<Row>> {
    let runtime = runtime()?;
    let folder = TempDir::with_prefix("longshore-bench-")?;
    let old = Book::open(&folder.path().join("old.sqlite"), 10)?;
    old.fill(&runtime, settings.events)?;
    let bytes = float(old.bytes()?) / float(settings.events);
    eprintln!("    {} events written", settings.events);
    // The young one by turns with the old one, so that both see the same disk.
    let (mut young_times, mut old_times) = (Vec::new(), Vec::new());
    for turn in 0..TURNS {
        let young = Book::open(&folder.path().join(format!("young{turn}.db")), 10)?;
        young.fill(&runtime, YOUNG)?;
        young_times.push(young.turn(&runtime)?);
        old_times.push(old.turn(&runtime)?);
    }
    let history = flat(
        "time an event by history",
        &young_times,
        &old_times,
        [&format!("{YOUNG} events of history"), &format!("{}", settings.events)],
        settings.events >= 1_000_000,
    );
    let (one, many) =
        (Book::open(&folder.path().join("one.db"), 1)?, Book::open(&folder.path().join("many.db"), 1_000)?);
    let (mut one_times, mut many_times) = (Vec::new(), Vec::new());
    one.fill(&runtime, TURN)?;
    many.fill(&runtime, TURN)?;
    for _ in 0..TURNS {
        one_times.push(one.turn(&runtime)?);
        many_times.push(many.turn(&runtime)?);
    }
    let services = flat("time an event by services", &one_times, &many_times, ["1 service", "1000"], true);
    let bytes = Row {
        name: "journal bytes an event",
        goal: "≤ 2 KB".into(),
        measured: format!(
            "{bytes:.0} bytes, receipts and decisions with it, over {} events",
            settings.events
        ),
        ratio: None,
        met: bytes <= BYTES,
    };
    Ok(vec![history, services, bytes])
}

fn flat(name: &'static str, few: &[f64], many: &[f64], what: [&str; 2], whole: bool) -> Row {
    let (few, many) = (median(few), median(many));
    let ratio = many / few;
    let [before, after] = what;
    let goal = if name.ends_with("history") { "1,000 to 1,000,000 events" } else { "1 to 1,000 services" };
    Row {
        name,
        goal: format!("flat (≤ {FLAT} times) from {goal}"),
        measured: format!("{few:.0} µs at {before}, {many:.0} µs at {after}: {ratio:.2} times"),
        ratio: None,
        met: ratio <= FLAT && whole,
    }
}

/// A journal, and how many events are in it.
struct Book {
    journal: Arc<SqliteJournal>,
    path: std::path::PathBuf,
    repositories: u64,
    next: Arc<AtomicU64>,
}

impl Book {
    fn open(path: &Path, repositories: u64) -> Result<Self> {
        let routes = Routes(vec![("build", &[PushReceived::KIND]), ("refcheck", &[PushReceived::KIND])]);
        let journal = Arc::new(SqliteJournal::open(path, routes, None)?);
        Ok(Self { journal, path: path.to_owned(), repositories, next: Arc::default() })
    }

    /// Lets `count` more events happen.
    fn fill(&self, runtime: &Runtime, count: u64) -> Result<()> {
        let end = self.next.load(Ordering::Relaxed) + count;
        let workers: Vec<_> = (0..AT_ONCE)
            .map(|_| {
                let (journal, next, repositories) =
                    (self.journal.clone(), self.next.clone(), self.repositories);
                runtime.spawn(async move {
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if number >= end {
                            return anyhow::Ok(());
                        }
                        happen(&journal, number, number % repositories).await?;
                    }
                })
            })
            .collect();
        workers.into_iter().try_for_each(|worker| runtime.block_on(worker)?)?;
        self.next.store(end, Ordering::Relaxed);
        Ok(())
    }

    /// Microseconds for each of [`TURN`] events.
    fn turn(&self, runtime: &Runtime) -> Result<f64> {
        let begun = Instant::now();
        self.fill(runtime, TURN)?;
        Ok(begun.elapsed().as_secs_f64() * 1e6 / float(TURN))
    }

    fn bytes(&self) -> Result<u64> {
        bytes(&self.path)
    }
}

/// The bytes that a journal's file has once its write-ahead log is in it.
pub(crate) fn bytes(path: &Path) -> Result<u64> {
    let database = Connection::open(path)?;
    let pragma = |name| database.pragma_query_value(None, name, |row| row.get::<_, u32>(0));
    Ok(u64::from(pragma("page_count")?) * u64::from(pragma("page_size")?))
}

/// One push, from its commit until nothing of it is owed.
async fn happen(journal: &SqliteJournal, number: u64, repository: u64) -> Result<()> {
    let event = event(number, repository)?;
    journal.commit(&Commit { at: event.time, events: vec![event.clone()], ..Commit::default() }).await?;
    let receipt = |function: &str, unit: Option<String>| {
        Some(Receipt { function: function.into(), event: event.id.clone(), unit, clears: true })
    };
    let clear = Commit { at: clock::now(), receipt: receipt("refcheck", None), ..Commit::default() };
    journal.commit(&clear).await?;
    // As `build` names its units: a service at a commit.
    let unit = format!("shop-{repository}@{}", commit_id(number + 1));
    let ask = Open {
        function: "build".into(),
        unit: unit.clone(),
        switches: vec!["all".into()],
        told: Some((event.id.clone(), vec![unit.clone()])),
        ..Open::default()
    };
    let mut row = journal.open(&ask).await?.unit.unwrap_or_default();
    let (read_version, read_marks) = (row.version, row.marked.len());
    row.version += 1;
    row.state =
        r#"{"stage":"superseded","push":{"paths":["services/shop/src/part0.rs"],"forced":false}}"#.into();
    let decision = DecisionRow {
        function: "build".into(),
        unit: unit.clone(),
        version: row.version,
        at: clock::now(),
        cause: format!("told {}", event.id),
        seen: r#"{"tip":"ahead","unchanged":null,"status":null}"#.into(),
        record: None,
    };
    let write = UnitWrite { function: "build".into(), unit: unit.clone(), read_version, read_marks, row };
    let commit = Commit {
        at: clock::now(),
        unit: Some(write),
        receipt: receipt("build", Some(unit)),
        decision: Some(decision),
        ..Commit::default()
    };
    journal.commit(&commit).await?;
    Ok(())
}

fn event(number: u64, repository: u64) -> Result<Event> {
    let id = format!("github/{}", delivery_id(number));
    let repo = RepositoryName::new(format!("acme/shop-{repository}"))?;
    let git_ref = RefName::new("refs/heads/main")?;
    let paths = (0..4).map(|part| format!("services/shop/src/part{part}.rs")).collect();
    let push = PushReceived {
        provider: "github".into(),
        delivery: Some(id.clone()),
        clone_url: Some(format!("https://github.com/{repo}.git")),
        ref_kind: RefKind::of(&git_ref),
        git_ref,
        created: false,
        deleted: false,
        before: CommitId::new(commit_id(number.max(1))).ok(),
        after: CommitId::new(commit_id(number + 1)).ok(),
        forced: false,
        actor: Some("ada".into()),
        paths,
        paths_truncated: false,
        repo: repo.clone(),
    };
    Ok(Event {
        id: EventId::new(&id)?,
        source: "longshore/intake".into(),
        subject: repo.as_str().into(),
        time: clock::now(),
        link: Link { chain: ChainId::new(&id).context("a chain")?, cause: None },
        traceparent: None,
        dryrun: false,
        data: push.into(),
    })
}
