//! In an environment that is promoted to, what came last through the one before runs; and going back to a release that is
//! named.

use longshore_events::types::{DeploymentOutcome, Proof, Verdict as Gates};

use super::*;

/// An image that ran in staging as this generation.
fn proven(n: u8, generation: u64) -> GateEvaluated {
    let since = Timestamp::from_second(1_790_000_000).unwrap();
    let proof = Proof { environment: EnvironmentName::new("staging").unwrap(), generation, since };
    GateEvaluated { proof: Some(proof), ..image(n) }
}

impl Unit {
    fn promoted() -> Self {
        let text = CONFIG.replace("[[environment]]", "[[environment]]\nname = \"staging\"\n[[environment]]");
        let text = text.replace("name = \"live\"", "name = \"live\"\nafter = \"staging\"");
        Self { policy: longshore_policy::check(&text, "test.toml").unwrap(), ..Self::new() }
    }

    fn is_promoted(&mut self, n: u8, generation: u64) {
        self.tell(Input::GateEvaluated(proven(n, generation)));
    }

    fn arrives(&mut self, n: u8, generation: u64) {
        self.is_promoted(n, generation);
        self.turns(Phase::Ready);
        self.passes(1_000);
        assert_eq!(self.weights(), [(digest(n), 100)]);
    }
}

#[test]
fn what_is_promoted_runs_whatever_the_branch_says_by_now() {
    let mut unit = Unit::promoted();
    unit.seen.tip = Some(commit(9));
    unit.arrives(1, 4);
    unit.arrives(2, 5);
    assert_eq!(unit.outcomes(), [DeploymentOutcome::Succeeded, DeploymentOutcome::Succeeded]);
}

#[test]
fn what_was_proven_before_the_release_that_runs_is_superseded_however_late_it_may_run() {
    let mut unit = Unit::promoted();
    unit.arrives(2, 5);
    unit.is_promoted(1, 4);
    assert_eq!(unit.weights(), [(digest(2), 100)]);
    assert_eq!(unit.outcomes().last(), Some(&DeploymentOutcome::Superseded));
    let Some(Data::DeploymentFinished(end)) = unit.said.last() else { panic!("{:?}", unit.said) };
    assert_eq!(end.failure.as_deref(), Some("a newer one came from staging"));
}

#[test]
fn of_two_that_may_run_the_newer_one_does() {
    let mut unit = Unit::promoted();
    unit.is_promoted(1, 4);
    unit.is_promoted(2, 5);
    unit.turns(Phase::Ready);
    unit.passes(1_000);
    unit.turns(Phase::Ready);
    unit.passes(1_000);
    assert_eq!(unit.weights(), [(digest(2), 100)]);
}

#[test]
fn after_going_back_nothing_that_was_dealt_with_comes_again_by_itself() {
    let mut unit = Unit::promoted();
    unit.arrives(1, 4);
    unit.arrives(2, 5);
    unit.arrives(3, 6);
    unit.asked_to_go_to(Some(1));
    unit.turns(Phase::Ready);
    unit.passes(1_000);
    unit.passes(200_000);
    assert_eq!((unit.weights(), unit.state.rollout.clone()), (vec![(digest(1), 100)], None));
    unit.arrives(4, 7);
}

#[test]
fn a_release_that_is_named_is_gone_back_to_and_one_that_never_ran_is_refused() {
    let mut unit = Unit::new();
    for n in 1..=3 {
        unit.runs(n);
    }
    unit.asked_to_go_to(Some(9));
    assert_eq!(unit.outcomes().last(), Some(&DeploymentOutcome::Refused));
    let Some(Data::DeploymentFinished(end)) = unit.said.last() else { panic!("{:?}", unit.said) };
    assert!(end.failure.as_ref().unwrap().contains("is none of the good releases"), "{end:?}");
    unit.asked_to_go_to(Some(1));
    unit.turns(Phase::Ready);
    unit.passes(1_000);
    assert_eq!(unit.weights(), [(digest(1), 100)]);
    let quarantined: Vec<_> = unit
        .said
        .iter()
        .filter_map(|data| if let Data::DigestQuarantined(fact) = data { Some(&fact.digest) } else { None })
        .collect();
    assert_eq!(quarantined, [&digest(3)], "what was taken back is bad, what it passed over is not");
    assert_eq!(unit.state.previous.len(), 1, "and can still be gone back to");
}

#[test]
fn out_of_a_rollout_one_goes_back_and_then_to_the_release_that_is_named() {
    let mut unit = Unit::new();
    unit.runs(1);
    unit.runs(2);
    unit.hears(image(3));
    unit.asked_to_go_to(Some(1));
    unit.turns(Phase::Ready);
    unit.passes(1_000);
    unit.turns(Phase::Ready);
    unit.passes(1_000);
    assert_eq!(unit.weights(), [(digest(1), 100)]);
    assert!(unit.outcomes().ends_with(&[DeploymentOutcome::RolledBack]), "{:?}", unit.outcomes());
}

#[test]
fn a_gate_that_waits_is_not_asked_again_and_again() {
    let mut unit = Unit::promoted();
    unit.arrives(1, 4);
    unit.seen.verdicts.clear();
    let head = Relied { kind: "gate".into(), subject: "2".into(), event: None };
    let gate = Some(Gated {
        verdict: Some(Gates::Unknown),
        reasons: vec!["approval".into()],
        head,
        override_window: None,
    });
    unit.seen.verdicts.push(Verdict { digest: digest(2), bad: None, before: None, heads: Vec::new(), gate });
    unit.is_promoted(2, 5);
    assert_eq!((unit.weights(), unit.last.wake), (vec![(digest(1), 100)], None));
}
