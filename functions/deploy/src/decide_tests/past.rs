//! A release that changed what cannot be taken back: nothing goes back past it once it has the traffic.

use longshore_events::Data;
use longshore_events::types::{DeploymentOutcome, Verdict as Gates};
use longshore_frame::{Cause, Failure, Lease};
use longshore_ports::Phase;

use super::{Unit, digest, image};

impl Unit {
    /// Rolls out an image that changes what cannot be taken back.
    fn migrates(&mut self, n: u8) {
        self.seen.past = vec![digest(n)];
        self.runs(n);
        self.seen.past.clear();
    }

    fn failures(&self) -> Vec<String> {
        let failure = |data: &Data| match data {
            Data::DeploymentFinished(fact) => fact.failure.clone(),
            _ => None,
        };
        self.said.iter().filter_map(failure).collect()
    }
}

#[test]
fn nobody_goes_back_past_it_but_back_to_it() {
    let mut unit = Unit::new();
    unit.runs(1);
    unit.migrates(2);
    unit.asked_to_roll_back();
    assert_eq!(unit.weights(), [(digest(2), 100)]);
    assert_eq!(unit.outcomes().last(), Some(&DeploymentOutcome::Refused));
    assert_eq!(unit.failures(), ["nothing goes back: 000000000000 declares no_rollback_past: fix forward"]);
    assert!(!unit.said.iter().any(|data| matches!(data, Data::DigestQuarantined(_))), "it is not bad");

    unit.runs(3);
    unit.asked_to_go_to(Some(1));
    assert_eq!((unit.weights(), unit.failures().len()), (vec![(digest(3), 100)], 2));
    unit.asked_to_go_to(Some(2));
    unit.turns(Phase::Ready);
    unit.passes(1_000);
    assert_eq!(unit.weights(), [(digest(2), 100)]);
    unit.asked_to_roll_back();
    assert_eq!(
        (unit.weights(), unit.failures().len()),
        (vec![(digest(2), 100)], 3),
        "it is still in the way"
    );
}

#[test]
fn before_it_has_traffic_it_goes_as_any_other() {
    let mut unit = Unit::new();
    unit.runs(1);
    unit.seen.past = vec![digest(2)];
    unit.hears(image(2));
    unit.turns(Phase::Failed);
    assert_eq!(unit.weights(), [(digest(1), 100)]);
    assert_eq!(unit.outcomes().last(), Some(&DeploymentOutcome::RolledBack));
}

/// With all the traffic, and not settled yet.
fn shifted() -> Unit {
    let mut unit = Unit::new();
    unit.runs(1);
    unit.seen.past = vec![digest(2)];
    unit.hears(image(2));
    unit.turns(Phase::Ready);
    assert_eq!(unit.weights(), [(digest(1), 0), (digest(2), 100)]);
    unit
}

#[test]
fn with_the_traffic_it_stays_when_it_should_go_back_and_says_so_and_a_fix_begins_from_it() {
    let mut failed = shifted();
    failed.turns(Phase::Failed);
    let mut closed = shifted();
    closed.gate_says(2, Gates::Fail);
    let mut asked = shifted();
    asked.asked_to_roll_back();
    asked.turns(Phase::Failed);
    for (mut unit, why) in
        [(failed, "it did not stay ready"), (closed, "the gate is closed"), (asked, "it did not stay ready")]
    {
        assert_eq!(unit.weights(), [(digest(2), 100)], "{why}");
        assert_eq!(unit.outcomes().last(), Some(&DeploymentOutcome::Superseded), "it proves nothing");
        let said = unit.failures().pop().unwrap();
        assert!(
            said.starts_with("left as it is") && said.contains(why) && said.ends_with("fix forward"),
            "{said}"
        );
        assert!(matches!(unit.lease, Lease::Free(_)) && unit.state.rollout.is_none());
        unit.seen.past.clear();
        unit.hears(image(3));
        assert_eq!(unit.weights()[..2], [(digest(2), 100), (digest(3), 0)]);
    }
}

#[test]
fn what_cannot_be_applied_any_more_leaves_it_where_it_is() {
    let mut unit = shifted();
    let key = longshore_ports::Key {
        function: "deploy".into(),
        unit: "live/shop".into(),
        generation: None,
        name: "x".into(),
        kind: longshore_ports::EffectKind::Set,
        restoring: false,
    };
    unit.step(Cause::Failed(Failure { key, error: "gone".into(), attempts: 5 }));
    assert_eq!(unit.state.current.as_ref().map(|release| &release.image.digest), Some(&digest(2)));
    assert!(unit.failures()[0].contains("it could not be applied: gone") && unit.state.rollout.is_none());
}

#[test]
fn it_gets_no_share_of_the_traffic_that_could_not_be_taken_back() {
    let step = |weight: u8| format!("[[environment.strategy.step]]\nweight = {weight}\n");
    let steps = [0, 20, 100].map(step).concat();
    let mut unit = Unit::with(&format!("[environment.strategy]\nkind = \"canary\"\nhold = \"1s\"\n{steps}"));
    unit.runs(1);
    unit.seen.past = vec![digest(2)];
    unit.hears(image(2));
    unit.turns(Phase::Ready);
    assert_eq!(unit.weights(), [(digest(1), 100), (digest(2), 0)], "testers may reach it");
    unit.passes(1_000);
    assert_eq!(unit.weights(), [(digest(1), 0), (digest(2), 100)]);
    unit.seen.past.clear();
    unit.hears(image(3));
    assert_eq!(unit.weights(), [(digest(1), 0), (digest(2), 100)], "a newer one waits for its end");
    unit.turns(Phase::Failed);
    assert_eq!(unit.weights()[0], (digest(2), 100));
    assert!(unit.failures()[0].starts_with("left as it is: it did not stay ready"), "{:?}", unit.failures());
}
