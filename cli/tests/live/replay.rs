//! The decisions of a real push, made once more by what the journal kept of them.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::common;
use crate::stage::Stage;

/// `longshore replay … --output json`: its exit status and what it says.
fn replay(stage: &Stage, words: &[&str]) -> (i32, Value) {
    let words = [&["replay"], words, &["--output", "json"]].concat();
    let output = common::longshore(&stage.folder, &words).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    (
        output.status.code().unwrap(),
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {errors}")),
    )
}

fn decisions(report: &Value) -> &Vec<Value> {
    report["decisions"].as_array().unwrap()
}

fn units(report: &Value) -> BTreeSet<String> {
    let unit = |decision: &Value| {
        format!("{}/{}", decision["function"].as_str().unwrap(), decision["unit"].as_str().unwrap())
    };
    decisions(report).iter().map(unit).collect()
}

#[test]
fn a_rollout_is_decided_the_same_by_its_configuration_and_otherwise_by_another() {
    let stage = Stage::set(1, "");
    let first = stage.push(0, 0);
    stage.runs(&first.commit);
    let second = stage.push(0, 1);
    stage.runs(&second.commit);

    let (status, same) = replay(&stage, &["s0"]);
    assert_eq!((status, &same["different"], &same["not_replayable"]), (0, &0.into(), &0.into()), "{same}");
    let build = format!("build/s0@{}", second.commit);
    let all = ["deploy/live/s0", &build, "refcheck/acme/s0"].map(str::to_owned);
    assert!(units(&same).is_superset(&BTreeSet::from(all)), "{:?}", units(&same));
    let times: Vec<_> = decisions(&same).iter().map(|decision| decision["at"].as_str().unwrap()).collect();
    assert!(times.is_sorted() && times.len() >= 8, "{times:?}");
    let said = String::from_utf8(stage.longshore(&["replay", &second.commit[..8]]).stdout).unwrap();
    assert!(said.contains("same: says deployment.started; 1 effect; holds the lease"), "{said}");
    assert!(said.contains("decisions were made once more: none differs"), "{said}");

    let (status, before) = replay(&stage, &[&first.commit]);
    assert_eq!((status, &before["not_replayable"]), (0, &0.into()), "{before}");
    let is_start = |fact: &Value| fact["type"] == "dev.longshore.deployment.started.v1";
    let facts = |decision: &Value| decision["then"]["facts"].as_array().unwrap().clone();
    assert_eq!(decisions(&before).iter().flat_map(facts).filter(is_start).count(), 1, "one change alone");
    assert!(!units(&before).contains(&build), "{:?}", units(&before));

    let text = std::fs::read_to_string(stage.folder.join("longshore.toml")).unwrap();
    let slower = text.replace("settle = \"200ms\"", "settle = \"1m\"");
    std::fs::write(stage.folder.join("slower.toml"), slower).unwrap();
    let (status, other) = replay(&stage, &["s0", "--config", "slower.toml"]);
    let differ: Vec<_> = decisions(&other).iter().filter(|decision| decision["differs"] == true).collect();
    assert!(status == 1 && other["different"] == differ.len() && !differ.is_empty(), "{other}");
    for decision in &differ {
        assert_eq!(decision["function"], "deploy", "only what settles is decided otherwise: {decision}");
    }
    let ends = |decision: &&&Value| decision["then"]["state"]["rollout"]["stage"] == "finish";
    let end = differ.iter().find(ends).unwrap();
    let stays = &end["now"];
    assert_eq!(
        (&stays["state"]["rollout"]["stage"], &stays["effects"]),
        (&"shift".into(), &Value::Array(vec![]))
    );
    let output =
        common::longshore(&stage.folder, &["replay", "deploy/live/s0", "-c", "slower.toml"]).output();
    let shown = String::from_utf8(output.unwrap().stdout).unwrap();
    assert!(shown.contains("state.rollout.stage: \"finish\" is now \"shift\""), "{shown}");

    let (status, last) = replay(&stage, &["deploy/live/s0", "--limit", "3"]);
    assert_eq!((status, decisions(&last).len(), units(&last).len()), (0, 3, 1), "{last}");
    let unknown = common::longshore(&stage.folder, &["replay", "s9"]).output().unwrap();
    let why = String::from_utf8(unknown.stderr).unwrap();
    assert!(unknown.status.code() == Some(1) && why.contains("is no unit"), "{why}");
}
