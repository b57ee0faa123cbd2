//! What AWS's services say: each notice once by its meaning, whatever it is wrapped in, and none that spoils the others.

#![allow(clippy::unwrap_used, reason = "the helpers of tests fail as tests do")]

mod support;

use longshore_events::Data;
use serde_json::{Value, json};
use support::{World, sample};

const IMAGE: &str = "123456789012.dkr.ecr.us-east-1.amazonaws.com/acme/shop";

fn body(name: &str) -> Value {
    serde_json::from_slice(&sample(&format!("aws/{name}")).1).unwrap()
}

async fn told(world: &World, body: &Value) -> longshore_intake::Answer {
    world.told("aws", body.to_string().as_bytes()).await
}

fn kinds(world: &World) -> Vec<String> {
    let short = |kind: &str| kind.trim_start_matches("dev.longshore.").trim_end_matches(".v1").to_owned();
    world.kept().iter().map(|event| short(event.kind())).collect()
}

#[tokio::test]
async fn every_redelivery_is_the_same_events() {
    for name in
        ["ecr_push", "ecr_delete", "cloudwatch_alarm", "sns_alarm", "sqs_records", "scheduler", "list"]
    {
        let world = World::new();
        assert_eq!(world.sample(&format!("aws/{name}")).await.status, 202, "{name}");
        let kept = world.kept();
        world.sample(&format!("aws/{name}")).await;
        assert_eq!(world.kept(), kept, "{name}");
    }
}

#[tokio::test]
async fn a_tag_that_is_pushed_unchanged_says_nothing_new() {
    let world = World::new();
    let mut push = body("ecr_push");
    assert_eq!(told(&world, &push).await.status, 202);
    push["id"] = "another".into();
    let again = told(&world, &push).await;
    assert!(again.status == 200 && again.message.unwrap().contains("already"));
    push["detail"]["image-digest"] = support::digest("b").as_str().into();
    push["id"] = "a third".into();
    assert_eq!(told(&world, &push).await.status, 202);
    assert_eq!(kinds(&world), ["image.pushed", "image.pushed"]);
}

#[tokio::test]
async fn the_image_is_named_with_the_registry_of_its_account_and_region() {
    let world = World::new();
    told(&world, &body("ecr_push")).await;
    let Data::ImagePushed(image) = &world.kept()[0].data else { panic!("no image") };
    assert_eq!(image.image.as_str(), IMAGE);
    for (field, other) in [("account", "210987654321"), ("region", "cn-north-1"), ("region", "../../x")] {
        let mut push = body("ecr_push");
        push[field] = other.into();
        push["id"] = other.into();
        let answer = told(&world, &push).await;
        assert!(answer.status == 200 && answer.message.unwrap().contains(other), "{other}");
    }
}

#[tokio::test]
async fn a_signature_a_failed_push_and_a_push_by_digest_are_no_images() {
    for name in ["ecr_push_signature", "ecr_push_failed", "ecr_push_by_digest", "ecr_push_other_repository"] {
        let world = World::new();
        assert_eq!(world.sample(&format!("aws/{name}")).await.status, 200, "{name}");
        assert!(world.kept().is_empty(), "{name}");
    }
}

#[tokio::test]
async fn a_digest_that_is_none_is_ignored_and_not_asked_for_again() {
    for name in ["ecr_push", "ecr_delete"] {
        let (world, mut notice) = (World::new(), body(name));
        notice["detail"]["image-digest"] = "latest".into();
        assert_eq!(told(&world, &notice).await.status, 200);
        assert!(world.kept().is_empty());
    }
}

#[tokio::test]
async fn a_build_that_ended_is_a_hint_and_no_event() {
    let world = World::new();
    let unit = format!("build/built@{}", "1".repeat(40));
    for status in ["SUCCEEDED", "FAILED", "FAULT", "STOPPED", "TIMED_OUT"] {
        let mut ended = body("codebuild_succeeded");
        ended["detail"]["build-status"] = status.into();
        assert_eq!(told(&world, &ended).await.status, 200);
        assert_eq!(std::mem::take(&mut *world.hints.0.lock().unwrap()), [unit.as_str()], "{status}");
    }
    assert!(world.kept().is_empty());
}

#[tokio::test]
async fn a_build_that_is_not_ours_or_goes_on_hints_nothing() {
    let world = World::new();
    let mut notices = vec![body("codebuild_in_progress"), body("codebuild_of_others")];
    for (at, value) in [(0, "api"), (0, "nobody"), (0, "--upload-pack"), (1, "main")] {
        let mut notice = body("codebuild_succeeded");
        notice["detail"]["additional-information"]["environment"]["environment-variables"][at]["value"] =
            value.into();
        notices.push(notice);
    }
    for notice in &notices {
        assert_eq!(told(&world, notice).await.status, 200, "{notice}");
    }
    assert!(world.hints.0.lock().unwrap().is_empty() && world.kept().is_empty());
}

const SCANNED: &str = "sha256:f4e8be7e01ded8a936213233ba3a67c778f64084a885e5fb9b7a7e8aef281804";

fn hints(world: &World) -> Vec<String> {
    std::mem::take(&mut *world.hints.0.lock().unwrap())
}

#[tokio::test]
async fn a_scan_that_ended_and_a_finding_are_hints_and_no_events() {
    let world = World::new();
    let unit = format!("scan/{IMAGE}@{SCANNED}");
    for name in ["ecr_scan", "inspector_scan", "inspector_finding"] {
        assert_eq!(world.sample(&format!("aws/{name}")).await.status, 200, "{name}");
        assert_eq!(hints(&world), [unit.as_str()], "{name}");
    }
    let mut failed = body("ecr_scan");
    failed["detail"]["scan-status"] = "FAILED".into();
    failed["detail"]["finding-severity-counts"] = Value::Null;
    let mut closed = body("inspector_finding");
    closed["detail"]["status"] = "CLOSED".into();
    told(&world, &json!([failed, { "unknown": true }, closed])).await;
    assert_eq!(hints(&world), [unit.as_str(), unit.as_str()], "one bad notice does not spoil the list");
    assert!(world.kept().is_empty());
}

#[tokio::test]
async fn scans_of_other_images_and_findings_about_no_image_hint_nothing() {
    let world = World::new();
    let mut notices = Vec::new();
    for (pointer, value) in [
        ("/detail/repository-name", json!("acme/other")),
        ("/detail/image-digest", json!("latest")),
        ("/detail/image-digest", json!("")),
        ("/account", json!("210987654321")),
        ("/region", json!("../../x")),
    ] {
        let mut notice = body("ecr_scan");
        *notice.pointer_mut(pointer).unwrap() = value;
        notices.push(notice);
    }
    let mut instance = body("inspector_finding");
    instance["detail"]["resources"] = json!([{ "type": "AWS_EC2_INSTANCE", "id": "i-1", "details": {} }]);
    notices.push(instance);
    for notice in &notices {
        let answer = told(&world, notice).await;
        assert!(answer.status == 200 && answer.message.unwrap().starts_with("ignored"), "{notice}");
    }
    assert!(hints(&world).is_empty() && world.kept().is_empty());
}

#[tokio::test]
async fn what_may_be_a_signature_tells_the_gate_to_look_and_is_no_image() {
    let hex = "f4e8be7e01ded8a936213233ba3a67c778f64084a885e5fb9b7a7e8aef281804";
    let mut tagged = body("ecr_push");
    tagged["detail"]["image-tag"] = json!(format!("sha256-{hex}.sig"));
    for notice in [body("ecr_referrer"), tagged] {
        let world = World::new();
        let answer = told(&world, &notice).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(hints(&world), [format!("gate/staging/ecr@sha256:{hex}")], "{answer:?}");
        assert!(world.kept().is_empty());
    }
    let mut deleted = body("ecr_referrer");
    deleted["detail"]["action-type"] = json!("DELETE");
    let mut other = body("ecr_referrer");
    other["detail"]["repository-name"] = json!("acme/other");
    let mut damaged = body("ecr_referrer");
    damaged["detail"]["subject-digest"] = json!("latest");
    for notice in [deleted, other, damaged] {
        let world = World::new();
        assert!(told(&world, &notice).await.message.unwrap().starts_with("ignored"));
        assert!(hints(&world).is_empty() && world.kept().is_empty(), "{notice}");
    }
}

#[tokio::test]
async fn the_detail_of_a_schedule_is_an_object_or_text() {
    for name in ["scheduler", "scheduler_object"] {
        let world = World::new();
        world.sample(&format!("aws/{name}")).await;
        let Data::ScheduleFired(fired) = &world.kept()[0].data else { panic!("{name}") };
        assert_eq!(
            (fired.name.as_str(), fired.planned_at.to_string().as_str()),
            ("nightly-load", "2026-11-24T10:00:00Z")
        );
    }
}

#[tokio::test]
async fn a_schedule_whose_own_input_is_all_that_arrives_is_refused_with_a_code() {
    let answer = World::new().sample("aws/scheduler_own_input").await;
    assert!(answer.status == 400 && answer.code.is_some(), "{answer:?}");
}

#[tokio::test]
async fn an_alarm_is_the_same_in_each_of_its_shapes() {
    let mut ids = Vec::new();
    for name in ["cloudwatch_alarm", "cloudwatch_direct", "sns_alarm"] {
        let world = World::new();
        assert_eq!(world.sample(&format!("aws/{name}")).await.status, 202, "{name}");
        ids.push(world.kept()[0].id.clone());
    }
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
}

#[tokio::test]
async fn one_notice_that_is_not_understood_does_not_spoil_a_list() {
    let world = World::new();
    let answer = world.sample("aws/list").await;
    assert_eq!((answer.status, answer.accepted.len()), (202, 3), "{answer:?}");
    assert!(answer.message.unwrap().contains("ignored"));
    let alone = told(&world, &json!({ "unknown": true })).await;
    assert!((400..500).contains(&alone.status), "{alone:?}");
}

#[tokio::test]
async fn wrappings_without_an_end_and_lists_without_measure_are_refused() {
    let world = World::new();
    let mut wrapped = body("ecr_push").to_string();
    for _ in 0..6 {
        wrapped = json!({ "body": wrapped }).to_string();
    }
    assert!((400..500).contains(&world.told("aws", wrapped.as_bytes()).await.status));
    let many = json!(vec![json!({}); 1_001]);
    let answer = told(&world, &many).await;
    assert!((400..500).contains(&answer.status) && answer.message.unwrap().contains("notices"));
    assert!(world.kept().is_empty());
}

#[tokio::test]
async fn what_the_platform_brings_needs_no_secret_and_is_the_same_event() {
    let (over_http, invoked) = (World::new(), World::new());
    over_http.sample("aws/ecr_push").await;
    assert_eq!(invoked.invoked(&sample("aws/ecr_push").1).await.status, 202);
    assert_eq!(over_http.kept(), invoked.kept());
    let without = over_http.send("aws", &[("content-type", "application/json")], b"{}").await;
    assert_eq!(without.status, 401);
}
