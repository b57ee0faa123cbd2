//! CloudEvents over HTTP: the three modes, who may say what, redelivery, and the switches.

#![allow(clippy::unwrap_used, reason = "the helpers of tests fail as tests do")]

mod support;

use longshore_events::Data;
use serde_json::{Value, json};
use support::{NOW, World};

fn push(id: &str) -> Value {
    json!({
        "specversion": "1.0", "id": id, "source": "ci/acme", "type": "dev.longshore.push.received.v1",
        "subject": "whatever", "chainid": "stolen", "causeid": "stolen", "time": "2026-11-24T09:59:00Z",
        "data": {
            "provider": "ci", "repo": "acme/shop", "ref": "refs/heads/main", "ref_kind": "other",
            "clone_url": "https://me:s3cret@git.example.org/acme/shop.git",
            "after": "a".repeat(40), "forced": true, "unknown": [1, 2],
        },
    })
}

fn request(id: &str, what: &str, target: &str) -> Value {
    json!({
        "specversion": "1.0", "id": id, "source": "cli", "type": "dev.longshore.request.made.v1",
        "data": { "what": what, "who": "mona", "target": target },
    })
}

fn batch(events: &[Value]) -> String {
    Value::from(events.to_vec()).to_string()
}

impl World {
    async fn batch(&self, body: &str) -> longshore_intake::Answer {
        self.events(&[("content-type", "application/cloudevents-batch+json")], body.as_bytes()).await
    }

    fn stopped(&self, name: &str) -> Option<bool> {
        self.journal.switches.lock().unwrap().get(name).copied()
    }
}

#[tokio::test]
async fn a_structured_event_is_kept_and_what_follows_from_it_is_not_the_senders() {
    let world = World::new();
    let answer = world.structured(&push("ci/1").to_string()).await;
    assert_eq!((answer.status, answer.accepted[0].as_str()), (202, "ci/1"));
    let event = &world.kept()[0];
    assert_eq!((event.source.as_str(), event.subject.as_str()), ("ci/acme", "acme/shop"));
    assert_eq!((event.link.chain.as_str(), &event.link.cause), ("ci/1", &None));
    assert_eq!(event.time.to_string(), "2026-11-24T09:59:00Z");
    let Data::PushReceived(push) = &event.data else { panic!("{event:?}") };
    assert_eq!(push.ref_kind, longshore_events::types::RefKind::Branch);
    assert_eq!(push.clone_url.as_deref(), Some("https://git.example.org/acme/shop.git"));
}

#[tokio::test]
async fn a_binary_event_has_its_attributes_in_headers() {
    let world = World::new();
    let data = push("x")["data"].to_string();
    let headers = [
        ("Content-Type", "application/json"),
        ("ce-specversion", "1.0"),
        ("Ce-Id", "ci/%31%2F%C3%A9"),
        ("ce-source", "ci/caf%C3%A9"),
        ("CE-TYPE", "dev.longshore.push.received.v1"),
    ];
    let answer = world.events(&headers, data.as_bytes()).await;
    assert_eq!((answer.status, answer.code), (422, Some("LS0210")), "an id must be ASCII");
    let headers = headers.map(|(name, value)| (name, if name == "Ce-Id" { "ci/%31" } else { value }));
    let answer = world.events(&headers, data.as_bytes()).await;
    assert_eq!((answer.status, answer.accepted[0].as_str()), (202, "ci/1"), "{answer:?}");
    assert_eq!(world.kept()[0].source, "ci/caf\u{e9}");
    assert_eq!(world.kept()[0].time.as_second(), NOW, "an event without a time happened now");
    for (name, value, code) in [
        ("ce-time", "yesterday", "LS0209"),
        ("ce-dryrun", "maybe", "LS0209"),
        ("ce-traceparent", "%f", "LS0209"),
        ("ce-id", "", "LS0210"),
        ("ce-source", "", "LS0210"),
        ("ce-specversion", "0.3", "LS0210"),
        ("ce-type", "com.example.other", "LS0211"),
    ] {
        let mut headers = headers.to_vec();
        headers.retain(|(other, _)| !other.eq_ignore_ascii_case(name));
        headers.push((name, value));
        let answer = world.events(&headers, data.as_bytes()).await;
        assert_eq!(answer.code, Some(code), "{name}: {value}: {answer:?}");
    }
    assert_eq!(world.kept().len(), 1);
}

#[tokio::test]
async fn a_batch_is_committed_in_lots_of_twenty() {
    let world = World::new();
    let events: Vec<Value> = (0..45).map(|n| push(&format!("ci/{n}"))).collect();
    let answer = world.batch(&batch(&events)).await;
    assert_eq!((answer.status, answer.accepted.len()), (202, 45));
    assert_eq!(*world.journal.commits.lock().unwrap(), [20, 20, 5]);
}

#[tokio::test]
async fn a_batch_that_was_cut_off_is_completed_by_its_redelivery() {
    let world = World::new();
    let body = batch(&(0..45).map(|n| push(&format!("ci/{n}"))).collect::<Vec<_>>());
    *world.journal.fails.lock().unwrap() = Some(1);
    assert_eq!(world.batch(&body).await.status, 503);
    *world.journal.fails.lock().unwrap() = None;
    assert_eq!(world.batch(&body).await.accepted.len(), 45);
    assert_eq!(world.kept().len(), 45);
}

#[tokio::test]
async fn one_bad_event_refuses_the_whole_batch() {
    let world = World::new();
    let answer = world.batch(&batch(&[push("ci/1"), request("ci/2", "stop", "nowhere")])).await;
    assert_eq!((answer.status, answer.code), (422, Some("LS0210")));
    assert!(answer.message.unwrap().contains("all, staging") && world.is_untouched());
}

#[tokio::test]
async fn pushes_of_unknown_repositories_are_ignored_and_the_rest_is_kept() {
    let world = World::new();
    let mut other = push("ci/1");
    other["data"]["repo"] = "acme/other".into();
    let answer = world.batch(&batch(&[other.clone(), push("ci/2")])).await;
    assert_eq!((answer.status, answer.accepted.len()), (202, 1));
    assert!(answer.message.unwrap().contains("acme/other"));
    assert_eq!(world.structured(&other.to_string()).await.status, 200);
    assert_eq!(world.batch("[]").await.status, 200);
    assert_eq!(world.kept().len(), 1);
}

#[tokio::test]
async fn only_what_outsiders_may_say_is_taken() {
    let world = World::new();
    for (kind, status, code) in [
        ("dev.longshore.deployment.finished.v1", 403, "LS0212"),
        ("dev.longshore.digest.quarantined.v1", 403, "LS0212"),
        ("dev.longshore.push.received.v2", 503, "LS0216"),
        ("dev.longshore.push.received", 422, "LS0211"),
        ("com.example.order", 422, "LS0211"),
        ("", 422, "LS0211"),
    ] {
        let mut event = push("ci/1");
        event["type"] = kind.into();
        let answer = world.structured(&event.to_string()).await;
        assert_eq!((answer.status, answer.code), (status, Some(code)), "{kind:?}: {answer:?}");
    }
    assert!(world.is_untouched());
}

#[tokio::test]
async fn an_id_stands_for_one_event() {
    let world = World::new();
    assert_eq!(world.structured(&push("ci/1").to_string()).await.status, 202);
    assert_eq!(world.structured(&push("ci/1").to_string()).await.status, 202, "a redelivery");
    let mut other = push("ci/1");
    other["data"]["after"] = "b".repeat(40).into();
    for body in [other.to_string(), batch(&[push("ci/9"), push("ci/1"), other.clone()])] {
        let media = if body.starts_with('[') { "cloudevents-batch" } else { "cloudevents" };
        let answer =
            world.events(&[("content-type", &format!("application/{media}+json"))], body.as_bytes()).await;
        assert_eq!((answer.status, answer.code), (409, Some("LS0213")));
    }
    assert_eq!(world.kept().len(), 1);
    assert_eq!(world.journal.commits.lock().unwrap().len(), 1, "a redelivery commits nothing");
}

#[tokio::test]
async fn a_request_sets_its_switch_in_the_same_commit_and_only_once() {
    let world = World::new();
    let stop = request("cli/1", "stop", "all").to_string();
    assert_eq!(world.structured(&stop).await.status, 202);
    assert_eq!((world.stopped("all"), world.journal.commits.lock().unwrap().len()), (Some(true), 1));
    assert_eq!(world.structured(&request("cli/2", "resume", "all").to_string()).await.status, 202);
    assert_eq!(world.stopped("all"), Some(false));
    assert_eq!(world.structured(&stop).await.status, 202);
    assert_eq!(world.stopped("all"), Some(false), "an old request that comes again does not stop again");
}

#[tokio::test]
async fn two_switches_of_a_batch_are_two_commits() {
    let world = World::new();
    let events = [
        request("cli/1", "stop", "all"),
        push("ci/1"),
        request("cli/2", "stop", "staging"),
        request("cli/3", "roll_back", "staging/api"),
        request("cli/4", "resume", "all"),
    ];
    assert_eq!(world.batch(&batch(&events)).await.status, 202);
    assert_eq!(*world.journal.commits.lock().unwrap(), [2, 2, 1]);
    assert_eq!((world.stopped("all"), world.stopped("staging")), (Some(false), Some(true)));
    assert_eq!(world.stopped("staging/api"), None, "a roll-back sets no switch");
}

#[tokio::test]
async fn a_dry_run_sets_no_switch() {
    let world = World::new();
    let mut stop = request("cli/1", "stop", "all");
    stop["dryrun"] = true.into();
    assert_eq!(world.structured(&stop.to_string()).await.status, 202);
    assert_eq!(world.stopped("all"), None);
    assert!(world.kept()[0].dryrun);
}

#[tokio::test]
async fn requests_about_nothing_are_refused() {
    let world = World::new();
    for (what, target) in [
        ("stop", ""),
        ("stop", "production"),
        ("resume", "staging/api"),
        ("roll_back", "staging"),
        ("roll_back", "staging/web"),
        ("explode", "all"),
    ] {
        let answer = world.structured(&request("cli/1", what, target).to_string()).await;
        assert_eq!((answer.status, answer.code), (422, Some("LS0210")), "{what} {target}");
    }
    assert!(world.is_untouched());
}

#[tokio::test]
async fn an_event_beyond_what_a_bus_takes_is_too_large() {
    let world = World::new();
    let mut event = push("ci/1");
    event["data"]["paths"] = vec!["p".repeat(205 * 1024)].into();
    let answer = world.structured(&event.to_string()).await;
    assert_eq!((answer.status, answer.code), (413, Some("LS0202")));
    assert!(answer.message.unwrap().contains("ci/1") && world.is_untouched());
}
