//! `intake` behind a function URL.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use longshore_intake::sign;
use longshore_ports::Secret;
use serde_json::{Value, json};

use crate::stage::{SECRET, Stage};

/// GitHub's push of the tip, as a function URL passes it on.
fn github(stage: &Stage, secret: &str) -> Value {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let body = std::fs::read_to_string(root.join("events/providers/github/push.body")).unwrap();
    let body = body.replace("12621106e47f993b769a2ee6f9bf954bdbda1239", &stage.tip);
    assert!(body.contains(&stage.tip));
    json!({
        "version": "2.0", "routeKey": "$default", "rawPath": "/hooks/github", "rawQueryString": "",
        "requestContext": { "http": { "method": "POST", "path": "/hooks/github", "protocol": "HTTP/1.1" } },
        "headers": {
            "content-type": "application/json", "x-github-event": "push",
            "x-github-delivery": "0b989ba4-242f-11e5-81e1-c7b6966d2516",
            "x-hub-signature-256": sign::github(&Secret::new(secret), body.as_bytes()),
        },
        "body": STANDARD.encode(&body), "isBase64Encoded": true,
    })
}

fn body(response: &Value) -> Value {
    serde_json::from_str(response["body"].as_str().unwrap()).unwrap()
}

#[test]
fn a_webhook_that_comes_twice_is_one_event() {
    let stage = Stage::open();
    let mut intake = stage.start("intake");
    let request = github(&stage, SECRET);
    let answers = [intake.invoke(&request).unwrap(), intake.invoke(&request).unwrap()];
    for answer in &answers {
        assert_eq!((&answer["statusCode"], &answer["isBase64Encoded"]), (&json!(202), &json!(false)));
        assert_eq!(answer["headers"]["content-type"], "application/json");
    }
    let kept = stage.events("push.received");
    assert_eq!(kept.len(), 1);
    assert_eq!(body(&answers[0])["accepted"], json!([kept[0].id.as_str()]));
    assert_eq!(answers[0], answers[1]);
    for function in ["build", "refcheck"] {
        assert!(stage.opened(function, "any", &kept[0].id).owed, "{function} is owed the push");
    }
}

#[test]
fn what_eventbridge_brings_is_taken_as_it_is_and_a_notice_of_nobody_fails() {
    let stage = Stage::open();
    let mut intake = stage.start("intake");
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let notice = std::fs::read_to_string(root.join("events/providers/aws/scheduler.body")).unwrap();
    let notice: Value = serde_json::from_str(&notice).unwrap();
    for _ in 0..2 {
        assert_eq!(intake.invoke(&json!([notice])).unwrap(), Value::Null);
    }
    assert_eq!(stage.events("schedule.fired").len(), 1);
    let refused = intake.invoke(&json!({ "run": "nightly" })).unwrap_err().to_string();
    assert!(refused.contains("EventBridge"), "{refused}");
}

#[test]
fn what_is_no_signed_webhook_is_refused_and_nothing_is_kept() {
    let stage = Stage::open();
    let mut intake = stage.start("intake");
    let forged = intake.invoke(&github(&stage, "another secret")).unwrap();
    assert_eq!((forged["statusCode"].as_u64(), body(&forged)["code"].as_str()), (Some(401), Some("LS0203")));
    let with = |key: &str, value: Value| {
        let mut request = github(&stage, SECRET);
        *request.pointer_mut(key).unwrap() = value;
        request
    };
    for (key, value, status) in [
        ("/rawPath", json!("/hooks/unknown"), 404),
        ("/rawPath", json!("/"), 404),
        ("/requestContext/http/method", json!("GET"), 405),
        ("/body", json!("*"), 400),
    ] {
        let refused = intake.invoke(&with(key, value)).unwrap();
        assert_eq!(refused["statusCode"], status, "{key}: {refused}");
    }
    assert!(intake.invoke(&with("/version", json!("1.0"))).unwrap_err().to_string().contains("2.0"));
    assert!(intake.invoke(&json!({})).is_err());
    assert!(stage.events("push.received").is_empty());
    assert_eq!(intake.invoke(&with("/rawPath", json!("/prod/hooks/github"))).unwrap()["statusCode"], 202);
}
