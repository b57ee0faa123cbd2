//! What a release did under traffic, compared with what it may do: pass, fail or unknown.

use longshore_events::types::{CheckResult, Verdict};
use longshore_events::{Measure, Number, Timestamp};
use longshore_policy::{Check, Increase, OnUnknown};
use longshore_ports::Measured;

use crate::Answer;

/// What the checks of a step say together.
pub(crate) struct Judged {
    /// Each of them.
    pub(crate) results: Vec<CheckResult>,
    /// Fail when one failed, else unknown when one is, else pass.
    pub(crate) verdict: Verdict,
    /// Why it goes back, when one failed.
    pub(crate) failed: Option<String>,
    /// What is unknown and must not be.
    pub(crate) refused: Option<String>,
    /// What is unknown and is waited for.
    pub(crate) awaited: Option<String>,
    /// Whoever measures began only then: what was before cannot become known.
    pub(crate) since: Option<Timestamp>,
}

/// Judges by what was measured of the new release, and of the running one.
pub(crate) fn judge<'a>(
    checks: &[Check],
    new: impl Fn(&Measure) -> Option<&'a Answer>,
    running: impl Fn(&Measure) -> Option<&'a Answer>,
) -> Judged {
    let mut since = None;
    let mut note = |answer: Option<&Answer>| {
        if let Some(Measured::Unknown { since: Some(began), .. }) = answer.map(|answer| &answer.answer) {
            since = since.max(Some(*began));
        }
    };
    let (mut results, mut what_unknown_does) = (Vec::new(), Vec::new());
    for check in checks {
        let (new, running) =
            (new(&check.measure), running(&check.measure).filter(|_| check.increase.is_some()));
        note(new);
        note(running);
        // An answer that did not come is waited for by whoever takes no answer for a failure.
        let mut asked = [Some(new), check.increase.map(|_| running)].into_iter().flatten();
        let silent = asked.any(|answer| answer.is_none_or(|answer| answer.silent));
        let does =
            if silent && check.on_unknown == OnUnknown::Fail { OnUnknown::Wait } else { check.on_unknown };
        what_unknown_does.push(does);
        results.push(one(check, new.map(|new| &new.answer), running.map(|running| &running.answer)));
    }
    let all = || results.iter().zip(&what_unknown_does);
    let reason =
        |result: &CheckResult| format!("{}: {}", result.name, result.reason.as_deref().unwrap_or("unknown"));
    let failed = results.iter().find(|result| result.verdict == Verdict::Fail).map(reason);
    let is_unknown = |result: &CheckResult| result.verdict == Verdict::Unknown;
    let unknown = |what: OnUnknown| {
        all().find(|(result, does)| is_unknown(result) && **does == what).map(|(result, _)| reason(result))
    };
    let (refused, awaited) = (unknown(OnUnknown::Fail), unknown(OnUnknown::Wait));
    let verdict = match &failed {
        Some(_) => Verdict::Fail,
        None if results.iter().any(is_unknown) => Verdict::Unknown,
        None => Verdict::Pass,
    };
    Judged { results, verdict, failed, refused, awaited, since }
}

/// A value with the requests that it was made of, or why there is none.
type Known = Result<(Number, u64), (String, Option<u64>)>;

fn one(check: &Check, new: Option<&Measured>, running: Option<&Measured>) -> CheckResult {
    let (new, running) =
        (known(check, new, "it"), running.map(|running| known(check, Some(running), "the running release")));
    let beside = running.as_ref().and_then(|running| running.as_ref().ok());
    let limit = limit(check, beside.map(|(value, _)| *value));
    let (verdict, reason) = match &new {
        Err((why, _)) => (Verdict::Unknown, Some(why.clone())),
        Ok((value, _)) => {
            let unit = check.measure.unit();
            let unit = if unit.is_empty() { String::new() } else { format!(" {unit}") };
            let over = limit.filter(|limit| value > limit);
            let blind = check.increase.filter(|_| beside.is_none());
            match (over, blind) {
                (Some(limit), _) => {
                    let reason = format!("{} is {value}{unit}, and {limit}{unit} is allowed", check.measure);
                    (Verdict::Fail, Some(reason))
                }
                (None, Some(_)) => {
                    let why = running.as_ref().and_then(|running| running.as_ref().err());
                    let why = why.map_or("the running release was not measured", |(why, _)| why);
                    (Verdict::Unknown, Some(why.to_owned()))
                }
                (None, None) => (Verdict::Pass, None),
            }
        }
    };
    let count = |known: &Known| match known {
        Ok((_, requests)) => Some(*requests),
        Err((_, requests)) => *requests,
    };
    CheckResult {
        name: check.name.clone(),
        measure: check.measure.to_string(),
        verdict,
        requests: count(&new),
        value: new.ok().map(|(value, _)| value),
        running: beside.map(|(value, _)| *value),
        running_requests: running.as_ref().and_then(count),
        limit,
        reason,
    }
}

/// What counts as known: enough requests. Of a process's saturation, looks are counted, and no requests.
fn known(check: &Check, measured: Option<&Measured>, whose: &str) -> Known {
    match measured {
        None => Err((format!("{whose} was not measured"), None)),
        Some(Measured::Unknown { why, .. }) => Err((format!("nothing is known of {whose}: {why}"), None)),
        Some(Measured::Value { value, samples }) => {
            let by_requests = !matches!(check.measure, Measure::Saturation | Measure::Expression(_));
            if by_requests && *samples < check.min_requests {
                let why = format!("{whose} got {samples} requests, and {} are needed", check.min_requests);
                return Err((why, Some(*samples)));
            }
            Ok((*value, *samples))
        }
    }
}

/// The most that is allowed, as far as that is known.
fn limit(check: &Check, running: Option<Number>) -> Option<Number> {
    let relative = check.increase.zip(running).and_then(|(Increase { percent, tolerate }, running)| {
        let more = Number::new(running.get() * (1.0 + percent.get() / 100.0))?;
        Some(tolerate.map_or(more, |tolerate| more.max(tolerate)))
    });
    check.limit.into_iter().chain(relative).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(limit: Option<f64>, increase: Option<(f64, Option<f64>)>) -> Check {
        let number = |value| Number::new(value).unwrap();
        Check {
            name: "errors".into(),
            measure: Measure::ErrorRate,
            limit: limit.map(number),
            increase: increase.map(|(percent, tolerate)| Increase {
                percent: number(percent),
                tolerate: tolerate.map(number),
            }),
            min_requests: 50,
            on_unknown: OnUnknown::Wait,
        }
    }

    fn answer(measured: &Measured) -> Answer {
        Answer { release: 1, measure: Measure::ErrorRate, answer: measured.clone(), silent: false }
    }

    /// The verdict, and the limit that counted.
    fn judged(check: &Check, new: &Measured, running: &Measured) -> (Verdict, Option<f64>) {
        let (new, running) = (answer(new), answer(running));
        let judged = judge(std::slice::from_ref(check), |_| Some(&new), |_| Some(&running));
        assert_eq!(judged.results[0].verdict, judged.verdict);
        assert_eq!(judged.failed.is_some(), judged.verdict == Verdict::Fail);
        assert_eq!(judged.awaited.is_some(), judged.verdict == Verdict::Unknown);
        (judged.verdict, judged.results[0].limit.map(Number::get))
    }

    #[test]
    fn a_value_fails_above_the_limit_and_above_what_the_running_release_allows() {
        let (few, much) = (Measured::of(2.0, 100), Measured::of(8.0, 100));
        let none = Measured::unknown("no traffic");
        let limited = check(Some(5.0), None);
        assert_eq!(judged(&limited, &few, &none), (Verdict::Pass, Some(5.0)));
        assert_eq!(judged(&limited, &much, &none), (Verdict::Fail, Some(5.0)));
        let compared = check(None, Some((50.0, None)));
        assert_eq!(judged(&compared, &much, &much), (Verdict::Pass, Some(12.0)));
        assert_eq!(judged(&compared, &much, &few), (Verdict::Fail, Some(3.0)));
        assert_eq!(judged(&compared, &much, &none), (Verdict::Unknown, None));
        let clean = Measured::of(0.0, 1_000);
        assert_eq!(judged(&compared, &few, &clean), (Verdict::Fail, Some(0.0)));
        assert_eq!(judged(&check(None, Some((50.0, Some(2.0)))), &few, &clean), (Verdict::Pass, Some(2.0)));
        let both = check(Some(5.0), Some((50.0, None)));
        assert_eq!(judged(&both, &much, &much), (Verdict::Fail, Some(5.0)), "whichever is less");
        assert_eq!(
            judged(&both, &much, &none),
            (Verdict::Fail, Some(5.0)),
            "the limit needs nobody beside it"
        );
        assert_eq!(judged(&both, &few, &none), (Verdict::Unknown, Some(5.0)));
    }

    #[test]
    fn too_few_requests_and_no_traffic_are_unknown_and_never_good() {
        let limited = check(Some(5.0), None);
        for new in [Measured::of(0.0, 49), Measured::of(99.0, 49), Measured::unknown("no traffic")] {
            assert_eq!(judged(&limited, &new, &new).0, Verdict::Unknown, "{new:?}");
        }
        let compared = check(None, Some((50.0, None)));
        assert_eq!(judged(&compared, &Measured::of(0.0, 50), &Measured::of(0.0, 49)).0, Verdict::Unknown);
        let looked = Check { measure: Measure::Saturation, ..limited };
        assert_eq!(judged(&looked, &Measured::of(1.0, 2), &Measured::of(1.0, 2)).0, Verdict::Pass);
    }

    #[test]
    fn what_unknown_does_is_said_by_each_check() {
        let checks = [OnUnknown::Pass, OnUnknown::Fail, OnUnknown::Wait]
            .map(|on_unknown| Check { on_unknown, ..check(Some(5.0), None) });
        let began = Timestamp::from_second(7).unwrap();
        let none = answer(&Measured::Unknown { why: "it began late".into(), since: Some(began) });
        for (at, (refused, awaited)) in [(false, false), (true, false), (false, true)].into_iter().enumerate()
        {
            let judged = judge(&checks[at..=at], |_| Some(&none), |_| None);
            assert_eq!((judged.refused.is_some(), judged.awaited.is_some()), (refused, awaited));
            assert_eq!((judged.verdict, judged.since), (Verdict::Unknown, Some(began)));
        }
        let silent = Answer { silent: true, ..none };
        let judged = judge(&checks[1..2], |_| Some(&silent), |_| None);
        assert_eq!(
            (judged.refused, judged.awaited.is_some()),
            (None, true),
            "it may answer when asked again"
        );
    }
}
