//! What a release left half done is finished by this build: from the samples of states and effects that each release
//! stored (`events/state`), through the loop that every host runs, over the simulated world.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::future::Future;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use longshore_build::{Build, Stage};
use longshore_deploy::{Apply, Deploy};
use longshore_events::types::{BuildOutcome, DeploymentOutcome};
use longshore_events::{CommitId, Data, Digest, Link, RefName, RepositoryName, Takes};
use longshore_frame::{Call, Frame, Function, handle};
use longshore_gate::Gate;
use longshore_ports::journal::{Commit, LeaseRow, LeaseWrite, Routes, Todo, UnitRow, UnitWrite};
use longshore_ports::{BuildOrder, Clock, Desired, DesiredRelease, Journal, Workload, Workloads};
use longshore_sim::stored::Samples;
use longshore_sim::world::{
    FakeBlobs, FakeBuilder, FakeGit, FakeMetrics, FakeSignatures, FakeWorkloads, Tree,
};
use longshore_sim::{Air, Faults, MemoryJournal};
use serde::de::DeserializeOwned;

const CONFIG: &str = "[[repository]]\nname = \"acme/shop\"\n\
                      [[service]]\nname = \"shop\"\nrepository = \"acme/shop\"\n\
                      [[environment]]\nname = \"live\"\ndeadline = \"10s\"\nsettle = \"1s\"\n";
/// The unit of `deploy` in the samples.
const UNIT: &str = "live/shop";

/// A machine on which the last release ended in the middle of its work.
struct World {
    air: Arc<Air>,
    journal: Arc<MemoryJournal>,
    git: Arc<FakeGit>,
    builder: Arc<FakeBuilder>,
    workloads: Arc<FakeWorkloads>,
    frame: Frame,
    build: Build,
    deploy: Deploy,
    gate: Gate,
}

impl World {
    fn new() -> Self {
        let air = Arc::new(Air::new(1, Faults::default()));
        let policy = Arc::new(longshore_policy::check(CONFIG, "upgrade.toml").unwrap());
        let routes = Routes(vec![
            (Build::NAME, <Build as Function>::Input::KINDS),
            (Deploy::NAME, <Deploy as Function>::Input::KINDS),
            (Gate::NAME, <Gate as Function>::Input::KINDS),
        ]);
        let journal = Arc::new(MemoryJournal::new(air.clone(), routes));
        let git = Arc::new(FakeGit::new(air.clone()));
        let builder = Arc::new(FakeBuilder::new(air.clone(), git.clone(), None));
        let workloads = Arc::new(FakeWorkloads::new(air.clone(), None));
        let blobs = Arc::new(FakeBlobs::new(air.clone()));
        Self {
            frame: Frame::new(journal.clone(), blobs.clone(), air.clone(), 30_000),
            build: Build {
                policy: policy.clone(),
                builder: builder.clone(),
                builder_name: "sim".into(),
                git: git.clone(),
                facts: journal.clone(),
                poll_ms: 1_000,
            },
            gate: Gate {
                policy: policy.clone(),
                facts: journal.clone(),
                blobs: blobs.clone(),
                signatures: Arc::new(FakeSignatures::new(air.clone(), None)),
            },
            deploy: Deploy {
                policy,
                workloads: workloads.clone(),
                metrics: Arc::new(FakeMetrics::new(air.clone(), workloads.clone(), None)),
                git: git.clone(),
                registry: blobs,
                facts: journal.clone(),
                poll_ms: 1_000,
            },
            air,
            journal,
            git,
            builder,
            workloads,
        }
    }

    /// The branch's tip is this commit.
    fn tip(&self, commit: &CommitId) {
        self.git.commit(commit.clone(), None, Tree::from([("shop/main.rs".into(), commit.to_string())]));
        let (repo, branch) = (RepositoryName::new("acme/shop").unwrap(), RefName::branch("main").unwrap());
        self.git.push(&repo, &branch, Some(commit.clone()));
    }

    /// What the last release committed of a unit before it ended.
    fn left<F: Function>(&self, unit: &str, row: UnitRow, lease: Option<LeaseRow>) {
        let row = UnitRow { version: 1, due: Some(self.air.now()), ..row };
        let (function, unit) = (F::NAME.into(), unit.into());
        let write = UnitWrite { function, unit, read_version: 0, read_marks: 0, row };
        let lease = lease.map(|row| LeaseWrite { name: UNIT.into(), read: None, row });
        wait(self.journal.commit(&Commit { unit: Some(write), lease, ..Commit::default() })).unwrap();
    }

    /// The sweep comes every half second, until nothing is left to do.
    fn rests(&self) {
        for round in 0..1_000 {
            let owed = wait(self.journal.owed(self.air.now(), 0, 100)).unwrap();
            for (function, event) in owed.deliveries {
                self.invoke(&function, round, Call::Event(Box::new(event)));
            }
            for (function, unit) in owed.units {
                self.invoke(&function, round, Call::Wake(unit));
            }
            if self.journal.unrest(&[]).is_empty() {
                return;
            }
            self.air.pass(self.air.after(500));
        }
        panic!("it never rests: {:?}", self.journal.unrest(&[]));
    }

    fn invoke(&self, function: &str, round: u32, call: Call) {
        let name = format!("i{round}");
        match function {
            Build::NAME => wait(handle(&self.build, &self.frame, &name, call)).unwrap(),
            Gate::NAME => wait(handle(&self.gate, &self.frame, &name, call)).unwrap(),
            _ => wait(handle(&self.deploy, &self.frame, &name, call)).unwrap(),
        }
    }

    /// Nothing happened twice, and what runs is this alone.
    fn runs(&self, digest: &Digest) {
        assert_eq!((self.builder.wrong(), self.workloads.wrong()), (Vec::new(), Vec::new()));
        assert_eq!(self.workloads.truth(&workload()), [(digest.clone(), 100)]);
    }

    fn outcomes(&self) -> Vec<DeploymentOutcome> {
        let outcome = |data| if let Data::DeploymentFinished(end) = data { Some(end.outcome) } else { None };
        self.journal.events().into_iter().filter_map(|event| outcome(event.data)).collect()
    }
}

fn workload() -> Workload {
    Workload { environment: "live".parse().unwrap(), service: "shop".parse().unwrap() }
}

/// Runs what waits for nothing but the air.
fn wait<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(answer) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return answer;
        }
    }
}

/// A sample as it was stored, and what it is.
fn sample<T: DeserializeOwned>(release: &Path, name: &str) -> (String, T) {
    let text = std::fs::read_to_string(release.join(name)).unwrap();
    let value = serde_json::from_str(&text).unwrap();
    (text, value)
}

/// The effect that was open, claimed by an invocation that is gone.
fn open<F: Function>(function: &F, unit: &str, effect: (String, F::Effect), world: &World) -> UnitRow {
    let todo = vec![Todo { key: function.key(unit, &effect.1), effect: effect.0 }];
    UnitRow { todo, claim: Some("gone".into()), until: Some(world.air.now()), ..UnitRow::default() }
}

fn only(release: &longshore_deploy::Release, generation: u64) -> Desired {
    let alone = DesiredRelease {
        release: release.release,
        image: release.image.clone(),
        weight: 100,
        run: release.run.clone(),
        manifests: release.manifests.clone(),
    };
    Desired { workload: workload(), generation, step: 3, releases: vec![alone] }
}

fn held(generation: u64) -> LeaseRow {
    LeaseRow { holder: Some(format!("deploy/{UNIT}")), generation }
}

#[test]
fn a_rollout_that_any_release_began_ends_with_its_release_running() {
    for folder in Samples::of("deploy").releases() {
        for (name, started) in
            [("state-start.json", false), ("state-start.json", true), ("state-shift.json", true)]
        {
            let (state, read): (_, longshore_deploy::State) = sample(&folder, name);
            let effect: (String, Apply) = sample(&folder, "effect-start.json");
            let (rollout, before) = (read.rollout.unwrap(), read.current.unwrap());
            let world = World::new();
            world.tip(rollout.to.commit.as_ref().unwrap());
            wait(world.workloads.apply(&only(&before, before.release))).unwrap();
            let row = if started {
                wait(world.workloads.apply(&effect.1.desired)).unwrap();
                world.air.pass(world.air.after(1_000)); // it becomes ready
                UnitRow::default()
            } else {
                open(&world.deploy, UNIT, effect, &world)
            };
            let link = Some(rollout.to.link.clone());
            world.left::<Deploy>(UNIT, UnitRow { state, link, ..row }, Some(held(rollout.generation)));
            world.rests();
            world.runs(&rollout.to.image.digest);
            assert_eq!(world.outcomes(), [DeploymentOutcome::Succeeded], "{name} of {}", folder.display());
        }
    }
}

#[test]
fn a_wish_to_go_back_that_any_release_noted_is_fulfilled() {
    for folder in Samples::of("deploy").releases() {
        let (state, read): (_, longshore_deploy::State) = sample(&folder, "state-asked.json");
        let (bad, good) = (read.current.unwrap(), &read.previous[0]);
        let world = World::new();
        world.tip(bad.commit.as_ref().unwrap());
        wait(world.workloads.apply(&only(&bad, bad.release))).unwrap();
        let free = LeaseRow { holder: None, generation: bad.release };
        let link: Option<Link> = read.asked.map(|asked| asked.link);
        world.left::<Deploy>(UNIT, UnitRow { state, link, ..UnitRow::default() }, Some(free));
        world.rests();
        world.runs(&good.image.digest);
        assert_eq!(world.outcomes().first(), Some(&DeploymentOutcome::RolledBack));
    }
}

#[test]
fn a_build_that_any_release_began_ends_with_its_image_running() {
    for folder in Samples::of("build").releases() {
        for name in ["state-waiting.json", "state-building.json"] {
            let (state, read): (_, longshore_build::State) = sample(&folder, name);
            let effect: (String, BuildOrder) = sample(&folder, "effect-start.json");
            let order = effect.1.clone();
            let unit = format!("{}@{}", order.service, order.commit);
            let world = World::new();
            world.tip(&order.commit);
            let row = match read.stage {
                Stage::Building => open(&world.build, &unit, effect, &world),
                _ => UnitRow::default(),
            };
            let link = read.push.map(|push| push.link);
            world.left::<Build>(&unit, UnitRow { state, link, ..row }, None);
            world.rests();
            world.runs(&world.builder.digest(&order));
            assert_eq!(world.outcomes(), [DeploymentOutcome::Succeeded], "{name} of {}", folder.display());
            let ends: Vec<_> = world.journal.events().into_iter().map(|event| event.data).collect();
            let built = |data: &Data| matches!(data, Data::BuildFinished(end) if end.outcome == BuildOutcome::Succeeded);
            assert_eq!(ends.iter().filter(|data| built(data)).count(), 1, "{ends:?}");
        }
    }
}
