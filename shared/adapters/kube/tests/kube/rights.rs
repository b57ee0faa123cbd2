//! The Role of `infra/kubernetes/deploy.yaml`: enough for everything that is done, and no more.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use longshore_kube::testing::Asked;
use longshore_ports::{ErrorKind, Phase};
use serde_json::Value;

use crate::ground::{Ground, Unit, deployment, routed, shop};

const ROLE: &str = include_str!("../../../../../infra/kubernetes/deploy.yaml");

/// A right: a verb, a group, a resource.
type Right = (String, String, String);

/// The shop with everything else that has pods.
fn of_all_kinds(release: u64) -> String {
    let pods = |name: &str, restart: &str| {
        format!(
            "{{metadata: {{labels: {{app: {name}}}}}, spec: {{restartPolicy: {restart}, containers: [{{name: shop, image: shop}}]}}}}"
        )
    };
    let selector = |name: &str| format!("selector: {{matchLabels: {{app: {name}}}}}");
    let lasting = |kind: &str, name: &str, more: &str| {
        format!(
            "{{apiVersion: apps/v1, kind: {kind}, metadata: {{name: {name}}}, spec: {{{}, {more} template: {}}}}}\n---\n",
            selector(name),
            pods(name, "Always")
        )
    };
    let nightly = format!(
        "{{apiVersion: batch/v1, kind: CronJob, metadata: {{name: nightly}}, spec: {{schedule: '0 3 * * *',
            jobTemplate: {{spec: {{template: {}}}}}}}}}\n---\n",
        pods("nightly", "Never")
    );
    let job = format!(
        "{{apiVersion: batch/v1, kind: Job, metadata: {{name: migrate}}, spec: {{template: {}}}}}\n---\n",
        pods("migrate", "Never")
    );
    [
        shop(release).as_str(),
        &lasting("StatefulSet", "store", "serviceName: shop,"),
        &lasting("DaemonSet", "agent", ""),
        &nightly,
        &job,
    ]
    .concat()
}

/// A kubeconfig, by way of the proxy, of an account that has this Role alone in this namespace.
async fn account(ground: &Ground, namespace: &str, role: &str) -> PathBuf {
    let cluster = &ground.cluster;
    let kubeconfig = cluster.kubeconfig();
    let apply = ["apply", "--namespace", namespace, "--filename=-"];
    cluster.kubectl_with(&kubeconfig, &apply, role).await.unwrap();
    ground.kubectl(&format!("create serviceaccount deploy --namespace {namespace}")).await;
    let bind = format!(
        "create rolebinding deploy --role=longshore-deploy --serviceaccount={namespace}:deploy -n {namespace}"
    );
    ground.kubectl(&bind).await;
    let token = ground.kubectl(&format!("create token deploy --namespace {namespace}")).await;
    ground.proxy.kubeconfig_of(cluster, token.trim())
}

fn granted(role: &str) -> BTreeSet<Right> {
    let role: Value = serde_saphyr::from_str(role).unwrap();
    let texts = |rule: &Value, key: &str| -> Vec<String> {
        let all = rule[key].as_array().into_iter().flatten();
        all.filter_map(|one| one.as_str().map(str::to_owned)).collect()
    };
    let mut rights = BTreeSet::new();
    for rule in role["rules"].as_array().unwrap() {
        for group in texts(rule, "apiGroups") {
            for resource in texts(rule, "resources") {
                for verb in texts(rule, "verbs") {
                    rights.insert((verb, group.clone(), resource.clone()));
                }
            }
        }
    }
    rights
}

fn used(asked: &[Asked]) -> BTreeSet<Right> {
    asked.iter().map(|asked| (asked.verb.to_owned(), asked.group.clone(), asked.resource.clone())).collect()
}

/// Rolling, side by side, everything that has pods, what is removed, what does not become ready, and nothing.
async fn tell(unit: &Unit) {
    let ground = &unit.ground;
    let routes = async |weights: &[(u64, u8)]| {
        let mut all = Vec::new();
        for (release, weight) in weights {
            all.push(ground.release(*release, *weight, routed(*release)).await);
        }
        all
    };
    let side_by_side: [&[(u64, u8)]; 4] =
        [&[(1, 100)], &[(1, 50), (2, 50)], &[(1, 0), (2, 100)], &[(2, 100)]];
    for (generation, weights) in (1..).zip(side_by_side) {
        unit.reach((generation, 1), &routes(weights).await).await;
    }
    let all_kinds = [ground.release(5, 100, of_all_kinds(5)).await];
    unit.reach((5, 1), &all_kinds).await;
    unit.reach((5, 2), &all_kinds).await;
    let crashes = deployment("shop", Some(1), "longshore.test/crash: 'true'");
    unit.apply((6, 1), &[ground.release(6, 100, crashes).await]).await.unwrap();
    unit.until("a crash", |seen| {
        seen.release(6).is_some_and(|one| matches!(one.phase, Phase::Backoff | Phase::Failed))
    })
    .await;
    let unready = deployment("shop", Some(1), "longshore.test/ready: 'false'");
    unit.apply((7, 1), &[ground.release(7, 100, unready).await]).await.unwrap();
    let said =
        |one: &longshore_ports::ObservedRelease| one.reason.as_ref().is_some_and(|why| why.contains("503"));
    unit.until("why it is not ready", |seen| seen.release(7).is_some_and(said)).await;
    unit.reach((8, 1), &[ground.release(8, 100, shop(8)).await]).await;
    unit.apply((9, 1), &[]).await.unwrap();
    unit.until("nothing", |seen| seen.releases.is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_role_is_what_is_needed_and_no_more() {
    let Some(ground) = Ground::start(2).await else { return };
    ground.know_routes().await;
    tokio::join!(all_is_allowed(&ground), what_is_missing_is_named(&ground));
}

async fn all_is_allowed(ground: &Arc<Ground>) {
    ground.namespace("shop").await;
    let kubeconfig = account(ground, "shop", ROLE).await;
    let unit = ground.unit_of("shop", &kubeconfig, &kubeconfig).await;
    tell(&unit).await;
    let asked = ground.proxy.asked_in("shop");
    let denied: Vec<&Asked> = asked.iter().filter(|asked| asked.status == 403).collect();
    assert!(denied.is_empty(), "{denied:?}");
    let (used, granted) = (used(&asked), granted(ROLE));
    assert_eq!(used.difference(&granted).collect::<Vec<_>>(), Vec::<&Right>::new(), "used, and not granted");
    assert_eq!(granted.difference(&used).collect::<Vec<_>>(), Vec::<&Right>::new(), "granted, and not used");
}

/// Without a right that is needed nothing else fails, and the rule that is missing can be copied.
async fn what_is_missing_is_named(ground: &Arc<Ground>) {
    for (namespace, verbs, missing, apis) in
        [("cannot-look", "[get]", "list", "apps"), ("cannot-make", "[get, list]", "create", "")]
    {
        ground.namespace(namespace).await;
        let rules = ["apps", "batch", "''"]
            .map(|group| format!("- {{apiGroups: [{group}], resources: ['*'], verbs: {verbs}}}\n"));
        let head = "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: longshore-deploy}\nrules:\n";
        let kubeconfig = account(ground, namespace, &[head, &rules.concat()].concat()).await;
        let unit = ground.unit_of(namespace, &kubeconfig, &kubeconfig).await;
        let refused = unit.apply((1, 1), &unit.shops(&[(1, 100)]).await).await.unwrap_err();
        assert_eq!(refused.kind, ErrorKind::Denied, "{refused}");
        let resource = if apis.is_empty() { "configmaps" } else { "deployments" };
        let rule = format!(
            "; add the rule {{apiGroups: [\"{apis}\"], resources: [\"{resource}\"], verbs: [\"{missing}\"]}} to the Role of this function"
        );
        assert!(refused.to_string().contains(&rule), "{refused}");
    }
}
