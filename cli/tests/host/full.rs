//! A disk that is full for a while.

use std::fs;

use longshore_intake::sign;
use longshore_ports::{BlobRef, Secret};

use crate::common::disk::Disk;
use crate::common::http::{Answer, send};
use crate::world::{Host, World};

/// A push that GitHub tells of.
fn tell(host: &Host, number: usize) -> Answer {
    let secret = fs::read_to_string(host.ready.data.join("secrets/github")).unwrap();
    let body = format!(
        r#"{{"ref":"refs/heads/b{number}","before":"{:040}","after":"{:040x}","repository":{{"full_name":"shop"}}}}"#,
        0,
        number + 1
    );
    let signature = sign::github(&Secret::new(secret.trim()), body.as_bytes());
    let delivery = format!("00000000-0000-4000-8000-{number:012}");
    let headers = [
        ("content-type", "application/json"),
        ("x-github-event", "push"),
        ("x-github-delivery", &*delivery),
        ("x-hub-signature-256", &*signature),
    ];
    send(host.ready.listen, "POST", "/hooks/github", &headers, body.as_bytes())
}

fn upload(host: &Host, content: &[u8]) -> Answer {
    let bearer = host.bearer();
    let headers = [("authorization", &*bearer), ("content-type", "application/octet-stream")];
    let path = format!("/v2/tools/blobs/uploads/?digest={}", BlobRef::of(content).0);
    send(host.ready.listen, "POST", &path, &headers, content)
}

/// The branches of the pushes that GitHub told of; the ref check sees that they are not there.
fn branches(host: &Host) -> Vec<String> {
    let found = host.get("/api/events?after=0&kind=push.received&limit=1000").json();
    let branch = |entry: &serde_json::Value| entry["event"]["data"]["ref"].as_str().unwrap().to_owned();
    let told = found["events"].as_array().unwrap().iter();
    let told = told.filter(|entry| entry["event"]["data"]["provider"] == "github");
    let mut found: Vec<_> = told.map(branch).collect();
    found.sort();
    found
}

#[test]
fn a_full_disk_refuses_loses_nothing_and_takes_again_when_there_is_room() {
    let world = World::new();
    let Some(disk) = Disk::mount(&world.data(), 24) else {
        return eprintln!("skipped: this user may not mount a file system");
    };
    let mut host = world.up();
    let mut taken: Vec<String> = Vec::new();
    assert_eq!(tell(&host, 0).status, 202);
    taken.push("refs/heads/b0".into());

    disk.fill();
    // There may be room for a few in what the journal's log has already.
    let refused = (1..2_000).find_map(|number| {
        let answer = tell(&host, number);
        if answer.status == 202 {
            taken.push(format!("refs/heads/b{number}"));
            return None;
        }
        Some((number, answer))
    });
    let (number, answer) = refused.expect("the disk is full");
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(answer.body.contains("LS0215"), "{answer:?}");
    let log = fs::read_to_string(world.path("log")).unwrap();
    assert!(log.contains("the disk is full; free some space"), "{log}");
    let content = vec![7; 256 << 10];
    let answer = upload(&host, &content);
    assert_eq!(answer.status, 507, "{answer:?}");
    assert!(answer.body.contains("make room"), "{answer:?}");
    let digest = BlobRef::of(&content).0;
    assert_eq!(host.get(&format!("/v2/tools/blobs/{digest}")).status, 404);
    assert_eq!(host.get("/api/status").status, 200, "it can still be asked");

    disk.free();
    assert_eq!(tell(&host, number).status, 202);
    taken.push(format!("refs/heads/b{number}"));
    assert_eq!(upload(&host, &content).status, 201);
    taken.sort();
    assert_eq!(branches(&host), taken);
    host.signal("KILL");
    host.wait();
    let host = world.up();
    assert_eq!(branches(&host), taken);
    drop(host);
}
