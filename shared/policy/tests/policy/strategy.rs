//! `[environment.strategy]`: what is read of it, and what does not fit together.

use longshore_events::Number;
use longshore_policy::{Fault, OnUnknown, Plan, Strategy, check};

/// A file with one environment; `strategy` is the end of it.
fn file(strategy: &str) -> String {
    format!("[[service]]\nname = \"shop\"\n[[environment]]\nname = \"live\"\nsettle = \"90s\"\n{strategy}")
}

fn strategy(text: &str) -> Strategy {
    let policy = check(&file(text), "f").unwrap_or_else(|faults| panic!("{faults:?}\n{text}"));
    policy.environments[0].strategy.clone()
}

/// The codes, and the text that each fault points to.
#[track_caller]
fn assert_faults(text: &str, expected: &[(&str, &str)]) -> Vec<Fault> {
    let text = file(text);
    let faults = check(&text, "f").err().unwrap_or_default();
    let marked: Vec<_> =
        faults.iter().map(|fault| (fault.code.to_string(), &text[fault.span.clone()])).collect();
    let marked: Vec<_> = marked.iter().map(|(code, at)| (code.as_str(), *at)).collect();
    assert_eq!(marked, expected, "{faults:?}\n{text}");
    faults
}

const CHECKS: &str = r#"
[[environment.strategy.check]]
name = "errors"
measure = "error_rate"
limit = "0.5%"
increase = "50%"
tolerate = "0.1%"
min_requests = 7
on_unknown = "fail"
[[environment.strategy.check]]
name = "slow"
measure = "latency_p99.9"
increase = "20%"
"#;

fn canary(steps: &str) -> String {
    format!("[environment.strategy]\nkind = \"canary\"\nhold = \"2m\"\n{steps}{CHECKS}")
}

fn step(lines: &str) -> String {
    format!("[[environment.strategy.step]]\n{lines}\n")
}

fn plan(text: &str) -> Plan {
    match strategy(text) {
        Strategy::Canary(plan) | Strategy::BlueGreen(plan) => plan,
        Strategy::Rolling => panic!("it has no steps: {text}"),
    }
}

/// Weight, hold in seconds, and the names of the checks.
fn shape(plan: &Plan) -> Vec<(u8, u64, Vec<&str>)> {
    fn names(checks: &[longshore_policy::Check]) -> Vec<&str> {
        checks.iter().map(|check| check.name.as_str()).collect()
    }
    plan.steps.iter().map(|step| (step.weight, step.hold_ms / 1_000, names(&step.checks))).collect()
}

#[test]
fn a_canarys_steps_name_their_checks_and_all_is_what_they_have_by_default() {
    let steps =
        [step("weight = 5"), step("weight = 50\nhold = \"10m\"\nchecks = [\"slow\"]"), step("weight = 100")];
    let plan = plan(&canary(&steps.concat()));
    assert_eq!(
        shape(&plan),
        [(5, 120, vec!["errors", "slow"]), (50, 600, vec!["slow"]), (100, 120, vec!["errors"])]
    );
    assert_eq!(plan.patience_ms, 600_000);
    let errors = &plan.steps[0].checks[0];
    let number = |value| Number::new(value).unwrap();
    assert_eq!((errors.limit, errors.min_requests), (Some(number(0.5)), 7));
    let increase = errors.increase.unwrap();
    assert_eq!((increase.percent, increase.tolerate), (number(50.0), Some(number(0.1))));
    assert_eq!(errors.on_unknown, OnUnknown::Fail);
    let slow = &plan.steps[0].checks[1];
    assert_eq!((slow.limit, slow.min_requests, slow.on_unknown), (None, 50, OnUnknown::Wait));
    assert_eq!(slow.measure.to_string(), "latency_p99.9");
    assert_eq!(plan.steps[2].checks[0].increase, None, "with all traffic there is nobody to compare with");
}

#[test]
fn a_limit_is_counted_in_its_measures_unit() {
    for (measure, limit, value) in [
        ("saturation", "80%", 80.0),
        ("latency_p50", "250ms", 250.0),
        ("latency_p50", "2s", 2_000.0),
        ("requests", "1000", 1_000.0),
    ] {
        let text = format!(
            "[[environment.strategy.check]]\nname = \"a\"\nmeasure = \"{measure}\"\nlimit = \"{limit}\""
        );
        let text = format!("[environment.strategy]\nkind = \"canary\"\n{}{text}", step("weight = 1"));
        assert_eq!(plan(&text).steps[0].checks[0].limit, Number::new(value), "{measure}");
    }
}

#[test]
fn blue_green_is_tested_for_hold_and_the_old_release_stays_for_settle() {
    let blue_green = |hold: &str| format!("[environment.strategy]\nkind = \"blue-green\"\n{hold}{CHECKS}");
    let tested = plan(&blue_green("hold = \"5m\"\n"));
    assert_eq!(shape(&tested), [(0, 300, vec!["errors", "slow"]), (100, 90, vec!["errors"])]);
    assert_eq!(shape(&plan(&blue_green(""))), [(100, 90, vec!["errors"])]);
}

#[test]
fn rolling_is_the_default_and_may_be_written_both_ways() {
    for text in ["", "strategy = \"rolling\"\n", "[environment.strategy]\nkind = \"rolling\"\n"] {
        assert_eq!(strategy(text), Strategy::Rolling, "{text}");
    }
}

#[test]
fn what_does_not_fit_together_is_reported_all_at_once() {
    assert_faults("strategy = \"canary\"\n", &[("LS0124", "canary")]);
    assert_faults("[environment.strategy]\nkind = \"canary\"\n", &[("LS0124", "[environment.strategy]")]);
    let rolling = format!("[environment.strategy]\nkind = \"rolling\"\n{}", step("weight = 5"));
    let faults = check(&file(&rolling), "f").unwrap_err();
    assert_eq!((faults.len(), faults[0].code.to_string().as_str(), faults[0].line), (1, "LS0124", 8));
    let blue = format!("[environment.strategy]\nkind = \"blue-green\"\n{}", step("weight = 5"));
    assert_eq!(check(&file(&blue), "f").unwrap_err()[0].code.to_string(), "LS0124");
    let steps = [
        step("weight = 50"),
        step("weight = 50\nchecks = [\"erors\"]"),
        step("weight = 101\nhold = \"5min\""),
        step("hold = \"5m\""),
    ];
    let faults = assert_faults(
        &canary(&steps.concat()),
        &[
            ("LS0124", "50"),
            ("LS0108", "erors"),
            ("LS0109", "101"),
            ("LS0109", "5min"),
            ("LS0104", "[[environment.strategy.step]]"),
        ],
    );
    assert_eq!(faults[1].suggestion.as_deref(), Some("errors"));
    assert!(faults[0].message.contains("is not above that of the step before, 50"), "{}", faults[0]);
}

#[test]
fn a_check_says_what_it_allows_in_its_unit() {
    let one = |lines: &str| {
        canary(&step("weight = 5")).replace(CHECKS, &format!("[[environment.strategy.check]]\n{lines}\n"))
    };
    let faults = assert_faults(
        &one("name = \"a\"\nmeasure = \"error_rat\"\nlimit = 5\non_unknown = \"ignore\""),
        &[("LS0107", "error_rat"), ("LS0103", "5"), ("LS0107", "ignore")],
    );
    assert_eq!(faults[0].suggestion.as_deref(), Some("error_rate"));
    let faults = assert_faults(
        &one("name = \"a\"\nmeasure = \"error_rate\"\nlimit = \"5\"\nincrease = \"-1%\""),
        &[("LS0109", "5"), ("LS0109", "-1%")],
    );
    assert_eq!(faults[0].suggestion.as_deref(), Some("5%"));
    assert_faults(&one("name = \"a\"\nmeasure = \"latency_p99\"\nlimit = \"5%\""), &[("LS0109", "5%")]);
    assert_faults(&one("name = \"a\"\nmeasure = \"requests\"\nlimit = \"1e5\""), &[("LS0109", "1e5")]);
    assert_faults(
        &one("name = \"a\"\nmeasure = \"latency_p100\"\nlimit = \"1s\""),
        &[("LS0107", "latency_p100")],
    );
    assert_faults(&one("name = \"a\"\nmeasure = \"error_rate\""), &[("LS0124", "a")]);
    let tolerates = "name = \"a\"\nmeasure = \"error_rate\"\nlimit = \"1%\"\ntolerate = \"1%\"";
    assert_faults(&one(tolerates), &[("LS0124", "1%")]);
    assert_faults(&one("name = \"A b\"\nmeasure = \"requests\"\nlimit = \"1\""), &[("LS0105", "A b")]);
    let twice = one("name = \"a\"\nmeasure = \"requests\"\nlimit = \"1\"");
    let twice = format!(
        "{twice}[[environment.strategy.check]]\nname = \"a\"\nmeasure = \"requests\"\nlimit = \"1\"\n"
    );
    assert_faults(&twice, &[("LS0106", "a")]);
    let many = (0..21).map(|n| {
        format!("[[environment.strategy.check]]\nname = \"c{n}\"\nmeasure = \"requests\"\nlimit = \"1\"\n")
    });
    let many: String = many.collect();
    let faults = check(&file(&canary(&step("weight = 5")).replace(CHECKS, &many)), "f").unwrap_err();
    assert!(faults.len() == 1 && faults[0].message.contains("20 at most"), "{faults:?}");
}
