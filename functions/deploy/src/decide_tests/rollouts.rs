//! Rollouts, step by step.

use longshore_events::Data;
use longshore_events::types::{DeploymentOutcome, Verdict as Gates};
use longshore_frame::{Cause, Lease};
use longshore_ports::Phase;

use super::{Unit, commit, digest, image};
use crate::Input;

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
    unit.tell(Input::GateEvaluated(image(2)));
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

#[test]
fn a_roll_back_waits_for_the_lease_and_is_not_lost() {
    let mut unit = Unit::new();
    unit.runs(1);
    unit.runs(2);
    let free = std::mem::replace(&mut unit.lease, Lease::Theirs);
    unit.asked_to_roll_back();
    assert_eq!(unit.weights(), [(digest(2), 100)]);
    assert!(unit.last.wake.is_some(), "nobody else wakes it");
    unit.lease = free;
    unit.passes(1_000);
    unit.turns(Phase::Ready);
    unit.passes(1_000);
    assert_eq!(unit.weights(), [(digest(1), 100)]);
}

#[test]
fn a_roll_back_with_nothing_to_go_back_to_forgets_nothing_that_waits() {
    let mut unit = Unit::new();
    unit.runs(1);
    let free = std::mem::replace(&mut unit.lease, Lease::Theirs);
    unit.hears(image(2));
    unit.asked_to_roll_back();
    assert_eq!(unit.outcomes().last(), Some(&DeploymentOutcome::Refused));
    assert!(unit.last.wake.is_some());
    unit.lease = free;
    unit.passes(1_000);
    assert_eq!(unit.weights(), [(digest(1), 100), (digest(2), 0)]);
}

#[test]
fn what_gives_way_to_a_newer_commit_is_gone_before_the_lease_is_free() {
    let mut unit = Unit::new();
    unit.runs(1);
    unit.hears(image(2));
    unit.hears(image(3));
    let weights: Vec<_> = unit.wishes[3..].iter().map(|wish| wish.desired.releases.len()).collect();
    assert_eq!(weights, [2, 1, 2], "beside, withdrawn, and the newer one beside");
    assert_eq!(unit.weights(), [(digest(1), 100), (digest(3), 0)]);
}

#[test]
fn a_gate_that_closes_takes_the_rollout_back_without_a_quarantine_and_one_that_opens_again_lets_it_in() {
    let mut unit = Unit::new();
    unit.runs(1);
    unit.hears(image(2));
    unit.gate_says(2, Gates::Fail);
    assert_eq!(unit.weights(), [(digest(1), 100)]);
    unit.passes(1_000);
    assert!(!unit.said.iter().any(|data| matches!(data, Data::DigestQuarantined(_))));
    assert!(unit.outcomes().contains(&DeploymentOutcome::RolledBack));
    assert_eq!(unit.outcomes().last(), Some(&DeploymentOutcome::Refused));
    unit.gate_says(2, Gates::Pass);
    assert_eq!(unit.weights(), [(digest(1), 100), (digest(2), 0)]);
}

#[test]
fn a_rollout_stands_still_while_nobody_knows_whether_it_may_run() {
    let mut unit = Unit::new();
    unit.runs(1);
    unit.hears(image(2));
    unit.gate_says(2, Gates::Unknown);
    unit.turns(Phase::Ready);
    unit.passes(3_000);
    assert_eq!(unit.weights(), [(digest(1), 100), (digest(2), 0)]);
    unit.gate_says(2, Gates::Pass);
    assert_eq!(unit.weights(), [(digest(1), 0), (digest(2), 100)]);
}

#[test]
fn what_the_gate_refuses_never_begins_and_every_step_relies_on_its_verdict() {
    let mut unit = Unit::new();
    unit.runs(1);
    unit.seen.tip = Some(commit(2));
    unit.gate_says(2, Gates::Unknown);
    assert_eq!(unit.weights(), [(digest(1), 100)]);
    unit.gate_says(2, Gates::Fail);
    assert_eq!(unit.weights(), [(digest(1), 100)]);
    assert_eq!(unit.outcomes().last(), Some(&DeploymentOutcome::Refused));
    unit.gate_says(2, Gates::Pass);
    assert_eq!(unit.weights(), [(digest(1), 100), (digest(2), 0)]);
    for release in &mut unit.seen.running.releases {
        release.phase = Phase::Ready;
    }
    let next = unit.decided(Cause::Woken);
    let relied: Vec<_> = next.relied_on.iter().map(|relied| relied.kind.as_str()).collect();
    assert_eq!(relied, ["quarantined", "gate"]);
}
