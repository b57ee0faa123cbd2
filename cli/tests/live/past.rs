//! A release that brings a migration: it gets no share of the traffic that could not be taken back, nothing goes back past it,
//! neither when somebody asks nor when it measures bad, and a fix begins from it.

use std::time::{Duration, Instant};

use longshore_events::types::{DeploymentAdvanced, DeploymentFinished, DeploymentOutcome, DigestQuarantined};
use longshore_events::{Event, Fact};

use crate::client::Client;
use crate::stage::{Said, Stage, eventually};

const STRATEGY: &str = r#"
[environment.strategy]
kind = "canary"
hold = "1s"
patience = "20s"
[[environment.strategy.step]]
weight = 50
[[environment.strategy.step]]
weight = 100
[[environment.strategy.rollback]]
weight = 10
[[environment.strategy.check]]
name = "errors"
measure = "error_rate"
limit = "10%"
min_requests = 10
"#;

fn facts<F: Fact>(events: &[Event]) -> Vec<F> {
    events.iter().filter_map(|event| F::from_data(&event.data)).cloned().collect()
}

/// The shares that the newest deployment got.
fn weights(stage: &Stage) -> Vec<u8> {
    let facts = facts::<DeploymentAdvanced>(&stage.host.events());
    let newest = facts.last().map(|fact| fact.deployment.clone());
    facts.iter().filter(|fact| Some(&fact.deployment) == newest.as_ref()).map(|fact| fact.weight).collect()
}

/// The commit that has the traffic.
fn running(stage: &Stage) -> Option<String> {
    stage.host.status().environments[0].services[0].running()?.commit.clone()
}

fn migrate(stage: &Stage, name: &str) {
    let folder = stage.forge.work(0).join("migrations");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(name), "ALTER TABLE ships DROP COLUMN name;").unwrap();
}

#[test]
fn nothing_goes_back_past_a_migration_neither_when_asked_nor_when_it_measures_bad() {
    let stage = Stage::set_with(1, "no_rollback_past = [\"migrations/**\"]", STRATEGY);
    let token = std::fs::read_to_string(&stage.host.ready.token_file).unwrap();
    let roll_back =
        || -> Said { stage.as_person(token.trim(), &["rollback", "live/s0", "--why", "it is slow"]) };
    let first = stage.push(0, 0);
    stage.runs(&first.commit);
    let proxy = stage.host.ready.proxy;
    let client =
        || Client::start(proxy, "s0.live.localhost".into(), Instant::now(), Duration::from_millis(5));
    let clients = [client(), client()];

    migrate(&stage, "1.sql");
    let migrating = stage.push(0, 1);
    stage.runs(&migrating.commit);
    assert_eq!(weights(&stage), [100], "a share could not be taken back");
    let said = roll_back();
    let why =
        format!("live/s0 cannot go back: {} declares no_rollback_past; fix forward", &migrating.commit[..12]);
    assert!(!said.good && said.text.contains("LS0220") && said.text.contains(&why), "{}", said.text);
    assert_eq!(stage.answer("s0"), Some(migrating.commit.clone()));

    migrate(&stage, "2.sql");
    let bad = stage.push_erring(0, 2);
    let mut end: Option<DeploymentFinished> = None;
    eventually("it is left as it is", || {
        let ended = facts::<DeploymentFinished>(&stage.host.events());
        end = ended.into_iter().find(|fact| fact.commit.as_ref().is_some_and(|of| of.as_str() == bad.commit));
        end.is_some()
    });
    let (outcome, failure) = end.map(|end| (end.outcome, end.failure.unwrap_or_default())).unwrap();
    assert_eq!(outcome, DeploymentOutcome::Superseded, "it proves nothing");
    let measured = "left as it is: it measured bad at 100 %: errors: error_rate is 100 %";
    assert!(
        failure.starts_with(measured) && failure.ends_with("declares no_rollback_past: fix forward"),
        "{failure}"
    );
    assert_eq!(weights(&stage), [100], "nor does it go back by degrees");
    assert_eq!(running(&stage), Some(bad.commit.clone()));
    let quarantined = facts::<DigestQuarantined>(&stage.host.events());
    assert!(quarantined.len() == 1 && quarantined[0].reason.contains("measured bad"), "{quarantined:?}");
    assert!(roll_back().text.contains("LS0220"), "nor does anybody take it back");

    std::fs::remove_file(stage.forge.work(0).join("same")).unwrap();
    let fix = stage.push(0, 3);
    stage.runs(&fix.commit);
    assert_eq!(weights(&stage), [50, 100], "what can be taken back goes by steps");
    assert_eq!(stage.answer("s0"), Some(fix.commit));
    drop(clients);
}
