//! When a rollout may begin, and what goes on all the same. The clock of these tests begins on a Monday at 14:13:20 UTC.

use jiff::SignedDuration;
use longshore_events::types::{DeploymentOutcome, DeploymentStarted, GateEvaluated, WindowOverride};
use longshore_events::{EventId, Fact as _};
use longshore_ports::Phase;

use super::{Gates, Input, Unit, commit, digest, image};

/// Open from 14:13 to 14:14, and from 15:00 on.
const WINDOWS: &str =
    "[[environment.window]]\nfrom = \"14:13\"\nto = \"14:14\"\n[[environment.window]]\nfrom = \"15:00\"\n";
/// From the start of these tests until it is 15:00.
const UNTIL_THREE: i64 = 46 * 60_000 + 40_000;

#[test]
fn outside_of_its_windows_nothing_begins_and_what_waits_begins_when_one_opens() {
    let mut unit = Unit::with(WINDOWS);
    unit.runs(1);
    unit.passes(60_000);
    unit.hears(image(2));
    assert_eq!(unit.weights(), [(digest(1), 100)]);
    let held = unit.state.held.clone().unwrap();
    let opens = "2026-09-21T15:00:00Z".parse().unwrap();
    assert_eq!((held.image.digest, held.commit, held.until), (digest(2), Some(commit(2)), Some(opens)));
    assert_eq!(held.why, "outside of the windows for changes");
    unit.passes(3_000);
    assert_eq!(unit.last.wake, Some(opens), "it waits for the clock alone");
    unit.now = opens;
    unit.passes(0);
    assert_eq!(unit.weights(), [(digest(1), 100), (digest(2), 0)]);
    assert_eq!(unit.state.held, None);
}

#[test]
fn a_rollout_that_began_goes_on_to_its_end_when_the_window_closes_and_gives_way_to_nothing() {
    let mut unit = Unit::with(WINDOWS);
    unit.runs(1);
    unit.now = "2026-09-21T14:13:55Z".parse().unwrap();
    unit.hears(image(2));
    unit.passes(5_000);
    unit.hears(image(3));
    assert_eq!(unit.weights(), [(digest(1), 100), (digest(2), 0)], "a newer one does not take its place");
    unit.turns(Phase::Ready);
    unit.passes(1_000);
    assert_eq!(unit.weights(), [(digest(2), 100)]);
    assert_eq!(unit.state.held.clone().unwrap().image.digest, digest(3), "and waits");
    unit.now = "2026-09-21T15:00:00Z".parse().unwrap();
    unit.passes(0);
    assert_eq!(unit.weights(), [(digest(2), 100), (digest(3), 0)]);
}

#[test]
fn going_back_is_always_allowed() {
    let mut unit = Unit::with(WINDOWS);
    unit.runs(1);
    unit.runs(2);
    unit.passes(60_000);
    unit.asked_to_roll_back();
    unit.turns(Phase::Ready);
    unit.passes(1_000);
    assert_eq!(unit.weights(), [(digest(1), 100)]);
    assert_eq!(unit.outcomes().last(), Some(&DeploymentOutcome::RolledBack));

    let mut unit = Unit::with(WINDOWS);
    unit.runs(1);
    unit.hears(image(2));
    unit.passes(60_000);
    unit.turns(Phase::Failed);
    assert_eq!(unit.weights(), [(digest(1), 100)], "one that is bad goes back by itself");
}

#[test]
fn of_what_waits_the_tip_begins_and_the_others_are_superseded() {
    let mut unit = Unit::with(WINDOWS);
    unit.runs(1);
    unit.passes(60_000);
    unit.hears(image(2));
    unit.passes(60_000);
    unit.hears(image(3));
    unit.passes(UNTIL_THREE);
    assert_eq!(unit.weights(), [(digest(1), 100), (digest(3), 0)]);
    assert_eq!(unit.outcomes().last(), Some(&DeploymentOutcome::Superseded));
}

#[test]
fn within_a_freeze_nothing_begins_and_it_says_why() {
    let freeze = "[[freeze]]\nfrom = \"2026-09-21T14:14\"\nuntil = \"2026-09-22\"\nwhy = \"elections\"\n";
    let mut unit = Unit::with(freeze);
    unit.runs(1);
    unit.passes(60_000);
    unit.hears(image(2));
    let held = unit.state.held.clone().unwrap();
    assert_eq!((held.why.as_str(), held.until), ("frozen: elections", "2026-09-23T00:00:00Z".parse().ok()));
    unit.hears(image(1));
    assert_eq!(unit.state.held, None, "the branch went back: nothing waits");
}

impl Unit {
    /// Somebody who may says that this image may begin at any time, for the next ten minutes.
    fn overrides(&mut self, n: u8) {
        self.gate_says(n, Gates::Pass);
        let word = WindowOverride {
            approval: EventId::new("approval").unwrap(),
            who: "ann".into(),
            why: "the shop is down".into(),
            until: self.now + SignedDuration::from_mins(10),
        };
        let verdict = self.seen.verdicts.iter_mut().find(|verdict| verdict.digest == digest(n)).unwrap();
        verdict.gate.as_mut().unwrap().override_window = Some(word.clone());
        let said = GateEvaluated { override_window: Some(word), ..image(n) };
        self.tell(Input::GateEvaluated(said));
    }

    /// By whose word each rollout began.
    fn words(&self) -> Vec<Option<&str>> {
        let begun = self.said.iter().filter_map(DeploymentStarted::from_data);
        begun.map(|fact| fact.override_window.as_ref().map(|word| word.who.as_str())).collect()
    }
}

#[test]
fn an_image_whose_calendar_somebody_overrides_begins_and_no_other_does() {
    let mut unit = Unit::with(WINDOWS);
    unit.runs(1);
    unit.passes(60_000);
    unit.hears(image(2));
    assert!(unit.state.held.is_some());
    unit.overrides(2);
    assert_eq!((unit.weights(), unit.state.held.clone()), (vec![(digest(1), 100), (digest(2), 0)], None));
    assert_eq!(unit.words(), [None, Some("ann")], "it is said by whose word");
    let relied = &unit.wishes.last().unwrap().desired;
    assert_eq!(relied.generation, 2);
    unit.turns(Phase::Ready);
    unit.passes(1_000);
    unit.hears(image(3));
    assert_eq!(unit.weights(), [(digest(2), 100)], "another digest waits");
    assert!(unit.state.held.is_some());
}

#[test]
fn a_word_that_has_ended_overrides_nothing_and_what_it_began_goes_on() {
    let mut late = Unit::with(WINDOWS);
    late.runs(1);
    late.passes(60_000);
    late.stopped = true;
    late.hears(image(2));
    late.overrides(2);
    late.passes(10 * 60_000);
    late.stopped = false;
    late.passes(1_000);
    assert_eq!(late.weights(), [(digest(1), 100)], "all was stopped while it counted");
    assert!(late.state.held.is_some());

    let mut unit = Unit::with(WINDOWS);
    unit.runs(1);
    unit.passes(60_000);
    unit.hears(image(2));
    unit.overrides(2);
    unit.passes(9_000);
    unit.turns(Phase::Ready);
    unit.passes(10 * 60_000);
    assert_eq!(unit.weights(), [(digest(2), 100)]);
}

#[test]
fn a_rollout_gives_way_to_an_image_whose_calendar_somebody_overrides_though_it_is_closed() {
    let mut unit = Unit::with(WINDOWS);
    unit.runs(1);
    unit.now = "2026-09-21T14:13:55Z".parse().unwrap();
    unit.hears(image(2));
    unit.passes(6_000);
    unit.seen.tip = Some(commit(3));
    unit.overrides(3);
    assert_eq!(unit.weights(), [(digest(1), 100), (digest(3), 0)]);
    assert_eq!(unit.words(), [None, None, Some("ann")]);
}

#[test]
fn while_the_calendar_is_open_nobody_s_word_is_needed_and_none_is_said() {
    let mut unit = Unit::with(WINDOWS);
    unit.runs(1);
    unit.seen.tip = Some(commit(2));
    unit.overrides(2);
    assert_eq!(unit.words(), [None, None]);
}
