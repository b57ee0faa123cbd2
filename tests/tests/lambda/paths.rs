//! Pushes that touch more than an event has room for: from the webhook to the builds that follow.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use longshore_events::types::{BuildOutcome, PushReceived};
use longshore_events::{Data, Event};
use longshore_intake::sign;
use longshore_ports::Secret;
use serde_json::{Value, json};

use crate::stage::{SECRET, Stage};

/// Two services of one repository; each watches a folder of its own.
const CONFIGURATION: &str = r#"
[[source]]
name = "github"
provider = "github"

[[repository]]
name = "acme/shop"
url = "https://github.com/acme/shop.git"
forge = "github"
api = "@API@"

[[service]]
name = "shop"
repository = "acme/shop"
image = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/shop"
watch = ["src/**"]

[[service]]
name = "books"
repository = "acme/shop"
image = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/books"
watch = ["books/**"]

[[environment]]
name = "prod"
"#;

/// The most that Lambda gives to a function.
const MOST: usize = 6 << 20;
/// As many as GitHub lists in one push are 2,048; each of these commits touches a thousand paths.
const COMMITS: usize = 20;

/// GitHub's push of the tip, as a function URL passes it on: text is passed as it is.
fn webhook(stage: &Stage, before: &str, commits: &[Value]) -> Value {
    let body = json!({
        "ref": "refs/heads/main", "before": before, "after": stage.tip, "created": false, "deleted": false,
        "forced": false, "repository": { "full_name": "acme/shop" }, "pusher": { "name": "mona" }, "commits": commits,
    });
    let body = body.to_string();
    let signature = sign::github(&Secret::new(SECRET), body.as_bytes());
    json!({
        "version": "2.0", "routeKey": "$default", "rawPath": "/hooks/github", "rawQueryString": "",
        "requestContext": { "http": { "method": "POST", "path": "/hooks/github", "protocol": "HTTP/1.1" } },
        "headers": {
            "content-type": "application/json", "x-github-event": "push", "x-github-delivery": stage.tip,
            "x-hub-signature-256": signature,
        },
        "body": body, "isBase64Encoded": false,
    })
}

fn commits(paths: &[String]) -> Vec<Value> {
    let one = |paths: &[String]| json!({ "id": "c", "added": paths, "modified": [], "removed": [] });
    paths.chunks(paths.len().div_ceil(COMMITS)).map(one).collect()
}

/// The push of the stage's tip, as the journal has it.
fn received(stage: &Stage) -> (Event, PushReceived) {
    let mut pushes = stage.events("push.received").into_iter();
    let is_tip = |push: &PushReceived| push.after.as_ref().is_some_and(|after| after.as_str() == stage.tip);
    let found = pushes.find_map(|event| match event.data.clone() {
        Data::PushReceived(push) if is_tip(&push) => Some((event, push)),
        _ => None,
    });
    found.unwrap()
}

/// How the builds of the tip stand: services that are being built, and those that nothing was built for.
fn builds(stage: &Stage) -> (Vec<String>, Vec<String>) {
    let started = stage.events("build.started").into_iter().filter_map(|event| match event.data {
        Data::BuildStarted(build) => (build.commit.as_str() == stage.tip).then(|| build.service.to_string()),
        _ => None,
    });
    let unchanged = stage.events("build.finished").into_iter().filter_map(|event| match event.data {
        Data::BuildFinished(build) if build.commit.as_str() == stage.tip => {
            assert_eq!(build.outcome, BuildOutcome::Unchanged);
            Some(build.service.to_string())
        }
        _ => None,
    });
    (started.collect(), unchanged.collect())
}

#[test]
fn a_push_of_20_000_paths_builds_what_it_touches_and_says_that_its_list_was_cut() {
    let mut stage = Stage::configured(CONFIGURATION);
    let first = stage.tip.clone();
    for service in ["shop", "books"] {
        let mut image = stage.image();
        let name = format!("123456789012.dkr.ecr.eu-west-1.amazonaws.com/{service}");
        (image["id"], image["subject"]) = (json!(format!("build/{service}/pushed")), json!(name));
        (image["data"]["image"], image["data"]["service"]) = (json!(name), json!(service));
        stage.keep(&image);
        stage.proxy.build(service, json!({ "buildStatus": "IN_PROGRESS" }));
    }
    // As long as the body may be: 200 bytes each.
    let paths: Vec<_> = (0..20_000).map(|n| format!("books/{n:05}-{}", "x".repeat(188))).collect();
    stage.commit(&paths);
    let request = webhook(&stage, &first, &commits(&paths));
    let size = request.to_string().len();
    assert!(size > MOST / 2 && size < MOST, "{size}");
    let mut intake = stage.start("intake");
    assert_eq!(intake.invoke(&request).unwrap()["statusCode"], 202);
    let (event, push) = received(&stage);
    assert_eq!((push.paths.len(), push.paths_truncated), (0, true));
    let mut build = stage.start("build");
    build.invoke(&serde_json::from_str(&event.to_json()).unwrap()).unwrap();
    assert_eq!(builds(&stage), (vec!["books".to_owned()], vec!["shop".to_owned()]));
}

#[test]
fn paths_that_take_more_room_in_an_event_than_they_have_bytes_are_cut_too() {
    let stage = Stage::configured(CONFIGURATION);
    let strange: Vec<_> = (0..2_000).map(|n| format!("{n}{}", "\u{1}".repeat(40))).collect();
    let request = webhook(&stage, &"1".repeat(40), &commits(&strange));
    // What holds control characters may come in base64.
    let mut encoded = request.clone();
    encoded["body"] = json!(STANDARD.encode(request["body"].as_str().unwrap()));
    encoded["isBase64Encoded"] = json!(true);
    let mut intake = stage.start("intake");
    assert_eq!(intake.invoke(&encoded).unwrap()["statusCode"], 202);
    assert!(received(&stage).1.paths_truncated);
}

#[test]
fn as_many_paths_as_an_event_has_room_for_are_kept() {
    let stage = Stage::configured(CONFIGURATION);
    let paths: Vec<_> = (0..3_000).map(|n| format!("books/{n:04}/{}", "x".repeat(18))).collect();
    let mut intake = stage.start("intake");
    let request = webhook(&stage, &"1".repeat(40), &commits(&paths));
    assert_eq!(intake.invoke(&request).unwrap()["statusCode"], 202);
    let (_, push) = received(&stage);
    assert_eq!((push.paths, push.paths_truncated), (paths, false));
}
