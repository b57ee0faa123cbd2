//! What the proxy measures of releases under real traffic.

use longshore_events::{Measure, Timestamp};
use longshore_ports::suite::metrics::{Bench, Known, run};
use longshore_ports::{Measured, Metrics as _, Question, Window};

use crate::stage::{Stage, workload};

#[expect(clippy::disallowed_methods, reason = "questions name times of the clock on the wall")]
fn now() -> Timestamp {
    Timestamp::now()
}

async fn question(stage: &Stage, number: u64, version: &str, window: Window) -> Question {
    let digest = stage.release(number, version, 0).await.image.digest;
    let workload = workload("prod", "shop");
    Question { workload, release: number, digest, measure: Measure::Requests, window }
}

#[tokio::test]
async fn the_proxy_measures_as_the_contract_says() {
    let stage = Stage::open().await;
    let began = now();
    let releases = [
        stage.release(1, "v1", 50).await,
        stage.release(2, "fails", 50).await,
        stage.release(3, "idle", 0).await,
    ];
    stage.apply((3, 0), &releases).await;
    for number in 1..=3 {
        stage.until_ready(number).await;
    }
    let ready = now();
    // Slots of a quarter of a second: what is asked begins with one.
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    for path in ["/", "/fail"] {
        for _ in 0..100 {
            stage.traffic.ask("shop.localhost", path).await.unwrap();
        }
    }
    let window = Window { from: ready, until: now() };
    let known = async |number, version: &str, errors| Known {
        ask: question(&stage, number, version, window).await,
        requests: 100,
        errors,
        took_ms: (0.01, 1_000.0),
    };
    let bench = Bench {
        good: known(1, "v1", 0).await,
        bad: known(2, "fails", 50).await,
        idle: question(&stage, 3, "idle", window).await,
        window,
        before: Window { from: began, until: ready },
        tolerance: 0.07,
        not_measured: Vec::new(),
        metrics: stage.client.clone(),
    };
    run(&bench).await;
    stage.client.shutdown().await.unwrap();
}

#[tokio::test]
async fn what_a_runner_did_not_see_is_unknown_and_it_says_since_when_it_looks() {
    let mut stage = Stage::with_one("v1").await;
    let began = now();
    stage.traffic.get("/").await;
    stage.runner.kill();
    stage.start_again().await;
    let window = Window { from: began, until: now() };
    let asked = question(&stage, 1, "v1", window).await;
    let Measured::Unknown { since: Some(since), .. } = stage.client.measure(&asked).await.unwrap() else {
        panic!("it cannot know")
    };
    assert!(since > began && since <= now(), "{since}");
    let other = Question { digest: stage.release(2, "v2", 0).await.image.digest, ..asked };
    let answer = stage.client.measure(&other).await.unwrap();
    assert!(matches!(answer, Measured::Unknown { since: None, .. }), "{answer:?}");
    stage.client.shutdown().await.unwrap();
}
