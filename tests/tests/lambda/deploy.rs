//! `deploy` over a real process runner: taken once, also when it is killed in the middle.

use std::time::{Duration, Instant};

use jiff::SignedDuration;
use longshore_events::{Data, types::DeploymentOutcome};
use longshore_ports::Phase;
use serde_json::{Value, json};

use crate::registry;
use crate::runner::Runner;
use crate::sandbox::{LIFE, PATIENCE};
use crate::stage::{Stage, batch, now};

const UNIT: &str = "prod/shop";

fn wake() -> Value {
    json!({ "function": "deploy", "unit": UNIT })
}

#[test]
fn the_same_image_twice_is_one_rollout() {
    let stage = Stage::open();
    let runner = Runner::start(&stage);
    let image = stage.keep(&stage.gate());
    let mut deploy = stage.start("deploy");
    let envelope = json!({ "detail-type": "gate.evaluated", "source": "longshore", "detail": stage.gate() });
    assert_eq!(deploy.invoke(&envelope).unwrap(), Value::Null);
    let opened = stage.opened("deploy", UNIT, &image.id);
    assert_eq!((opened.owed, opened.receipts), (false, vec![UNIT.to_owned()]));
    assert_eq!(stage.events("deployment.started").len(), 1);
    let (unit, orders) = (stage.unit("deploy"), runner.orders());
    assert_eq!(runner.observed().generation, 1);

    deploy.invoke(&envelope).unwrap();
    drop(deploy);
    let mut again = stage.start("deploy");
    again.invoke(&batch([("m-1", image.to_json())])).unwrap();
    assert_eq!((stage.unit("deploy"), runner.orders()), (unit, orders), "no second time changes anything");
}

#[test]
fn an_image_from_outside_is_brought_to_run() {
    let mut stage = Stage::open();
    let digest = registry::with_image(&mut stage);
    let runner = Runner::start(&stage);
    let mut pushed = stage.gate();
    pushed["data"] = json!({
        "environment": "prod", "service": "shop", "image": "shop", "tag": "latest", "digest": digest,
        "verdict": "pass",
    });
    stage.keep(&pushed);
    let mut deploy = stage.start("deploy");
    deploy.invoke(&pushed).unwrap();
    let begun = Instant::now();
    while stage.events("deployment.finished").is_empty() {
        assert!(begun.elapsed() < PATIENCE, "never done: {:?}", runner.observed());
        std::thread::sleep(Duration::from_millis(20));
        deploy.invoke(&wake()).unwrap();
    }
    let ends = stage.events("deployment.finished");
    let Data::DeploymentFinished(end) = &ends[0].data else { panic!("{ends:?}") };
    assert_eq!(end.outcome, DeploymentOutcome::Succeeded);
    let running = runner.observed().releases;
    assert_eq!((running.len(), running[0].weight, running[0].phase), (1, 100, Phase::Ready));
    assert_eq!(running[0].digest.to_string(), digest);
    assert!(stage.unit("deploy").row.todo.is_empty());
}

#[test]
fn a_bad_message_fails_by_itself() {
    let stage = Stage::open();
    let _runner = Runner::start(&stage);
    let image = stage.keep(&stage.gate());
    let mut deploy = stage.start("deploy");
    let newer = image.to_json().replace("evaluated.v1", "evaluated.v9");
    let bodies = [
        ("no-json", "{".to_owned()),
        ("good", image.to_json()),
        ("newer", newer),
        ("other", json!({ "function": "build", "unit": "shop" }).to_string()),
        ("wake", wake().to_string()),
    ];
    let answer = deploy.invoke(&batch(bodies)).unwrap();
    let failures = ["no-json", "newer", "other"].map(|id| json!({ "itemIdentifier": id }));
    assert_eq!(answer, json!({ "batchItemFailures": failures }));
    assert!(!stage.opened("deploy", UNIT, &image.id).owed);
    assert!(deploy.invoke(&json!({ "hello": 1 })).is_err(), "one message alone fails its invocation");
}

#[test]
fn what_a_killed_invocation_began_is_its_own_until_the_claim_ends_and_then_taken_over() {
    let stage = Stage::open();
    let runner = Runner::start(&stage);
    let image = stage.keep(&stage.gate());
    runner.hold_orders(true);
    let mut first = stage.start("deploy");
    let begun = now();
    let invocation = first.begin(&stage.gate());
    runner.until_an_order_is_held();
    first.kill();
    let open = stage.unit("deploy");
    assert_eq!((open.row.todo.len(), open.row.claim.as_deref()), (1, Some(&*invocation)));
    let killed = begun + SignedDuration::try_from(LIFE).unwrap();
    assert!(open.row.until.unwrap() > killed, "the claim outlasts the platform's kill");

    runner.hold_orders(false);
    let mut second = stage.start("deploy");
    for payload in [stage.gate(), wake()] {
        second.invoke(&payload).unwrap();
        assert_eq!(stage.unit("deploy"), open, "another invocation leaves it alone");
    }
    assert_eq!(runner.orders(), [""; 0]);

    assert_eq!(stage.end_claims(), 1);
    second.invoke(&wake()).unwrap();
    assert_eq!(runner.observed().generation, 1, "the order that was lost is given");
    assert!(stage.unit("deploy").row.version > open.row.version);
    assert_eq!(stage.events("deployment.started").len(), 1);
    let opened = stage.opened("deploy", UNIT, &image.id);
    assert_eq!((opened.owed, opened.receipts.len()), (false, 1));
}
