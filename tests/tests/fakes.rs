//! The simulator's fakes keep the contracts of their ports, as the real adapters do.

#![allow(clippy::unwrap_used, reason = "the helpers of tests fail as tests do")]

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};

use longshore_events::{
    CommitId, Digest, EnvironmentName, ImageName, ImageRef, RefName, RepositoryName, ServiceName,
};
use longshore_ports::suite;
use longshore_ports::{
    BlobRef, BuildOrder, DesiredRelease, Health, ProbeTarget, RunSpec, ScanOrder, Workload,
};
use longshore_sim::world::{FakeBlobs, FakeBuilder, FakeGit, FakeScanner, FakeWorkloads, Inside, Tree};
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
        }
    };
    run(suite::workloads::run(make, async |_| pass(&air)));
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
    }
}
