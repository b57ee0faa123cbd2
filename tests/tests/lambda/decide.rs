//! `sweep`, `build` and `refcheck`: what is owed is found, taken once, and refused where nothing can do it.

use longshore_events::types::BuildOutcome;
use longshore_events::{Data, Takes};
use longshore_frame::Function;
use serde_json::{Value, json};

use crate::stage::{Stage, batch};

/// The sweep's messages for a function.
fn swept(answer: &Value, function: &str) -> Vec<String> {
    let of = |message: &&Value| message["function"] == function;
    let text = |message: &Value| message["message"].as_str().unwrap().to_owned();
    answer["messages"].as_array().unwrap().iter().filter(of).map(text).collect()
}

#[test]
fn the_routing_table_is_what_the_functions_take() {
    fn route<F: Function>() -> (&'static str, &'static [&'static str]) {
        (F::NAME, F::Input::KINDS)
    }
    let functions = [
        route::<longshore_build::Build>(),
        route::<longshore_deploy::Deploy>(),
        route::<longshore_intake::RefCheck>(),
    ];
    assert_eq!(longshore_frame::lambda::routes().0, functions);
}

#[test]
fn a_swept_push_is_taken_once_and_its_build_is_refused_by_name() {
    let stage = Stage::open();
    let push = stage.keep(&stage.push());
    let mut sweep = stage.start("sweep");
    let scheduled = json!({ "detail-type": "Scheduled Event", "source": "aws.events", "detail": {} });
    let found = sweep.invoke(&scheduled).unwrap();
    let messages = swept(&found, "build");
    assert_eq!((messages.len(), swept(&found, "refcheck").len()), (1, 1), "{found}");

    let mut build = stage.start("build");
    let answer = build.invoke(&batch([("m-1", messages[0].clone())])).unwrap();
    assert_eq!(answer, json!({ "batchItemFailures": [] }));
    let unit = stage.unit("build");
    assert_eq!(unit.unit, format!("shop@{}", stage.tip));
    let opened = stage.opened("build", &unit.unit, &push.id);
    assert_eq!((opened.owed, opened.receipts.len()), (false, 1));
    let ends = stage.events("build.finished");
    let Data::BuildFinished(end) = &ends[0].data else { panic!("{ends:?}") };
    assert_eq!((ends.len(), end.outcome), (1, BuildOutcome::Failed));
    assert!(end.reason.as_ref().unwrap().contains("CodeBuild is missing"), "{end:?}");

    build.invoke(&batch([("m-2", messages[0].clone())])).unwrap();
    assert_eq!(stage.unit("build"), unit, "the second time changes nothing");
    assert_eq!(swept(&sweep.invoke(&Value::Null).unwrap(), "build"), [""; 0]);
}

#[test]
fn a_sweep_answers_no_more_than_the_platform_takes() {
    let stage = Stage::open();
    for number in 0..12 {
        let mut push = stage.push();
        push["id"] = json!(format!("push/{number}"));
        push["data"]["paths"] = json!(vec!["p".repeat(100); 5_000]);
        stage.keep(&push);
    }
    let answer = stage.start("sweep").invoke(&json!({})).unwrap();
    let sent = answer["messages"].as_array().unwrap().len();
    assert!(answer.to_string().len() < 6 << 20, "{} bytes", answer.to_string().len());
    assert_eq!((sent > 0, sent as u64 + answer["left"].as_u64().unwrap()), (true, 24));
}

#[test]
fn a_hint_lets_the_ref_check_find_a_push_whose_webhook_never_came() {
    let stage = Stage::open();
    let mut check = stage.start("refcheck");
    let hint = json!({ "function": "refcheck", "unit": "acme/shop" });
    assert_eq!(check.invoke(&hint).unwrap(), Value::Null);
    let found = stage.events("push.received");
    let Data::PushReceived(push) = &found[0].data else { panic!("{found:?}") };
    assert_eq!((found.len(), push.after.as_ref().unwrap().as_str()), (1, &*stage.tip));
    check.invoke(&hint).unwrap();
    assert_eq!(stage.events("push.received").len(), 1);
}

#[test]
fn a_function_without_its_surroundings_does_not_serve() {
    let stage = Stage::open();
    for (function, missing) in [
        ("sweep", "LONGSHORE_DATA"),
        ("intake", "LONGSHORE_CONFIG"),
        ("deploy", "LONGSHORE_RUNNER"),
        ("deploy", "LONGSHORE_REGISTRY"),
        ("build", "AWS_LAMBDA_RUNTIME_API"),
    ] {
        let said = stage.start_without(function, missing);
        assert!(said.contains(missing), "{function}: {said}");
    }
    std::fs::write(stage.path("longshore.toml"), "[[enviroment]]\n").unwrap();
    let said = stage.start_without("refcheck", "none");
    assert!(said.contains("LS0102") && said.contains("LS0117"), "all faults: {said}");
}

#[test]
fn functions_and_a_host_do_not_share_a_data_folder() {
    let stage = Stage::open();
    let host = std::fs::File::create(stage.path("data/lock")).unwrap();
    host.lock().unwrap();
    assert!(stage.start_without("sweep", "none").contains("a host holds the data folder"));
    drop(host);
    let (_first, _second) = (stage.start("sweep"), stage.start("sweep"));
    assert!(std::fs::File::open(stage.path("data/lock")).unwrap().try_lock().is_err());
}
