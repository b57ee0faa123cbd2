//! Blobs: whole, in chunks, broken off, wrong.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
};

use longshore_oci::client::ClientError;
use longshore_oci::image::{Descriptor, LAYER_GZIP};
use reqwest::{StatusCode, header};

use crate::harness::{Port, digest, fault, repository};

#[tokio::test]
async fn a_blob_goes_up_in_chunks() {
    let port = Port::open().await;
    let bytes: Vec<u8> = (0..1_000_003_u32).map(|n| n.to_le_bytes()[1]).collect();
    let (blob, path) = port.file(&bytes);
    let shop = repository("shop");
    port.client.clone().in_chunks_of(300_000).push_blob(&shop, &blob, &path).await.unwrap();
    assert_eq!(fs::read(port.store.blob_path(&blob.digest)).unwrap(), bytes);

    let part = port.raw("GET", &format!("shop/blobs/{}", blob.digest)).header(header::RANGE, "bytes=10-19");
    let part = part.send().await.unwrap();
    assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT);
    assert_eq!(part.headers()[header::CONTENT_RANGE], "bytes 10-19/1000003");
    assert_eq!(part.bytes().await.unwrap(), bytes[10..20]);
    let head = port.raw("HEAD", &format!("shop/blobs/{}", blob.digest)).send().await.unwrap();
    assert_eq!(head.headers()[header::CONTENT_LENGTH], "1000003");
}

#[tokio::test]
async fn chunks_must_follow_each_other() {
    let port = Port::open().await;
    let upload = port.begin("shop").await;
    let patch = |range: &str, body: &'static str| {
        port.raw("PATCH", &upload).header(header::CONTENT_RANGE, range).body(body).send()
    };
    let first = patch("0-4", "hello").await.unwrap();
    assert_eq!(
        (first.status(), &first.headers()[header::RANGE]),
        (StatusCode::ACCEPTED, &header::HeaderValue::from_static("0-4"))
    );
    let again = patch("0-4", "hello").await.unwrap();
    assert_eq!(again.headers()[header::RANGE], "0-4");
    assert_eq!(again.status(), StatusCode::RANGE_NOT_SATISFIABLE);
    assert_eq!(patch("9-9", "x").await.unwrap().status(), StatusCode::RANGE_NOT_SATISFIABLE);
    assert_eq!(fault(patch("5-6", "much longer").await.unwrap()).await, (400, "SIZE_INVALID".to_owned()));
    assert_eq!(fault(patch("5-9", "x").await.unwrap()).await, (400, "SIZE_INVALID".to_owned()));
    assert_eq!(fault(patch("9-5", "x").await.unwrap()).await, (400, "BLOB_UPLOAD_INVALID".to_owned()));
    let status = port.raw("GET", &upload).send().await.unwrap();
    assert_eq!((status.status(), &status.headers()[header::RANGE]), (StatusCode::NO_CONTENT, &first_range()));
    assert_eq!(patch("5-6", " w").await.unwrap().status(), StatusCode::ACCEPTED);
    let done = port
        .raw("PUT", &format!("{upload}?digest={}", digest(b"hello world")))
        .body("orld")
        .send()
        .await
        .unwrap();
    assert_eq!(done.status(), StatusCode::CREATED);
    assert_eq!(fs::read(port.store.blob_path(&digest(b"hello world"))).unwrap(), b"hello world");
}

fn first_range() -> header::HeaderValue {
    header::HeaderValue::from_static("0-4")
}

#[tokio::test]
async fn a_broken_chunk_is_gone_on_from() {
    let port = Port::open().await;
    let upload = port.begin("shop").await;
    let (address, path) = (port.address, upload.clone());
    let answer = tokio::task::spawn_blocking(move || {
        let mut socket = TcpStream::connect(address).unwrap();
        write!(
            socket,
            "PATCH /v2/{path} HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n{}",
            "a".repeat(400)
        )
        .unwrap();
        socket.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        answer
    });
    let answer = answer.await.unwrap();
    assert!(answer.is_empty() || answer.contains("BLOB_UPLOAD_INVALID"), "{answer}");
    let status = port.raw("GET", &upload).send().await.unwrap();
    assert_eq!(status.headers()[header::RANGE], "0-399");
    let rest = port
        .raw("PATCH", &upload)
        .header(header::CONTENT_RANGE, "400-999")
        .body("b".repeat(600))
        .send()
        .await;
    assert_eq!(rest.unwrap().status(), StatusCode::ACCEPTED);
    let whole = format!("{}{}", "a".repeat(400), "b".repeat(600));
    let done =
        port.raw("PUT", &format!("{upload}?digest={}", digest(whole.as_bytes()))).send().await.unwrap();
    assert_eq!(done.status(), StatusCode::CREATED);
}

#[tokio::test]
async fn a_wrong_digest_is_refused_and_invisible() {
    let port = Port::open().await;
    let promised = digest(b"good");
    for path in [
        format!("shop/blobs/uploads/?digest={promised}"),
        format!("{}?digest={promised}", port.begin("shop").await),
    ] {
        let method = if path.contains("/?") { "POST" } else { "PUT" };
        let response = port.raw(method, &path).body("evil").send().await.unwrap();
        assert_eq!(fault(response).await, (400, "DIGEST_INVALID".to_owned()));
    }
    assert!(!port.client.has_blob(&repository("shop"), &promised).await.unwrap());
    assert!(!port.store.has_blob(&digest(b"evil")));
    assert_eq!(port.uploads(), 0, "nothing is left behind");

    let (mut blob, path) = port.file(b"evil");
    blob.digest = promised;
    let error = port.client.push_blob(&repository("shop"), &blob, &path).await.unwrap_err();
    assert!(matches!(error, ClientError::Refused { status: 400, .. }) && !error.is_temporary(), "{error}");
}

#[tokio::test]
async fn what_was_pulled_wrong_does_not_appear() {
    let port = Port::open().await;
    let shop = repository("shop");
    let (blob, path) = port.file(b"content");
    port.client.push_blob(&shop, &blob, &path).await.unwrap();
    fs::write(port.store.blob_path(&blob.digest), b"damaged").unwrap();
    let target = port.folder.path().join("target");
    let error = port.client.pull_blob(&shop, &blob, &target).await.unwrap_err();
    assert!(matches!(error, ClientError::Mismatch { .. }) && error.is_temporary(), "{error}");
    assert!(!target.exists() && !port.folder.path().join("target.part").exists());
    let unknown = Descriptor::new(LAYER_GZIP, digest(b"x"), 1);
    let error = port.client.pull_blob(&shop, &unknown, &target).await.unwrap_err();
    assert!(matches!(error, ClientError::Refused { status: 404, .. }), "{error}");
}

#[tokio::test]
async fn a_blob_is_mounted_from_another_repository() {
    let port = Port::open().await;
    let (blob, path) = port.file(b"shared");
    let (from, to) = (repository("a"), repository("b/c"));
    assert!(!port.client.mount(&to, &blob.digest, &from).await.unwrap());
    assert_eq!(port.uploads(), 0, "the upload begun instead was ended");
    port.client.push_blob(&from, &blob, &path).await.unwrap();
    assert!(port.client.mount(&to, &blob.digest, &from).await.unwrap());
}

#[tokio::test]
async fn an_upload_belongs_to_its_repository_and_can_be_cancelled() {
    let port = Port::open().await;
    let upload = port.begin("shop").await;
    let other = upload.replace("shop/", "evil/");
    for method in ["GET", "PATCH", "DELETE"] {
        let answer = port.raw(method, &other).send().await.unwrap();
        assert_eq!(fault(answer).await, (404, "BLOB_UPLOAD_UNKNOWN".to_owned()));
    }
    assert_eq!(port.raw("DELETE", &upload).send().await.unwrap().status(), StatusCode::NO_CONTENT);
    assert_eq!(port.raw("GET", &upload).send().await.unwrap().status(), StatusCode::NOT_FOUND);
    assert_eq!(port.uploads(), 0);
}

#[tokio::test]
async fn many_push_the_same_blob_at_once() {
    let port = Port::open().await;
    let (blob, path) = port.file(&vec![7; 2_000_000]);
    let pushes = (0..8).map(|n| {
        let (client, blob, path) = (port.client.clone(), blob.clone(), path.clone());
        tokio::spawn(async move { client.push_blob(&repository(&format!("r{}", n % 2)), &blob, &path).await })
    });
    for push in pushes.collect::<Vec<_>>() {
        push.await.unwrap().unwrap();
    }
    assert_eq!(fs::metadata(port.store.blob_path(&blob.digest)).unwrap().len(), 2_000_000);
    assert_eq!(port.uploads(), 0);
}
