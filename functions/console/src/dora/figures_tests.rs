use super::*;

fn time(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn place() -> Place {
    (EnvironmentName::new("prod").unwrap(), ServiceName::new("shop").unwrap())
}

fn digest(digit: char) -> Digest {
    Digest::new(format!("sha256:{}", digit.to_string().repeat(64))).unwrap()
}

/// A rollout that began 10 seconds before its end, of a change that was pushed 20 seconds before it.
fn end(at: i64, digit: char, outcome: DeploymentOutcome) -> End {
    End {
        at: time(at),
        place: place(),
        outcome,
        digest: digest(digit),
        runs: true,
        began: Some(time(at - 10)),
        origin: Origin::Change(time(at - 20)),
    }
}

fn bad(at: i64, digit: char) -> Bad {
    Bad { at: time(at), place: place(), digest: digest(digit) }
}

fn figures(happened: &Happened) -> DoraFigures {
    happened.measured()[&place()].figures(SignedDuration::from_hours(48))
}

fn of_ends(ends: Vec<End>) -> DoraFigures {
    figures(&Happened { ends, ..Happened::default() })
}

use DeploymentOutcome::{Refused, Removed, RolledBack, Succeeded, Superseded};

#[test]
fn of_four_deployments_one_that_was_taken_back_is_a_quarter() {
    let good = |at, digit| end(at, digit, Succeeded);
    let found = of_ends(vec![good(100, 'a'), good(200, 'b'), end(300, 'c', RolledBack), good(400, 'd')]);
    let expected = DoraFigures {
        deployments: 4,
        per_day: Some(1.5),
        changes: 3,
        lead_time_ms: Some(20_000),
        failed: 1,
        change_failure_percent: Some(25.0),
        restored: 1,
        time_to_restore_ms: Some(10_000),
    };
    assert_eq!(found, expected);
}

#[test]
fn what_never_ran_is_no_deployment() {
    let found = of_ends(vec![end(100, 'a', Refused), end(200, 'b', Superseded)]);
    assert_eq!((found.deployments, found.changes, found.change_failure_percent), (0, 0, None));
    assert_eq!((found.lead_time_ms, found.time_to_restore_ms), (None, None), "unknown, and not zero");
}

#[test]
fn a_release_that_somebody_asked_for_ends_a_failure_and_is_no_change() {
    let asked = End { origin: Origin::Asked, ..end(500, 'a', Succeeded) };
    let ends = vec![end(100, 'a', Succeeded), end(200, 'b', Succeeded), asked];
    let found = figures(&Happened { ends, bad: vec![bad(440, 'b')], ..Happened::default() });
    assert_eq!((found.deployments, found.changes, found.failed), (2, 2, 1));
    assert_eq!(found.time_to_restore_ms, Some(60_000), "since it was found");
}

#[test]
fn a_failure_with_nothing_to_go_back_to_lasts_until_the_next_success() {
    let gone = End { runs: false, ..end(100, 'a', Removed) };
    let found = of_ends(vec![gone.clone(), end(150, 'b', Succeeded)]);
    assert_eq!((found.restored, found.time_to_restore_ms), (1, Some(60_000)));
    let found = of_ends(vec![gone]);
    assert_eq!((found.failed, found.restored, found.time_to_restore_ms), (1, 0, None));
}

#[test]
fn a_digest_that_was_found_bad_elsewhere_or_before_is_no_failure() {
    let elsewhere = Bad { place: (EnvironmentName::new("test").unwrap(), place().1), ..bad(150, 'a') };
    let ends = vec![end(100, 'a', Succeeded), end(300, 'a', Succeeded)];
    let found =
        figures(&Happened { ends: ends.clone(), bad: vec![elsewhere, bad(50, 'a')], ..Happened::default() });
    assert_eq!(found.failed, 0);
    let found = figures(&Happened { ends, bad: vec![bad(150, 'a')], ..Happened::default() });
    assert_eq!(found.failed, 1, "of the first of both");
}

#[test]
fn a_change_that_was_overtaken_is_live_with_the_next_one() {
    let ends = vec![end(100, 'a', Succeeded), end(200, 'b', RolledBack), end(300, 'c', Succeeded)];
    let shop = place().1;
    let overtaken = vec![(shop, time(150)), (ServiceName::new("other").unwrap(), time(150))];
    let found = figures(&Happened { ends, overtaken, ..Happened::default() });
    assert_eq!((found.changes, found.lead_time_ms), (3, Some(20_000)), "20, 20 and 150 seconds");
}

#[test]
fn what_began_at_an_unknown_time_has_no_lead_time() {
    let unknown = End { origin: Origin::Unknown, ..end(100, 'a', Succeeded) };
    let found = of_ends(vec![unknown]);
    assert_eq!((found.deployments, found.changes, found.lead_time_ms), (1, 0, None));
}

#[test]
fn the_median_lies_between_the_two_in_the_middle() {
    let of =
        |seconds: &[i64]| median(&seconds.iter().map(|s| SignedDuration::from_secs(*s)).collect::<Vec<_>>());
    assert_eq!(of(&[]), None);
    assert_eq!(of(&[5]), Some(5_000));
    assert_eq!(of(&[9, 1, 2]), Some(2_000));
    assert_eq!(of(&[9, 1, 2, 4]), Some(3_000));
}
