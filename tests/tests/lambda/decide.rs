//! `sweep`, `build` and `refcheck`: what is owed is found, taken once, and refused where nothing can do it.

use longshore_events::types::BuildOutcome;
use longshore_events::{Data, Takes};
use longshore_frame::Function;
use serde_json::{Value, json};

use crate::stage::{Stage, batch};

#[test]
fn the_routing_table_is_what_the_functions_take() {
    fn route<F: Function>() -> (&'static str, &'static [&'static str]) {
        (F::NAME, F::Input::KINDS)
    }
    let functions = [
        route::<longshore_build::Build>(),
        route::<longshore_deploy::Deploy>(),
        route::<longshore_gate::Gate>(),
        route::<longshore_intake::RefCheck>(),
        route::<longshore_report::Report>(),
        route::<longshore_scan::Scan>(),
    ];
    assert_eq!(longshore_frame::lambda::routes().0, functions);
}

#[test]
fn a_swept_push_is_taken_once_and_its_build_is_refused_by_name() {
    let stage = Stage::open();
    let push = stage.keep(&stage.push());
    let mut sweep = stage.start("sweep");
    let scheduled = json!({ "detail-type": "Scheduled Event", "source": "aws.events", "detail": {} });
    assert_eq!(sweep.invoke(&scheduled).unwrap(), json!({ "owed": 2, "due": 0 }), "to build and to refcheck");
    let messages = stage.bus();
    let [envelope] = messages.as_slice() else { panic!("one for both: {messages:?}") };
    assert_eq!((&envelope["source"], &envelope["detail-type"]), (&json!("longshore"), &json!(push.kind())));

    let mut build = stage.start("build");
    assert_eq!(build.invoke(envelope).unwrap(), Value::Null);
    let unit = stage.unit("build");
    assert_eq!(unit.unit, format!("shop@{}", stage.tip));
    let opened = stage.opened("build", &unit.unit, &push.id);
    assert_eq!((opened.owed, opened.receipts.len()), (false, 1));
    let ends = stage.events("build.finished");
    let Data::BuildFinished(end) = &ends[0].data else { panic!("{ends:?}") };
    assert_eq!((ends.len(), end.outcome), (1, BuildOutcome::Failed));
    assert!(end.reason.as_ref().unwrap().contains("the image shop does not lie in ECR"), "{end:?}");

    build.invoke(&batch([("m-2", envelope.to_string())])).unwrap();
    assert_eq!(stage.unit("build"), unit, "the second time changes nothing");
    assert_eq!(sweep.invoke(&Value::Null).unwrap()["owed"], 1, "the ref check's");
}

#[test]
fn a_wake_up_goes_through_the_queue_to_the_bus_when_it_is_due_and_not_before() {
    let stage = Stage::open();
    let mut check = stage.start("refcheck");
    check.invoke(&json!({ "function": "refcheck", "unit": "acme/shop" })).unwrap();
    assert_eq!(stage.wakes(), Vec::<Value>::new(), "its next look is later");
    stage.bus();
    let mut sweep = stage.start("sweep");
    let wake = |due: &str| json!({ "function": "refcheck", "unit": "acme/shop", "due": due }).to_string();
    let due = batch([
        ("due", wake("2026-01-01T00:00:00Z")),
        ("early", wake("2126-01-01T00:00:00Z")),
        ("bad", "{".into()),
    ]);
    let answer = sweep.invoke(&due).unwrap();
    assert_eq!(answer, json!({ "batchItemFailures": [{ "itemIdentifier": "bad" }] }));
    let messages = stage.bus();
    let [envelope] = messages.as_slice() else { panic!("{messages:?}") };
    assert_eq!(envelope["detail"], json!({ "function": "refcheck", "unit": "acme/shop" }));
    assert_eq!(envelope["detail-type"], longshore_aws::WAKE);
    let seen = stage.unit("refcheck").row.version;
    check.invoke(envelope).unwrap();
    assert!(stage.unit("refcheck").row.version > seen, "it was looked at");
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
        ("sweep", "LONGSHORE_TABLE"),
        ("intake", "LONGSHORE_CONFIG"),
        ("refcheck", "AWS_REGION"),
        ("deploy", "LONGSHORE_RUNNER"),
        ("deploy", "LONGSHORE_REGISTRY"),
        ("build", "AWS_LAMBDA_RUNTIME_API"),
        ("build", "LONGSHORE_CODEBUILD_PROJECT"),
    ] {
        let said = stage.start_without(function, missing);
        assert!(said.contains(missing), "{function}: {said}");
    }
    let mut variables = stage.variables();
    variables.push(("AWS_CA_BUNDLE", stage.path("nobody.pem").display().to_string()));
    let said = crate::sandbox::gives_up("sweep", &variables);
    assert!(said.contains("AWS_CA_BUNDLE") && said.contains("nobody.pem"), "{said}");
    let config = stage.path("longshore.toml");
    let kept = std::fs::read_to_string(&config)
        .unwrap()
        .replace("[[service]]", "[[repository]]\nname = \"kept\"\n[[service]]");
    std::fs::write(&config, kept).unwrap();
    let said = stage.start_without("refcheck", "none");
    assert!(said.contains("kept") && said.contains("forge"), "{said}");
    std::fs::write(&config, "[[enviroment]]\n").unwrap();
    let said = stage.start_without("refcheck", "none");
    assert!(said.contains("LS0102") && said.contains("LS0117"), "all faults: {said}");
}

#[test]
fn what_is_missing_in_the_account_is_named() {
    let stage = Stage::open();
    let mut variables = stage.variables();
    for (name, value) in &mut variables {
        if *name == "LONGSHORE_TABLE" {
            *value = "another".into();
        }
    }
    let mut build = crate::sandbox::Sandbox::start("build", &variables);
    let said = build.invoke(&stage.push()).unwrap_err().to_string();
    assert!(said.contains("the table another"), "{said}");
}
