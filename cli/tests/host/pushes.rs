//! Pushes: of commits over Git, of images to the registry.

use longshore_ports::BlobRef;

use crate::common::http::{Answer, send};
use crate::world::{Host, World};

#[test]
fn a_push_over_http_is_an_event_and_a_build() {
    let world = World::new();
    let host = world.up();
    let commit = world.working_copy();
    let pushed = world.git("work", &["push", &host.remote(&host.token), "main"]);
    assert!(pushed.status.success(), "{pushed:?}");
    let push = &host.events("push.received", 1)[0];
    assert_eq!(push["data"]["after"], commit);
    assert_eq!(push["data"]["provider"], "longshore");
    assert_eq!(push["data"]["created"], true);
    let build = &host.events("build.finished", 1)[0];
    assert_eq!(build["data"]["commit"], commit);
    assert_eq!(build["chainid"], push["chainid"]);

    let timeline = host.get(&format!("/api/timeline?commit={}", &commit[..8])).json();
    let kinds: Vec<_> = timeline["entries"].as_array().unwrap().iter().map(|entry| &entry["kind"]).collect();
    assert_eq!(kinds[0], "dev.longshore.push.received.v1", "{timeline}");
    assert_eq!(timeline["entries"][1]["depth"], 1, "{timeline}");
    let log = host.get("/api/logs/build/shop");
    assert_eq!(log.status, 200, "{log:?}");
    assert!(log.header(longshore_cli::api::NEXT_OFFSET).is_some(), "{log:?}");
}

#[test]
fn a_push_that_goes_back_is_forced() {
    let world = World::new();
    let host = world.up();
    world.working_copy();
    let remote = host.remote(&host.token);
    world.git("work", &["push", "--quiet", &remote, "main"]);
    world.git("work", &["commit", "--quiet", "--allow-empty", "--amend", "--message=other"]);
    let pushed = world.git("work", &["push", "--quiet", "--force", &remote, "main"]);
    assert!(pushed.status.success(), "{pushed:?}");
    let pushes = host.events("push.received", 2);
    assert_eq!(pushes[0]["data"]["forced"], false);
    assert_eq!(pushes[1]["data"]["forced"], true, "{pushes:?}");
}

#[test]
fn a_push_with_a_wrong_password_moves_nothing() {
    let world = World::new();
    let host = world.up();
    world.working_copy();
    let pushed = world.git("work", &["push", &host.remote("guess"), "main"]);
    assert!(!pushed.status.success());
    let there = host.get("/git/shop.git/info/refs?service=git-upload-pack");
    assert_eq!(there.status, 200);
    assert!(!there.body.contains("refs/heads/main"), "{there:?}");
}

#[test]
fn a_push_that_the_host_was_not_told_of_is_found_by_the_ref_check() {
    let world = World::new();
    let mut host = world.up();
    host.signal("TERM");
    host.wait();
    let commit = world.working_copy();
    let bare = world.data().join("git/shop.git");
    let pushed = world.git("work", &["push", bare.to_str().unwrap(), "main"]);
    assert!(pushed.status.success(), "{pushed:?}");
    assert!(String::from_utf8_lossy(&pushed.stderr).contains("ref check will find"), "{pushed:?}");
    let host = world.up();
    let push = &host.events("push.received", 1)[0];
    assert_eq!((&push["data"]["provider"], &push["data"]["after"]), (&"refcheck".into(), &commit.into()));
}

/// Pushes an image without layers, which differs by its label.
fn push_image(host: &Host, label: &str) -> Answer {
    let bearer = host.bearer();
    let put = |path: &str, kind: &str, body: &str| {
        let headers = [("authorization", &*bearer), ("content-type", kind)];
        send(
            host.ready.listen,
            if kind == "application/octet-stream" { "POST" } else { "PUT" },
            path,
            &headers,
            body.as_bytes(),
        )
    };
    let config = r#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}"#;
    let digest = BlobRef::of(config.as_bytes()).0;
    let uploaded =
        put(&format!("/v2/tools/blobs/uploads/?digest={digest}"), "application/octet-stream", config);
    assert_eq!(uploaded.status, 201, "{uploaded:?}");
    let manifest = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest, "size": config.len(),
        },
        "layers": [],
        "annotations": { "label": label },
    });
    put("/v2/tools/manifests/latest", "application/vnd.oci.image.manifest.v1+json", &manifest.to_string())
}

#[test]
fn an_image_from_outside_is_said_once_for_each_time_that_the_tag_moves() {
    let world = World::new();
    let host = world.up();
    for label in ["a", "a", "b", "a", "a"] {
        let pushed = push_image(&host, label);
        assert_eq!(pushed.status, 201, "{pushed:?}");
    }
    let all = host.get("/api/events?after=0&kind=image.pushed").json();
    let digests: Vec<_> =
        all["events"].as_array().unwrap().iter().map(|event| &event["event"]["data"]["digest"]).collect();
    assert_eq!(digests.len(), 3, "{all}");
    assert_eq!(digests[0], digests[2]);
    assert_ne!(digests[0], digests[1]);
}

#[test]
fn tags_lead_to_commits_and_refs_may_have_any_letters() {
    let world = World::new();
    let host = world.up();
    let commit = world.working_copy();
    world.git("work", &["tag", "--annotate", "--message=first", "v1"]);
    world.git("work", &["branch", "gr\u{f6}\u{df}e"]);
    let pushed = world.git("work", &["push", &host.remote(&host.token), "v1", "gr\u{f6}\u{df}e"]);
    assert!(pushed.status.success(), "{pushed:?}");
    let pushes = host.events("push.received", 2);
    assert!(pushes.iter().all(|push| push["data"]["after"] == commit), "{pushes:?}");
    assert!(pushes.iter().any(|push| push["data"]["ref"] == "refs/heads/gr\u{f6}\u{df}e"), "{pushes:?}");
}
