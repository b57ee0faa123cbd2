use serde_json::json;

use super::*;

fn now() -> Timestamp {
    "2026-12-01T12:00:00Z".parse().unwrap()
}

fn pod(created: &str, container: impl Into<Value>) -> Object {
    let container = container.into();
    Object(json!({
        "metadata": {"name": "web-1", "creationTimestamp": created},
        "status": {"containerStatuses": [container]},
    }))
}

fn waiting(reason: &str, message: &str, restarts: u64) -> Value {
    json!({
        "name": "web", "ready": false, "restartCount": restarts,
        "state": {"waiting": {"reason": reason, "message": message}},
        "lastState": {"terminated": {"exitCode": 3, "reason": "Error"}},
    })
}

fn told(container: Value) -> (Phase, String) {
    let pods = [pod("2026-12-01T11:59:58Z", container)];
    let trouble = look_at(pods.iter(), now()).trouble.unwrap();
    (trouble.phase, trouble.said)
}

#[test]
fn an_image_that_is_not_there_fails_at_once_and_a_registry_that_is_busy_does_not() {
    let gone = waiting("ErrImagePull", "rpc error: code = NotFound desc = web@sha256:1: not found", 0);
    let (phase, said) = told(gone);
    assert_eq!(phase, Phase::Failed);
    assert!(said.starts_with("ErrImagePull: "), "{said}");
    assert_eq!(told(waiting("ErrImagePull", "i/o timeout", 0)).0, Phase::Pulling);
}

#[test]
fn a_crash_is_told_and_crashes_fail() {
    let (phase, said) = told(waiting("CrashLoopBackOff", "back-off 10s", 1));
    assert_eq!(
        (phase, said.as_str()),
        (Phase::Backoff, "CrashLoopBackOff: the container web exited with 3, 1 times")
    );
    assert_eq!(told(waiting("CrashLoopBackOff", "back-off 40s", 3)).0, Phase::Failed);
}

#[test]
fn what_a_container_cannot_be_made_of_may_still_come_for_a_while() {
    let container = waiting("CreateContainerConfigError", "configmap \"web\" not found", 0);
    assert_eq!(told(container.clone()).0, Phase::Starting);
    let pods = [pod("2026-12-01T11:59:30Z", container)];
    let trouble = look_at(pods.iter(), now()).trouble.unwrap();
    assert_eq!(trouble.phase, Phase::Failed);
    assert_eq!(trouble.said, "CreateContainerConfigError: configmap \"web\" not found");
}

#[test]
fn a_probe_that_fails_is_told_after_a_while() {
    let running = |at: &str| json!({"name": "web", "ready": false, "restartCount": 0, "state": {"running": {"startedAt": at}}});
    let pods = [pod("2026-12-01T11:59:50Z", running("2026-12-01T11:59:52Z"))];
    let trouble = look_at(pods.iter(), now()).trouble.unwrap();
    assert_eq!(trouble.said, "the container web runs, and is not ready");
    assert_eq!(trouble.look, Some(Look::Events { pod: "web-1".into() }));
    let pods = [pod("2026-12-01T11:59:58Z", running("2026-12-01T11:59:58Z"))];
    assert_eq!(look_at(pods.iter(), now()).trouble, None);
}

#[test]
fn a_pod_without_a_node_says_why() {
    let pods = [Object(json!({
        "metadata": {"name": "web-1"},
        "status": {"conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable",
            "message": "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims"}]},
    }))];
    let trouble = look_at(pods.iter(), now()).trouble.unwrap();
    assert_eq!(trouble.phase, Phase::Starting);
    assert!(trouble.said.contains("unbound immediate PersistentVolumeClaims"), "{}", trouble.said);
}

#[test]
fn the_worst_is_told_and_pods_that_go_do_not_count() {
    let crashing = pod("2026-12-01T11:59:58Z", waiting("CrashLoopBackOff", "", 3));
    let mut going = crashing.clone();
    going.set(&["metadata"], "deletionTimestamp", "2026-12-01T11:59:59Z".into());
    let pulling = pod("2026-12-01T11:59:58Z", waiting("ErrImagePull", "i/o timeout", 0));
    let told = look_at([&going, &pulling].into_iter(), now());
    assert_eq!((told.restarts, told.trouble.unwrap().phase), (0, Phase::Pulling));
    let told = look_at([&pulling, &crashing].into_iter(), now());
    assert_eq!((told.restarts, told.trouble.unwrap().phase), (3, Phase::Failed));
}
