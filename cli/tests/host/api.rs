//! The API: only for who knows the token, and what it says.

use crate::common::http::send;
use crate::world::World;

#[test]
fn everything_but_webhooks_needs_the_token() {
    let world = World::new();
    let host = world.up();
    let wrong = [("authorization", "Bearer guess")];
    for (method, path) in [
        ("GET", "/api/status"),
        ("GET", "/api/events"),
        ("POST", "/api/requests"),
        ("POST", "/api/down"),
        ("POST", "/events"),
        ("GET", "/v2/"),
        ("PUT", "/v2/tools/manifests/latest"),
        ("GET", "/git/shop.git/info/refs?service=git-receive-pack"),
    ] {
        for headers in [&[][..], &wrong] {
            let answer = send(host.ready.listen, method, path, headers, b"");
            assert_eq!(answer.status, 401, "{method} {path}");
            assert_eq!(answer.header("www-authenticate"), Some("Basic realm=\"longshore\""));
        }
    }
    assert_eq!(send(host.ready.listen, "GET", "/healthz", &[], b"").status, 200);
}

#[test]
fn the_status_names_what_is_configured_and_no_secret() {
    let world = World::new();
    let host = world.up();
    let answer = host.get("/api/status");
    let status = answer.json();
    assert_eq!(status["environments"][0]["services"][0]["name"], "shop");
    assert_eq!(status["repositories"][0]["remote"], format!("{}/git/shop.git", host.ready.url()));
    assert_eq!(status["sources"][0]["url"], format!("{}/hooks/github", host.ready.url()));
    assert!(!answer.body.contains(&host.token));
}

#[test]
fn a_stop_is_an_event_and_a_switch_and_an_unknown_target_is_refused() {
    let world = World::new();
    let host = world.up();
    let taken = host.post("/api/requests", r#"{"what":"stop","target":"live","who":"mona","why":"a fire"}"#);
    assert_eq!(taken.status, 200, "{taken:?}");
    assert_eq!(host.get("/api/status").json()["stopped"], serde_json::json!(["live"]));
    let id = taken.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(host.get(&format!("/api/events/{id}")).json()["data"]["why"], "a fire");
    let refused = host.post("/api/requests", r#"{"what":"stop","target":"lvie","who":"mona"}"#);
    assert_eq!(refused.status, 422, "{refused:?}");
    assert!(refused.body.contains("live"), "{refused:?}");
    host.post("/api/requests", r#"{"what":"resume","target":"live","who":"mona"}"#);
    assert_eq!(host.get("/api/status").json()["stopped"], serde_json::json!([]));
}

#[test]
fn an_event_that_is_waited_for_comes_at_once() {
    let world = World::new();
    let host = world.up();
    let asked = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| host.get("/api/events?after=0&kind=request.made&wait_ms=30000"));
        host.post("/api/requests", r#"{"what":"stop","target":"all","who":"mona"}"#);
        waiting.join().unwrap()
    });
    assert_eq!(asked.json()["events"][0]["event"]["data"]["target"], "all");
}

#[test]
fn the_token_and_the_secrets_are_in_no_log_and_no_event() {
    let world = World::new();
    let host = world.up();
    world.working_copy();
    world.git("work", &["push", "--quiet", &host.remote(&host.token), "main"]);
    host.events("build.finished", 1);
    let secrets: Vec<String> = ["github", "longshore", "token"]
        .iter()
        .map(|name| {
            std::fs::read_to_string(world.data().join("secrets").join(name)).unwrap().trim().to_owned()
        })
        .collect();
    let logs =
        ["log", ".longshore/runner.log"].map(|name| std::fs::read_to_string(world.path(name)).unwrap());
    let events = host.get("/api/events?limit=1000").body;
    let journal =
        String::from_utf8_lossy(&std::fs::read(world.data().join("journal.sqlite")).unwrap()).into_owned();
    for text in [&logs[0], &logs[1], &events, &journal] {
        assert!(secrets.iter().all(|secret| !text.contains(secret)), "a secret in {text}");
    }
}
