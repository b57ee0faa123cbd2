//! A canary under real traffic: what measures good goes on step by step, what measures bad goes back and stays out.

use std::time::{Duration, Instant};

use longshore_cli::demo::facts::Fate;
use longshore_events::types::{DeploymentAdvanced, Verdict, VerificationFinished};
use longshore_events::{Event, Fact};

use crate::client::{self, Client};
use crate::stage::{Stage, eventually};

const CANARY: &str = r#"
[environment.strategy]
kind = "canary"
hold = "2s"
patience = "20s"
[[environment.strategy.step]]
weight = 20
[[environment.strategy.step]]
weight = 60
[[environment.strategy.rollback]]
weight = 5
hold = "500ms"
[[environment.strategy.check]]
name = "errors"
measure = "error_rate"
limit = "10%"
increase = "50%"
tolerate = "2%"
min_requests = 10
[[environment.strategy.check]]
name = "slow"
measure = "latency_p95"
limit = "5s"
min_requests = 10
"#;

const SHOP: &str = "s0.live.localhost";

fn facts<F: Fact>(events: &[Event]) -> Vec<F> {
    events.iter().filter_map(|event| F::from_data(&event.data)).cloned().collect()
}

fn refusal(stage: &Stage, commit: &str) -> String {
    let mut why = String::new();
    eventually(&format!("{commit} is refused"), || match stage.facts().fate(commit) {
        Some(Fate::Refused(reason)) => {
            why = reason;
            true
        }
        _ => false,
    });
    why
}

#[test]
fn a_good_release_goes_to_all_traffic_by_steps_and_a_bad_one_is_taken_back_by_measurement_and_stays_out() {
    let stage = Stage::set(1, CANARY);
    let first = stage.push(0, 0);
    stage.runs(&first.commit);
    assert_eq!(stage.answer("s0"), Some(first.commit), "a first release has all the traffic at once");
    let client =
        || Client::start(stage.host.ready.proxy, SHOP.into(), Instant::now(), Duration::from_millis(5));
    let clients = [client(), client()];

    let good = stage.push(0, 1);
    stage.runs(&good.commit);
    let events = stage.host.events();
    let weights: Vec<_> = facts::<DeploymentAdvanced>(&events).iter().map(|fact| fact.weight).collect();
    assert!(weights.ends_with(&[20, 60, 100]), "{weights:?}");
    let found = facts::<VerificationFinished>(&events);
    let seen: Vec<_> = found.iter().map(|fact| (fact.weight, fact.verdict)).collect();
    assert_eq!(seen, [(20, Verdict::Pass), (60, Verdict::Pass)]);
    for fact in &found {
        let errors = &fact.checks[0];
        assert_eq!(errors.value.map(longshore_events::Number::get), Some(0.0), "{fact:?}");
        assert!(errors.requests >= Some(10) && errors.running_requests >= Some(10), "{fact:?}");
        assert!(fact.checks[1].value.is_some_and(|ms| ms.get() > 0.0), "{fact:?}");
    }
    assert_eq!(stage.answer("s0"), Some(good.commit.clone()));

    let bad = stage.push_erring(0, 2);
    let why = refusal(&stage, &bad.commit);
    assert!(why.starts_with("it measured bad at 20 %: errors: error_rate is 100 %"), "{why}");
    for _ in 0..50 {
        let answer = client::ask(stage.host.ready.proxy, SHOP).ok();
        assert_eq!(answer.as_ref(), Some(&good.commit), "all traffic is where it was");
    }
    let events = stage.host.events();
    let weights: Vec<_> = facts::<DeploymentAdvanced>(&events).iter().map(|fact| fact.weight).collect();
    assert!(weights.ends_with(&[20, 5]), "it gave its traffic back by degrees: {weights:?}");
    let found = facts::<VerificationFinished>(&events).pop().unwrap();
    assert_eq!((found.weight, found.verdict, found.checks[0].verdict), (20, Verdict::Fail, Verdict::Fail));

    let again = stage.push_erring(0, 3);
    let why = refusal(&stage, &again.commit);
    assert!(why.contains("quarantined: it measured bad at 20 %"), "{why}");
    assert_eq!(facts::<VerificationFinished>(&stage.host.events()).len(), 3, "it had no traffic again");
    assert_eq!(client::ask(stage.host.ready.proxy, SHOP).ok(), Some(good.commit));

    let timeline = String::from_utf8(stage.longshore(&["timeline", &bad.commit]).stdout).unwrap();
    assert!(timeline.contains("step 2, 20 % of the traffic"), "{timeline}");
    let evidence = timeline.lines().find(|line| line.contains("verification.finished")).unwrap();
    assert!(
        evidence.contains("measured bad: errors 100 % of ") && evidence.contains("running 0 %"),
        "{evidence}"
    );
    let replayed = String::from_utf8(stage.longshore(&["replay", "s0"]).stdout).unwrap();
    assert!(replayed.contains("none differs"), "{replayed}");
    drop(clients);
}
