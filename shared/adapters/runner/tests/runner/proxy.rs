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

#[tokio::test]
async fn an_upgraded_connection_is_passed_through() {
    let stage = Stage::with_one("v1").await;
    let mut stream = TcpStream::connect(stage.traffic.proxy).await.unwrap();
    let head =
        b"GET /upgrade HTTP/1.1\r\nhost: shop.localhost\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n";
    stream.write_all(head).await.unwrap();
    let answer = read_until(&mut stream, "\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    for word in ["one", "two"] {
        stream.write_all(word.as_bytes()).await.unwrap();
        read_until(&mut stream, word).await;
    }
    assert_eq!(stage.listed().await.open, 1, "it counts as open as long as it lasts");
}
