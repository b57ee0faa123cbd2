use serde_json::json;

use super::*;

const NOW: &str = "2026-12-01T12:00:00Z";

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

/// A Deployment of three, whose controller has seen generation `seen` of 2, with so many (all, updated, available).
fn web(seen: u64, counts: (u64, u64, u64), progress: &str) -> Object {
    let (all, updated, available) = counts;
    Object(json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "generation": 2},
        "spec": {"replicas": 3},
        "status": {
            "observedGeneration": seen, "replicas": all, "updatedReplicas": updated, "availableReplicas": available,
            "conditions": [
                {"type": "Progressing", "status": "True", "reason": progress, "lastUpdateTime": NOW},
                {"type": "Available", "status": if available > 2 { "True" } else { "False" }},
            ],
        },
    }))
}

#[test]
fn a_rollout_is_over_when_the_newest_template_was_seen_and_nothing_old_is_left() {
    let cases = [
        (web(2, (3, 3, 3), "NewReplicaSetAvailable"), true, true),
        // What the status says is of the generation before.
        (web(1, (3, 3, 3), "NewReplicaSetAvailable"), false, false),
        (web(2, (4, 2, 3), "ReplicaSetUpdated"), false, false),
        (web(2, (4, 3, 3), "NewReplicaSetAvailable"), false, false),
        // It was ready once, and is not now.
        (web(2, (3, 3, 1), "NewReplicaSetAvailable"), true, false),
    ];
    for (object, complete, ready) in cases {
        let standing = standing(&object, now());
        assert_eq!((standing.complete, standing.ready), (complete, ready), "{object:?}");
    }
}

#[test]
fn a_candidate_is_ready_with_as_many_as_its_traffic_needs() {
    for (needs, ready) in [("1", true), ("2", false)] {
        let mut object = web(2, (3, 3, 1), "NewReplicaSetAvailable");
        object.set_annotation(mark::NEEDS, needs);
        assert_eq!(standing(&object, now()).ready, ready, "{needs}");
    }
}

#[test]
fn a_quota_that_lasts_fails_it_with_its_words() {
    let stuck = |at: &str| {
        let mut object = web(2, (0, 0, 0), "ReplicaSetUpdated");
        let condition = json!({"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate",
            "message": "exceeded quota: small", "lastTransitionTime": at});
        object.at(&["status"])["conditions"].as_array_mut().unwrap().push(condition);
        standing(&object, now()).failed
    };
    assert_eq!(stuck("2026-12-01T11:59:55Z"), None, "it may pass");
    assert_eq!(stuck("2026-12-01T11:59:50Z").unwrap(), "no pod can be made: exceeded quota: small");
}

#[test]
fn a_controller_that_gave_up_fails_it() {
    let standing = standing(&web(2, (4, 1, 3), "ProgressDeadlineExceeded"), now());
    assert!(standing.failed.unwrap().contains("progressDeadlineSeconds"));
}

#[test]
fn a_stateful_set_needs_one_revision_and_all_ready() {
    let set = |current: &str, ready: u64| {
        let object = Object(json!({
            "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "db", "generation": 1},
            "spec": {"replicas": 2},
            "status": {"observedGeneration": 1, "currentRevision": current, "updateRevision": "b", "readyReplicas": ready},
        }));
        standing(&object, now()).ready
    };
    assert!(set("b", 2));
    assert!(!set("a", 2));
    assert!(!set("b", 1));
}

#[test]
fn a_job_is_ready_when_it_has_ended_well() {
    let job = |kind: &str| {
        let object = Object(json!({
            "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "migrate"},
            "status": {"conditions": [{"type": kind, "status": "True", "message": "BackoffLimitExceeded"}]},
        }));
        standing(&object, now())
    };
    assert!(job("Complete").ready);
    assert_eq!(job("Failed").failed.unwrap(), "the job failed: BackoffLimitExceeded");
    assert!(!job("Suspended").ready);
}

#[test]
fn a_daemon_set_runs_on_every_node_that_wants_it() {
    let set = |updated: u64| {
        let object = Object(json!({
            "apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "agent", "generation": 1},
            "status": {"observedGeneration": 1, "desiredNumberScheduled": 3, "updatedNumberScheduled": updated,
                "numberAvailable": 3},
        }));
        standing(&object, now()).ready
    };
    assert!(set(3));
    assert!(!set(2));
}

#[test]
fn what_was_said_of_the_same_template_stays_true_when_annotations_change() {
    let mut object = web(1, (3, 3, 3), "NewReplicaSetAvailable");
    object.set_annotation(mark::TEMPLATE_SINCE, "1");
    assert!(standing(&object, now()).ready);
    object.set_annotation(mark::TEMPLATE_SINCE, "2");
    assert!(!standing(&object, now()).ready);
}
