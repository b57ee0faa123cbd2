//! Processes that exit, or are not well.

use std::fs;

use longshore_ports::{Health, Phase};

use crate::stage::{Stage, eventually};

#[tokio::test]
async fn a_process_that_crashes_is_started_again_on_its_port() {
    let stage = Stage::with_one("v1").await;
    let before = stage.listed().await;
    assert!(before.observed.boot_ms.is_some());
    let answer = stage.traffic.ask("shop.localhost", "/crash").await.unwrap();
    assert!(answer.status >= 500, "{answer:?}");
    stage.until_release(1, "a restart", |seen| seen.restarts > 0 && seen.phase == Phase::Ready).await;
    let after = stage.listed().await;
    assert_eq!(after.port, before.port);
    assert_ne!(after.pid, before.pid);
    assert_eq!(stage.traffic.get("/").await, "v1");
}

#[tokio::test]
async fn a_process_that_keeps_exiting_says_how_and_writes_one_log() {
    let stage = Stage::open().await;
    stage.apply((1, 0), &[stage.release(1, "exits", 100).await]).await;
    let seen =
        stage.until_release(1, "exits", |seen| seen.restarts >= 2 && seen.phase == Phase::Backoff).await;
    assert_eq!(seen.reason.as_deref(), Some("exited with status 7"));
    let log = stage.client.log(&crate::stage::workload("prod", "shop"), None).await.unwrap().unwrap();
    assert!(fs::read_to_string(log).unwrap().starts_with("exits starts\nexits starts\n"));
}

#[tokio::test]
async fn a_release_that_is_not_well_gets_no_traffic_until_it_is() {
    let stage = Stage::with_one("v1").await;
    fs::write(stage.witness().with_extension("sick"), "").unwrap();
    let unready = stage.until_release(1, "unready", |seen| seen.phase == Phase::Unready).await;
    assert!(unready.reason.unwrap().ends_with("status 503"));
    let answer = stage.traffic.ask("shop.localhost", "/").await.unwrap();
    assert_eq!(answer.status, 503);
    assert!(answer.body.contains("no release of this service is ready"), "{}", answer.body);
    fs::remove_file(stage.witness().with_extension("sick")).unwrap();
    stage.until_ready(1).await;
    assert_eq!(stage.traffic.get("/").await, "v1");
    assert_eq!(stage.starts(), ["v1 1 0"]);
}

#[tokio::test]
async fn a_release_that_fails_its_health_probe_is_restarted() {
    let stage = Stage::open().await;
    let mut release = stage.release(1, "v1", 100).await;
    release.run.health = Some(Health { failures: 1, ..release.run.ready.clone() });
    stage.apply((1, 0), &[release]).await;
    stage.until_ready(1).await;
    fs::write(stage.witness().with_extension("sick"), "").unwrap();
    stage.until_release(1, "a restart", |seen| seen.restarts > 0).await;
    fs::remove_file(stage.witness().with_extension("sick")).unwrap();
    stage.until_ready(1).await;
    assert_eq!(eventually("two starts", async || stage.starts().get(1).cloned()).await, "v1 1 1");
}

#[tokio::test]
async fn health_is_asked_in_its_own_interval_and_not_in_that_of_readiness() {
    let stage = Stage::open().await;
    let mut release = stage.release(1, "v1", 100).await;
    release.run.health = Some(Health { failures: 1, interval_ms: 3_600_000, ..release.run.ready.clone() });
    stage.apply((1, 0), &[release]).await;
    stage.until_ready(1).await;
    let sick = stage.witness().with_extension("sick");
    for _ in 0..3 {
        fs::write(&sick, "").unwrap();
        stage.until_release(1, "unready", |seen| seen.phase == Phase::Unready).await;
        fs::remove_file(&sick).unwrap();
        assert_eq!(stage.until_ready(1).await.restarts, 0);
    }
}
