//! `report` on AWS: statuses at the forge, and notices through SNS.

use serde_json::{Value, json};

use crate::stage::Stage;

const CONFIGURATION: &str = r#"
[[repository]]
name = "acme/shop"
url = "https://github.com/acme/shop.git"
forge = "github"
api = "@API@"
token = "forge"

[[service]]
name = "shop"
repository = "acme/shop"

[[environment]]
name = "prod"
"#;

fn event(id: &str, kind: &str, second: u8, data: &Value) -> Value {
    json!({
        "specversion": "1.0", "id": id, "source": "longshore/test", "subject": "shop",
        "type": format!("dev.longshore.{kind}.v1"), "time": format!("2026-11-24T08:00:{second:02}Z"), "data": data,
    })
}

fn own(texts: &[(&str, &str, &str)]) -> Vec<(String, String, String)> {
    texts.iter().map(|(a, b, c)| ((*a).to_owned(), (*b).to_owned(), (*c).to_owned())).collect()
}

#[test]
fn how_a_commit_stands_is_shown_and_people_are_told_of_what_failed() {
    let stage = Stage::configured(CONFIGURATION);
    let build =
        json!({ "service": "shop", "repo": "acme/shop", "commit": stage.tip, "builder": "codebuild" });
    let mut failed = build.clone();
    (failed["outcome"], failed["reason"]) = (json!("failed"), json!("test failed\nwith status 1"));
    let rollout = json!({
        "deployment": "prod/shop/3", "environment": "prod", "service": "shop", "commit": stage.tip,
        "to": format!("sha256:{}", "a".repeat(64)), "outcome": "rolled_back", "failure": "it did not become ready",
    });
    let dead =
        json!({ "original": "push/1", "function": "build", "unit": "shop@1", "error": "no", "attempts": 5 });
    let mut report = stage.start("report");
    let mut hears = |event: &Value| {
        let kept = stage.keep(event);
        report.invoke(&serde_json::from_str(&kept.to_json()).unwrap()).unwrap();
        kept
    };
    hears(&event("b/2", "build.finished", 2, &failed));
    hears(&event("b/1", "build.started", 1, &build));
    let shop = ("longshore/shop", "failure", "test failed with status 1");
    assert_eq!(stage.shown(), own(&[shop]), "what comes late is not shown");
    assert_eq!(stage.told(), []);

    let ended = event("d/1", "deployment.finished", 3, &rollout);
    for _ in 0..2 {
        hears(&ended);
    }
    let live = ("longshore/prod/shop", "failure", "it was rolled back: it did not become ready");
    assert_eq!(stage.shown(), own(&[shop, live]), "twice is once");
    let letter = hears(&event("l/1", "event.deadlettered", 4, &dead));
    let told = stage.told();
    let subjects: Vec<_> = told.iter().map(|(subject, _)| subject.as_str()).collect();
    assert_eq!(subjects, ["shop was rolled back in prod", "build gave up"]);
    assert!(told[0].1.contains("report/failure/prod/shop/3/1/notice"), "with its key: {}", told[0].1);
    let units = ["build", "deployment", "failure", "dead"].len();
    let stored = stage.units("report");
    assert_eq!(stored.len(), units, "{stored:?}");
    assert!(!stage.opened("report", &stored[1], &letter.id).owed, "nothing is owed any more");
}
