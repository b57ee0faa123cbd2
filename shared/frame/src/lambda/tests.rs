//! What messages are read as, and how long a claim lasts.

use jiff::Timestamp;
use longshore_events::Event;
use serde_json::{Value, json};

use super::Invocation;
use super::message::{Message, Unreadable, read};
use crate::Call;

fn event() -> Value {
    json!({
        "specversion": "1.0", "id": "request/1", "source": "longshore/cli", "subject": "all",
        "type": "dev.longshore.request.made.v1", "time": "2026-11-24T10:00:00Z",
        "data": { "what": "stop", "who": "mona", "target": "all" },
    })
}

fn envelope(detail: &Value) -> Value {
    json!({ "version": "0", "id": "e-1", "detail-type": "request.made", "source": "longshore", "detail": detail })
}

fn record(id: &str, body: &str) -> Value {
    json!({ "messageId": id, "eventSource": "aws:sqs", "body": body, "receiptHandle": "h" })
}

fn the_event() -> Call {
    Call::Event(Box::new(Event::from_json(&event().to_string()).unwrap()))
}

fn one(payload: &Value) -> Result<Call, Unreadable> {
    match read("deploy", payload)? {
        Message::One(call) => Ok(call),
        Message::Batch(batch) => panic!("a batch: {batch:?}"),
    }
}

#[test]
fn an_event_is_read_bare_and_from_an_envelope() {
    assert_eq!(one(&event()).unwrap(), the_event());
    assert_eq!(one(&envelope(&event())).unwrap(), the_event());
}

#[test]
fn a_hint_wakes_its_unit_and_is_refused_by_another_function() {
    let hint = json!({ "function": "deploy", "unit": "prod/shop" });
    assert_eq!(one(&hint).unwrap(), Call::Wake("prod/shop".into()));
    assert_eq!(one(&envelope(&hint)).unwrap(), Call::Wake("prod/shop".into()));
    let other = one(&json!({ "function": "build", "unit": "shop" })).unwrap_err();
    assert_eq!(
        other.to_string(),
        "the hint is for the function \"build\", and this is deploy; look at the queue's rule"
    );
}

#[test]
fn each_message_of_a_batch_is_read_by_itself() {
    let batch = json!({ "Records": [
        record("1", &event().to_string()),
        record("2", "{ no json"),
        record("3", &envelope(&event()).to_string()),
        record("4", "{\"hello\": 1}"),
        record("5", "{\"function\": \"deploy\", \"unit\": \"prod/shop\"}"),
    ] });
    let Message::Batch(messages) = read("deploy", &batch).unwrap() else { panic!("no batch") };
    let calls: Vec<_> = messages.into_iter().map(|(id, call)| (id, call.ok())).collect();
    let expected = [
        ("1", Some(the_event())),
        ("2", None),
        ("3", Some(the_event())),
        ("4", None),
        ("5", Some(Call::Wake("prod/shop".into()))),
    ];
    assert_eq!(calls, expected.map(|(id, call)| (id.to_owned(), call)));
}

#[test]
fn what_is_not_known_is_refused() {
    let newer = event().to_string().replace("made.v1", "made.v2");
    let newer = one(&serde_json::from_str(&newer).unwrap());
    assert!(matches!(newer, Err(Unreadable::Event(error)) if error.is_temporary()));
    for payload in [json!({}), json!(null), json!([event()]), json!({ "detail": event() })] {
        assert!(matches!(one(&payload), Err(Unreadable::Unknown)), "{payload}");
    }
    let kinesis = json!({ "Records": [{ "messageId": "1", "eventSource": "aws:kinesis", "body": "" }] });
    assert!(matches!(read("deploy", &kinesis), Err(Unreadable::Source(source)) if source == "aws:kinesis"));
    assert!(matches!(read("deploy", &json!({ "Records": [{}] })), Err(Unreadable::Json(_))));
}

#[test]
fn a_claim_outlasts_the_platforms_kill() {
    let now = Timestamp::from_millisecond(1_000_000).unwrap();
    let claim = |deadline_ms| Invocation { name: "s/1".into(), deadline_ms }.claim_ms(now);
    assert_eq!(claim(1_060_000), 90_000);
    assert_eq!(claim(999_000), 30_000, "past its deadline it may still be alive for a moment");
}
