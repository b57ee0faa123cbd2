//! The command line against a stack: `--host aws:<stack>`, with the console behind its function URL.

use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use longshore_events::{Data, types::RequestKind};
use longshore_ports::Journal as _;
use longshore_ports::journal::{Commit, DecisionRow, UnitRow, UnitWrite};
use serde_json::{Value, json};

use crate::runner::Runner;
use crate::sandbox::program;
use crate::stage::{Stage, ask};
use crate::url::url_of;

/// A stage whose console is served, and which has a stack.
fn served() -> Stage {
    let stage = Stage::open();
    let console = Arc::new(Mutex::new(stage.start("console")));
    let url = url_of(move |payload| Some(console.lock().unwrap().invoke(payload).unwrap()));
    let intake = Arc::new(Mutex::new(stage.start("intake")));
    let hooks = url_of(move |payload| Some(intake.lock().unwrap().invoke(payload).unwrap()));
    let outputs = [("ConsoleUrl", &*url), ("IntakeUrl", &*hooks), ("SecretName", "longshore")];
    stage.stack("longshore", &outputs);
    stage.stack("hookless", &[outputs[0], outputs[2]]);
    stage
}

/// What `longshore --host aws:<stack>` said.
struct Said {
    good: bool,
    stdout: String,
    stderr: String,
}

impl Said {
    fn json(&self) -> Value {
        assert!(self.good, "{}", self.stderr);
        serde_json::from_str(&self.stdout).unwrap()
    }

    fn text(self) -> String {
        assert!(self.good, "{}", self.stderr);
        self.stdout
    }

    fn refused(self) -> String {
        assert!(!self.good, "{}", self.stdout);
        self.stderr
    }
}

fn with(stage: &Stage, words: &[&str], variables: &[(&str, &str)]) -> Said {
    let aws = stage.variables().into_iter().filter(|(name, _)| name.starts_with("AWS_"));
    let given = variables.iter().map(|(name, value)| (*name, (*value).to_owned()));
    let all: Vec<_> =
        [("LONGSHORE_HOST", "aws:longshore".to_owned())].into_iter().chain(aws).chain(given).collect();
    let output = program("longshore", &all).args(words).current_dir(&stage.folder).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Said { good: output.status.success(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

fn longshore(stage: &Stage, words: &[&str]) -> Said {
    with(stage, words, &[])
}

fn asks(stage: &Stage, words: &[&str]) -> Value {
    longshore(stage, &[words, &["--output", "json"]].concat()).json()
}

#[test]
fn a_rollout_on_the_stack_is_seen_and_taken_back() {
    let stage = served();
    let _runner = Runner::start(&stage);
    let empty = asks(&stage, &["status"]);
    assert_eq!(empty["environments"][0]["services"][0]["name"], "shop");
    assert_eq!((&empty["work"]["deliveries"], &empty["host"]), (&json!(0), &Value::Null));

    let image = stage.keep(&stage.gate());
    assert_eq!(asks(&stage, &["status"])["work"]["deliveries"], 1);
    let mut deploy = stage.start("deploy");
    deploy.invoke(&stage.gate()).unwrap();
    let status = asks(&stage, &["status"]);
    let service = &status["environments"][0]["services"][0];
    assert_eq!(service["rollout"]["deployment"], "prod/shop/1", "{status}");
    assert_eq!(service["releases"][0]["commit"], *stage.tip);
    assert!(longshore(&stage, &["status"]).text().contains("shop"));

    let by_service = asks(&stage, &["timeline", "shop"]);
    assert_eq!(by_service["chain"], image.link.chain.as_str());
    let kinds = by_service["entries"].as_array().unwrap().iter().map(|entry| entry["kind"].as_str().unwrap());
    assert_eq!(
        kinds.collect::<Vec<_>>(),
        ["dev.longshore.gate.evaluated.v1", "dev.longshore.deployment.started.v1"]
    );
    assert_eq!(asks(&stage, &["timeline", &stage.tip[..7]]), by_service);
    assert_eq!(asks(&stage, &["timeline", "--chain", by_service["chain"].as_str().unwrap()]), by_service);
    assert!(longshore(&stage, &["timeline", "shop"]).text().contains("deployment.started"));

    let why = ["--why", "it is slow"];
    let asked = asks(&stage, &[&["rollback", "shop"], &why[..]].concat());
    let requests = stage.events("request.made");
    let Data::RequestMade(request) = &requests[0].data else { panic!("{requests:?}") };
    assert_eq!((request.what, &*request.target), (RequestKind::RollBack, "prod/shop"));
    assert_eq!(asked["id"], requests[0].id.as_str());
    let detail = stage.bus().into_iter().map(|message| message["detail"]["id"].clone()).next_back();
    assert_eq!(detail.as_ref(), Some(&asked["id"]), "the bus was told");
    assert!(stage.opened("deploy", "prod/shop", &requests[0].id).owed);
    let unknown = longshore(&stage, &["rollback", "sohp"]).refused();
    assert!(unknown.contains("there is no service sohp"), "{unknown}");
}

#[test]
fn decisions_on_the_stack_are_made_once_more_and_those_of_an_older_release_are_named() {
    let stage = served();
    let _runner = Runner::start(&stage);
    stage.keep(&stage.gate());
    stage.start("deploy").invoke(&stage.gate()).unwrap();
    let same = asks(&stage, &["replay", "shop"]);
    assert!(same["replayed"].as_u64() >= Some(2), "{same}");
    assert_eq!((&same["different"], &same["not_replayable"]), (&json!(0), &json!(0)), "{same}");
    assert_eq!(asks(&stage, &["replay", "deploy/prod/shop"])["decisions"], same["decisions"]);

    let text = std::fs::read_to_string(stage.path("longshore.toml")).unwrap();
    std::fs::write(stage.path("patient.toml"), text.replace("settle = ", "deadline = \"77s\"\nsettle = "))
        .unwrap();
    let other = longshore(&stage, &["replay", "shop", "--config", "patient.toml"]);
    assert!(!other.good && other.stdout.contains("state.rollout.deadline"), "{}", other.stdout);

    let (seen, cause) = (r#"{"tip":null,"unchanged":null,"status":null}"#, "woken".into());
    let (function, unit, at) = ("build".to_owned(), format!("shop@{}", stage.tip), Timestamp::UNIX_EPOCH);
    let name = format!("{function}/{unit}");
    let older = DecisionRow { function, unit, version: 1, at, cause, seen: seen.into(), record: None };
    decided(&stage, &older);
    let said = longshore(&stage, &["replay", &name]);
    let why = "not replayable: it was made by an older release";
    assert!(!said.good && said.stdout.contains(why), "{}", said.stdout);
    // What is long lies in Blobs.
    let record = r#"{"before":{"whole":"{}"},"after":SUM,"cause":"woken","lease":"none","facts":0}"#;
    let place = |text: &str| json!({ "blob": stage.blob(text) }).to_string();
    let record = Some(place(&record.replace("SUM", "12654820612467218004")));
    decided(&stage, &DecisionRow { version: 2, seen: place(seen), record, ..older });
    let said = longshore(&stage, &["replay", &name]).text();
    assert!(said.contains("1 decision was made once more: none differs"), "{said}");
    assert!(said.contains(why) && said.contains("1 cannot be replayed"), "{said}");
}

/// Commits a decision that changes nothing of its unit.
fn decided(stage: &Stage, decision: &DecisionRow) {
    let DecisionRow { function, unit, version, at, .. } = decision.clone();
    let row = UnitRow { version, state: "{}".into(), ..UnitRow::default() };
    let write = UnitWrite { function, unit, read_version: version - 1, read_marks: 0, row };
    let decision = Some(decision.clone());
    ask(stage.journal.commit(&Commit { at, unit: Some(write), decision, ..Commit::default() })).unwrap();
}

#[test]
fn a_stop_is_a_switch_until_it_is_taken_back() {
    let stage = served();
    asks(&stage, &["stop", "--env", "prod"]);
    assert_eq!(asks(&stage, &["status"])["stopped"], json!(["prod"]));
    asks(&stage, &["resume", "--env", "prod"]);
    assert_eq!(asks(&stage, &["status"])["stopped"], json!([]));
    let unknown = longshore(&stage, &["stop", "--env", "porod"]).refused();
    assert!(unknown.contains("prod") && unknown.contains("LS0210"), "{unknown}");
}

#[test]
fn events_are_listed_and_shown_and_the_log_of_a_build_comes_from_blobs() {
    let stage = served();
    let push = stage.keep(&stage.push());
    let built = stage.keep(&json!({
        "specversion": "1.0", "id": "build/1", "source": "longshore/build", "subject": "shop",
        "type": "dev.longshore.build.finished.v1", "time": "2026-11-24T08:00:10Z", "chainid": push.id.as_str(),
        "data": { "service": "shop", "repo": "acme/shop", "commit": stage.tip, "builder": "packer",
                  "outcome": "failed", "reason": "no", "logs_ref": stage.blob("first\nsecond\n") },
    }));
    let all = asks(&stage, &["events", "list"]);
    let ids: Vec<_> = all["events"].as_array().unwrap().iter().map(|entry| &entry["event"]["id"]).collect();
    assert_eq!(ids, [push.id.as_str(), built.id.as_str()]);
    let builds = asks(&stage, &["events", "list", "--type", "build.finished", "--subject", "shop"]);
    assert_eq!(builds["events"].as_array().unwrap().len(), 1);
    assert_eq!(longshore(&stage, &["events", "show", built.id.as_str()]).json()["data"]["reason"], "no");
    let none = longshore(&stage, &["events", "show", "nothing/such"]).refused();
    assert!(none.contains("there is no event nothing/such"), "{none}");

    assert_eq!(longshore(&stage, &["logs", "shop", "--build"]).text(), "first\nsecond\n");
    let here = longshore(&stage, &["logs", "shop"]).refused();
    assert!(here.contains("the log of prod/shop") && here.contains("LS0305"), "{here}");
    std::fs::write(stage.path("bad.toml"), "[[enviroment]]\n").unwrap();
    assert!(with(&stage, &["check", "bad.toml"], &[]).refused().contains("LS0102"), "check asks nobody");
}

#[test]
fn an_event_is_sent_to_the_stack_by_whoever_holds_its_token() {
    let stage = served();
    let push = stage.push();
    std::fs::write(stage.path("push.json"), push.to_string()).unwrap();
    let sent = || longshore(&stage, &["events", "send", "push.json"]).json();
    assert_eq!((sent(), sent()), (json!({ "accepted": ["push/1"] }), json!({ "accepted": ["push/1"] })));
    let kept = stage.events("push.received");
    assert_eq!((kept.len(), kept[0].source.as_str()), (1, "github/acme/shop"), "twice is once");
    assert!(stage.opened("build", "any", &kept[0].id).owed);

    let guessed = with(&stage, &["events", "send", "push.json"], &[("LONGSHORE_TOKEN", "guess")]).refused();
    assert!(guessed.contains("LS0203"), "{guessed}");
    stage.rotate("newer");
    assert!(longshore(&stage, &["events", "send", "push.json"]).good);
    let mut own = push.clone();
    (own["id"], own["type"]) = (json!("push/2"), json!("dev.longshore.build.started.v1"));
    std::fs::write(stage.path("own.json"), own.to_string()).unwrap();
    let own = longshore(&stage, &["events", "send", "own.json"]).refused();
    assert!(own.contains("dev.longshore.build.started.v1"), "{own}");
    let older = longshore(&stage, &["events", "send", "push.json", "--host", "aws:hookless"]).refused();
    assert!(older.contains("no output IntakeUrl") && older.contains("LS0503"), "{older}");
    assert_eq!(stage.events("push.received").len() + stage.events("build.started").len(), 1);
}

#[test]
fn a_dead_letter_is_sent_again_once() {
    let stage = served();
    let push = stage.keep(&stage.push());
    let dead = |id: &str, original: Value| {
        stage.keep(&json!({
            "specversion": "1.0", "id": id, "source": "longshore/build", "subject": "build",
            "type": "dev.longshore.event.deadlettered.v1", "time": "2026-11-24T08:00:10Z",
            "data": { "original": original, "function": "build", "unit": "shop", "error": "no", "attempts": 5 },
        }))
    };
    let letter = dead("build/dead", json!(push.id.as_str()));
    let first = asks(&stage, &["events", "redrive", letter.id.as_str()]);
    let second = asks(&stage, &["events", "redrive", letter.id.as_str()]);
    assert_eq!((&first["new"], &second["new"], &first["id"]), (&json!(true), &json!(false), &second["id"]));
    let pushes = stage.events("push.received");
    let [original, again] = pushes.as_slice() else { panic!("{pushes:?}") };
    assert_eq!((again.id.as_str(), &again.data), (first["id"].as_str().unwrap(), &original.data));
    assert_eq!((&again.link.chain, again.link.cause.as_ref()), (&original.link.chain, Some(&letter.id)));
    let unit = format!("shop@{}", stage.tip);
    let envelope =
        json!({ "detail-type": "x", "detail": serde_json::from_str::<Value>(&again.to_json()).unwrap() });
    let mut build = stage.start("build");
    build.invoke(&envelope).unwrap();
    assert_eq!(stage.opened("build", &unit, &again.id).receipts, [unit], "build takes it");

    let other = longshore(&stage, &["events", "redrive", push.id.as_str()]).refused();
    assert!(other.contains("no dead letter") && other.contains("LS0302"), "{other}");
    let nothing = dead("build/dead-work", Value::Null);
    let nothing = longshore(&stage, &["events", "redrive", nothing.id.as_str()]).refused();
    assert!(nothing.contains("LS0303"), "{nothing}");
}

#[test]
fn the_token_before_stays_valid_until_the_one_after_the_next() {
    let stage = served();
    let by = |token: &str| with(&stage, &["status"], &[("LONGSHORE_TOKEN", token)]);
    assert!(by("guess").refused().contains("LS0301"));
    stage.rotate("newer");
    assert!(by("the-token").good && by("newer").good && longshore(&stage, &["status"]).good);
    stage.rotate("newest");
    assert!(by("the-token").refused().contains("LS0301"));
}

#[test]
fn what_is_wrong_with_a_stack_is_said_with_its_code() {
    let stage = served();
    stage.stack("older", &[("ConsoleUrl", "http://127.0.0.1:9")]);
    stage.stack("silent", &[("ConsoleUrl", "http://127.0.0.1:9"), ("SecretName", "longshore")]);
    stage.stack("secretless", &[("ConsoleUrl", "http://127.0.0.1:9"), ("SecretName", "nowhere")]);
    stage.secret("others", &[("github", "s")]);
    stage.stack("tokenless", &[("ConsoleUrl", "http://127.0.0.1:9"), ("SecretName", "others")]);
    for (host, text, code) in [
        ("aws:nothing", "no stack nothing in eu-west-1", "LS0501"),
        ("aws:no/name", "no name of a stack", "LS0501"),
        ("aws:older", "no output SecretName", "LS0503"),
        ("aws:secretless", "the secret nowhere is not in eu-west-1", "LS0604"),
        ("aws:tokenless", "none of the name \"token\"", "LS0504"),
        ("aws:silent", "does not answer", "the stack silent"),
    ] {
        let said = longshore(&stage, &["status", "--host", host]).refused();
        assert!(said.contains(text) && said.contains(code), "{host}: {said}");
    }
    let without = with(&stage, &["status"], &[("AWS_ACCESS_KEY_ID", "")]).refused();
    assert!(without.contains("LS0505"), "{without}");
    let nobody = [("AWS_ENDPOINT_URL", "http://127.0.0.1:9")];
    assert!(with(&stage, &["status"], &nobody).refused().contains("LS0612"));
    assert!(longshore(&stage, &["down"]).refused().contains("only a host on one machine"));
}

#[test]
fn keys_and_region_come_from_the_profile_where_the_environment_has_none() {
    let stage = served();
    let credentials = "[work]\naws_access_key_id = AKIATEST\naws_secret_access_key = secret\n";
    std::fs::create_dir(stage.path(".aws")).unwrap();
    std::fs::write(stage.path(".aws/credentials"), credentials).unwrap();
    std::fs::write(stage.path(".aws/config"), "[profile work]\nregion = eu-west-1\n").unwrap();
    let home = stage.path("").display().to_string();
    let none =
        [("AWS_ACCESS_KEY_ID", ""), ("AWS_SECRET_ACCESS_KEY", ""), ("AWS_REGION", ""), ("HOME", &home)];
    let work = [&none[..], &[("AWS_PROFILE", "work")]].concat();
    assert!(with(&stage, &["status"], &work).good);
    assert!(with(&stage, &["status"], &none).refused().contains("profile default"));
}
