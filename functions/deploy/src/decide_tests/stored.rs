//! What is stored stays readable for ever.

use longshore_frame::Lease;
use longshore_ports::{ObservedRelease, Phase};
use longshore_sim::stored::Samples;

use super::{Unit, image};
use crate::{Apply, State};

const STEPS: &str = "[environment.strategy]\nkind = \"canary\"\n[[environment.strategy.step]]\nweight = 10\n";

#[test]
fn what_is_stored_stays_as_it_is() {
    let samples = Samples::of("deploy");
    let mut unit = Unit::new();
    unit.runs(1);
    unit.hears(image(2));
    samples.keep("state-start.json", &unit.state);
    samples.keep("effect-start.json", &unit.wishes.last());
    unit.turns(Phase::Ready);
    samples.keep("state-shift.json", &unit.state);
    unit.asked_to_roll_back();
    samples.keep("effect-back.json", &unit.wishes.last());
    samples.keep("state-rest.json", &unit.state);
    let mut waiting = Unit::new();
    waiting.runs(1);
    waiting.runs(2);
    waiting.lease = Lease::Theirs;
    waiting.asked_to_roll_back();
    samples.keep("state-asked.json", &waiting.state);
    let mut measured = Unit::with(STEPS);
    measured.runs(1);
    measured.hears(image(2));
    measured.turns(Phase::Ready);
    samples.keep("state-step.json", &measured.state);
    samples.keep("effect-step.json", &measured.wishes.last());
    let mut returning = Unit::going_back();
    returning.passes(0);
    samples.keep("state-return.json", &returning.state);
    samples.keep("effect-return.json", &returning.wishes.last());
}

#[test]
fn a_rollout_begun_by_any_release_is_finished_by_this_build() {
    let states = Samples::of("deploy").load::<State, Apply>();
    assert!(states.len() >= 3, "{} samples", states.len());
    for (path, state) in states {
        let mut unit = Unit::new();
        unit.state = state;
        let Some(rollout) = unit.state.rollout.clone() else { continue };
        unit.lease = Lease::Mine(rollout.generation);
        unit.minted = rollout.generation;
        let old = rollout.from.clone().filter(|_| rollout.goes_back());
        let ends = old.unwrap_or_else(|| rollout.to.clone());
        unit.seen.tip.clone_from(&ends.commit);
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
        for _ in 0..30 {
            unit.passes(1_000);
        }
        assert_eq!(unit.weights(), [(ends.image.digest, 100)], "{}", path.display());
        assert_eq!(unit.state.rollout, None);
    }
}
