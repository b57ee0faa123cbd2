//! From one release to the next.

use std::fs;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::stage::{Stage, eventually};
use crate::traffic::Answer;

#[tokio::test]
async fn a_rollover_under_load_fails_no_request() {
    let stage = Stage::with_one("v1").await;
    let (old, new) = (stage.release(1, "v1", 100).await, stage.release(2, "v2", 0).await);
    let mut load = stage.traffic.load(4);
    load.more(50).await;
    stage.apply((2, 0), &[old.clone(), new.clone()]).await;
    stage.until_ready(2).await;
    assert_eq!(stage.traffic.get("/").await, "v1");
    let [mut old, mut new] = [old, new];
    (old.weight, new.weight) = (0, 100);
    stage.apply((2, 1), &[old, new.clone()]).await;
    assert_eq!(stage.traffic.get("/").await, "v2", "the traffic moves at once when its receiver is ready");
    load.more(50).await;
    stage.apply((2, 2), &[new]).await;
    stage.until("the end of the first release", |seen| seen.release(1).is_none()).await;
    load.more(50).await;
    let answers = load.end().await;
    for one in &answers {
        let said = |answer: &Answer| format!("{} {} {:?}", answer.status, answer.body, answer.release);
        let mut said: Vec<String> = one.iter().map(|answer| said(answer.as_ref().unwrap())).collect();
        said.dedup();
        assert_eq!(
            said,
            [r#"200 v1 Some("1")"#, r#"200 v2 Some("2")"#],
            "each client sees one move, and nothing else"
        );
    }
    assert_eq!(stage.starts(), ["v1 1 0", "v2 2 0"]);
}

#[tokio::test]
async fn an_open_request_is_finished_by_the_release_that_took_it() {
    let stage = Stage::with_one("v1").await;
    let mut open = TcpStream::connect(stage.traffic.proxy).await.unwrap();
    open.write_all(b"GET /slow HTTP/1.1\r\nhost: shop.localhost\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    while !String::from_utf8_lossy(&answer).contains("begin") {
        assert!(open.read_buf(&mut answer).await.unwrap() > 0);
    }
    let new = stage.release(2, "v2", 100).await;
    stage.apply((2, 0), &[stage.release(1, "v1", 0).await, new.clone()]).await;
    stage.until_ready(2).await;
    stage.apply((2, 1), &[new]).await;
    assert_eq!(stage.traffic.get("/").await, "v2");
    let seen = stage.until("both", |seen| seen.step == 1).await;
    assert!(seen.release(1).is_some(), "it is there as long as it has an open request: {seen:?}");
    fs::write(stage.witness().with_extension("end"), "").unwrap();
    open.read_to_end(&mut answer).await.unwrap();
    assert!(String::from_utf8_lossy(&answer).contains("\r\nend\r\n"));
    stage.until("the end of the first release", |seen| seen.release(1).is_none()).await;
}

#[tokio::test]
async fn the_shares_are_exact_over_a_hundred_requests() {
    let stage = Stage::with_one("v1").await;
    let both = [stage.release(1, "v1", 75).await, stage.release(2, "v2", 25).await];
    stage.apply((2, 0), &both).await;
    stage.until_ready(2).await;
    let mut second = 0;
    for _ in 0..100 {
        second += usize::from(stage.traffic.get("/").await == "v2");
    }
    assert_eq!(second, 25);
}

#[tokio::test]
async fn a_release_that_is_named_again_while_it_stops_runs_again() {
    let stage = Stage::with_one("v1").await;
    let one = [stage.release(1, "v1", 100).await];
    stage.apply((1, 1), &[]).await;
    stage.apply((1, 2), &one).await;
    stage.until_release(1, "it runs again", |seen| seen.restarts == 1 && seen.boot_ms.is_some()).await;
    stage.until_ready(1).await;
    let ready = eventually("an answer", async || stage.traffic.ask("shop.localhost", "/").await.ok()).await;
    assert_eq!(ready.body, "v1");
    assert_eq!(stage.starts(), ["v1 1 0", "v1 1 1"]);
}

#[tokio::test]
async fn a_hundred_changes_of_weights_lose_no_request() {
    let stage = Stage::with_one("v1").await;
    let both = [stage.release(1, "v1", 100).await, stage.release(2, "v2", 0).await];
    stage.apply((2, 0), &both).await;
    stage.until_ready(2).await;
    let mut load = stage.traffic.load(4);
    for step in 1..=100 {
        let [mut one, mut two] = both.clone();
        two.weight = u8::try_from(step * 37 % 101).unwrap();
        one.weight = 100 - two.weight;
        stage.apply((2, step), &[one, two]).await;
        load.more(10).await;
    }
    let answers: Vec<_> = load.end().await.into_iter().flatten().collect();
    assert!(answers.len() >= 1000);
    for answer in answers {
        let answer = answer.unwrap();
        assert!(answer.status == 200 && ["v1", "v2"].contains(&answer.body.as_str()), "{answer:?}");
    }
    assert_eq!(stage.starts(), ["v1 1 0", "v2 2 0"]);
}

#[tokio::test]
async fn what_does_not_drain_in_time_is_ended() {
    let stage = Stage::open().await;
    let mut release = stage.release(1, "v1", 100).await;
    release.run.drain_ms = 50;
    stage.apply((1, 0), &[release]).await;
    stage.until_ready(1).await;
    let traffic = stage.traffic.clone();
    let slow = tokio::spawn(async move { traffic.ask("shop.localhost", "/slow").await });
    stage.until_open(1).await;
    stage.apply((1, 1), &[]).await;
    stage.until("nothing", |seen| seen.releases.is_empty()).await;
    // Its answer breaks off, or had not begun.
    let answer = slow.await.unwrap();
    assert!(answer.as_ref().map_or(true, |answer| answer.status == 502), "{answer:?}");
}
