//! What a rollout asks of the API server, when nothing goes wrong.

use std::sync::Arc;

use longshore_kube::testing::Asked;
use longshore_ports::{Phase, Progress};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::ground::{Ground, SERVICE, Unit, deployment};

/// The most requests that a rollout may take that is ready after so many looks. Each look more is another one, and one at its pods.
const MOST: usize = 12;
/// See [`MOST`].
const LOOKS: usize = 3;

fn manifests(release: u64) -> String {
    [SERVICE, &deployment("shop", Some(2), &format!("release: '{release}'"))].concat()
}

/// Deploys a release as the function `deploy` does: a look, the wish, a look after it, one each second until it is ready, and
/// one after it has settled. What was asked, and how many looks found it not ready.
async fn deploy(unit: &Unit, release: u64) -> (Vec<Asked>, usize) {
    let wish = [unit.ground.release(release, 100, manifests(release)).await];
    unit.ground.proxy.asked();
    unit.observe().await.unwrap();
    unit.apply((release, 1), &wish).await.unwrap();
    let mut looks = 0;
    loop {
        let seen = unit.observe().await.unwrap();
        let is_ready = seen.release(release).is_some_and(|seen| seen.phase == Phase::Ready);
        if is_ready && seen.progress == Progress::Settled {
            break;
        }
        looks += 1;
        a_second().await;
    }
    unit.observe().await.unwrap();
    (unit.ground.proxy.asked(), looks)
}

async fn a_second() {
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
}

/// What one look and all changes take: how many looks there are is up to the cluster.
fn bytes(asked: &[Asked]) -> usize {
    let changes = asked.iter().filter(|asked| asked.is_write());
    let first = asked.iter().find(|asked| asked.verb == "list");
    changes.chain(first).map(|asked| asked.sent + asked.answered).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollout_takes_few_requests_and_no_more_beside_a_thousand_services() {
    let Some(ground) = Ground::start(1).await else { return };
    let proxy = ground.proxy.kubeconfig().to_owned();
    let unit = ground.unit_by("prod", &proxy, &proxy).await;
    deploy(&unit, 1).await;
    // The first apply after the creation takes over what was created.
    let second = deploy(&unit, 2).await;
    let alone = deploy(&unit, 3).await;
    crowd(&ground).await;
    let crowded = deploy(&unit, 4).await;
    for (asked, looks) in [&second, &alone, &crowded] {
        let brief =
            asked.iter().map(|asked| format!("{} {}", asked.verb, asked.resource)).collect::<Vec<_>>();
        let most = MOST + 2 * looks.saturating_sub(LOOKS);
        assert!(asked.len() <= most, "{} requests: {brief:?}", asked.len());
        eprintln!("{} requests, {} bytes: {}", asked.len(), bytes(asked), brief.join(", "));
    }
    let changes = |asked: &[Asked]| asked.iter().filter(|asked| asked.is_write()).count();
    let ((alone, _), (crowded, _)) = (alone, crowded);
    assert_eq!(changes(&alone), changes(&crowded));
    let (alone, crowded) = (bytes(&alone), bytes(&crowded));
    assert!(alone.abs_diff(crowded) * 50 <= alone, "{alone} bytes alone, {crowded} beside many");
}

/// A thousand Deployments beside the shop, with labels as other services of Longshore have them.
async fn crowd(ground: &Arc<Ground>) {
    let mut all = JoinSet::new();
    for number in 0..1_000 {
        let ground = ground.clone();
        all.spawn(async move {
            let name = format!("other-{number}");
            let labels = json!({"longshore.dev/environment": "prod", "longshore.dev/service": name});
            let deployment = json!({"metadata": {"name": name, "labels": labels}, "spec": {
                "paused": true,
                "selector": {"matchLabels": {"app": name}},
                "template": {
                    "metadata": {"labels": {"app": name}},
                    "spec": {"containers": [{"name": "other", "image": "other"}]}}}});
            ground.post("/apis/apps/v1/namespaces/prod/deployments", &deployment).await.unwrap();
        });
    }
    all.join_all().await;
    // The controller has seen them all, and has time for the shop.
    let is_seen = |one: &Value| one["status"]["observedGeneration"] == one["metadata"]["generation"];
    loop {
        let list = ground.get("/apis/apps/v1/namespaces/prod/deployments").await.unwrap();
        if list["items"].as_array().is_some_and(|all| all.iter().all(is_seen)) {
            return;
        }
        a_second().await;
    }
}
