//! What strangers send: refused with the right status, and nothing of it kept.

use longshore_intake::sign;
use longshore_ports::Secret;

use crate::common::http::{raw, send};
use crate::world::{Host, World};

const PUSH: &[u8] = br#"{"ref":"refs/heads/main","before":"0000000000000000000000000000000000000000","after":"1111111111111111111111111111111111111111","repository":{"full_name":"shop"}}"#;

fn hook(host: &Host, source: &str, signature: Option<&str>, body: &[u8]) -> (u16, String) {
    let mut headers = vec![
        ("content-type", "application/json"),
        ("x-github-event", "push"),
        ("x-github-delivery", "00000000-0000-4000-8000-000000000001"),
    ];
    headers.extend(signature.map(|signature| ("x-hub-signature-256", signature)));
    let answer = send(host.ready.listen, "POST", &format!("/hooks/{source}"), &headers, body);
    (answer.status, answer.body)
}

fn count(host: &Host) -> usize {
    host.get("/api/events").json()["events"].as_array().unwrap().len()
}

#[test]
fn a_webhook_that_nobody_signed_is_401_and_leaves_nothing() {
    let world = World::new();
    let host = world.up();
    let forged = sign::github(&Secret::new("guess"), PUSH);
    for signature in [None, Some("sha256="), Some(&*forged)] {
        let (status, body) = hook(&host, "github", signature, PUSH);
        assert_eq!(status, 401, "{body}");
        assert!(body.contains("LS0203"), "{body}");
    }
    let (status, body) = hook(&host, "nobody", Some(&forged), PUSH);
    assert_eq!((status, body.contains("LS0201")), (404, true), "{body}");
    assert_eq!(count(&host), 0);
}

#[test]
fn a_signed_webhook_is_an_event_however_often_it_comes() {
    let world = World::new();
    let host = world.up();
    let secret = std::fs::read_to_string(world.data().join("secrets/github")).unwrap();
    let signature = sign::github(&Secret::new(secret.trim()), PUSH);
    for _ in 0..3 {
        let (status, body) = hook(&host, "github", Some(&signature), PUSH);
        assert_eq!(status, 202, "{body}");
    }
    let pushes = host.get("/api/events?after=0&kind=push.received").json();
    assert_eq!(pushes["events"].as_array().unwrap().len(), 1, "{pushes}");
}

#[test]
fn a_body_over_the_limit_is_413_whether_its_length_is_told_or_not() {
    let world = World::new();
    let host = world.up();
    let large = vec![b' '; 64 * 1024];
    let (status, body) = hook(&host, "github", Some("sha256=00"), &large);
    assert_eq!((status, body.contains("LS0202")), (413, true), "{body}");
    let head =
        "POST /hooks/github HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n";
    let chunk = [format!("{:x}\r\n", large.len()).as_bytes(), &large, b"\r\n0\r\n\r\n"].concat();
    assert_eq!(raw(host.ready.listen, &[head.as_bytes(), &chunk]).status, 413);
    assert_eq!(send(host.ready.listen, "GET", "/healthz", &[], b"").status, 200);
}
