//! The binaries in the surroundings that the template gives them: each starts with its environment, and what sweep logs
//! is what the alarm counts.

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;

use jiff::SignedDuration;
use longshore_aws::DynamoJournal;
use longshore_frame::lambda::{PlatformClock, routes};
use longshore_ports::journal::Commit;
use longshore_ports::{Clock as _, Journal as _};
use serde_json::{Value, json};

use crate::blocks::binaries;
use crate::deployed::push;
use crate::rules::rule_queues;
use crate::sandbox::Sandbox;
use crate::stack::{NAME, Stack, ask, logical, root, transformed};

/// Where a layer's files are in a function.
const LAYER: &str = "/opt/";

/// What the template tells a function, and what the platform does; no other variable is set. A layer's file is taken from
/// the folder that the layer is made of.
fn environment(stack: &Stack, function: &str) -> Vec<(&'static str, String)> {
    let found = stack.found(&logical(function));
    let told = found["Environment"]["Variables"].as_object().unwrap();
    let value = |(name, value): (&String, &Value)| {
        let value = value.as_str().unwrap();
        let file = value.strip_prefix(LAYER).map(|file| root().join("infra/sam/config").join(file));
        let value = file.map_or(value.to_owned(), |file| file.display().to_string());
        (&*name.clone().leak(), value)
    };
    let platform = [
        ("AWS_REGION", "eu-west-1".to_owned()),
        ("AWS_ACCESS_KEY_ID", "AKIATEST".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "secret".to_owned()),
        ("AWS_SESSION_TOKEN", "session".to_owned()),
        ("AWS_ENDPOINT_URL", format!("http://{}", stack.moto.address)),
    ];
    told.iter().map(value).chain(platform).collect()
}

/// Rules whose targets are functions make moto's bus fail: they get queues.
#[test]
fn each_function_starts_with_what_the_template_tells_it_and_sweep_says_what_is_owed() {
    let stack = Stack::deploy();
    ask(rule_queues(&stack, NAME));
    for function in binaries().keys() {
        // It returns once the function asks for its first invocation.
        drop(Sandbox::start(function, &environment(&stack, function)));
    }
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("sweep.log");
    let file = std::fs::File::create(&log).unwrap();
    let mut sweep = Sandbox::logging("sweep", &environment(&stack, "sweep"), Stdio::from(file));
    assert_eq!(sweep.invoke(&json!({})).unwrap(), json!({ "owed": 0, "due": 0 }));
    assert_eq!(counted(&log), [0]);
    owe(&stack);
    assert_eq!(sweep.invoke(&json!({})).unwrap(), json!({ "owed": 2, "due": 0 }));
    assert_eq!(counted(&log), [0, 2]);
}

/// A push from a minute ago, which nobody has taken.
fn owe(stack: &Stack) {
    let journal = DynamoJournal::new(&stack.aws, stack.names(), routes(), Arc::new(PlatformClock));
    let at = PlatformClock.now() - SignedDuration::from_mins(1);
    ask(journal.commit(&Commit { at, events: vec![push()], ..Commit::default() })).unwrap();
}

/// What the template's metric filter counts in a log: the value of each line that fits its pattern.
fn counted(log: &Path) -> Vec<u64> {
    let template = transformed();
    let filter = &template["Resources"]["Owed"]["Properties"];
    let pattern = filter["FilterPattern"].as_str().unwrap();
    let (wanted, word) = equality(pattern);
    let value = filter["MetricTransformations"][0]["MetricValue"].as_str().unwrap();
    let text = std::fs::read_to_string(log).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let fit = lines.filter(|line| line.pointer(&pointer(wanted)).is_some_and(|found| found == word));
    // CloudWatch counts what is a number, and nothing of a line without one.
    fit.map(|line| line.pointer(&pointer(value)).and_then(Value::as_u64).unwrap()).collect()
}

/// The selector and the text of a pattern `{ $.a.b = "text" }`.
fn equality(pattern: &str) -> (&str, &str) {
    let inner = pattern.strip_prefix("{ ").unwrap().strip_suffix("\" }").unwrap();
    inner.split_once(" = \"").unwrap()
}

/// The JSON pointer of a selector `$.a.b`.
fn pointer(selector: &str) -> String {
    selector.strip_prefix('$').unwrap().replace('.', "/")
}
