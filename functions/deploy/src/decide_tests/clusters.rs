//! Rollouts on a cluster, which replaces instances by itself, and says when a wish has to be applied again.

use longshore_events::Data;
use longshore_events::types::DeploymentOutcome;
use longshore_ports::{Phase, Progress};

use super::{Unit, digest, image};

const CLUSTER: &str = "[environment.cluster]\ncontext = \"prod\"\n";
const CANARY: &str =
    "[environment.strategy]\nkind = \"canary\"\nhold = \"1s\"\n[[environment.strategy.step]]\nweight = 10\n";

fn on_cluster() -> Unit {
    Unit::with(CLUSTER)
}

fn canary() -> Unit {
    Unit::with(&format!("{CLUSTER}{CANARY}"))
}

fn becomes(unit: &mut Unit, progress: Progress) {
    unit.seen.running.progress = progress;
    unit.passes(1);
}

#[test]
fn a_release_takes_the_place_of_another_in_one_wish() {
    let mut unit = on_cluster();
    unit.runs(1);
    let before = unit.wishes.len();
    unit.hears(image(2));
    assert_eq!(
        unit.weights(),
        [(digest(2), 100)],
        "the cluster keeps the old instances until new ones are ready"
    );
    unit.turns(Phase::Ready);
    unit.passes(1_000);
    assert_eq!(unit.wishes.len(), before + 1);
    assert_eq!(unit.outcomes(), [DeploymentOutcome::Succeeded, DeploymentOutcome::Succeeded]);
    let advanced = unit.said.iter().filter(|data| matches!(data, Data::DeploymentAdvanced(_))).count();
    assert_eq!(advanced, 2, "one for each");
}

#[test]
fn what_does_not_become_ready_goes_back_in_place() {
    for (phase, wait) in [(Phase::Failed, 0), (Phase::Starting, 10_000)] {
        let mut unit = on_cluster();
        unit.runs(1);
        unit.hears(image(2));
        unit.turns(phase);
        unit.passes(wait);
        assert_eq!(unit.weights(), [(digest(1), 100)]);
        assert_eq!(unit.outcomes()[1..], [DeploymentOutcome::RolledBack]);
        assert!(unit.state.rollout.is_none());
    }
}

#[test]
fn what_does_not_stay_ready_goes_back() {
    let mut unit = on_cluster();
    unit.runs(1);
    unit.hears(image(2));
    unit.turns(Phase::Ready);
    unit.passes(500);
    unit.turns(Phase::Unready);
    assert_eq!(unit.outcomes()[1..], [DeploymentOutcome::RolledBack]);
}

#[test]
fn the_same_wish_is_applied_again_when_the_cluster_has_come_to_where_that_helps() {
    let mut unit = on_cluster();
    unit.runs(1);
    unit.hears(image(2));
    unit.turns(Phase::Ready);
    let before = unit.wishes.clone();
    becomes(&mut unit, Progress::Working);
    assert_eq!(unit.wishes, before);
    unit.passes(1_000);
    assert!(unit.state.rollout.is_some(), "it has not come to an end");
    // Applied, it goes on by itself.
    unit.seen.running.progress = Progress::Again;
    let decided = unit.decided(longshore_frame::Cause::Woken);
    assert_eq!(decided.effects, before[before.len() - 1..], "under the same key, with the same arguments");
    becomes(&mut unit, Progress::Settled);
    assert_eq!(unit.outcomes(), [DeploymentOutcome::Succeeded, DeploymentOutcome::Succeeded]);
}

#[test]
fn a_canary_s_step_is_measured_once_its_share_is_there() {
    let mut unit = canary();
    unit.runs(1);
    unit.hears(image(2));
    unit.seen.running.progress = Progress::Working;
    unit.turns(Phase::Ready);
    assert_eq!(unit.weights(), [(digest(1), 90), (digest(2), 10)]);
    unit.passes(5_000);
    assert_eq!(unit.weights(), [(digest(1), 90), (digest(2), 10)], "its instances are still coming");
    becomes(&mut unit, Progress::Settled);
    unit.passes(999);
    assert_eq!(unit.weights(), [(digest(1), 90), (digest(2), 10)], "it is held from then on");
    unit.passes(1);
    assert_eq!(unit.weights(), [(digest(1), 0), (digest(2), 100)]);
}

#[test]
fn a_share_that_never_comes_is_taken_back_at_the_deadline() {
    let mut unit = canary();
    unit.runs(1);
    unit.hears(image(2));
    unit.turns(Phase::Ready);
    becomes(&mut unit, Progress::Working);
    unit.passes(10_000);
    assert_eq!(unit.weights(), [(digest(1), 100)]);
}

#[test]
fn the_last_step_is_over_when_the_cluster_has_settled() {
    let mut unit = canary();
    unit.runs(1);
    unit.hears(image(2));
    unit.turns(Phase::Ready);
    unit.passes(1_000);
    assert_eq!(unit.weights(), [(digest(1), 0), (digest(2), 100)]);
    // From now on it works on whatever is wished.
    unit.seen.running.progress = Progress::Settled;
    unit.now += jiff::SignedDuration::from_millis(1_000);
    let finish = unit.decided(longshore_frame::Cause::Woken);
    assert_eq!(finish.effects.len(), 1);
    unit.passes(0);
    assert!(unit.state.rollout.is_none());
}

#[test]
fn what_ran_before_and_does_not_come_back_in_time_ends_the_rollout_and_says_so() {
    let mut unit = on_cluster();
    unit.runs(1);
    unit.hears(image(2));
    unit.seen.running.progress = Progress::Working;
    unit.turns(Phase::Failed);
    assert_eq!(unit.weights(), [(digest(1), 100)]);
    assert!(unit.state.rollout.is_some(), "the old release is on its way back");
    unit.passes(10_000);
    let failure = unit.said.iter().rev().find_map(|data| match data {
        Data::DeploymentFinished(fact) => fact.failure.clone(),
        _ => None,
    });
    assert!(failure.unwrap().ends_with("what ran before is not ready again yet"));
    assert!(unit.state.rollout.is_none());
}
