//! What people ask of a journal with a long history: `longshore status` and `longshore timeline`, over the host's API.
//!
//! The history is written by the journal itself, in a folder of its own: changes of many services, each with what a change says
//! and the units that it leaves behind. Then a host of the built release is started on it, and asked.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use anyhow::{Context as _, Result};
use longshore_cli::api::{Status, Timeline};
use longshore_events::types::{
    BuildFinished, BuildOutcome, BuildStarted, DeploymentAdvanced, DeploymentFinished, DeploymentOutcome,
    DeploymentStarted, GateEvaluated, ImagePushed, PushReceived, RefKind, Verdict,
};
use longshore_events::{
    ChainId, CommitId, Data, Digest, EnvironmentName, Event, EventId, ImageName, Link, RefName,
    RepositoryName, ServiceName,
};
use longshore_local::SqliteJournal;
use longshore_ports::Journal as _;
use longshore_ports::journal::{Commit, Routes, UnitRow, UnitWrite};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::clock;
use crate::host::{Host, runtime};
use crate::push_body::{commit_id, delivery_id};
use crate::row::Row;
use crate::settings::Settings;
use crate::stats::{median, percentile};

const GOAL_MS: f64 = 50.0;
const SERVICES: u64 = 100;
/// Events of one change.
const A_CHANGE: u64 = 8;
/// Changes under way at a time.
const AT_ONCE: u64 = 64;
const QUESTIONS: u64 = 200;

pub(crate) fn run(settings: &Settings) -> Result<Vec<Row>> {
    let runtime = runtime()?;
    let folder = TempDir::with_prefix("longshore-bench-")?;
    fs::write(folder.path().join("longshore.toml"), config())?;
    let data = folder.path().join(".longshore");
    fs::DirBuilder::new().mode(0o700).create(&data)?;
    let changes = settings.events.div_ceil(A_CHANGE);
    let begun = Instant::now();
    fill(&runtime, &data.join("journal.sqlite"), changes)?;
    eprintln!("    {} events written in {:.0} s", changes * A_CHANGE, begun.elapsed().as_secs_f64());
    let host = Host::start(settings, folder.path(), None)?;
    let status = ask(|_| {
        let status: Status = host.get("/api/status")?;
        anyhow::ensure!(
            status.environments[0].services.len() == 100 && status.builds.len() == 100,
            "all is said"
        );
        Ok(())
    })?;
    let service = ask(|number| told(&host, &format!("service=s{}", number % SERVICES)))?;
    // Of any age: commits come in no order.
    let commit = ask(|number| {
        let change = number.wrapping_mul(7_919) % changes;
        told(&host, &format!("commit={}", &commit_id(change)[..12]))
    })?;
    let events = changes * A_CHANGE;
    let is_whole = events >= 1_000_000;
    Ok(vec![
        row(
            "status of a long history",
            &format!("{SERVICES} services, {events} events"),
            &[status],
            is_whole,
        ),
        row(
            "timeline of a long history",
            &format!("{events} events, by service and by commit"),
            &[service, commit],
            is_whole,
        ),
    ])
}

fn row(name: &'static str, of: &str, times: &[Vec<f64>], is_whole: bool) -> Row {
    let each = times
        .iter()
        .map(|times| format!("p50 {:.1} ms, p99 {:.1} ms", median(times), percentile(times, 0.99)));
    let each: Vec<_> = each.collect();
    Row {
        name,
        goal: format!("p99 < {GOAL_MS:.0} ms over 1,000,000 events"),
        measured: format!("{} ({of})", each.join("; ")),
        ratio: None,
        met: is_whole && times.iter().all(|times| percentile(times, 0.99) < GOAL_MS),
    }
}

/// How long each question took, in milliseconds.
fn ask(question: impl Fn(u64) -> Result<()>) -> Result<Vec<f64>> {
    let one = |number| {
        let begun = Instant::now();
        question(number)?;
        Ok(begun.elapsed().as_secs_f64() * 1_000.0)
    };
    (0..QUESTIONS).map(one).collect()
}

fn told(host: &Host, of: &str) -> Result<()> {
    let timeline: Timeline = host.get(&format!("/api/timeline?{of}"))?;
    let count = timeline.entries.len() as u64;
    anyhow::ensure!(count == A_CHANGE, "a change is told whole: {count} events of {of}");
    Ok(())
}

fn config() -> String {
    let mut text = String::from(
        "[host]\nlisten = \"127.0.0.1:0\"\nproxy = \"127.0.0.1:0\"\nref_check = \"1h\"\n[[environment]]\nname = \"live\"\n",
    );
    for number in 0..SERVICES {
        let _ = write!(
            text,
            "[[repository]]\nname = \"acme/s{number}\"\n[[service]]\nname = \"s{number}\"\nrepository = \"acme/s{number}\"\n"
        );
    }
    text
}

/// Writes the history of so many changes.
fn fill(runtime: &Runtime, path: &Path, changes: u64) -> Result<()> {
    let journal = Arc::new(SqliteJournal::open(path, Routes(Vec::new()), None)?);
    let next = Arc::new(AtomicU64::new(0));
    let workers: Vec<_> = (0..AT_ONCE)
        .map(|_| {
            let (journal, next) = (journal.clone(), next.clone());
            runtime.spawn(async move {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= changes {
                        return anyhow::Ok(());
                    }
                    happen(&journal, number).await?;
                }
            })
        })
        .collect();
    workers.into_iter().try_for_each(|worker| runtime.block_on(worker)?)?;
    // What runs of each service.
    for service in 0..SERVICES.min(changes) {
        let newest = (changes - 1) - (changes - 1 - service) % SERVICES;
        runtime.block_on(leave(
            &journal,
            "deploy",
            format!("live/s{service}"),
            deployed(newest),
            Vec::new(),
        ))?;
    }
    Ok(())
}

/// A change: what is said of it, and the units of those who said it.
async fn happen(journal: &SqliteJournal, number: u64) -> Result<()> {
    let change = Change::of(number)?;
    let said = change.said()?;
    let [push, building, pushed, built, judged, begun, advanced, ended] = said;
    let (service, commit, digest) = (&change.service, &change.commit, &change.digest);
    let build = format!("{service}@{commit}");
    leave(journal, "build", build, r#"{"stage":"ended"}"#.into(), vec![push, building]).await?;
    let image = format!("{service}@{digest}");
    leave(journal, "scan", image, r#"{"stage":"ended","scans":1}"#.into(), vec![pushed, built]).await?;
    let place = format!("live/{service}@{digest}");
    let state = r#"{"said":{"verdict":"pass","reasons":[]}}"#.into();
    leave(journal, "gate", place, state, vec![judged, begun, advanced, ended]).await
}

/// Commits a unit's state with events.
async fn leave(
    journal: &SqliteJournal,
    function: &str,
    unit: String,
    state: String,
    events: Vec<Event>,
) -> Result<()> {
    let row = UnitRow { version: 1, state, ..UnitRow::default() };
    let write = UnitWrite { function: function.into(), unit, read_version: 0, read_marks: 0, row };
    let commit = Commit { at: clock::now(), unit: Some(write), events, ..Commit::default() };
    journal.commit(&commit).await?;
    Ok(())
}

/// What `deploy` remembers of a service, as far as the console reads it.
fn deployed(number: u64) -> String {
    let service = number % SERVICES;
    let image = format!("s{service}@sha256:{number:064x}");
    serde_json::json!({ "current": { "release": number + 1, "image": image, "commit": commit_id(number) } })
        .to_string()
}

/// The names of a change.
struct Change {
    number: u64,
    service: ServiceName,
    image: ImageName,
    commit: CommitId,
    digest: Digest,
    repo: RepositoryName,
    environment: EnvironmentName,
}

impl Change {
    fn of(number: u64) -> Result<Self> {
        let name = format!("s{}", number % SERVICES);
        Ok(Self {
            number,
            service: ServiceName::new(&name)?,
            image: ImageName::new(&name)?,
            commit: CommitId::new(commit_id(number))?,
            digest: Digest::new(format!("sha256:{number:064x}"))?,
            repo: RepositoryName::new(format!("acme/{name}"))?,
            environment: EnvironmentName::new("live")?,
        })
    }

    /// What is said of it, in order; each follows from the one before.
    fn said(&self) -> Result<[Event; 8]> {
        let service = self.service.to_string();
        let place = format!("{}/{service}", self.environment);
        let deployment = format!("{place}/{}", self.number + 1);
        let facts = [
            (self.repo.to_string(), self.pushed()?.into()),
            (service.clone(), self.building().into()),
            (self.image.to_string(), self.image().into()),
            (service, self.built().into()),
            (format!("{place}/{}", self.digest), self.judged().into()),
            (place.clone(), self.begun(&deployment).into()),
            (place.clone(), self.advanced(&deployment).into()),
            (place, self.ended(&deployment).into()),
        ];
        let chain = format!("github/{}", delivery_id(self.number));
        let mut cause = None;
        let mut events = Vec::new();
        for (step, (subject, data)) in facts.into_iter().enumerate() {
            let id = if step == 0 { chain.clone() } else { format!("bench/{}/{step}", self.number) };
            let id = EventId::new(id)?;
            let link = Link { chain: ChainId::new(&chain)?, cause: cause.replace(id.clone()) };
            let data: Data = data;
            let (source, time) = ("longshore/bench".into(), clock::now());
            events.push(Event { id, source, subject, time, link, traceparent: None, dryrun: false, data });
        }
        events.try_into().ok().context("a change says eight things")
    }

    fn pushed(&self) -> Result<PushReceived> {
        let git_ref = RefName::new("refs/heads/main")?;
        Ok(PushReceived {
            provider: "github".into(),
            delivery: Some(delivery_id(self.number)),
            repo: self.repo.clone(),
            clone_url: Some(format!("https://github.com/{}.git", self.repo)),
            ref_kind: RefKind::of(&git_ref),
            git_ref,
            created: false,
            deleted: false,
            before: None,
            after: Some(self.commit.clone()),
            forced: false,
            actor: Some("ada".into()),
            paths: (0..4).map(|part| format!("src/part{part}.rs")).collect(),
            paths_truncated: false,
        })
    }

    fn building(&self) -> BuildStarted {
        BuildStarted {
            service: self.service.clone(),
            repo: self.repo.clone(),
            commit: self.commit.clone(),
            builder: "packer".into(),
        }
    }

    fn built(&self) -> BuildFinished {
        BuildFinished {
            service: self.service.clone(),
            repo: self.repo.clone(),
            commit: self.commit.clone(),
            builder: "packer".into(),
            outcome: BuildOutcome::Succeeded,
            reason: None,
            image: Some(self.image.clone()),
            digest: Some(self.digest.clone()),
            manifests_ref: None,
            logs_ref: None,
            times: None,
        }
    }

    fn image(&self) -> ImagePushed {
        ImagePushed {
            image: self.image.clone(),
            tag: Some(self.commit.to_string()),
            digest: self.digest.clone(),
            media_type: "application/vnd.oci.image.manifest.v1+json".into(),
            platforms: Vec::new(),
            service: Some(self.service.clone()),
            commit: Some(self.commit.clone()),
            manifests_ref: None,
            forced: false,
            actor: Some("ada".into()),
        }
    }

    fn judged(&self) -> GateEvaluated {
        GateEvaluated {
            environment: self.environment.clone(),
            service: self.service.clone(),
            image: self.image.clone(),
            digest: self.digest.clone(),
            tag: Some(self.commit.to_string()),
            commit: Some(self.commit.clone()),
            forced: false,
            verdict: Verdict::Pass,
            reasons: Vec::new(),
            inputs: Vec::new(),
            proof: None,
            manifests_ref: None,
            expires_at: None,
            override_window: None,
        }
    }

    fn begun(&self, deployment: &str) -> DeploymentStarted {
        DeploymentStarted {
            deployment: deployment.to_owned(),
            environment: self.environment.clone(),
            service: self.service.clone(),
            strategy: "rolling".into(),
            from: None,
            to: self.digest.clone(),
            commit: Some(self.commit.clone()),
            override_window: None,
        }
    }

    fn advanced(&self, deployment: &str) -> DeploymentAdvanced {
        DeploymentAdvanced {
            deployment: deployment.to_owned(),
            environment: self.environment.clone(),
            service: self.service.clone(),
            step: 2,
            weight: 100,
            ready: true,
        }
    }

    fn ended(&self, deployment: &str) -> DeploymentFinished {
        DeploymentFinished {
            deployment: deployment.to_owned(),
            environment: self.environment.clone(),
            service: self.service.clone(),
            outcome: DeploymentOutcome::Succeeded,
            to: self.digest.clone(),
            commit: Some(self.commit.clone()),
            running: Some(self.digest.clone()),
            failure: None,
            boot_ms: Some(12),
        }
    }
}
