//! Whatever strangers send: no panic, nothing is committed unless the sender is genuine, and whatever a genuine sender
//! garbles is an event of the contract or a refusal with its code.

#![allow(clippy::unwrap_used, reason = "the helpers of tests fail as tests do")]

mod support;

use std::sync::LazyLock;

use longshore_events::Event;
use longshore_intake::Answer;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value, json};
use support::{NOW, SOURCES, World, borrowed, sample, samples};

static SAMPLES: LazyLock<Vec<String>> = LazyLock::new(samples);

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn any_sample() -> impl Strategy<Value = String> {
    any::<Index>().prop_map(|at| at.get(&SAMPLES).clone())
}

/// A sample's body with a piece changed.
fn spliced(name: &str, at: Index, piece: Vec<u8>) -> Vec<u8> {
    let (_, mut body) = sample(name);
    let at = at.index(body.len());
    let end = (at + piece.len()).min(body.len());
    body.splice(at..end, piece);
    body
}

/// Bytes of all kinds: noise, JSON of some shape, and samples with a piece changed.
fn body() -> impl Strategy<Value = Vec<u8>> {
    let changed = (any_sample(), any::<Index>(), prop::collection::vec(any::<u8>(), 0..8))
        .prop_map(|(name, at, piece)| spliced(&name, at, piece));
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..300),
        "[\\[\\]{}\":,0-9a-z\\\\ ]{0,200}".prop_map(String::into_bytes),
        changed
    ]
}

fn headers() -> impl Strategy<Value = Vec<(String, String)>> {
    let name = select(vec![
        "content-type",
        "authorization",
        "x-github-event",
        "x-github-delivery",
        "x-hub-signature-256",
        "x-hub-signature",
        "x-gitlab-event",
        "x-gitlab-token",
        "x-gitea-event",
        "x-gitea-delivery",
        "x-gitea-signature",
        "x-event-key",
        "x-request-uuid",
        "x-grafana-alerting-signature",
        "webhook-id",
        "webhook-timestamp",
        "webhook-signature",
        "ce-type",
        "ce-id",
        "ce-time",
    ]);
    let value = prop_oneof![
        "\\PC{0,40}",
        Just("application/json".to_owned()),
        Just("application/cloudevents+json".to_owned()),
        select(vec!["push", "Push Hook", "repo:push", "pull_request", "package"]).prop_map(str::to_owned),
        Just(NOW.to_string()),
        "(Bearer|Basic|basic) [A-Za-z0-9+/=]{0,30}",
        "(sha256=)?[0-9a-f]{64}",
        "v1,[A-Za-z0-9+/]{43}=",
    ];
    prop::collection::vec((name.prop_map(str::to_owned), value), 0..10)
}

/// What somebody might put where something else is due.
fn hostile() -> impl Strategy<Value = Value> {
    let deep = (0..200).fold(json!(0), |inner, _| json!([inner]));
    prop_oneof![
        select(vec![
            json!(null),
            json!(true),
            json!(-1),
            json!(u64::MAX),
            json!(1e300),
            json!([]),
            json!({}),
            json!(""),
            json!("\u{0}\u{1b}[2J\n"),
            json!("../../etc/passwd"),
            json!("--upload-pack=id"),
            json!("0".repeat(40)),
            json!("x".repeat(5_000)),
            json!(vec!["y"; 3_000]),
            deep,
        ]),
        any::<String>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
    ]
}

/// JSON Pointers to every value in `value`, itself included.
fn pointers(value: &Value, here: &str, found: &mut Vec<String>) {
    found.push(here.to_owned());
    match value {
        Value::Array(items) => {
            for (n, item) in items.iter().enumerate() {
                pointers(item, &format!("{here}/{n}"), found);
            }
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                let name = name.replace('~', "~0").replace('/', "~1");
                pointers(field, &format!("{here}/{name}"), found);
            }
        }
        _ => {}
    }
}

/// Whatever was answered is true of the journal, and what is kept is an event of the contract.
fn sound(world: &World, answer: &Answer) -> Result<(), TestCaseError> {
    prop_assert!(answer.status < 300 || answer.code.is_some(), "{answer:?}");
    prop_assert!(answer.status == 202 || answer.accepted.is_empty());
    prop_assert!(answer.status < 300 || world.is_untouched());
    let kept = world.kept();
    prop_assert!(answer.accepted.iter().all(|id| kept.iter().any(|event| event.id == *id)));
    for event in &kept {
        let text = event.to_json();
        prop_assert!(text.len() <= 200 * 1024);
        let read = Event::from_json(&text);
        prop_assert!(read.is_ok(), "{:?}", read);
        prop_assert_eq!(&read.unwrap(), event);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_unproven_is_committed(
        source in prop_oneof![select(SOURCES.to_vec()).prop_map(str::to_owned), "no-secret|[a-z]{0,9}"],
        query in "(token=)?[a-z%+&=]{0,20}", headers in headers(), body in body(),
    ) {
        let world = World::new();
        let answer = run(world.send(&format!("{source}?{query}"), &borrowed(&headers), &body));
        prop_assert!((400..=503).contains(&answer.status), "{answer:?}");
        prop_assert!(answer.code.is_some() && world.is_untouched());
    }

    #[test]
    fn whatever_is_genuine_is_answered_and_kept_only_with_2xx(
        source in select(SOURCES.to_vec()), headers in headers(), body in body(),
    ) {
        let world = World::new();
        let mut all = borrowed(&headers);
        all.extend([("x-github-event", "push"), ("x-github-delivery", "1"), ("x-gitlab-event", "Push Hook")]);
        all.extend([("x-gitea-event", "push"), ("x-gitea-delivery", "1")]);
        all.extend([("x-event-key", "repo:push"), ("x-request-uuid", "1"), ("content-type", "application/json")]);
        let answer = run(world.genuine(source, &all, &body));
        prop_assert_ne!(answer.status, 401);
        sound(&world, &answer)?;
    }

    #[test]
    fn a_sample_with_a_piece_changed_is_events_or_a_refusal(
        name in any_sample(), at in any::<Index>(), piece in prop::collection::vec(any::<u8>(), 0..8),
    ) {
        let world = World::new();
        let (headers, _) = sample(&name);
        let source = name.split('/').next().unwrap();
        let answer = run(world.genuine(source, &borrowed(&headers), &spliced(&name, at, piece)));
        prop_assert_ne!(answer.status, 401);
        sound(&world, &answer)?;
    }

    #[test]
    fn a_sample_with_a_value_replaced_is_events_or_a_refusal(
        name in any_sample(), at in any::<Index>(), other in hostile(),
    ) {
        let (headers, body) = sample(&name);
        let Ok(mut value) = serde_json::from_slice::<Value>(&body) else { return Ok(()) };
        let mut places = Vec::new();
        pointers(&value, "", &mut places);
        *value.pointer_mut(&places[at.index(places.len())]).unwrap() = other;
        let (world, body) = (World::new(), value.to_string());
        let source = name.split('/').next().unwrap();
        let answer = run(world.genuine(source, &borrowed(&headers), body.as_bytes()));
        prop_assert_ne!(answer.status, 401);
        sound(&world, &answer)?;
        let kept = world.kept();
        let again = run(world.genuine(source, &borrowed(&headers), body.as_bytes()));
        prop_assert!(again.status == answer.status || again.status == 200, "{again:?}");
        prop_assert_eq!(world.kept(), kept, "a redelivery is the same events");
    }
}
