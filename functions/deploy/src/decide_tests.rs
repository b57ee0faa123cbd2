//! Rollouts step by step, decided without any outside; and what every decision must keep, whatever it is given.

use jiff::{SignedDuration, Timestamp};
use longshore_events::types::{DeploymentOutcome, ImagePushed, RequestKind, RequestMade};
use longshore_events::{
    ChainId, CommitId, Data, Digest, EnvironmentName, EventId, ImageName, Link, ServiceName,
};
use longshore_frame::{At, Cause, Decision, Failure, Lease, Told};
use longshore_policy::Policy;
use longshore_ports::journal::Relied;
use longshore_ports::{Observed, ObservedRelease, Phase, Workload};
use proptest::prelude::*;

use super::{Context, decide};
use crate::{Apply, Input, Seen, Stage, State, Verdict};

const CONFIG: &str = r#"
[[repository]]
name = "shop"
[[service]]
name = "shop"
repository = "shop"
[[environment]]
name = "live"
deadline = "10s"
settle = "1s"
"#;

/// A unit whose wishes come true, as far as the test lets them.
struct Unit {
    policy: Policy,
    workload: Workload,
    state: State,
    now: Timestamp,
    lease: Lease,
    minted: u64,
    stopped: bool,
    seen: Seen,
    said: Vec<Data>,
    wishes: Vec<Apply>,
    last: Decision<State, Apply>,
}

fn commit(n: u8) -> CommitId {
    CommitId::new(format!("{n:040x}")).unwrap()
}

fn digest(n: u8) -> Digest {
    Digest::new(format!("sha256:{n:064x}")).unwrap()
}

fn link(name: &str) -> Link {
    Link { chain: ChainId::new(name).unwrap(), cause: Some(EventId::new(name).unwrap()) }
}

fn image(n: u8) -> ImagePushed {
    ImagePushed {
        image: ImageName::new("shop").unwrap(),
        tag: Some(commit(n).to_string()),
        digest: digest(n),
        media_type: "application/vnd.oci.image.manifest.v1+json".into(),
        platforms: Vec::new(),
        service: Some(ServiceName::new("shop").unwrap()),
        commit: Some(commit(n)),
        forced: false,
    }
}

impl Unit {
    fn new() -> Self {
        let workload = Workload {
            environment: EnvironmentName::new("live").unwrap(),
            service: ServiceName::new("shop").unwrap(),
        };
        Self {
            policy: longshore_policy::check(CONFIG, "test.toml").unwrap(),
            workload,
            state: State::default(),
            now: Timestamp::from_second(1_790_000_000).unwrap(),
            lease: Lease::Free(1),
            minted: 0,
            stopped: false,
            seen: Seen {
                tip: None,
                behind: false,
                tag: None,
                running: Observed::default(),
                verdicts: Vec::new(),
            },
            said: Vec::new(),
            wishes: Vec::new(),
            last: Decision::rest(State::default()),
        }
    }

    fn decided(&self, cause: Cause<Input>) -> Decision<State, Apply> {
        let context = Context {
            workload: &self.workload,
            environment: &self.policy.environments[0],
            service: &self.policy.services[0],
            at: At { now: self.now, lease: self.lease, stopped: self.stopped },
            seen: &self.seen,
            poll_ms: 1_000,
            watch_ms: 150_000,
        };
        decide(&context, self.state.clone(), cause)
    }

    /// Decides until nothing follows at once; every wish is applied.
    fn step(&mut self, cause: Cause<Input>) {
        let mut cause = cause;
        loop {
            let decision = self.decided(cause);
            self.state = decision.state.clone();
            for said in &decision.facts {
                self.hear_back(&said.data);
            }
            self.lease = match (decision.hold_lease, self.lease) {
                (true, Lease::Free(generation)) => {
                    self.minted = generation;
                    Lease::Mine(generation)
                }
                (false, Lease::Mine(_)) => Lease::Free(self.minted + 1),
                (_, lease) => lease,
            };
            for wish in &decision.effects {
                self.apply(wish);
            }
            self.wishes.extend(decision.effects.iter().cloned());
            self.last = decision;
            cause = match (self.last.again, self.last.effects.is_empty()) {
                (_, false) => Cause::Done,
                (true, true) => Cause::Woken,
                (false, true) => return,
            };
        }
    }

    /// What was said can be read from then on.
    fn hear_back(&mut self, data: &Data) {
        if let Data::DigestQuarantined(fact) = data {
            let head = Relied { kind: "quarantined".into(), subject: fact.digest.to_string(), event: None };
            let (digest, bad) = (fact.digest.clone(), Some(fact.reason.clone()));
            self.seen.verdicts.push(Verdict { digest, bad, head });
        }
        self.said.push(data.clone());
    }

    fn apply(&mut self, wish: &Apply) {
        let before = std::mem::take(&mut self.seen.running.releases);
        let release = |wanted: &longshore_ports::DesiredRelease| ObservedRelease {
            release: wanted.release,
            digest: wanted.image.digest.clone(),
            weight: wanted.weight,
            phase: before
                .iter()
                .find(|known| known.release == wanted.release)
                .map_or(Phase::Starting, |known| known.phase),
            reason: None,
            restarts: 0,
            boot_ms: None,
        };
        self.seen.running.releases = wish.desired.releases.iter().map(release).collect();
        (self.seen.running.generation, self.seen.running.step) = (wish.desired.generation, wish.desired.step);
    }

    fn hears(&mut self, image: ImagePushed) {
        self.seen.tip.clone_from(&image.commit);
        self.tell(Input::ImagePushed(image));
    }

    fn tell(&mut self, input: Input) {
        let told = Told { input, id: EventId::new("e").unwrap(), time: self.now, link: link("e") };
        self.step(Cause::Told(told));
    }

    fn asked_to_roll_back(&mut self) {
        self.tell(Input::RequestMade(RequestMade {
            what: RequestKind::RollBack,
            who: "mona".into(),
            target: "live/shop".into(),
            why: None,
        }));
    }

    fn turns(&mut self, phase: Phase) {
        if let Some(newest) = self.seen.running.releases.iter_mut().max_by_key(|known| known.release) {
            newest.phase = phase;
        }
        self.step(Cause::Woken);
    }

    fn passes(&mut self, ms: i64) {
        self.now += SignedDuration::from_millis(ms);
        self.step(Cause::Woken);
    }

    /// Rolls an image out to its end.
    fn runs(&mut self, n: u8) {
        self.hears(image(n));
        self.turns(Phase::Ready);
        self.passes(1_000);
        assert_eq!(self.weights(), [(digest(n), 100)]);
        assert_eq!(self.state.rollout, None);
    }

    fn weights(&self) -> Vec<(Digest, u8)> {
        let known = |known: &ObservedRelease| (known.digest.clone(), known.weight);
        self.seen.running.releases.iter().map(known).collect()
    }

    fn outcomes(&self) -> Vec<DeploymentOutcome> {
        let outcome = |data: &Data| match data {
            Data::DeploymentFinished(fact) => Some(fact.outcome),
            _ => None,
        };
        self.said.iter().filter_map(outcome).collect()
    }
}

#[test]
fn a_first_release_has_the_traffic_at_once_and_no_one_waits_for_another() {
    let mut unit = Unit::new();
    unit.hears(image(1));
    assert_eq!(unit.weights(), [(digest(1), 100)]);
    unit.turns(Phase::Ready);
    unit.passes(1_000);
    assert_eq!(unit.outcomes(), [DeploymentOutcome::Succeeded]);
    assert_eq!(unit.lease, Lease::Free(2), "nobody holds the lease of a service at rest");
}

#[test]
fn the_next_release_starts_beside_takes_the_traffic_when_ready_and_is_alone_when_settled() {
    let mut unit = Unit::new();
    unit.runs(1);
    unit.hears(image(2));
    assert_eq!(unit.weights(), [(digest(1), 100), (digest(2), 0)]);
    unit.passes(5_000);
    assert_eq!(unit.weights(), [(digest(1), 100), (digest(2), 0)], "it is not ready yet");
    unit.turns(Phase::Ready);
    assert_eq!(unit.weights(), [(digest(1), 0), (digest(2), 100)]);
    unit.passes(999);
    assert_eq!(unit.weights().len(), 2, "it has not settled yet");
    unit.passes(1);
    assert_eq!(unit.weights(), [(digest(2), 100)]);
}

#[test]
fn what_is_not_ready_in_time_goes_and_its_digest_is_refused_when_it_comes_again() {
    let mut unit = Unit::new();
    unit.runs(1);
    unit.hears(image(2));
    unit.passes(10_000);
    assert_eq!(unit.weights(), [(digest(1), 100)]);
    assert!(
        unit.said
            .iter()
            .any(|data| matches!(data, Data::DigestQuarantined(fact) if fact.digest == digest(2)))
    );
    unit.hears(image(2));
    assert_eq!(unit.weights(), [(digest(1), 100)]);
    assert_eq!(unit.outcomes()[1..], [DeploymentOutcome::RolledBack, DeploymentOutcome::Refused]);
}

#[test]
fn a_bad_first_release_is_taken_away() {
    let mut unit = Unit::new();
    unit.hears(image(1));
    unit.turns(Phase::Failed);
    assert_eq!((unit.weights(), unit.outcomes()), (vec![], vec![DeploymentOutcome::Removed]));
}

#[test]
fn an_image_whose_commit_is_not_the_tip_is_superseded_when_the_answer_has_settled() {
    let mut unit = Unit::new();
    unit.runs(1);
    unit.seen.tip = Some(commit(3));
    unit.tell(Input::ImagePushed(image(2)));
    assert_eq!(unit.wishes.len(), 3, "the answer may be old");
    unit.passes(3_000);
    assert_eq!(unit.outcomes()[1..], [DeploymentOutcome::Superseded]);
    assert_eq!(unit.weights(), [(digest(1), 100)]);
}

#[test]
fn a_stopped_rollout_waits_where_it_is_and_goes_on_when_resumed() {
    let mut unit = Unit::new();
    unit.runs(1);
    unit.hears(image(2));
    unit.stopped = true;
    unit.turns(Phase::Ready);
    unit.passes(60_000);
    assert_eq!(unit.weights(), [(digest(1), 100), (digest(2), 0)]);
    unit.stopped = false;
    unit.passes(0);
    assert_eq!(unit.weights(), [(digest(1), 0), (digest(2), 100)]);
}

#[test]
fn a_roll_back_that_somebody_asked_for_goes_all_the_way_while_stopped() {
    let mut unit = Unit::new();
    unit.runs(1);
    unit.runs(2);
    unit.stopped = true;
    unit.asked_to_roll_back();
    unit.turns(Phase::Ready);
    unit.passes(1_000);
    assert_eq!(unit.weights(), [(digest(1), 100)]);
    assert_eq!(unit.outcomes().last(), Some(&DeploymentOutcome::RolledBack));
}

#[test]
fn a_roll_back_in_mid_rollout_goes_out_of_it() {
    let mut unit = Unit::new();
    unit.runs(1);
    unit.hears(image(2));
    unit.asked_to_roll_back();
    assert_eq!(unit.weights(), [(digest(1), 100)]);
}

/// Anything that may happen to a unit.
#[derive(Debug, Clone)]
enum Act {
    Hear(u8),
    TipIs(u8),
    Turn(Phase),
    Pass(i64),
    Stop(bool),
    RollBack,
    Taken(bool),
    Fail,
}

fn act() -> impl Strategy<Value = Act> {
    let phase =
        prop_oneof![Just(Phase::Ready), Just(Phase::Unready), Just(Phase::Failed), Just(Phase::Starting)];
    prop_oneof![
        (1..5_u8).prop_map(Act::Hear),
        (1..5_u8).prop_map(Act::TipIs),
        phase.prop_map(Act::Turn),
        (0..12_000_i64).prop_map(Act::Pass),
        any::<bool>().prop_map(Act::Stop),
        Just(Act::RollBack),
        any::<bool>().prop_map(Act::Taken),
        Just(Act::Fail),
    ]
}

proptest! {
    /// Whatever happens: no wish without the lease, none forward while stopped, traffic that adds up, a step and a
    /// generation that only grow, and the same decision for the same question.
    #[test]
    fn every_decision_keeps_the_rules(acts in prop::collection::vec(act(), 1..40)) {
        let mut unit = Unit::new();
        for act in acts {
            let (wishes, stopped, holds) = (unit.wishes.len(), unit.stopped, unit.lease);
            prop_assert_eq!(unit.decided(Cause::Woken), unit.decided(Cause::Woken));
            match act {
                Act::Hear(n) => unit.hears(image(n)),
                Act::TipIs(n) => unit.seen.tip = Some(commit(n)),
                Act::Turn(phase) => unit.turns(phase),
                Act::Pass(ms) => unit.passes(ms),
                Act::Stop(stop) => unit.stopped = stop,
                Act::RollBack => unit.asked_to_roll_back(),
                Act::Taken(taken) => unit.lease = match (taken, unit.lease) {
                    (true, Lease::Free(_)) => Lease::Theirs,
                    (false, Lease::Theirs) => Lease::Free(unit.minted + 1),
                    (_, lease) => lease,
                },
                Act::Fail => {
                    let key = longshore_ports::Key {
                        function: "deploy".into(), unit: "live/shop".into(), generation: None, name: "x".into(),
                        kind: longshore_ports::EffectKind::Set, restoring: false,
                    };
                    unit.step(Cause::Failed(Failure { key, error: "gone".into(), attempts: 5 }));
                }
            }
            let new = &unit.wishes[wishes..];
            prop_assert!(holds != Lease::Theirs || new.is_empty(), "a wish without the lease: {:?}", new);
            prop_assert!(!stopped || new.iter().all(|wish| wish.restoring), "forward while stopped: {:?}", new);
            for wish in new {
                let total: u32 = wish.desired.releases.iter().map(|release| u32::from(release.weight)).sum();
                prop_assert!(total == 100 || wish.desired.releases.is_empty(), "{:?}", wish);
            }
            let at_rest = unit.state.rollout.is_none();
            prop_assert!(at_rest || matches!(unit.lease, Lease::Mine(_)), "a rollout without the lease");
            let back = unit.state.rollout.as_ref().is_some_and(|rollout| matches!(rollout.stage, Stage::Back(_)));
            prop_assert!(!back || unit.last.wake.is_some() || !unit.last.effects.is_empty());
        }
        let steps: Vec<_> = unit.wishes.iter().map(|wish| (wish.desired.generation, wish.desired.step)).collect();
        prop_assert!(steps.is_sorted(), "{:?}", steps);
    }
}

/// Where samples of stored states and effects lie, in a folder for each release.
fn samples() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("stored")
}

/// What this build stores is what its samples say. A change that is meant makes a new folder, and leaves the old one:
/// delete the file that differs in the folder of a release that was never shipped, and it is written anew.
fn keeps(name: &str, value: &impl serde::Serialize) {
    let path = samples().join("0.1").join(name);
    let now = serde_json::to_string_pretty(value).unwrap() + "\n";
    if !path.exists() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &now).unwrap();
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap(), now, "{} is stored otherwise", path.display());
}

#[test]
fn what_is_stored_stays_as_it_is() {
    let mut unit = Unit::new();
    unit.runs(1);
    unit.hears(image(2));
    keeps("state-start.json", &unit.state);
    keeps("effect-start.json", &unit.wishes.last());
    unit.turns(Phase::Ready);
    keeps("state-shift.json", &unit.state);
    unit.asked_to_roll_back();
    keeps("effect-back.json", &unit.wishes.last());
    keeps("state-rest.json", &unit.state);
}

#[test]
fn a_rollout_begun_by_any_release_is_finished_by_this_build() {
    let mut found = 0;
    for release in std::fs::read_dir(samples()).unwrap() {
        for file in std::fs::read_dir(release.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            if path.file_name().unwrap().to_str().unwrap().starts_with("effect-") {
                serde_json::from_str::<Apply>(&text).unwrap();
                continue;
            }
            found += 1;
            let mut unit = Unit::new();
            unit.state = serde_json::from_str(&text).unwrap();
            let Some(rollout) = unit.state.rollout.clone() else { continue };
            unit.lease = Lease::Mine(rollout.generation);
            unit.minted = rollout.generation;
            unit.seen.tip.clone_from(&rollout.to.commit);
            (unit.seen.running.generation, unit.seen.running.step) = (rollout.generation, rollout.step);
            let runs = |release: &crate::Release, weight| ObservedRelease {
                release: release.release,
                digest: release.image.digest.clone(),
                weight,
                phase: Phase::Ready,
                reason: None,
                restarts: 0,
                boot_ms: None,
            };
            unit.seen.running.releases = vec![runs(&rollout.to, 0)];
            unit.seen.running.releases.extend(rollout.from.as_ref().map(|from| runs(from, 100)));
            for _ in 0..5 {
                unit.passes(1_000);
            }
            assert_eq!(unit.weights(), [(rollout.to.image.digest, 100)], "{}", path.display());
            assert_eq!(unit.state.rollout, None);
        }
    }
    assert!(found >= 3, "{found} samples");
}
