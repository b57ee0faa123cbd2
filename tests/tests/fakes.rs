//! The simulator's fakes keep the contracts of their ports, as the real adapters do.

#![allow(clippy::unwrap_used, reason = "the helpers of tests fail as tests do")]

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};

use longshore_events::{
    CommitId, Digest, EnvironmentName, ImageName, ImageRef, Measure, RefName, RepositoryName, ServiceName,
};
use longshore_ports::{
    BlobRef, BuildOrder, Desired, DesiredRelease, Envelope, Health, ProbeTarget, Question, RunSpec,
    ScanOrder, Window, Workload, Workloads as _,
};
use longshore_ports::{Clock as _, suite};
use longshore_sim::world::{
    FakeBlobs, FakeBuilder, FakeForge, FakeGit, FakeMetrics, FakeScanner, FakeSignatures, FakeWorkloads,
    Inside, Tree, Under, Unsigned,
};
use longshore_sim::{Air, Faults, MemoryJournal};

/// Runs what waits for nothing but the air.
fn run(suite: impl Future<Output = ()>) {
    let mut suite = pin!(suite);
    while suite.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending() {}
}

fn air() -> Arc<Air> {
    Arc::new(Air::new(1, Faults::default()))
}

fn pass(air: &Air) {
    air.pass(air.after(100));
}

fn commit(number: u8) -> CommitId {
    CommitId::new(format!("{number:040x}")).unwrap()
}

fn tree(files: &[suite::git::File]) -> Tree {
    files.iter().map(|(path, content)| ((*path).to_owned(), (*content).to_owned())).collect()
}

#[test]
fn the_journal() {
    run(suite::journal::run(async |routes| MemoryJournal::new(air(), routes)));
}

#[test]
fn the_history() {
    run(suite::history::run(async |routes| MemoryJournal::new(air(), routes)));
}

#[test]
fn blobs() {
    run(suite::blobs::run(async || FakeBlobs::new(air())));
}

#[test]
fn a_forge_and_the_people_behind_it() {
    use suite::forge::Bench;
    let make = async || Bench {
        forge: FakeForge::new(air()),
        repo: RepositoryName::new("shop").unwrap(),
        commit: commit(1),
    };
    let shown = async |bench: &Bench<FakeForge>| {
        let all = bench.forge.beside(&bench.commit).into_iter();
        all.map(|status| (status.context, status.state, status.description)).collect()
    };
    run(suite::forge::run(make, shown));
    let heard = async |forge: &FakeForge| {
        let all = forge.told().into_iter();
        all.map(|(key, notice)| format!("{key}\n{}\n{}", notice.title, notice.text)).collect()
    };
    run(suite::notify::run(async || FakeForge::new(air()), heard));
}

#[test]
fn git() {
    use suite::git::History;
    let (git, repo) = (FakeGit::new(air()), RepositoryName::new("acme/shop").unwrap());
    let history = History { repo, root: commit(1), main: commit(2), side: commit(3) };
    git.commit(history.root.clone(), None, tree(History::ROOT));
    git.commit(history.main.clone(), Some(history.root.clone()), tree(History::MAIN));
    git.commit(history.side.clone(), Some(history.root.clone()), tree(History::SIDE));
    for (name, tip) in [
        ("refs/heads/main", &history.main),
        ("refs/heads/team/side", &history.side),
        ("refs/tags/v1", &history.root),
    ] {
        git.push(&history.repo, &RefName::new(name).unwrap(), Some(tip.clone()));
    }
    run(suite::git::run(&git, &history));
}

#[test]
fn the_builder() {
    let (air, repo) = (air(), RepositoryName::new("acme/shop").unwrap());
    let order = |service: &str, number| BuildOrder {
        service: ServiceName::new(service).unwrap(),
        repo: repo.clone(),
        commit: commit(number),
    };
    let make = async || {
        let git = Arc::new(FakeGit::new(air.clone()));
        git.commit(commit(1), None, tree(&[("api/main.rs", "one")]));
        git.commit(commit(2), Some(commit(1)), tree(&[("api/main.rs", "two")]));
        git.commit(commit(3), Some(commit(2)), tree(&[("api/broken", "")]));
        suite::builder::Bench {
            builder: FakeBuilder::new(air.clone(), git, None),
            good: order("api", 1),
            other: order("api", 2),
            failing: order("api", 3),
            why: "prepare failed",
        }
    };
    run(suite::builder::run(make, async |_| pass(&air)));
}

#[test]
fn the_scanner() {
    let air = air();
    let order = |name: &str| {
        let digest = BlobRef::of(name.as_bytes()).0;
        ScanOrder { image: ImageRef::new(ImageName::new("api").unwrap(), digest), platforms: Vec::new() }
    };
    let make = async || {
        let scanner = FakeScanner::new(air.clone(), None);
        scanner.holds(order("dirty").image.digest, Inside::Dirty);
        scanner.holds(order("unreadable").image.digest, Inside::Unreadable);
        suite::scanner::Bench {
            scanner,
            clean: order("clean"),
            dirty: order("dirty"),
            unreadable: order("unreadable"),
        }
    };
    run(suite::scanner::run(make, async |_| pass(&air)));
}

#[test]
fn signatures() {
    let air = air();
    let signatures = FakeSignatures::new(air, None);
    let digest = |name: &str| BlobRef::of(name.as_bytes()).0;
    let simple = Envelope::Simple { payload: "{}".into(), signature: "MA==".into() };
    let beside = vec![simple, Envelope::Bundle("{}".into())];
    signatures.put(digest("signed"), beside.clone());
    signatures.leaves(digest("unsigned"), Unsigned::Bare);
    run(suite::signatures::run(&suite::signatures::Bench {
        signatures,
        image: ImageName::new("api").unwrap(),
        signed: (digest("signed"), beside),
        unsigned: digest("unsigned"),
    }));
}

#[test]
fn workloads() {
    let air = air();
    let digest = |name: &str| BlobRef::of(name.as_bytes()).0;
    let make = async || {
        let workloads = FakeWorkloads::new(air.clone(), None);
        workloads.never_ready(digest("unready"));
        let unit = |service: &str| Workload {
            environment: EnvironmentName::new("local").unwrap(),
            service: ServiceName::new(service).unwrap(),
        };
        suite::workloads::Bench {
            workloads,
            units: [unit("api"), unit("web")],
            good: release(digest("good")),
            other: release(digest("other")),
            unready: release(digest("unready")),
            unfit: None,
            last: std::sync::Mutex::default(),
        }
    };
    run(suite::workloads::run(make, async |_| pass(&air)));
}

#[test]
fn metrics() {
    let air = air();
    let workloads = Arc::new(FakeWorkloads::new(air.clone(), None));
    let workload = Workload {
        environment: EnvironmentName::new("local").unwrap(),
        service: ServiceName::new("api").unwrap(),
    };
    let digest = |name: &str| BlobRef::of(name.as_bytes()).0;
    let releases = [("good", 50), ("errs", 50), ("idle", 0)];
    let run_release = |(number, (name, weight)): (u64, (&str, u8))| DesiredRelease {
        release: number,
        weight,
        ..release(digest(name))
    };
    let releases = (1..).zip(releases).map(run_release).collect();
    let began = air.now();
    air.pass(air.after(1_000));
    let desired = Desired { workload: workload.clone(), generation: 3, step: 1, releases };
    run(async { workloads.apply(&desired).await.unwrap() });
    let window = Window { from: air.now(), until: air.after(10_000) };
    air.pass(window.until);
    let ask = |number: u64, name: &str| Question {
        workload: workload.clone(),
        release: number,
        digest: digest(name),
        measure: Measure::Requests,
        window,
    };
    let metrics = FakeMetrics::new(air, workloads, None);
    metrics.behaves(digest("errs"), Under::Errs(50));
    let known = |ask, errors| suite::metrics::Known { ask, requests: 100, errors, took_ms: (20.0, 20.0) };
    run(suite::metrics::run(&suite::metrics::Bench {
        metrics,
        good: known(ask(1, "good"), 0),
        bad: known(ask(2, "errs"), 50),
        idle: ask(3, "idle"),
        window,
        before: Window { from: began, until: window.from },
        tolerance: 0.0,
        not_measured: Vec::new(),
    }));
}

fn release(digest: Digest) -> DesiredRelease {
    let ready = Health { target: ProbeTarget::Tcp, interval_ms: 100, timeout_ms: 1_000, failures: 3 };
    DesiredRelease {
        release: 1,
        image: ImageRef::new(ImageName::new("api").unwrap(), digest),
        weight: 100,
        run: RunSpec {
            env: std::collections::BTreeMap::new(),
            args: None,
            ready,
            health: None,
            drain_ms: 0,
            stop_ms: 0,
        },
        manifests: None,
    }
}
