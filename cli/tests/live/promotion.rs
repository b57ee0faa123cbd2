//! From one environment into the next: the same digest, once people have said so; what was taken back stays out, until
//! somebody lifts that.

use longshore_events::Data;
use longshore_events::types::{DeploymentOutcome, Verdict};
use serde_json::Value;

use crate::client;
use crate::stage::{Stage, eventually};

const PRODUCTION: &str = r#"
[[environment]]
name = "production"
services = ["s0"]
after = "live"
soak = "1s"
deadline = "4s"
settle = "200ms"
[environment.gate]
requires = ["approval"]
[[person]]
name = "ann"
[[person]]
name = "rose"
logins = ["test"]
"#;
const TOKENS: [(&str, &str); 2] = [("ann", "the-token-of-ann"), ("rose", "the-token-of-rose")];

fn production(stage: &Stage) -> Option<String> {
    client::ask(stage.host.ready.proxy, "s0.production.localhost").ok()
}

/// The images that wait for people, by their commits.
fn waiting(stage: &Stage) -> Vec<String> {
    let output = stage.longshore(&["approve", "--output", "json"]);
    let waiting: Value = serde_json::from_slice(&output.stdout).unwrap();
    let of_soaked = |image: &&Value| image["reasons"].as_array().unwrap().len() == 1;
    let waiting = waiting["waiting"].as_array().unwrap().iter().filter(of_soaked);
    waiting.map(|image| image["commit"].as_str().unwrap().to_owned()).collect()
}

fn digest_of(stage: &Stage, commit: &str) -> String {
    stage.facts().digests().remove(commit).unwrap().pop_first().unwrap()
}

#[test]
fn what_ran_before_and_was_approved_by_another_than_its_author_is_promoted_and_taken_back_for_good() {
    let stage = Stage::set(1, PRODUCTION);
    for (name, token) in TOKENS {
        stage.keep_secret(name, token);
    }
    let [ann, rose] = TOKENS.map(|(_, token)| token);

    let first = stage.push(0, 0);
    stage.runs(&first.commit);
    eventually("the first waits for people", || waiting(&stage) == [first.commit.clone()]);
    assert_eq!(production(&stage), None, "nothing comes without a word");
    let host = std::fs::read_to_string(stage.folder.join(".longshore/token")).unwrap();
    for (token, who) in [(host.trim(), "may not approve"), ("nobody's", "LS0301")] {
        let said = stage.as_person(token, &["approve", "s0"]);
        assert!(!said.good && said.text.contains(who), "{}", said.text);
    }
    let own = stage.as_person(rose, &["approve", "s0", "--why", "it is mine"]);
    assert!(own.good, "{}", own.text);
    eventually("the author's word is heard, and does not count", || {
        let gate = |event: &longshore_events::Event| match &event.data {
            Data::GateEvaluated(gate) => {
                gate.verdict == Verdict::Unknown
                    && gate.reasons.iter().any(|why| why.contains("who pushed it"))
            }
            _ => false,
        };
        stage.facts().0.iter().any(gate)
    });
    assert!(stage.as_person(ann, &["approve", "s0", "--why", "seen"]).good);
    eventually("the first runs in production", || production(&stage).as_ref() == Some(&first.commit));

    let second = stage.push(0, 1);
    stage.runs(&second.commit);
    eventually("the second waits", || waiting(&stage) == [second.commit.clone()]);
    assert!(stage.as_person(ann, &["approve", &digest_of(&stage, &second.commit)[..19]]).good);
    eventually("the second runs in production", || production(&stage).as_ref() == Some(&second.commit));
    let built: Vec<_> =
        stage.facts().0.into_iter().filter(|event| event.kind().contains("build.finished")).collect();
    assert_eq!(built.len(), 2, "nothing is built anew for an environment");

    let back = stage.as_person(ann, &["rollback", "production/s0", "--why", "slow"]);
    assert!(back.good, "{}", back.text);
    eventually("the first is back", || production(&stage).as_ref() == Some(&first.commit));
    eventually("and it is rolled back", || {
        stage.facts().0.iter().any(|event| match &event.data {
            Data::DeploymentFinished(end) => {
                end.environment.as_str() == "production" && end.outcome == DeploymentOutcome::RolledBack
            }
            _ => false,
        })
    });
    assert_eq!(stage.answer("s0"), Some(second.commit.clone()), "the environment before goes on");

    let digest = digest_of(&stage, &second.commit);
    let released =
        stage.as_person(ann, &["release-digest", &digest, "--env", "production", "--why", "it was the disk"]);
    assert!(released.good && released.text.contains("lifted"), "{}", released.text);
    eventually("the second runs again", || production(&stage).as_ref() == Some(&second.commit));
    let digest = digest_of(&stage, &first.commit);
    eventually("it says what can be gone back to", || {
        let never = stage.as_person(ann, &["rollback", "production/s0", "--to", "abcdef123"]);
        !never.good && never.text.contains(&digest[7..19])
    });
    assert!(stage.as_person(ann, &["rollback", "production/s0", "--to", &digest]).good);
    eventually("the first is back by its name", || production(&stage).as_ref() == Some(&first.commit));
    let timeline = stage.longshore(&["timeline", &second.commit[..8]]);
    let timeline = String::from_utf8(timeline.stdout).unwrap();
    for line in ["ann approved", "ann lifted the quarantine"] {
        assert!(timeline.contains(line), "{timeline}");
    }
}
