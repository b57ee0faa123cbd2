//! What the providers' notices mean: once by its meaning, whoever sends it however often.

#![allow(clippy::unwrap_used, reason = "the helpers of tests fail as tests do")]

mod support;

use longshore_events::Data;
use longshore_intake::sign;
use longshore_ports::Secret;
use serde_json::{Value, json};
use support::{BITBUCKET, GITEA, TOKEN, World, borrowed, digest, sample};

fn body(name: &str) -> Value {
    serde_json::from_slice(&sample(name).1).unwrap()
}

impl World {
    fn images(&self) -> Vec<String> {
        let events = self.kept();
        let digest = |event: &longshore_events::Event| match &event.data {
            Data::ImagePushed(image) => Some(image.digest.hex()[..2].to_owned()),
            _ => None,
        };
        events.iter().filter_map(digest).collect()
    }

    async fn oci(&self, id: &str, digit: &str) -> longshore_intake::Answer {
        let mut envelope = body("oci/push");
        envelope["events"][0]["id"] = id.into();
        envelope["events"][0]["target"]["digest"] = digest(digit).as_str().into();
        self.told("oci", envelope.to_string().as_bytes()).await
    }
}

#[tokio::test]
async fn every_redelivery_is_the_same_events() {
    for name in [
        "github/pull_request_opened",
        "github/workflow_run_succeeded",
        "github/package_published",
        "gitlab/merge_request_open",
        "gitlab/pipeline_success",
        "bitbucket/push_of_several_refs",
        "gitea/push",
        "forgejo/push",
        "oci/push_several",
        "dockerhub/push",
        "quay/push",
        "alertmanager/firing",
        "grafana/firing",
        "falco/http_output",
        "cloudwatch/sns",
    ] {
        let world = World::new();
        assert_eq!(world.sample(name).await.status, 202, "{name}");
        let kept = world.kept();
        assert!(matches!(world.sample(name).await.status, 200 | 202), "{name}");
        assert_eq!(world.kept(), kept, "{name}");
    }
}

#[tokio::test]
async fn an_unchanged_tag_says_nothing_new_and_a_changed_one_does() {
    let world = World::new();
    for (id, digit, status) in [("1", "a", 202), ("2", "a", 200), ("3", "b", 202), ("4", "a", 202)] {
        assert_eq!(world.oci(id, digit).await.status, status, "{id}");
    }
    assert_eq!(world.images(), ["aa", "bb", "aa"], "the tag went back");
    assert_eq!(world.oci("3", "b").await.accepted[0].as_str(), "oci/oci/3", "a redelivery is known");
    assert_eq!(world.images().len(), 3);
}

#[tokio::test]
async fn github_tells_of_one_image_twice() {
    let world = World::new();
    assert_eq!(world.sample("github/package_published").await.status, 202);
    let again = world.sample("github/registry_package_published").await;
    assert_eq!((again.status, world.images().len()), (200, 1));
    assert!(again.message.unwrap().contains("already"));
}

#[tokio::test]
async fn hubs_only_hint_and_the_registry_says_what_the_tag_names() {
    for name in ["dockerhub/push", "quay/push"] {
        let world = World::new();
        for (digit, status) in [("a", 202), ("a", 200), ("b", 202), ("a", 202)] {
            *world.registry.0.lock().unwrap() = Some(digest(digit));
            assert_eq!(world.sample(name).await.status, status, "{name}");
        }
        assert_eq!(world.images(), ["aa", "bb", "aa"]);
        *world.registry.0.lock().unwrap() = None;
        let gone = world.sample(name).await;
        assert_eq!(gone.status, 200);
        assert!(gone.message.unwrap().contains("the registry knows no"));
    }
}

#[tokio::test]
async fn a_registry_that_does_not_answer_lets_the_hub_try_again() {
    let world = World::new();
    let mut push = body("quay/push");
    push["docker_url"] = "quay.io/acme/away".into();
    let answer = world.told("quay", push.to_string().as_bytes()).await;
    assert_eq!((answer.status, answer.code), (503, Some("LS0218")));
    assert!(world.is_untouched());
}

#[tokio::test]
async fn alarms_are_looked_at_one_by_one_and_told_once() {
    let world = World::new();
    assert_eq!(world.sample("alertmanager/firing").await.accepted.len(), 2);
    assert_eq!(world.sample("alertmanager/firing_and_resolved").await.accepted.len(), 2);
    let kinds: Vec<_> = world.kept().iter().map(|event| (event.kind(), event.link.chain.clone())).collect();
    assert_eq!(kinds.len(), 3, "the one that still fires is no news");
    assert_eq!(kinds[2].0, "dev.longshore.alarm.cleared.v1");
    assert_eq!(kinds[1].1, kinds[2].1, "raised and cleared are one chain");
    let mut again = body("alertmanager/firing");
    again["alerts"][1]["startsAt"] = "2026-11-24T10:30:00Z".into();
    again["alerts"][1]["annotations"]["summary"] = "worse".into();
    world.told("alertmanager", again.to_string().as_bytes()).await;
    assert_eq!(world.kept().len(), 4, "what begins again is another alarm");
}

#[tokio::test]
async fn an_end_that_is_none_is_now() {
    let world = World::new();
    let mut group = body("alertmanager/firing");
    group["alerts"][0]["status"] = "resolved".into();
    group["alerts"][1]["status"] = "suppressed".into();
    let answer = world.told("alertmanager", group.to_string().as_bytes()).await;
    assert!(answer.message.unwrap().contains("suppressed"));
    let Data::AlarmCleared(cleared) = &world.kept()[0].data else { panic!("not cleared") };
    assert_eq!(cleared.ended_at.as_second(), support::NOW);
}

#[tokio::test]
async fn a_detection_is_known_by_what_it_says_not_by_the_uuid_of_its_sending() {
    let world = World::new();
    let mut seen = body("falco/falcosidekick");
    for uuid in ["one", "two"] {
        seen["uuid"] = uuid.into();
        assert_eq!(world.told("falco", seen.to_string().as_bytes()).await.status, 202);
    }
    assert_eq!(world.kept().len(), 1);
    seen["time"] = "2026-11-24T10:00:00Z".into();
    world.told("falco", seen.to_string().as_bytes()).await;
    let of = |n: usize| match &world.kept()[n].data {
        Data::DetectionRaised(seen) => seen.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(of(0).fingerprint, of(1).fingerprint, "the same rule in the same pod");
    assert_eq!(of(0).fields["evt.time"], json!(1_795_514_370_123_456_789_i64), "numbers stay numbers");
    assert_eq!((of(0).origin.as_str(), of(0).pod.as_deref()), ("syscall", Some("api-7d9f")));
}

#[tokio::test]
async fn what_is_too_much_for_a_detection_is_cut_and_said_to_be() {
    let world = World::new();
    let mut seen = body("falco/http_output");
    for n in 0..200 {
        seen["output_fields"][format!("f{n}")] = "x".repeat(if n == 0 { 2_000 } else { 1 }).into();
    }
    assert_eq!(world.told("falco", seen.to_string().as_bytes()).await.status, 202);
    let Data::DetectionRaised(seen) = &world.kept()[0].data else { panic!("no detection") };
    assert_eq!((seen.fields.len(), seen.truncated), (100, true));
    assert!(seen.fields.values().all(|value| value.as_str().is_none_or(|text| text.len() <= 1_000)));
}

#[tokio::test]
async fn terminals_are_spared_what_strangers_write() {
    let world = World::new();
    let mut group = body("alertmanager/firing");
    group["alerts"][0]["annotations"]["summary"] = "\u{1b}]0;gone\u{7}\nforged".into();
    group["alerts"][0]["labels"]["alertname"] = "\u{0}\u{9b}31m".into();
    world.told("alertmanager", group.to_string().as_bytes()).await;
    let Data::AlarmRaised(alarm) = &world.kept()[0].data else { panic!("no alarm") };
    assert!(!alarm.name.contains(char::is_control));
    assert!(!alarm.summary.as_ref().unwrap().contains(char::is_control));
}

#[tokio::test]
async fn a_token_comes_in_any_of_three_ways_and_two_are_valid_at_once() {
    let basic = "Basic bG9uZ3Nob3JlOnNhbXBsZS10b2tlbg==";
    let push = body("dockerhub/push").to_string();
    for (source, value) in [
        ("dockerhub", format!("Bearer {TOKEN}")),
        ("dockerhub", "bearer a newer secret".into()),
        ("dockerhub", basic.into()),
        ("dockerhub?token=sample%2Dtoken", String::new()),
        ("dockerhub?x=1&token=a+newer+secret", String::new()),
    ] {
        let world = World::new();
        let headers = [("content-type", "application/json"), ("authorization", &value)];
        let headers = if value.is_empty() { &headers[..1] } else { &headers[..] };
        assert_eq!(world.send(source, headers, push.as_bytes()).await.status, 202, "{source} {value}");
    }
}

#[tokio::test]
async fn two_secrets_are_valid_at_once_for_every_forge() {
    for (name, header, prefix, secret) in [
        ("bitbucket/push", "X-Hub-Signature", "sha256=", BITBUCKET),
        ("gitea/push", "X-Gitea-Signature", "", GITEA),
        ("forgejo/push", "X-Forgejo-Signature", "", GITEA),
    ] {
        let (headers, body) = sample(name);
        for secret in [secret, "a newer secret"] {
            let world = World::new();
            let hex = sign::github(&Secret::new(secret), &body).replace("sha256=", prefix);
            let mut all = vec![(header, hex.as_str())];
            all.extend(borrowed(&headers).into_iter().filter(|(name, _)| !name.contains("Signature")));
            let source = name.split('/').next().unwrap();
            assert_eq!(world.send(source, &all, &body).await.status, 202, "{name} with {secret}");
        }
    }
}

#[tokio::test]
async fn every_source_has_its_own_ids() {
    // Two sources of one shape share a token here; the events still say where they came from.
    for source in ["alertmanager", "grafana"] {
        let world = World::new();
        world.told(source, body("alertmanager/firing").to_string().as_bytes()).await;
        assert!(
            world.kept().iter().all(|event| event.id.as_str().starts_with(&format!("{source}/{source}/")))
        );
    }
}

#[tokio::test]
async fn a_push_with_more_than_three_thousand_files_has_truncated_paths() {
    let mut push = body("github/push");
    for (count, truncated) in [(3_000, false), (3_001, true)] {
        let names: Vec<String> = (0..count).map(|n| n.to_string()).collect();
        push["commits"] = json!([{ "added": names }]);
        let world = World::new();
        assert_eq!(world.github("push", push.to_string().as_bytes()).await.status, 202);
        let Data::PushReceived(push) = &world.kept()[0].data else { panic!("no push") };
        assert_eq!(push.paths_truncated, truncated, "{count}");
    }
}

#[tokio::test]
async fn what_would_be_sent_again_for_ever_is_ignored_rather_than_refused() {
    let world = World::new();
    let mut envelope = body("oci/push");
    envelope["events"][0]["target"]["digest"] = format!("sha512:{}", "a".repeat(128)).into();
    assert_eq!(world.told("oci", envelope.to_string().as_bytes()).await.status, 200);
    let mut request = body("gitlab/merge_request_open");
    request["object_attributes"]["last_commit"] = Value::Null;
    let headers = [("x-gitlab-event", "Merge Request Hook"), ("content-type", "application/json")];
    assert_eq!(world.genuine("gitlab", &headers, request.to_string().as_bytes()).await.status, 200);
    let mut package = body("github/package_npm");
    package["package"]["package_version"]["container_metadata"] = json!([]);
    assert_eq!(world.github("package", package.to_string().as_bytes()).await.status, 200);
    assert!(world.is_untouched());
}
