//! What a decision costs by itself: the gate's, by services and open digests, over the SQLite journal; and a digest that is
//! scanned twice.
//!
//! A gate's decision is all from an event to its verdict: which units it concerns, the read of the unit, what the gate looks
//! at, and the decision. Its commit is told beside it: that is the disk's. A scan is counted in calls of ports, which hold on
//! a busy machine.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use anyhow::{Context as _, Result};
use async_trait::async_trait;
use jiff::Timestamp;
use longshore_events::types::{ImagePushed, ImageScanned, ScanScope, ScanStatus, SeverityCounts};
use longshore_events::{
    ChainId, CommitId, Data, Digest, Event, EventId, ImageName, Link, ServiceName, Takes,
};
use longshore_frame::{At, Call, Cause, Frame, Function, Lease, Told, handle};
use longshore_gate::Gate;
use longshore_local::{FileBlobs, SqliteJournal};
use longshore_policy::Policy;
use longshore_ports::journal::{Commit, CommitError, Committed, Open, Opened, Owed, Routes};
use longshore_ports::{
    Claim, Clock, Facts, Journal, Key, PortError, ScanOrder, ScanReport, ScanState, Scanner, ScannerVersion,
    Signatures,
};
use longshore_scan::Scan;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::clock;
use crate::host::runtime;
use crate::push_body::commit_id;
use crate::row::Row;
use crate::settings::Settings;
use crate::stats::{median, percentile};

/// Decisions in one turn.
const TURN: u64 = 400;
const TURNS: usize = 5;
const SERVICES: u64 = 1_000;
const OPEN: u64 = 100;
const FLAT: f64 = 1.2;

pub(crate) fn run(_settings: &Settings) -> Result<Vec<Row>> {
    let runtime = runtime()?;
    Ok(vec![gate(&runtime)?, scan(&runtime)?])
}

fn gate(runtime: &Runtime) -> Result<Row> {
    let folder = TempDir::with_prefix("longshore-bench-")?;
    let few = Yard::open(runtime, &folder.path().join("few"), 1, 1)?;
    let many = Yard::open(runtime, &folder.path().join("many"), SERVICES, OPEN)?;
    let (mut alone, mut crowded) = (Vec::new(), Vec::new());
    for turn in 0..TURNS as u64 {
        alone.extend(few.turn(runtime, turn)?);
        crowded.extend(many.turn(runtime, turn)?);
    }
    let committed = many.committed(runtime)?;
    let (one, all) = (median(&alone), median(&crowded));
    let (ratio, p99) = (all / one, percentile(&crowded, 0.99));
    Ok(Row {
        name: "gate decision by services",
        goal: format!(
            "< 1 ms, and flat (≤ {FLAT} times), from 1 service to {SERVICES} with {OPEN} open digests"
        ),
        measured: format!(
            "{one:.3} ms of 1 service, {all:.3} ms of {SERVICES} ({p99:.3} at the 99th percentile): {ratio:.2} times; \
             {committed:.2} ms with its commit"
        ),
        ratio: None,
        met: all < 1.0 && ratio <= FLAT,
    })
}

/// A gate with services, and digests of which not all is known yet.
struct Yard {
    gate: Gate,
    journal: Arc<SqliteJournal>,
    frame: Frame,
    services: u64,
    open: u64,
}

impl Yard {
    fn open(runtime: &Runtime, folder: &Path, services: u64, open: u64) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        let routes = Routes(vec![(Gate::NAME, <Gate as Function>::Input::KINDS)]);
        let journal = Arc::new(SqliteJournal::open(&folder.join("journal.sqlite"), routes, None)?);
        let blobs = Arc::new(FileBlobs::open(&folder.join("blobs"))?);
        let frame = Frame::new(journal.clone(), blobs.clone(), Arc::new(ThisClock), 30_000);
        let policy = policy(services)?;
        let gate = Gate { policy, facts: journal.clone(), blobs, signatures: Arc::new(NoSignatures) };
        let yard = Self { gate, journal, frame, services, open };
        for number in 0..open {
            let pushed = yard.event(number, 0, yard.image(number)?.into())?;
            runtime.block_on(yard.take(pushed))?;
        }
        Ok(yard)
    }

    /// The services whose digests are open lie spread over all.
    fn service(&self, number: u64) -> u64 {
        number * (self.services / self.open) + self.services / self.open / 2
    }

    fn image(&self, number: u64) -> Result<ImagePushed> {
        image(&format!("shop-{}", self.service(number)), number)
    }

    /// A scan that found nothing, in the middle of what is open.
    fn scanned(&self, number: u64) -> Result<ImageScanned> {
        let ImagePushed { image, digest, .. } = self.image(number)?;
        Ok(ImageScanned {
            image,
            digest,
            scanner: "built-in".into(),
            database: Some("1".into()),
            scope: vec![ScanScope::Vulnerabilities],
            status: ScanStatus::Complete,
            reason: None,
            counts: SeverityCounts::default(),
            findings_ref: None,
            sbom_ref: None,
        })
    }

    fn event(&self, number: u64, turn: u64, data: Data) -> Result<Event> {
        let image = self.image(number)?;
        event(&format!("{}@{}", image.image, image.digest), &format!("{number}/{turn}"), data)
    }

    async fn take(&self, event: Event) -> Result<()> {
        let commit = Commit { at: event.time, events: vec![event.clone()], ..Commit::default() };
        self.journal.commit(&commit).await?;
        handle(&self.gate, &self.frame, event.id.as_str(), Call::Event(Box::new(event.clone()))).await?;
        Ok(())
    }

    /// How long each of [`TURN`] decisions took, in milliseconds. None is committed, so that all find the same.
    fn turn(&self, runtime: &Runtime, turn: u64) -> Result<Vec<f64>> {
        let number = self.open / 2;
        let event = self.event(number, turn + 1, self.scanned(number)?.into())?;
        let commit = Commit { at: event.time, events: vec![event.clone()], ..Commit::default() };
        runtime.block_on(self.journal.commit(&commit))?;
        (0..TURN).map(|_| runtime.block_on(self.decide(&event))).collect()
    }

    async fn decide(&self, event: &Event) -> Result<f64> {
        let begun = Instant::now();
        let input = <Gate as Function>::Input::from_data(&event.data).context("the gate takes scans")?;
        let units = self.gate.units(&input);
        let unit = units.first().context("a scan concerns a unit")?.clone();
        let ask = Open {
            function: Gate::NAME.into(),
            unit: unit.clone(),
            switches: vec!["all".into()],
            told: Some((event.id.clone(), units)),
            ..Open::default()
        };
        let row = self.journal.open(&ask).await?.unit.context("the digest is open")?;
        let state = serde_json::from_str(&row.state)?;
        let told = Told { input, id: event.id.clone(), time: event.time, link: event.link.clone() };
        let cause = Cause::Told(told);
        let seen = self.gate.observe(&unit, &state, &cause).await?;
        let at = At { now: clock::now(), lease: Lease::None, stopped: false };
        let decision = self.gate.decide(&unit, &at, state, cause, &seen);
        let took = begun.elapsed().as_secs_f64() * 1_000.0;
        anyhow::ensure!(decision.facts.len() == 1, "the verdict of a digest that is scanned is said once");
        Ok(took)
    }

    /// A whole one with its commit, in milliseconds.
    fn committed(&self, runtime: &Runtime) -> Result<f64> {
        let mut times = Vec::new();
        for number in 0..self.open {
            let event = self.event(number, 1_000, self.scanned(number)?.into())?;
            let commit = Commit { at: event.time, events: vec![event.clone()], ..Commit::default() };
            runtime.block_on(self.journal.commit(&commit))?;
            let begun = Instant::now();
            let call = Call::Event(Box::new(event.clone()));
            runtime.block_on(handle(&self.gate, &self.frame, event.id.as_str(), call))?;
            times.push(begun.elapsed().as_secs_f64() * 1_000.0);
        }
        Ok(median(&times))
    }
}

/// The same digest is pushed twice: what does the second one cost?
fn scan(runtime: &Runtime) -> Result<Row> {
    let folder = TempDir::with_prefix("longshore-bench-")?;
    let routes = Routes(vec![(Scan::NAME, <Scan as Function>::Input::KINDS)]);
    let journal = SqliteJournal::open(&folder.path().join("journal.sqlite"), routes, None)?;
    let counts = Arc::new(Counts::default());
    let journal = Arc::new(Counted { journal, counts: counts.clone() });
    let blobs = Arc::new(FileBlobs::open(&folder.path().join("blobs"))?);
    let frame = Frame::new(journal.clone(), blobs, Arc::new(ThisClock), 30_000);
    let scanner = Arc::new(Counting(counts.clone()));
    let scan = Scan { policy: policy(1)?, scanner, facts: journal.clone(), poll_ms: 1_000 };
    let image = image("shop-0", 1)?;
    let mut each = Vec::new();
    for number in 0..2 {
        let event = event("shop-0", &format!("push/{number}"), image.clone().into())?;
        let commit = Commit { at: event.time, events: vec![event.clone()], ..Commit::default() };
        runtime.block_on(journal.journal.commit(&commit))?;
        counts.take();
        runtime.block_on(handle(&scan, &frame, event.id.as_str(), Call::Event(Box::new(event.clone()))))?;
        each.push(counts.take());
    }
    let [first, second] = each.as_slice() else { anyhow::bail!("two pushes") };
    anyhow::ensure!(first.starts == 1, "the first one is scanned: {first:?}");
    Ok(Row {
        name: "a digest scanned twice",
        goal: "the second time nothing: 0 scans, and no call but to hear of it (4)".into(),
        measured: format!(
            "{} scans and {} calls of ports (version {}, read {}, commit {}), the first time {} and {}",
            second.starts,
            second.all(),
            second.versions,
            second.reads,
            second.commits,
            first.starts,
            first.all(),
        ),
        ratio: None,
        met: second.starts == 0 && second.finds == 0 && second.all() <= 4,
    })
}

/// So many services, each of its own image, in an environment that requires scans and tests.
fn policy(services: u64) -> Result<Arc<Policy>> {
    let mut text = String::from("[[repository]]\nname = \"shop\"\n");
    for number in 0..services {
        text += &format!("[[service]]\nname = \"shop-{number}\"\nrepository = \"shop\"\ntest = [\"true\"]\n");
    }
    text += "[[environment]]\nname = \"live\"\n[environment.gate]\nrequires = [\"scan\", \"tests\"]\ndeadline = \"720h\"\n";
    let policy = longshore_policy::check(&text, "bench.toml");
    policy.map(Arc::new).map_err(|faults| anyhow::anyhow!("{faults:?}"))
}

fn image(service: &str, number: u64) -> Result<ImagePushed> {
    Ok(ImagePushed {
        image: ImageName::new(service)?,
        tag: None,
        digest: Digest::new(format!("sha256:{number:064x}"))?,
        media_type: "application/vnd.oci.image.manifest.v1+json".into(),
        platforms: Vec::new(),
        service: Some(ServiceName::new(service)?),
        commit: Some(CommitId::new(commit_id(number))?),
        manifests_ref: None,
        forced: false,
        actor: None,
    })
}

fn event(subject: &str, id: &str, data: Data) -> Result<Event> {
    let id = format!("bench/{subject}/{id}/{}", data.kind());
    Ok(Event {
        source: "longshore/bench".into(),
        subject: subject.to_owned(),
        time: clock::now(),
        link: Link { chain: ChainId::new(&id)?, cause: None },
        id: EventId::new(id)?,
        traceparent: None,
        dryrun: false,
        data,
    })
}

struct ThisClock;

impl Clock for ThisClock {
    fn now(&self) -> Timestamp {
        clock::now()
    }
}

/// Nothing lies beside any image: none is asked for here.
struct NoSignatures;

#[async_trait]
impl Signatures for NoSignatures {
    async fn claims(&self, _: &ImageName, _: &Digest) -> Result<Vec<Claim>, PortError> {
        Ok(Vec::new())
    }
}

/// Calls of ports.
#[derive(Debug, Default)]
struct Counts {
    starts: AtomicU64,
    finds: AtomicU64,
    versions: AtomicU64,
    reads: AtomicU64,
    commits: AtomicU64,
    publishes: AtomicU64,
}

/// What was counted.
#[derive(Debug)]
struct Calls {
    starts: u64,
    finds: u64,
    versions: u64,
    reads: u64,
    commits: u64,
    publishes: u64,
}

impl Counts {
    /// The calls since the last time.
    fn take(&self) -> Calls {
        let take = |count: &AtomicU64| count.swap(0, Ordering::Relaxed);
        Calls {
            starts: take(&self.starts),
            finds: take(&self.finds),
            versions: take(&self.versions),
            reads: take(&self.reads),
            commits: take(&self.commits),
            publishes: take(&self.publishes),
        }
    }
}

impl Calls {
    fn all(&self) -> u64 {
        self.starts + self.finds + self.versions + self.reads + self.commits + self.publishes
    }
}

/// A scanner that is done at once, and counted.
struct Counting(Arc<Counts>);

#[async_trait]
impl Scanner for Counting {
    async fn version(&self) -> Result<ScannerVersion, PortError> {
        self.0.versions.fetch_add(1, Ordering::Relaxed);
        Ok(ScannerVersion { scanner: "bench".into(), database: Some("1".into()) })
    }

    async fn start(&self, _: &Key, _: &ScanOrder) -> Result<(), PortError> {
        self.0.starts.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    async fn find(&self, _: &Key, _: &ScanOrder) -> Result<Option<ScanState>, PortError> {
        self.0.finds.fetch_add(1, Ordering::Relaxed);
        Ok(Some(ScanState::Ended(ScanReport {
            scanner: "bench".into(),
            database: Some("1".into()),
            scope: vec![ScanScope::Vulnerabilities],
            status: ScanStatus::Complete,
            reason: None,
            counts: SeverityCounts::default(),
            findings_ref: None,
            sbom_ref: None,
        })))
    }
}

/// A journal whose calls are counted.
struct Counted {
    journal: SqliteJournal,
    counts: Arc<Counts>,
}

#[async_trait]
impl Facts for Counted {
    async fn latest(&self, kind: &str, subject: &str) -> Result<Option<Event>, PortError> {
        self.counts.reads.fetch_add(1, Ordering::Relaxed);
        self.journal.latest(kind, subject).await
    }
}

#[async_trait]
impl Journal for Counted {
    async fn open(&self, ask: &Open) -> Result<Opened, PortError> {
        self.counts.reads.fetch_add(1, Ordering::Relaxed);
        self.journal.open(ask).await
    }

    async fn commit(&self, commit: &Commit) -> Result<Committed, CommitError> {
        self.counts.commits.fetch_add(1, Ordering::Relaxed);
        self.journal.commit(commit).await
    }

    async fn publish(&self, committed: &Committed) -> Result<(), PortError> {
        self.counts.publishes.fetch_add(1, Ordering::Relaxed);
        self.journal.publish(committed).await
    }

    async fn event(&self, id: &EventId) -> Result<Option<Event>, PortError> {
        self.counts.reads.fetch_add(1, Ordering::Relaxed);
        self.journal.event(id).await
    }

    async fn owed(&self, now: Timestamp, grace_ms: u64, limit: usize) -> Result<Owed, PortError> {
        self.counts.reads.fetch_add(1, Ordering::Relaxed);
        self.journal.owed(now, grace_ms, limit).await
    }
}
