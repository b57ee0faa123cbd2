//! What providers send, byte for byte, and what becomes of it.

#![allow(clippy::unwrap_used, reason = "the helpers of tests fail as tests do")]

mod support;

use longshore_events::Data;
use serde_json::{Value, json};
use support::{World, borrowed, sample, samples};

#[tokio::test]
async fn every_sample_becomes_what_its_snapshot_says() {
    let names = samples();
    assert!(names.len() >= 80, "{} samples", names.len());
    for name in names {
        let (provider, short) = name.split_once('/').unwrap();
        insta::assert_json_snapshot!(format!("{provider}_{short}"), result(provider, short).await);
    }
}

async fn result(provider: &str, name: &str) -> Value {
    let world = World::new();
    let (headers, body) = sample(&format!("{provider}/{name}"));
    let answer = world.send(provider, &borrowed(&headers), &body).await;
    let events = world.kept();
    let read = |event: &longshore_events::Event| -> Value {
        let text = event.to_json();
        assert_eq!(
            longshore_events::Event::from_json(&text).unwrap(),
            *event,
            "it is an event of the contract"
        );
        serde_json::from_str(&text).unwrap()
    };
    let body: Value = serde_json::from_str(&answer.json()).unwrap();
    json!({ "status": answer.status, "answer": body, "events": events.iter().map(read).collect::<Vec<_>>() })
}

#[tokio::test]
async fn a_redelivery_is_the_same_event() {
    for name in ["github/push", "gitlab/push", "gitlab/push_event_uuid", "gitlab/push_without_id"] {
        let world = World::new();
        let (headers, body) = sample(name);
        let source = name.split('/').next().unwrap();
        let first = world.send(source, &borrowed(&headers), &body).await;
        let second = world.send(source, &borrowed(&headers), &body).await;
        assert_eq!((first.status, &first), (202, &second));
        assert_eq!(world.kept().len(), 1, "{name}");
    }
}

#[tokio::test]
async fn a_push_at_the_providers_limit_of_commits_has_truncated_paths() {
    let (_, body) = sample("github/push");
    let mut push: Value = serde_json::from_slice(&body).unwrap();
    for (count, truncated) in [(2047, false), (2048, true)] {
        push["commits"] = json!(vec![json!({ "added": ["a"] }); count]);
        let world = World::new();
        assert_eq!(world.github("push", push.to_string().as_bytes()).await.status, 202);
        let Data::PushReceived(push) = &world.kept()[0].data else { panic!("no push") };
        assert_eq!((push.paths_truncated, push.paths.len()), (truncated, 1), "{count}");
    }
}
