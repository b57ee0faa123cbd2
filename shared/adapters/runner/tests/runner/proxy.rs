//! Host names, streams and upgrades.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::stage::{Stage, workload};

/// Reads until the answer ends with `end`.
async fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let mut read = Vec::new();
    while !String::from_utf8_lossy(&read).ends_with(end) {
        let more = stream.read_buf(&mut read).await.unwrap();
        assert!(more > 0, "it ended after {:?}", String::from_utf8_lossy(&read));
    }
    String::from_utf8_lossy(&read).into_owned()
}

#[tokio::test]
async fn a_host_names_a_service_and_an_unknown_one_is_told_the_known_ones() {
    let stage = Stage::with_one("v1").await;
    let port = stage.traffic.proxy.port();
    let any = stage.traffic.ask("elsewhere.example", "/").await.unwrap();
    assert_eq!((any.status, any.body.as_str()), (200, "v1"), "the only service needs no name");
    let release = stage.release(1, "v2", 100).await;
    stage.apply_to(&workload("test", "shop"), (1, 0), &[release]).await;
    for (host, status) in [
        ("shop.prod.localhost".to_owned(), 200),
        (format!("SHOP.prod.localhost:{port}"), 200),
        ("shop.localhost".to_owned(), 404),
        ("elsewhere.example".to_owned(), 404),
    ] {
        let answer = stage.traffic.ask(&host, "/").await.unwrap();
        assert_eq!(answer.status, status, "{host}: {answer:?}");
        let names = ["shop.prod.localhost", "shop.test.localhost"];
        assert!(status == 200 || names.iter().all(|name| answer.body.contains(name)), "{answer:?}");
    }
}

#[tokio::test]
async fn a_body_streams_both_ways_and_the_connection_is_used_again() {
    let stage = Stage::with_one("v1").await;
    let mut stream = TcpStream::connect(stage.traffic.proxy).await.unwrap();
    let head = b"POST /echo HTTP/1.1\r\nhost: shop.localhost\r\ncontent-length: 6\r\n\r\none";
    stream.write_all(head).await.unwrap();
    let answer = read_until(&mut stream, "\r\n\r\none").await;
    assert!(answer.contains("x-longshore-release: 1\r\n") && answer.contains("x-longshore-digest: sha256:"));
    stream.write_all(b"two").await.unwrap();
    read_until(&mut stream, "two").await;
    stream.write_all(b"GET / HTTP/1.1\r\nhost: shop.localhost\r\n\r\n").await.unwrap();
    read_until(&mut stream, "\r\n\r\nv1").await;
}

async fn upgraded(stage: &Stage) -> TcpStream {
    let mut stream = TcpStream::connect(stage.traffic.proxy).await.unwrap();
    let head = "GET /upgrade HTTP/1.1\r\nhost: shop.localhost\r\nconnection: keep-alive, Upgrade\r\nupgrade: \
                websocket\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let answer = read_until(&mut stream, "\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    assert!(
        answer.contains("upgrade: websocket\r\n") && answer.contains("connection: upgrade\r\n"),
        "{answer}"
    );
    stream
}

#[tokio::test]
async fn an_upgraded_connection_is_passed_through_and_holds_its_release() {
    let stage = Stage::with_one("v1").await;
    let mut stream = upgraded(&stage).await;
    for word in ["one", "two"] {
        stream.write_all(word.as_bytes()).await.unwrap();
        read_until(&mut stream, word).await;
    }
    assert_eq!(stage.listed().await.open, 1, "it counts as open as long as it lasts");
    stage.apply((2, 0), &[stage.release(2, "v2", 100).await]).await;
    stage.until_ready(2).await;
    assert_eq!(stage.traffic.get("/").await, "v2");
    stream.write_all(b"three").await.unwrap();
    read_until(&mut stream, "three").await;
    drop(stream);
    stage.until("the end of the first release", |seen| seen.release(1).is_none()).await;
}

#[tokio::test]
async fn a_tester_reaches_a_release_before_it_has_traffic() {
    let stage = Stage::with_one("v1").await;
    let both = [stage.release(1, "v1", 100).await, stage.release(2, "v2", 0).await];
    stage.apply((2, 0), &both).await;
    stage.until_ready(2).await;
    let digest = both[1].image.digest.to_string();
    for (name, body) in [("new", "v2"), ("old", "v1"), (digest.as_str(), "v2"), ("1", "v1")] {
        let mut stream = TcpStream::connect(stage.traffic.proxy).await.unwrap();
        let head = format!("GET / HTTP/1.1\r\nhost: shop.localhost\r\nx-longshore-release: {name}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        read_until(&mut stream, &format!("\r\n\r\n{body}")).await;
    }
    assert_eq!(stage.traffic.get("/").await, "v1");
}
