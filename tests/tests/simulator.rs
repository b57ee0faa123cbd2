//! The spine in the simulator: storms, every single crash point, and mutants that must be found.

#![expect(clippy::print_stdout, reason = "figures that a reader of the test's output wants")]

use std::collections::HashMap;

use longshore_events::types::{DeploymentAdvanced, DeploymentStarted, Verdict, VerificationFinished};
use longshore_events::{Event, Fact as _};
use longshore_frame::Mutant;
use longshore_sim::world::Hole;
use longshore_tests::{Mutation, Run, enumerate_crashes, replay, run};

/// Seeds in the test command; `cargo xtask sim --seeds 200000` runs more.
const SEEDS: u64 = 2_000;
/// Seeds whose decisions are made again.
const REPLAYED: u64 = 100;
/// Seeds on which a mutant must be found.
const MUTANT_SEEDS: u64 = 1_000;

#[test]
fn nothing_is_lost_or_done_twice_in_the_storm() {
    let (mut calls, mut crashes) = (0, 0);
    for seed in 0..SEEDS {
        let report = run(&Run::storm(seed));
        calls += report.outcome.calls;
        crashes += report.outcome.crashes;
        let wrong = report.wrong.join("; ");
        assert!(wrong.is_empty(), "seed {seed}: {wrong}\nreplay: cargo xtask sim --seed {seed}");
    }
    println!("{SEEDS} seeds, {} port calls and {} crashes a seed", calls / SEEDS, crashes / SEEDS);
    assert!(calls / SEEDS >= 400, "a seed must be long enough to matter: {}", calls / SEEDS);
    assert!(crashes / SEEDS >= 15, "a seed must crash often enough to matter: {}", crashes / SEEDS);
}

#[test]
fn a_crash_at_every_single_point_of_the_spine_is_survived() {
    // One of them shifts all traffic at once, the other by steps that are measured.
    for seed in [1, 2] {
        let (points, wrong) = enumerate_crashes(seed);
        println!("a crash at each of {points} points");
        assert!(points > 500, "the script does too little: {points} points");
        assert_eq!(wrong, []);
    }
}

#[test]
fn every_decision_of_a_storm_is_made_again_by_the_same_configuration_and_not_by_another() {
    let (mut decisions, mut others) = (0, 0);
    for seed in 0..REPLAYED {
        let (count, differ) = replay(&Run::storm(seed), ("", ""));
        assert!(differ.is_empty(), "seed {seed}: {}", differ.join("\n"));
        decisions += count;
        let (_, differ) = replay(&Run::storm(seed), ("settle = \"500ms\"", "settle = \"20s\""));
        others += differ.len();
        for line in differ {
            assert!(line.starts_with("deploy/") && line.contains("then"), "only deploy settles: {line}");
        }
    }
    println!("{decisions} decisions, {others} of them otherwise where a release settles longer");
    assert!(decisions > 5_000 && others > 50, "{decisions} decisions, {others} otherwise");
}

#[test]
fn the_same_seed_gives_the_same_history() {
    let once = run(&Run { record: true, ..Run::storm(7) });
    let again = run(&Run { record: true, ..Run::storm(7) });
    assert_eq!(once.history, again.history);
}

/// A mutant is found when what it did wrong is seen in the world, on a seed that the unmutated code passes: those of
/// the first test. `sign` is in the words of what was found.
fn is_found(mutation: Mutation, sign: &str) {
    let wrong = |seed| run(&Run { mutation: Some(mutation), ..Run::storm(seed) }).wrong;
    let found = (0..MUTANT_SEEDS)
        .map(|seed| (seed, wrong(seed)))
        .find(|(_, wrong)| wrong.iter().any(|line| line.contains(sign)));
    let (seed, wrong) = found.unwrap_or_else(|| panic!("{mutation:?} was not found in {MUTANT_SEEDS} seeds"));
    println!("{mutation:?} is found by seed {seed}: {}", wrong.join("; "));
}

#[test]
fn state_and_facts_in_two_writes_are_found() {
    is_found(Mutation::Frame(Mutant::TwoWrites), "neither runs nor is refused");
}

#[test]
fn a_wrong_key_alone_is_found_since_the_same_meaning_happens_twice() {
    is_found(Mutation::Frame(Mutant::KeysPerAttempt), "was built");
}

#[test]
fn a_missing_receipt_is_found() {
    is_found(Mutation::Frame(Mutant::NoReceipt), "is owed to");
}

#[test]
fn taking_a_lease_that_another_holds_is_found() {
    is_found(Mutation::Frame(Mutant::NoLease), "fault");
}

#[test]
fn not_heeding_the_stop_switch_is_found() {
    is_found(Mutation::Frame(Mutant::NoSwitch), "said stop");
}

#[test]
fn a_missing_sweep_is_found() {
    is_found(Mutation::NoSweep, "");
}

#[test]
fn an_outside_that_looks_and_then_acts_is_found() {
    is_found(Mutation::World(Hole::NoNames), "was built");
}

#[test]
fn an_outside_without_a_fence_is_found() {
    is_found(Mutation::World(Hole::NoFence), "");
}

#[test]
fn a_gate_that_is_read_only_once_is_found() {
    is_found(Mutation::GateOnce, "went forward on the verdict");
}

#[test]
fn a_window_that_is_judged_by_the_time_of_an_event_is_found() {
    is_found(Mutation::Early, "outside of the windows");
}

#[test]
fn going_back_past_what_cannot_be_taken_back_is_found() {
    is_found(Mutation::AllGoesBack, "went back past");
    is_found(Mutation::AllGoesBack, "was taken back past");
}

#[test]
fn a_word_of_one_who_may_not_override_that_counts_is_found() {
    is_found(Mutation::AllOverride, "outside of the windows");
}

#[test]
fn rollouts_begin_by_words_that_override_windows() {
    let said = |seed| run(&Run { record: true, ..Run::storm(seed) }).history;
    let begun = (2..2_000).step_by(5).flat_map(said);
    let begun = begun.filter_map(|line| Event::from_json(line.split_once("SAID ")?.1).ok());
    let by_word = begun.filter(|event| {
        DeploymentStarted::from_data(&event.data).is_some_and(|fact| fact.override_window.is_some())
    });
    let count = by_word.count();
    println!("{count} rollouts began by a word");
    assert!(count >= 10, "{count}");
}

#[test]
fn a_signature_of_another_image_that_counts_is_found() {
    is_found(Mutation::World(Hole::AnySignature), "nobody who may had signed it");
}

#[test]
fn taking_no_traffic_for_good_is_found() {
    is_found(Mutation::World(Hole::NothingIsGood), "measured bad");
}

#[test]
fn releases_are_measured_good_bad_and_not_at_all() {
    let (mut counts, mut degrees) = ([0; 3], 0);
    for seed in (1..4_000).step_by(2) {
        let report = run(&Run { record: true, ..Run::storm(seed) });
        let said =
            report.history.iter().filter_map(|line| Event::from_json(line.split_once("SAID ")?.1).ok());
        let mut shares: HashMap<String, u8> = HashMap::new();
        for event in said {
            if let Some(fact) = DeploymentAdvanced::from_data(&event.data) {
                let had = shares.insert(fact.deployment.clone(), fact.weight);
                degrees += usize::from(had.is_some_and(|had| fact.weight < had));
            }
            match VerificationFinished::from_data(&event.data).map(|fact| fact.verdict) {
                Some(Verdict::Pass) => counts[0] += 1,
                Some(Verdict::Fail) => counts[1] += 1,
                Some(Verdict::Unknown) => counts[2] += 1,
                None => {}
            }
        }
    }
    println!("{degrees} degrees of going back");
    assert!(degrees >= 20, "{degrees}");
    println!("{counts:?} verifications passed, failed and were unknown");
    assert!(counts.iter().all(|count| *count >= 10), "{counts:?}");
}
