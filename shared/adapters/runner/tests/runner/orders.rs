//! Orders that race, break off, or cannot be followed yet.

use longshore_ports::{Desired, ErrorKind, Phase, Workloads as _};
use tokio::io::AsyncWriteExt as _;
use tokio::net::UnixStream;

use crate::stage::{Stage, eventually, workload};

fn desired(pair: (u64, u32), releases: &[longshore_ports::DesiredRelease]) -> Desired {
    let (generation, step) = pair;
    Desired { workload: workload("prod", "shop"), generation, step, releases: releases.to_vec() }
}

#[tokio::test]
async fn of_two_orders_that_race_the_newer_one_holds() {
    let stage = Stage::with_one("v1").await;
    let one = [stage.release(1, "v1", 100).await];
    let mut lost = 0;
    for round in 1..=40 {
        let (older, newer) = (desired((2 * round, 0), &one), desired((2 * round + 1, 0), &one));
        let (older, newer) = if round % 2 == 0 {
            tokio::join!(stage.client.apply(&older), stage.client.apply(&newer))
        } else {
            let (newer, older) = tokio::join!(stage.client.apply(&newer), stage.client.apply(&older));
            (older, newer)
        };
        newer.unwrap();
        if let Err(error) = older {
            assert_eq!(error.kind, ErrorKind::Conflict, "{error}");
            lost += 1;
        }
        let seen = stage.until("the newer order", |seen| seen.generation == 2 * round + 1).await;
        assert_eq!(seen.releases.len(), 1);
    }
    assert!(lost > 0, "no round had a loser");
    assert_eq!(stage.starts(), ["v1 1 0"]);
}

/// An order as it goes over the socket.
fn request(order: &Desired) -> Vec<u8> {
    let body = serde_json::to_vec(order).unwrap();
    let head = format!(
        "POST /v1/apply HTTP/1.1\r\nhost: runner\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    [head.into_bytes(), body].concat()
}

#[tokio::test]
async fn an_order_whose_client_goes_away_is_taken_whole_or_not_at_all() {
    let stage = Stage::open().await;
    let order = desired((7, 0), &[stage.release(7, "v1", 100).await]);
    let request = request(&order);
    for length in [request.len() - 1, request.len() / 2, 10] {
        let mut socket = UnixStream::connect(stage.data.with_extension("sock")).await.unwrap();
        socket.write_all(&request[..length]).await.unwrap();
    }
    let seen = stage.client.observe(&order.workload).await.unwrap();
    assert_eq!((seen.generation, seen.releases.len()), (0, 0));
    // The server may see the end before it has begun with the order: then it is as if it was never sent.
    let socket = stage.data.with_extension("sock");
    let taken = async || {
        UnixStream::connect(&socket).await.unwrap().write_all(&request).await.unwrap();
        let seen = stage.client.observe(&order.workload).await.unwrap();
        (seen.generation == 7).then_some(seen)
    };
    assert_eq!(eventually("the order", taken).await.step, 0);
    stage.until_ready(7).await;
    stage.client.apply(&order).await.unwrap();
    assert_eq!(stage.starts(), ["v1 7 0"]);
}

#[tokio::test]
async fn a_release_that_no_order_names_has_the_traffic_until_its_successor_is_ready() {
    let mut stage = Stage::with_one("v1").await;
    let old = stage.listed().await.pid;
    stage.apply((2, 0), &[stage.release(2, "unready", 100).await]).await;
    let starting = |seen: &longshore_ports::ObservedRelease| seen.boot_ms.is_some() && seen.reason.is_some();
    let stuck = stage.until_release(2, "a release that is not ready", starting).await;
    assert_eq!(stuck.phase, Phase::Starting);
    for _ in 0..2 {
        let old = stage.until_ready(1).await;
        assert_eq!(old.weight, 100);
        assert_eq!(stage.traffic.get("/").await, "v1");
        // The next runner knows it, too.
        stage.runner.kill();
        stage.start_again().await;
    }
    stage.until_ready(1).await;
    assert_eq!(stage.listed().await.pid, old);
    stage.apply((3, 0), &[stage.release(3, "v2", 100).await]).await;
    let done = |seen: &longshore_ports::Observed| seen.releases.len() == 1;
    let seen = stage.until("only the third", done).await;
    assert_eq!((seen.releases[0].release, seen.releases[0].weight), (3, 100));
    assert_eq!(stage.traffic.get("/").await, "v2");
    assert_eq!(stage.starts(), ["v1 1 0", "unready 2 0", "v2 3 0"]);
}

#[tokio::test]
async fn an_order_that_is_withdrawn_leaves_the_old_release_as_it_was() {
    let stage = Stage::with_one("v1").await;
    stage.apply((2, 0), &[stage.release(2, "unready", 100).await]).await;
    stage.until_release(2, "a process", |seen| seen.boot_ms.is_some()).await;
    stage.apply((2, 1), &[stage.release(1, "v1", 100).await]).await;
    let seen = stage.until("the end of the second", |seen| seen.release(2).is_none()).await;
    assert_eq!(seen.release(1).map(|one| (one.phase, one.weight)), Some((Phase::Ready, 100)));
    stage.apply((3, 0), &[stage.release(3, "unready", 100).await]).await;
    stage.apply((3, 1), &[]).await;
    stage.until("nothing", |seen| seen.releases.is_empty()).await;
    let answer = eventually("the end of its name", async || {
        stage.traffic.ask("shop.localhost", "/").await.ok().filter(|answer| answer.status == 404)
    });
    assert!(answer.await.body.contains("none is known yet"));
}
