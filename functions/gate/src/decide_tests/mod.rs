//! What the gate says of an image, whatever the order in which things are known; and that what is stored loads for ever.

use jiff::{SignedDuration, Timestamp};
use longshore_events::types::{
    BuildFinished, BuildOutcome, GateEvaluated, ImagePushed, ImageScanned, ScanScope, ScanStatus, Severity,
    SeverityCounts, Verdict,
};
use longshore_events::{
    ChainId, CommitId, Data, Digest, EventId, ImageName, Link, RepositoryName, ServiceName,
};
use longshore_frame::{Cause, Decision, Told};
use longshore_policy::Policy;
use longshore_sim::stored::Samples;
use proptest::prelude::*;

use super::{Context, decide};
use crate::{Input, Nothing, Scan, Seen, State, Target, Waivable};

const CONFIG: &str = r#"
[[repository]]
name = "shop"
[[service]]
name = "shop"
repository = "shop"
test = ["true"]
[[environment]]
name = "live"
[environment.gate]
requires = ["scan", "tests"]
block = ["critical", "high"]
deadline = "60s"
[[waiver]]
id = "CVE-2026-1"
until = "2026-11-30"
why = "it is not reached"
"#;

mod overrides;
mod people;
mod promotion;
mod signatures;

struct Unit {
    policy: Policy,
    state: State,
    now: Timestamp,
    seen: Seen,
    said: Vec<GateEvaluated>,
    last: Decision<State, Nothing>,
    told: u32,
}

fn commit(digit: &str) -> CommitId {
    CommitId::new(digit.repeat(40)).unwrap()
}

fn digest() -> Digest {
    Digest::new(format!("sha256:{}", "a".repeat(64))).unwrap()
}

fn counts(critical: u64, high: u64) -> SeverityCounts {
    SeverityCounts { critical, high, ..SeverityCounts::default() }
}

impl Unit {
    fn new(config: &str) -> Self {
        Self {
            policy: longshore_policy::check(config, "test.toml").unwrap(),
            state: State::default(),
            now: "2026-11-24T08:00:00Z".parse().unwrap(),
            seen: Seen::default(),
            said: Vec::new(),
            last: Decision::rest(State::default()),
            told: 0,
        }
    }

    fn step(&mut self, cause: Cause<Input>) {
        let (environment, service) = (self.policy.environments.last().unwrap(), &self.policy.services[0]);
        let target = Target { environment, service, digest: digest() };
        let context = Context { target, policy: &self.policy, now: self.now, seen: &self.seen };
        let decision = decide(&context, self.state.clone(), cause);
        self.state = decision.state.clone();
        self.said.extend(decision.facts.iter().filter_map(|said| match &said.data {
            Data::GateEvaluated(fact) => Some(fact.clone()),
            _ => None,
        }));
        self.last = decision;
    }

    fn tell(&mut self, input: Input) {
        self.told += 1;
        let id = EventId::new(format!("e/{}", self.told)).unwrap();
        let link = Link { chain: ChainId::new("e").unwrap(), cause: Some(id.clone()) };
        self.step(Cause::Told(Told { input, id, time: self.now, link }));
    }

    fn pushed(&mut self, digit: &str) {
        self.tell(Input::ImagePushed(ImagePushed {
            image: ImageName::new("shop").unwrap(),
            tag: None,
            digest: digest(),
            media_type: "application/vnd.oci.image.manifest.v1+json".into(),
            platforms: Vec::new(),
            service: Some(ServiceName::new("shop").unwrap()),
            commit: Some(commit(digit)),
            manifests_ref: None,
            forced: false,
            actor: Some("mona".into()),
        }));
    }

    fn tested(&mut self) {
        self.tell(Input::BuildFinished(BuildFinished {
            service: ServiceName::new("shop").unwrap(),
            repo: RepositoryName::new("shop").unwrap(),
            commit: commit("1"),
            builder: "packer".into(),
            outcome: BuildOutcome::Succeeded,
            reason: None,
            image: None,
            digest: Some(digest()),
            manifests_ref: None,
            logs_ref: None,
            times: None,
        }));
    }

    fn scanned(&mut self, status: ScanStatus, counts: SeverityCounts, waivable: Vec<Waivable>) {
        let fact = ImageScanned {
            image: ImageName::new("shop").unwrap(),
            digest: digest(),
            scanner: "built-in".into(),
            database: None,
            scope: vec![ScanScope::Vulnerabilities],
            status,
            reason: (status != ScanStatus::Complete).then(|| "it broke off".into()),
            counts,
            findings_ref: None,
            sbom_ref: None,
        };
        self.seen.scan = Some(Scan { event: EventId::new("scan").unwrap(), fact: fact.clone(), waivable });
        self.tell(Input::ImageScanned(fact));
    }

    fn passes(&mut self, seconds: i64) {
        self.now += SignedDuration::from_secs(seconds);
        self.step(Cause::Woken);
    }

    fn verdicts(&self) -> Vec<Verdict> {
        self.said.iter().map(|fact| fact.verdict).collect()
    }

    fn verdict(&self) -> Verdict {
        self.said.last().unwrap().verdict
    }
}

#[test]
fn where_nothing_is_required_an_image_passes_at_once_and_each_time_that_it_comes() {
    let mut unit = Unit::new("[[service]]\nname = \"shop\"\nimage = \"shop\"\n");
    unit.pushed("1");
    unit.pushed("2");
    assert_eq!(unit.verdicts(), [Verdict::Pass, Verdict::Pass]);
    assert_eq!(unit.said[1].commit, Some(commit("2")));
    assert_eq!((unit.last.wake, unit.said[1].inputs.len()), (None, 1));
}

proptest! {
    /// Whatever the order: pass in the end, never before all is known, and nothing that is said twice.
    #[test]
    fn what_is_required_is_joined_in_any_order(order in Just(vec![0, 1, 2]).prop_shuffle()) {
        let mut unit = Unit::new(CONFIG);
        for (at, what) in order.iter().enumerate() {
            match what {
                0 => unit.pushed("1"),
                1 => unit.tested(),
                _ => unit.scanned(ScanStatus::Complete, counts(0, 0), Vec::new()),
            }
            let passes = unit.said.last().is_some_and(|fact| fact.verdict == Verdict::Pass);
            prop_assert_eq!(passes, at == 2, "{:?}", order);
        }
        prop_assert_eq!(unit.verdict(), Verdict::Pass);
        prop_assert_eq!(unit.said.last().unwrap().inputs.len(), 3);
        prop_assert_eq!(unit.last.wake, None);
    }
}

#[test]
fn a_finding_that_blocks_closes_the_gate_and_one_that_does_not_leaves_it_open() {
    let mut unit = Unit::new(CONFIG);
    unit.tested();
    unit.pushed("1");
    unit.scanned(ScanStatus::Complete, SeverityCounts { medium: 9, ..counts(0, 0) }, Vec::new());
    unit.scanned(ScanStatus::Complete, counts(1, 2), Vec::new());
    assert_eq!(unit.verdicts(), [Verdict::Unknown, Verdict::Pass, Verdict::Fail]);
    assert_eq!(unit.said[2].reasons, ["scan: built-in found: 1 critical, 2 high"]);
}

#[test]
fn what_is_unknown_closes_the_gate_at_the_deadline_and_what_comes_later_opens_it() {
    for status in [ScanStatus::Failed, ScanStatus::Unsupported, ScanStatus::Expired] {
        let mut unit = Unit::new(CONFIG);
        unit.tested();
        unit.pushed("1");
        unit.scanned(status, counts(0, 0), Vec::new());
        unit.passes(59);
        assert_eq!(unit.verdict(), Verdict::Unknown, "{status:?}");
        assert!(unit.last.wake.is_some());
        unit.passes(1);
        assert_eq!((unit.verdict(), unit.last.wake), (Verdict::Fail, None), "{status:?}");
        assert!(unit.said.last().unwrap().reasons[1].contains("within 60 s"));
        unit.scanned(ScanStatus::Complete, counts(0, 0), Vec::new());
        assert_eq!(unit.verdict(), Verdict::Pass);
    }
}

#[test]
fn a_verdict_that_turns_good_is_said_of_every_image_of_the_digest() {
    let mut unit = Unit::new(CONFIG);
    unit.tested();
    unit.pushed("2");
    unit.pushed("1");
    unit.pushed("2");
    unit.scanned(ScanStatus::Complete, counts(0, 0), Vec::new());
    let good: Vec<_> = unit
        .said
        .iter()
        .filter(|fact| fact.verdict == Verdict::Pass)
        .map(|fact| fact.commit.clone())
        .collect();
    assert_eq!(good, [Some(commit("1")), Some(commit("2"))]);
}

#[test]
fn a_waiver_counts_until_it_ends_and_then_the_gate_closes_by_itself() {
    let mut unit = Unit::new(CONFIG);
    unit.tested();
    unit.pushed("1");
    let waived = Waivable { id: "CVE-2026-1".into(), severity: Severity::Critical, count: 1 };
    unit.scanned(ScanStatus::Complete, counts(2, 0), vec![waived.clone()]);
    assert_eq!(unit.said.last().unwrap().reasons, ["scan: built-in found: 1 critical (1 more are waived)"]);
    unit.scanned(ScanStatus::Complete, counts(1, 0), vec![waived]);
    let ends = "2026-12-01T00:00:00Z".parse().unwrap();
    assert_eq!(
        (unit.verdict(), unit.said.last().unwrap().expires_at, unit.last.wake),
        (Verdict::Pass, Some(ends), Some(ends))
    );
    unit.now = ends;
    unit.passes(0);
    assert_eq!(unit.verdict(), Verdict::Fail);
}

#[test]
fn a_service_without_tests_never_passes_a_gate_that_requires_them() {
    let mut unit = Unit::new(&CONFIG.replace("test = [\"true\"]\n", ""));
    unit.tested();
    unit.pushed("1");
    unit.scanned(ScanStatus::Complete, counts(0, 0), Vec::new());
    assert_eq!(unit.verdict(), Verdict::Fail);
}

#[test]
fn what_is_known_of_an_image_that_nobody_pushed_says_nothing() {
    let mut unit = Unit::new(CONFIG);
    unit.tested();
    unit.scanned(ScanStatus::Complete, counts(0, 0), Vec::new());
    unit.passes(3_600);
    assert!(unit.said.is_empty() && unit.last.wake.is_none());
}

/// What this build stores, and that what any release stored loads.
#[test]
fn what_is_stored_stays_as_it_is_and_loads_for_ever() {
    let samples = Samples::of("gate");
    let mut unit = Unit::new(CONFIG);
    unit.pushed("1");
    samples.keep("state-unknown.json", &unit.state);
    unit.tested();
    unit.scanned(ScanStatus::Complete, counts(1, 0), Vec::new());
    samples.keep("state-closed.json", &unit.state);
    samples.load::<State, Nothing>();
}
