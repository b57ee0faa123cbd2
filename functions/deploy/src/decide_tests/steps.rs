//! Canaries and blue-green: each step is left by what was measured.

use longshore_events::types::{DeploymentOutcome, Verdict, VerificationFinished};
use longshore_events::{Data, Fact as _, Measure};
use longshore_ports::{Measured, Phase};

use super::{Unit, digest, image};
use crate::{Answer, Stage};

const CANARY: &str = r#"
[environment.strategy]
kind = "canary"
hold = "10s"
patience = "30s"
[[environment.strategy.step]]
weight = 10
[[environment.strategy.step]]
weight = 50
[[environment.strategy.check]]
name = "errors"
measure = "error_rate"
limit = "5%"
increase = "50%"
tolerate = "1%"
min_requests = 20
"#;

const BLUE_GREEN: &str = r#"
[environment.strategy]
kind = "blue-green"
hold = "10s"
[[environment.strategy.check]]
name = "errors"
measure = "error_rate"
limit = "5%"
min_requests = 20
on_unknown = "pass"
"#;

impl Unit {
    /// The second release is ready, beside the first one, under these steps.
    pub(super) fn beside(more: &str) -> Self {
        let mut unit = Self::with(more);
        unit.hears(image(1));
        unit.turns(Phase::Ready);
        unit.passes(1_000);
        assert_eq!(
            unit.outcomes(),
            [DeploymentOutcome::Succeeded],
            "a first release has all traffic at once"
        );
        unit.hears(image(2));
        unit.turns(Phase::Ready);
        unit
    }

    /// From now on the releases are seen to do this.
    fn errs(&mut self, new: Measured, running: Measured) {
        let one = |release, answer| Answer { release, measure: Measure::ErrorRate, answer, silent: false };
        self.seen.measured = vec![one(2, new), one(1, running)];
    }

    fn verifications(&self) -> Vec<&VerificationFinished> {
        self.said.iter().filter_map(VerificationFinished::from_data).collect()
    }

    fn share(&self) -> Option<u8> {
        self.weights().iter().find(|(known, _)| *known == digest(2)).map(|(_, weight)| *weight)
    }
}

fn good() -> Measured {
    Measured::of(0.5, 100)
}

fn bad() -> Measured {
    Measured::of(20.0, 100)
}

#[test]
fn a_good_release_gets_more_traffic_step_by_step_and_each_step_says_its_evidence() {
    let mut unit = Unit::beside(CANARY);
    assert_eq!(unit.weights(), [(digest(1), 90), (digest(2), 10)]);
    unit.errs(good(), good());
    unit.passes(9_999);
    assert_eq!(unit.share(), Some(10), "it is held for its time");
    unit.passes(1);
    assert_eq!(unit.weights(), [(digest(1), 50), (digest(2), 50)]);
    let first = unit.verifications()[0].clone();
    assert_eq!((first.verdict, first.weight, first.step), (Verdict::Pass, 10, 2));
    assert_eq!(first.until.duration_since(first.from).as_millis(), 10_000);
    let check = &first.checks[0];
    assert_eq!((check.requests, check.running_requests), (Some(100), Some(100)));
    assert_eq!(check.limit.map(longshore_events::Number::get), Some(1.0), "what the running release allows");
    unit.passes(10_000);
    assert_eq!(unit.weights(), [(digest(1), 0), (digest(2), 100)]);
    unit.passes(1_000);
    assert_eq!(unit.weights(), [(digest(2), 100)]);
    assert_eq!(unit.outcomes().last(), Some(&DeploymentOutcome::Succeeded));
    assert_eq!(unit.verifications().len(), 2);
    let steps: Vec<_> = unit
        .said
        .iter()
        .filter_map(|data| match data {
            Data::DeploymentAdvanced(fact) if fact.deployment.ends_with("/2") => Some(fact.weight),
            _ => None,
        })
        .collect();
    assert_eq!(steps, [10, 50, 100]);
}

#[test]
fn a_release_that_measures_bad_loses_its_traffic_before_the_step_is_over_and_is_refused_from_then_on() {
    let mut unit = Unit::beside(CANARY);
    unit.errs(bad(), good());
    unit.passes(1_000);
    assert_eq!(unit.weights(), [(digest(1), 100)]);
    assert_eq!(unit.verifications()[0].verdict, Verdict::Fail);
    let reason = unit.said.iter().find_map(|data| match data {
        Data::DigestQuarantined(fact) => Some(fact.reason.clone()),
        _ => None,
    });
    assert_eq!(
        reason.as_deref(),
        Some("it measured bad at 10 %: errors: error_rate is 20 %, and 1 % is allowed")
    );
    unit.seen.measured.clear();
    unit.hears(image(2));
    assert_eq!(unit.outcomes()[1..], [DeploymentOutcome::RolledBack, DeploymentOutcome::Refused]);
}

#[test]
fn what_is_no_worse_than_the_running_release_passes_and_the_limit_counts_all_the_same() {
    let mut unit = Unit::beside(CANARY);
    unit.errs(Measured::of(4.0, 100), Measured::of(4.0, 100));
    unit.passes(10_000);
    assert_eq!(unit.share(), Some(50));
    unit.errs(Measured::of(6.0, 100), Measured::of(6.0, 100));
    unit.passes(1_000);
    assert_eq!(unit.weights(), [(digest(1), 100)]);
}

#[test]
fn without_traffic_it_waits_for_a_while_and_goes_back_and_nothing_goes_forward() {
    let mut unit = Unit::beside(CANARY);
    unit.errs(Measured::of(0.0, 19), good());
    for _ in 0..39 {
        unit.passes(1_000);
        assert_eq!(unit.share(), Some(10));
        assert!(unit.last.wake.is_some_and(|wake| wake > unit.now), "somebody looks again");
    }
    unit.passes(1_000);
    assert_eq!(unit.weights(), [(digest(1), 100)]);
    assert_eq!(unit.verifications()[0].verdict, Verdict::Unknown);
    assert_eq!(unit.verifications()[0].checks[0].requests, Some(19));
}

#[test]
fn traffic_that_comes_while_it_waits_lets_it_go_on() {
    let mut unit = Unit::beside(CANARY);
    unit.passes(25_000);
    assert_eq!(unit.share(), Some(10), "nobody answers what was asked");
    unit.errs(good(), good());
    unit.passes(1_000);
    assert_eq!(unit.share(), Some(50));
}

#[test]
fn a_step_that_was_not_measured_from_its_begin_is_held_once_more() {
    let mut unit = Unit::beside(CANARY);
    unit.passes(6_000);
    let began = unit.now;
    let lost = Measured::Unknown { why: "it began late".into(), since: Some(began) };
    unit.errs(lost, good());
    unit.passes(1_000);
    unit.errs(good(), good());
    unit.passes(8_999);
    assert_eq!(unit.share(), Some(10), "nine of ten seconds were measured");
    unit.passes(1);
    assert_eq!(unit.share(), Some(50));
    assert_eq!(unit.verifications()[0].from, began);
}

#[test]
fn one_that_does_not_stay_ready_goes_back_at_any_step() {
    let mut unit = Unit::beside(CANARY);
    unit.errs(good(), good());
    unit.passes(10_000);
    unit.turns(Phase::Backoff);
    assert_eq!(unit.weights(), [(digest(1), 100)]);
}

#[test]
fn while_stopped_nothing_goes_forward_and_what_is_bad_goes_back() {
    let mut unit = Unit::beside(CANARY);
    unit.errs(good(), good());
    unit.stopped = true;
    unit.passes(60_000);
    assert_eq!((unit.share(), unit.verifications().len()), (Some(10), 0));
    unit.errs(bad(), good());
    unit.passes(1_000);
    assert_eq!(unit.weights(), [(digest(1), 100)]);
}

#[test]
fn a_newer_commit_takes_the_place_of_one_that_is_measured() {
    let mut unit = Unit::beside(CANARY);
    unit.hears(image(3));
    assert_eq!(unit.weights(), [(digest(1), 100), (digest(3), 0)]);
    assert_eq!(unit.outcomes().last(), Some(&DeploymentOutcome::Superseded));
    assert!(!unit.said.iter().any(|data| matches!(data, Data::DigestQuarantined(_))));
}

#[test]
fn whoever_asks_goes_back_from_the_middle_of_a_step_and_later_without_steps() {
    let mut unit = Unit::beside(CANARY);
    unit.asked_to_roll_back();
    assert_eq!(unit.weights(), [(digest(1), 100)]);
    let mut unit = Unit::beside(CANARY);
    unit.errs(good(), good());
    for _ in 0..3 {
        unit.passes(10_000);
    }
    assert_eq!(unit.weights(), [(digest(2), 100)]);
    unit.asked_to_roll_back();
    unit.turns(Phase::Ready);
    assert_eq!(unit.weights(), [(digest(2), 0), (digest(1), 100)], "what was good is not measured again");
}

#[test]
fn blue_green_is_tested_without_traffic_then_has_all_of_it_and_the_old_one_stays_beside_it() {
    let mut unit = Unit::beside(BLUE_GREEN);
    assert!(matches!(&unit.state.rollout.as_ref().unwrap().stage, Stage::Step(held) if held.weight == 0));
    assert_eq!(unit.weights(), [(digest(1), 100), (digest(2), 0)]);
    unit.passes(10_000);
    assert_eq!(unit.weights(), [(digest(1), 0), (digest(2), 100)], "nobody tested it, which may pass here");
    assert_eq!(unit.verifications()[0].verdict, Verdict::Unknown);
    unit.errs(bad(), Measured::unknown("no traffic"));
    unit.passes(500);
    assert_eq!(unit.weights(), [(digest(1), 100)], "one change of weights, and the old one was there");
}

#[test]
fn a_configuration_that_changed_meanwhile_takes_no_traffic_away() {
    let mut unit = Unit::beside(CANARY);
    unit.errs(good(), good());
    unit.passes(10_000);
    assert_eq!(unit.share(), Some(50));
    unit.policy = Unit::with("strategy = \"rolling\"\n").policy;
    unit.passes(1_000);
    assert_eq!(unit.share(), Some(100), "a rolling strategy has no step to hold");
    unit.passes(1_000);
    assert_eq!(unit.weights(), [(digest(2), 100)]);
}
