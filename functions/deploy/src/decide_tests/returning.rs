//! Going back by degrees: what was measured bad gives its traffic back bit by bit, and at once when it is of no use any more.

use longshore_events::types::{DeploymentOutcome, DigestQuarantined, Verdict as Gates};
use longshore_events::{Data, Fact as _, Measure};
use longshore_frame::{Cause, Failure};
use longshore_ports::{Key, Measured, Phase};

use super::{Unit, digest, image};
use crate::{Answer, Stage};

pub(super) const BY_DEGREES: &str = r#"
[environment.strategy]
kind = "canary"
hold = "10s"
patience = "5s"
[[environment.strategy.step]]
weight = 20
[[environment.strategy.step]]
weight = 60
[[environment.strategy.check]]
name = "errors"
measure = "error_rate"
limit = "5%"
min_requests = 20
[[environment.strategy.rollback]]
weight = 40
hold = "4s"
[[environment.strategy.rollback]]
weight = 10
hold = "2s"
"#;

impl Unit {
    /// From now on so many of the newest release's requests fail, in percent.
    pub(super) fn newest_errs(&mut self, percent: f64) {
        let newest = self.seen.running.releases.iter().map(|known| known.release).max();
        let of = |release| {
            let answer = Measured::of(percent, 100);
            Answer { release, measure: Measure::ErrorRate, answer, silent: false }
        };
        self.seen.measured = newest.map(of).into_iter().collect();
    }

    fn phase_of(&mut self, n: u8, phase: Phase) {
        let known = self.seen.running.releases.iter_mut().find(|known| known.digest == digest(n));
        known.unwrap().phase = phase;
    }

    /// The second release has 60 % of the traffic, and measures bad.
    fn at_sixty() -> Self {
        let mut unit = Self::beside(BY_DEGREES);
        unit.newest_errs(0.0);
        unit.passes(10_000);
        assert_eq!(unit.weights(), [(digest(1), 40), (digest(2), 60)]);
        unit.newest_errs(50.0);
        unit
    }

    /// The first degree of going back is held.
    pub(super) fn going_back() -> Self {
        let mut unit = Self::at_sixty();
        unit.passes(1_000);
        assert_eq!(unit.weights(), [(digest(1), 60), (digest(2), 40)]);
        unit
    }

    fn quarantines(&self) -> Vec<&str> {
        self.said.iter().filter_map(DigestQuarantined::from_data).map(|fact| fact.reason.as_str()).collect()
    }

    /// The weights that were said of the second release, since it came.
    fn said_weights(&self) -> Vec<u8> {
        let weight = |data: &Data| match data {
            Data::DeploymentAdvanced(fact) if fact.deployment.ends_with("/2") => Some(fact.weight),
            _ => None,
        };
        self.said.iter().filter_map(weight).collect()
    }

    fn is_back_at_once(&self) {
        assert_eq!(self.weights(), [(digest(1), 100)]);
        assert_eq!(self.outcomes().last(), Some(&DeploymentOutcome::RolledBack));
        assert_eq!(self.state.rollout, None);
    }
}

#[test]
fn what_measures_bad_is_quarantined_at_once_and_gives_its_traffic_back_by_degrees() {
    let mut unit = Unit::going_back();
    assert_eq!(
        unit.quarantines(),
        ["it measured bad at 60 %: errors: error_rate is 50 %, and 5 % is allowed"]
    );
    unit.passes(3_999);
    assert_eq!(unit.weights(), [(digest(1), 60), (digest(2), 40)], "it is held for its time");
    unit.passes(1);
    assert_eq!(unit.weights(), [(digest(1), 90), (digest(2), 10)]);
    unit.passes(2_000);
    unit.is_back_at_once();
    assert_eq!(unit.said_weights(), [20, 60, 40, 10], "each degree is said");
    assert_eq!(unit.quarantines().len(), 1, "once");
    let steps: Vec<_> =
        unit.wishes.iter().rev().take(3).map(|wish| (wish.desired.step, wish.restoring)).collect();
    assert_eq!(steps, [(6, true), (5, true), (4, true)], "each is a wish of its own");
}

#[test]
fn only_degrees_below_what_it_has_count_and_without_any_it_goes_at_once() {
    let mut unit = Unit::beside(BY_DEGREES);
    unit.newest_errs(50.0);
    unit.passes(1_000);
    assert_eq!(unit.weights(), [(digest(1), 90), (digest(2), 10)], "20 % is less than the first degree");
    unit.policy = Unit::with("[environment.strategy]\nkind = \"blue-green\"\n").policy;
    unit.passes(0);
    unit.is_back_at_once();
}

#[test]
fn one_that_could_not_be_measured_goes_back_by_degrees_too() {
    let mut unit = Unit::at_sixty();
    unit.seen.measured.clear();
    unit.passes(15_000);
    assert_eq!(unit.weights(), [(digest(1), 60), (digest(2), 40)]);
    assert!(unit.quarantines()[0].starts_with("it could not be measured at 60 %"));
}

#[test]
fn while_stopped_it_goes_back_all_the_same() {
    let mut unit = Unit::at_sixty();
    unit.stopped = true;
    for ms in [1_000, 4_000, 2_000] {
        unit.passes(ms);
    }
    unit.is_back_at_once();
    assert_eq!(unit.said_weights(), [20, 60, 40, 10]);
}

#[test]
fn what_makes_it_useless_takes_all_of_its_traffic_at_once() {
    for phase in [Phase::Unready, Phase::Backoff, Phase::Failed] {
        let mut unit = Unit::going_back();
        unit.turns(phase);
        unit.is_back_at_once();
        assert_eq!(unit.quarantines().len(), 1, "for what was measured");
        let mut unit = Unit::at_sixty();
        unit.turns(phase);
        unit.is_back_at_once();
    }
    let mut closed = Unit::going_back();
    closed.gate_says(2, Gates::Fail);
    assert_eq!(closed.weights(), [(digest(1), 100)]);
    assert_eq!(closed.outcomes()[1..], [DeploymentOutcome::RolledBack, DeploymentOutcome::Refused]);
    let mut asked = Unit::going_back();
    asked.asked_to_roll_back();
    asked.is_back_at_once();
    assert_eq!(asked.quarantines()[1], "mona asked to roll back");
    let mut failed = Unit::going_back();
    let key = Key {
        function: "deploy".into(),
        unit: "live/shop".into(),
        generation: Some(2),
        name: "apply-4".into(),
        kind: longshore_ports::EffectKind::Set,
        restoring: true,
    };
    failed.step(Cause::Failed(Failure { key, error: "gone".into(), attempts: 5 }));
    failed.is_back_at_once();
}

#[test]
fn an_old_release_that_is_not_ready_gets_nothing_before_it_is() {
    let mut unit = Unit::at_sixty();
    unit.phase_of(1, Phase::Starting);
    unit.passes(1_000);
    assert_eq!(unit.weights(), [(digest(1), 40), (digest(2), 60)], "it has what it had");
    assert_eq!((unit.quarantines().len(), unit.wishes.last().unwrap().restoring), (1, true));
    unit.passes(5_000);
    assert_eq!(unit.said_weights(), [20, 60]);
    unit.phase_of(1, Phase::Ready);
    unit.passes(1_000);
    assert_eq!(unit.weights(), [(digest(1), 60), (digest(2), 40)]);
    unit.passes(3_000);
    unit.phase_of(1, Phase::Unready);
    unit.passes(1_000);
    assert_eq!(unit.weights(), [(digest(1), 60), (digest(2), 40)]);
    unit.phase_of(1, Phase::Ready);
    unit.passes(1_000);
    unit.passes(3_999);
    assert_eq!(unit.weights(), [(digest(1), 60), (digest(2), 40)], "the degree began anew");
    unit.passes(1);
    assert_eq!(unit.weights(), [(digest(1), 90), (digest(2), 10)]);
}

#[test]
fn an_old_release_that_does_not_become_ready_is_left_to_the_outside_after_the_deadline() {
    let mut unit = Unit::at_sixty();
    unit.phase_of(1, Phase::Backoff);
    unit.passes(1_000);
    unit.passes(9_999);
    assert_eq!(unit.weights(), [(digest(1), 40), (digest(2), 60)]);
    unit.passes(1);
    unit.is_back_at_once();
}

#[test]
fn blue_green_gives_back_by_degrees_once_the_old_release_is_ready_again() {
    let degrees = BY_DEGREES.split_once("[[environment.strategy.rollback]]").unwrap().1;
    let strategy = "[environment.strategy]\nkind = \"blue-green\"\n[[environment.strategy.check]]\nname = \"errors\"\n\
                    measure = \"error_rate\"\nlimit = \"5%\"\n[[environment.strategy.rollback]]";
    let mut unit = Unit::beside(&format!("{strategy}{degrees}"));
    assert_eq!(unit.weights(), [(digest(1), 0), (digest(2), 100)]);
    unit.phase_of(1, Phase::Starting);
    unit.newest_errs(50.0);
    unit.passes(500);
    assert_eq!(
        unit.weights(),
        [(digest(1), 0), (digest(2), 100)],
        "nobody has gone cold into all the traffic"
    );
    unit.phase_of(1, Phase::Ready);
    unit.passes(1_000);
    assert_eq!(unit.weights(), [(digest(1), 60), (digest(2), 40)]);
}

#[test]
fn what_came_meanwhile_waits_until_it_is_back_and_then_begins() {
    let mut unit = Unit::going_back();
    unit.hears(image(3));
    assert_eq!(unit.weights(), [(digest(1), 60), (digest(2), 40)]);
    unit.passes(4_000);
    unit.passes(2_000);
    assert_eq!(unit.weights(), [(digest(1), 100), (digest(3), 0)]);
}

#[test]
fn a_release_whose_quarantine_is_lifted_on_its_way_back_goes_back_and_begins_anew() {
    let mut unit = Unit::going_back();
    unit.seen.verdicts.clear();
    unit.hears(image(2));
    assert_eq!(unit.weights(), [(digest(1), 60), (digest(2), 40)]);
    assert!(matches!(unit.state.rollout.as_ref().unwrap().stage, Stage::Return(_)));
    unit.passes(4_000);
    unit.passes(2_000);
    assert_eq!(unit.weights(), [(digest(1), 100), (digest(2), 0)]);
    assert_eq!(unit.state.rollout.as_ref().map(|rollout| rollout.generation), Some(3));
}

#[test]
fn a_release_that_nothing_goes_back_past_stays_however_it_would_go_back() {
    let mut unit = Unit::with(&BY_DEGREES.replace("weight = 60", "weight = 100"));
    unit.runs(1);
    unit.seen.past = vec![digest(2)];
    unit.hears(image(2));
    unit.turns(Phase::Ready);
    assert_eq!(unit.weights(), [(digest(1), 0), (digest(2), 100)], "it gets no share");
    unit.newest_errs(50.0);
    unit.passes(1_000);
    assert_eq!(unit.weights(), [(digest(2), 100)]);
    assert_eq!(unit.outcomes().last(), Some(&DeploymentOutcome::Superseded));
}
