//! `longshore up` with environments on a real cluster: from a push to pods that answer, and back.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "the helpers of tests fail as tests do")]

#[path = "../common/mod.rs"]
mod common;

mod stage;

use longshore_events::types::DeploymentOutcome;
use longshore_kube::testing::Cluster;

use stage::Stage;

#[tokio::test(flavor = "multi_thread")]
async fn a_push_becomes_pods_that_answer_and_a_bad_one_goes_back() {
    let Some(cluster) = Cluster::start().await else { return };
    let mut stage = Stage::set(&cluster).await;
    let one = stage.push("one", "");
    for environment in ["live", "prod"] {
        let finished = stage.finished(environment, &one);
        assert_eq!(finished.outcome, DeploymentOutcome::Succeeded, "{finished:?}");
        assert_eq!(stage.answer(environment), "one\n");
    }
    a_release_that_crashes_is_taken_back_with_its_last_words(&stage);
    a_host_that_is_killed_mid_rollout_goes_on(&mut stage);
    people_see_what_runs(&stage);
    nothing_is_left_beside(&stage).await;
}

fn a_release_that_crashes_is_taken_back_with_its_last_words(stage: &Stage<'_>) {
    let bad = stage.push("two", "crash");
    let finished = stage.finished("live", &bad);
    assert_eq!(finished.outcome, DeploymentOutcome::RolledBack);
    let failure = finished.failure.unwrap();
    assert!(failure.contains("CrashLoopBackOff") && failure.contains("crashes, as it was told"), "{failure}");
    assert_eq!(stage.answer("live"), "one\n");
    assert!(stage.is_quarantined(&finished.to));
    assert_eq!(stage.answer("prod"), "one\n", "it never came there");
}

fn a_host_that_is_killed_mid_rollout_goes_on(stage: &mut Stage<'_>) {
    let three = stage.push("three", "");
    stage.began("live", &three);
    stage.kill_and_start_again();
    assert_eq!(stage.finished("live", &three).outcome, DeploymentOutcome::Succeeded);
    stage.began("prod", &three);
    stage.kill_and_start_again();
    assert_eq!(stage.finished("prod", &three).outcome, DeploymentOutcome::Succeeded);
    for environment in ["live", "prod"] {
        assert_eq!(stage.answer(environment), "three\n");
    }
}

fn people_see_what_runs(stage: &Stage<'_>) {
    let status = stage.longshore(&["status"]);
    assert!(status.contains("live") && status.contains("ready"), "{status}");
}

/// What ran beside the workload of the manifests is gone, and the Service is as in them.
async fn nothing_is_left_beside(stage: &Stage<'_>) {
    let all = stage.kubectl("prod", "get deployments,services,configmaps -o name").await;
    let mut all: Vec<&str> = all.lines().filter(|line| !line.ends_with("kube-root-ca.crt")).collect();
    all.sort_unstable();
    assert_eq!(all, ["configmap/longshore-prod-shop", "deployment.apps/shop", "service/shop"]);
    let selector = stage.kubectl("prod", "get service shop -o jsonpath={.spec.selector}").await;
    assert_eq!(selector, r#"{"app":"shop"}"#);
}
