//! The spine over the simulator's world.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use jiff::Timestamp;
use longshore_build::Build;
use longshore_deploy::Deploy;
use longshore_events::{Data, Takes};
use longshore_frame::{Call, Frame, Function, Mutant, handle};
use longshore_gate::Gate;
use longshore_intake::RefCheck;
use longshore_policy::Policy;
use longshore_ports::{
    Facts, Journal, PortError,
    journal::{Commit, CommitError, Routes, SwitchWrite},
};
use longshore_report::Report as Reporter;
use longshore_scan::Scan;
use longshore_sim::{
    Air, Faults, Invoke, MemoryJournal, Outcome, Scheduler, Settings,
    world::{
        FakeBlobs, FakeBuilder, FakeForge, FakeGit, FakeMetrics, FakeScanner, FakeSignatures, FakeWorkloads,
        Hole, signer,
    },
};

use crate::drill::Drill;
use crate::early::Early;
use crate::invariants;
use crate::once::Once;
use crate::script::Script;

/// The configuration of the simulated spine; the steps of rollouts stand for `@STRATEGY@`, what else is required for
/// `@SIGNATURE@`, when rollouts may begin for `@CALENDAR@`.
const CONFIG: &str = r#"
[host]
ref_check = "30s"
[scan]
timeout = "2m"
[[repository]]
name = "shop"
url = "https://github.com/acme/shop.git"
forge = "github"
token = "forge"
[[service]]
name = "api"
repository = "shop"
@MANIFESTS@
test = ["true"]
watch = ["api/**"]
[[service]]
name = "web"
repository = "shop"
@MANIFESTS@
test = ["true"]
watch = ["web/**"]
no_rollback_past = ["web/migrations/**"]
[[environment]]
name = "local"
services = ["*"]
deadline = "5s"
settle = "500ms"
@CLUSTER@
@STRATEGY@
@CALENDAR@
[environment.gate]
requires = ["scan", "tests"@SIGNATURE@]
block = ["critical"]
deadline = "60s"
approval_valid = "1m"
[[environment]]
name = "prod"
services = ["web"]
after = "local"
soak = "3s"
deadline = "5s"
settle = "500ms"
@CLUSTER@
@STRATEGY@
[environment.gate]
requires = ["approval"]
author = "counts"
approval_valid = "1m"
"#;

/// What stands there for every second seed.
const CANARY: &str = r#"
[environment.strategy]
kind = "canary"
hold = "3s"
patience = "10s"
[[environment.strategy.step]]
weight = 20
[[environment.strategy.step]]
weight = 60
checks = ["errors"]
[[environment.strategy.step]]
weight = 100
[[environment.strategy.check]]
name = "errors"
measure = "error_rate"
limit = "10%"
increase = "50%"
tolerate = "2%"
min_requests = 4
[[environment.strategy.check]]
name = "slow"
measure = "latency_p99"
limit = "500ms"
min_requests = 4
on_unknown = "fail"
"#;

/// What follows there for every fourth seed.
const BY_DEGREES: &str = r#"
[[environment.strategy.rollback]]
weight = 40
hold = "2s"
[[environment.strategy.rollback]]
weight = 10
hold = "4s"
"#;

/// Whether what measures bad gives its traffic back by degrees under this seed.
pub(crate) fn gives_back_by_degrees(seed: u64) -> bool {
    seed % 4 == 3
}

/// Whether releases get their traffic step by step under this seed.
pub(crate) fn is_canary(seed: u64) -> bool {
    seed % 2 == 1
}

/// Whether images must be signed under this seed.
pub(crate) fn is_signed(seed: u64) -> bool {
    seed % 3 == 2
}

/// Whether rollouts have to wait for windows under this seed.
pub(crate) fn is_windowed(seed: u64) -> bool {
    seed % 5 == 2
}

/// Whether services run on a cluster under this seed.
pub(crate) fn is_cluster(seed: u64) -> bool {
    seed % 7 == 3
}

/// Which of the configurations a seed has.
fn variant(seed: u64) -> usize {
    [is_canary(seed), is_signed(seed), is_windowed(seed), gives_back_by_degrees(seed), is_cluster(seed)]
        .into_iter()
        .fold(0, |sum, one| 2 * sum + usize::from(one))
}

/// The configuration of the simulated spine under a seed.
pub(crate) fn config(seed: u64) -> String {
    let degrees = if gives_back_by_degrees(seed) { BY_DEGREES } else { "" };
    let strategy = if is_canary(seed) { format!("{CANARY}{degrees}") } else { String::new() };
    let text = CONFIG.replace("@STRATEGY@", &strategy);
    let (calendar, people) = if is_windowed(seed) { (CALENDAR, PEOPLE) } else { ("", "") };
    let text = text.replace("@CALENDAR@", calendar) + people;
    let (cluster, manifests) = if is_cluster(seed) { (CLUSTER, MANIFESTS) } else { ("", "") };
    let text = text.replace("@CLUSTER@", cluster).replace("@MANIFESTS@", manifests);
    if !is_signed(seed) {
        return text.replace("@SIGNATURE@", "");
    }
    let signer = format!("[[signer]]\nname = \"sim\"\nkey = \"\"\"{}\"\"\"\n", signer());
    text.replace("@SIGNATURE@", ", \"signature\"") + &signer
}

/// What stands there for every seventh seed.
const CLUSTER: &str = "[environment.cluster]\ncontext = \"sim\"\n";
/// What every service has there.
const MANIFESTS: &str = "manifests = { files = [\"k8s\"] }";

/// What stands there for every fifth seed: the simulated day begins at 14:13:20 UTC.
const CALENDAR: &str = r#"
[[environment.window]]
from = "14:13"
to = "14:14"
[[environment.window]]
from = "16:15"
to = "16:16"
zone = "Europe/Berlin"
[[environment.window]]
from = "14:17"
[[environment.freeze]]
from = "2026-09-21T14:15:30"
until = "2026-09-21T14:15:45"
why = "a short one"
"#;

/// Who says what there: the first may override the calendar above.
const PEOPLE: &str = r#"
[[person]]
name = "sim"
overrides = ["local"]
[[person]]
name = "other"
"#;

/// Whether rollouts may begin at that time under the calendar above.
pub(crate) fn may_begin(at: Timestamp) -> bool {
    let of_day = at.as_second() % 86_400 - (14 * 60 + 13) * 60;
    matches!(of_day, 0..60 | 120..150 | 165..180 | 240..)
}

/// The claim of an invocation, in milliseconds.
const CLAIM_MS: u64 = 30_000;
/// Functions whose units are due for ever.
const PERIODIC: &[&str] = &["refcheck"];

/// A fault put in on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutation {
    /// In the frame.
    Frame(Mutant),
    /// In the outside.
    World(Hole),
    /// Nothing is swept.
    NoSweep,
    /// `deploy` reads the gate's verdict once.
    GateOnce,
    /// `deploy` judges the calendar by the time of events.
    Early,
    /// `deploy` takes everything for what can be taken back.
    AllGoesBack,
    /// `gate` takes anybody's word for one that overrides the calendar.
    AllOverride,
}

/// What to run.
#[derive(Debug, Clone, Copy)]
pub struct Run {
    /// The seed of everything.
    pub seed: u64,
    /// How many things people do.
    pub acts: usize,
    /// What goes wrong on the way.
    pub faults: Faults,
    /// Crash at this point alone.
    pub crash_at: Option<u64>,
    /// A fault put in on purpose.
    pub mutation: Option<Mutation>,
    /// Remember every call.
    pub record: bool,
}

impl Run {
    /// A seed in the storm.
    pub fn storm(seed: u64) -> Self {
        let acts = 4 + usize::try_from(seed % 5).unwrap_or(0);
        Self { seed, acts, faults: Faults::STORM, crash_at: None, mutation: None, record: false }
    }

    /// A run without any fault.
    pub fn calm(seed: u64) -> Self {
        Self { faults: Faults::default(), ..Self::storm(seed) }
    }
}

/// How a run went.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Calls, crashes and whether it came to rest.
    pub outcome: Outcome,
    /// What is wrong, in the world's terms; empty when all is well.
    pub wrong: Vec<String>,
    /// Every call, when it was recorded.
    pub history: Vec<String>,
}

pub(crate) struct Spine {
    pub(crate) frame: Frame,
    pub(crate) build: Arc<Build>,
    pub(crate) deploy: Arc<Deploy>,
    pub(crate) gate: Arc<Gate>,
    pub(crate) scan: Arc<Scan>,
    /// What `deploy` runs in: the frame of all, but for a mutant.
    deploys: Frame,
    pub(crate) reporter: Arc<Reporter>,
    /// In place of `deploy`, for a mutant.
    early: Option<Arc<Early>>,
    pub(crate) drill: Arc<Drill>,
    pub(crate) refcheck: Arc<RefCheck>,
    pub(crate) journal: Arc<MemoryJournal>,
    pub(crate) air: Arc<Air>,
    git: Arc<FakeGit>,
    builder: Arc<FakeBuilder>,
    scanner: Arc<FakeScanner>,
    forge: Arc<FakeForge>,
    workloads: Arc<FakeWorkloads>,
    metrics: Arc<FakeMetrics>,
    signatures: Arc<FakeSignatures>,
    script: Mutex<Script>,
}

/// Runs the spine once.
///
/// # Panics
/// When the configuration above is wrong.
pub fn run(run: &Run) -> Report {
    let (spine, outcome) = play(run);
    let Spine { journal, air, git, builder, scanner, forge, workloads, metrics, signatures, .. } = &spine;
    let mut wrong = invariants::faults(journal, git, builder, workloads, PERIODIC);
    wrong.extend(invariants::scans(journal, scanner));
    wrong.extend(invariants::gates(journal));
    wrong.extend(invariants::promotions(journal, workloads));
    if is_signed(run.seed) {
        wrong.extend(invariants::signatures(journal, signatures));
    }
    if is_windowed(run.seed) {
        wrong.extend(invariants::windows(journal));
    }
    wrong.extend(invariants::past(journal, git));
    let stayed = invariants::stayed(journal);
    let bad = metrics.wrong().into_iter().filter(|line| !stayed.iter().any(|hex| line.starts_with(hex)));
    wrong.extend(bad);
    wrong.extend(invariants::verifications(journal));
    wrong.extend(invariants::returns(journal));
    wrong.extend(invariants::reports(journal, forge));
    if !outcome.rested {
        wrong.push("it never came to rest".into());
    }
    if run.record {
        // What was said, in order: the world's side of the story stands above it.
        journal.events().iter().for_each(|event| air.note(|| format!("SAID {}", event.to_json())));
    }
    Report { outcome, wrong, history: air.history() }
}

/// The configuration of a run, with its fault where it has one.
fn policy(run: &Run) -> Arc<Policy> {
    let mut policy = POLICIES[variant(run.seed)].clone();
    match run.mutation {
        Some(Mutation::AllGoesBack) => {
            for service in &mut Arc::make_mut(&mut policy).services {
                service.no_rollback_past = None;
            }
        }
        Some(Mutation::AllOverride) => {
            let Policy { people, environments, .. } = Arc::make_mut(&mut policy);
            let every: Vec<_> = environments.iter().map(|environment| environment.name.clone()).collect();
            for person in people {
                person.overrides.clone_from(&every);
            }
        }
        _ => {}
    }
    policy
}

/// The spine after it ran once.
pub(crate) fn play(run: &Run) -> (Spine, Outcome) {
    let air = Arc::new(Air::new(run.seed, run.faults));
    if run.record {
        air.record();
    }
    let hole = match run.mutation {
        Some(Mutation::World(hole)) => Some(hole),
        _ => None,
    };
    let policy = policy(run);
    let git = Arc::new(FakeGit::new(air.clone()));
    let builder = Arc::new(FakeBuilder::new(air.clone(), git.clone(), hole));
    let workloads = Arc::new(FakeWorkloads::new(air.clone(), hole).as_cluster(is_cluster(run.seed)));
    let metrics = Arc::new(FakeMetrics::new(air.clone(), workloads.clone(), hole));
    let scanner = Arc::new(FakeScanner::new(air.clone(), hole));
    let signatures = Arc::new(FakeSignatures::new(air.clone(), hole));
    let blobs = Arc::new(FakeBlobs::new(air.clone()));
    let forge = Arc::new(FakeForge::new(air.clone()));
    let journal = Arc::new(MemoryJournal::new(air.clone(), routes()));
    let mutant = match run.mutation {
        Some(Mutation::Frame(mutant)) => Some(mutant),
        _ => None,
    };
    let once = Arc::new(Once::new(journal.clone()));
    let is_once = run.mutation == Some(Mutation::GateOnce);
    let read: Arc<dyn Facts> = if is_once { once.clone() } else { journal.clone() };
    let deploys: Arc<dyn Journal> = if is_once { once } else { journal.clone() };
    let deploy = Arc::new(Deploy {
        policy: policy.clone(),
        workloads: workloads.clone(),
        metrics: metrics.clone(),
        git: git.clone(),
        registry: blobs.clone(),
        facts: read,
        poll_ms: 1_000,
    });
    let spine = Spine {
        early: (run.mutation == Some(Mutation::Early)).then(|| Arc::new(Early(deploy.clone()))),
        deploys: Frame { mutant, ..Frame::new(deploys, blobs.clone(), air.clone(), CLAIM_MS) },
        gate: Arc::new(Gate {
            policy: policy.clone(),
            facts: journal.clone(),
            blobs: blobs.clone(),
            signatures: signatures.clone(),
        }),
        frame: Frame { mutant, ..Frame::new(journal.clone(), blobs.clone(), air.clone(), CLAIM_MS) },
        build: Arc::new(Build {
            policy: policy.clone(),
            builder: builder.clone(),
            builder_name: "sim".into(),
            git: git.clone(),
            facts: journal.clone(),
            poll_ms: 1_000,
        }),
        deploy,
        scan: Arc::new(Scan {
            policy: policy.clone(),
            scanner: scanner.clone(),
            facts: journal.clone(),
            poll_ms: 1_000,
        }),
        reporter: Arc::new(Reporter {
            policy: policy.clone(),
            forge: forge.clone(),
            notify: Some(forge.clone()),
            facts: journal.clone(),
            blobs: blobs.clone(),
        }),
        drill: Arc::new(Drill { workloads: workloads.clone() }),
        refcheck: Arc::new(RefCheck { git: git.clone(), policy }),
        journal: journal.clone(),
        air: air.clone(),
        git: git.clone(),
        builder: builder.clone(),
        scanner: scanner.clone(),
        forge,
        workloads: workloads.clone(),
        metrics: metrics.clone(),
        signatures: signatures.clone(),
        script: Mutex::new(Script::new(
            air.clone(),
            git.clone(),
            builder.clone(),
            scanner.clone(),
            workloads.clone(),
            is_canary(run.seed).then_some(metrics),
            signatures,
            journal.clone(),
            run.seed,
            run.acts,
        )),
    };
    let outcome = Scheduler::new(air.clone(), journal.clone(), &spine, settings(run)).run();
    (spine, outcome)
}

fn settings(run: &Run) -> Settings {
    Settings {
        crash_at: run.crash_at,
        sweep_ms: (run.mutation != Some(Mutation::NoSweep)).then_some(10_000),
        claim_ms: i64::try_from(CLAIM_MS).unwrap_or(0),
        linger_ms: 90_000,
        // A mutant may never rest; what it does wrong shows early.
        horizon_ms: if run.mutation.is_some() { 300_000 } else { 1_800_000 },
        periodic: PERIODIC,
    }
}

/// Runs one script once for each point that its uncrashed run passes, with a crash at that point. Returns the number
/// of points and the points at which something was wrong.
pub fn enumerate_crashes(seed: u64) -> (u64, Vec<(u64, Vec<String>)>) {
    let points = run(&Run::calm(seed)).outcome.points;
    let at = |point| run(&Run { crash_at: Some(point), ..Run::calm(seed) }).wrong;
    let wrong = (0..points).map(|point| (point, at(point))).filter(|(_, wrong)| !wrong.is_empty()).collect();
    (points, wrong)
}

/// Checked once: its globs take longer to compile than a short run takes.
static POLICIES: LazyLock<[Arc<Policy>; 32]> = LazyLock::new(|| {
    // Seeds repeat their configurations after the product of what they are divided by.
    let seeds: [u64; 32] =
        std::array::from_fn(|wanted| (0..420).find(|seed| variant(*seed) == wanted).unwrap_or(0));
    seeds.map(|seed| match longshore_policy::check(&config(seed), "spine.toml") {
        Ok(policy) => Arc::new(policy),
        Err(faults) => panic!("the configuration of the simulated spine: {faults:?}"),
    })
});

fn routes() -> Routes {
    Routes(vec![
        (Build::NAME, <Build as Function>::Input::KINDS),
        (Deploy::NAME, <Deploy as Function>::Input::KINDS),
        (Drill::NAME, <Drill as Function>::Input::KINDS),
        (Gate::NAME, <Gate as Function>::Input::KINDS),
        (RefCheck::NAME, <RefCheck as Function>::Input::KINDS),
        (Reporter::NAME, <Reporter as Function>::Input::KINDS),
        (Scan::NAME, <Scan as Function>::Input::KINDS),
    ])
}

type Task = Pin<Box<dyn Future<Output = Result<(), PortError>> + Send>>;

fn task<F: Function>(function: &Arc<F>, frame: &Frame, invocation: String, call: Call) -> Task {
    let (function, frame) = (function.clone(), frame.clone());
    Box::pin(async move { handle(&*function, &frame, &invocation, call).await })
}

impl Invoke for Spine {
    fn invoke(&self, function: &str, invocation: String, call: Call) -> Task {
        match (function, call) {
            (Build::NAME, call) => task(&self.build, &self.frame, invocation, call),
            (Deploy::NAME, call) if let Some(early) = &self.early => {
                task(early, &self.deploys, invocation, call)
            }
            (Deploy::NAME, call) => task(&self.deploy, &self.deploys, invocation, call),
            (Gate::NAME, call) => task(&self.gate, &self.frame, invocation, call),
            (Drill::NAME, call) => task(&self.drill, &self.frame, invocation, call),
            (RefCheck::NAME, call) => task(&self.refcheck, &self.frame, invocation, call),
            (Reporter::NAME, call) => task(&self.reporter, &self.frame, invocation, call),
            (Scan::NAME, call) => task(&self.scan, &self.frame, invocation, call),
            (_, Call::Event(event)) => {
                let (journal, at, switch) = (self.journal.clone(), event.time, SwitchWrite::of(&event));
                let commit = Commit { at, switch, events: vec![*event], ..Commit::default() };
                Box::pin(async move { intake(&*journal, commit).await })
            }
            (_, Call::Wake(_)) => Box::pin(async { Ok(()) }),
        }
    }

    fn move_on(&self, now: Timestamp) -> Vec<(String, Call)> {
        let mut script = self.script.lock().unwrap_or_else(PoisonError::into_inner);
        let mut calls = Vec::new();
        for event in script.act(now) {
            // A webhook that never comes, once, or twice; whoever asks for something sees that it was taken.
            let may_drop = matches!(event.data, Data::PushReceived(_));
            let times = if may_drop && self.air.chance(|faults| faults.drop) {
                0
            } else {
                1 + usize::from(self.air.chance(|faults| faults.double))
            };
            for _ in 0..times {
                calls.push(("intake".to_owned(), Call::Event(Box::new(event.clone()))));
            }
            if !self.air.chance(|faults| faults.unhint) {
                calls.push((Deploy::NAME.to_owned(), Call::Wake("local/api".into())));
            }
        }
        calls
    }

    fn also_swept(&self) -> Vec<(String, Call)> {
        // The host hints each repository when it starts, and starts again after a crash; from its first commit on
        // the ref check is due by itself.
        let mut calls = Vec::new();
        if !self.journal.has_unit(RefCheck::NAME, "shop") {
            calls.push((RefCheck::NAME.to_owned(), Call::Wake("shop".into())));
        }
        // Images are scanned again each day, in a world without days.
        let units = self
            .scanner
            .changed()
            .into_iter()
            .flat_map(|digest| self.journal.units_of(Scan::NAME, digest.as_str()));
        calls.extend(units.map(|unit| (Scan::NAME.to_owned(), Call::Wake(unit))));
        calls
    }

    fn next_move(&self) -> Option<Timestamp> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner).next()
    }
}

/// What `intake` does once a webhook is verified and translated: one commit, then the bus.
async fn intake(journal: &dyn Journal, commit: Commit) -> Result<(), PortError> {
    match journal.commit(&commit).await {
        Ok(committed) => journal.publish(&committed).await,
        Err(CommitError::Port(error)) => Err(error),
        Err(CommitError::Conflict(_)) => Ok(()),
    }
}
