//! What belongs to others stays theirs, and what a cluster refuses is told as it is.

use std::sync::Arc;

use longshore_ports::{ErrorKind, Phase, PortError};
use serde_json::{Value, json};

use crate::ground::{Ground, SERVICE, Unit, a_while, deployment, text};

#[tokio::test(flavor = "multi_thread")]
async fn what_belongs_to_others_stays_theirs_and_refusals_are_told() {
    let Some(ground) = Ground::start(2).await else { return };
    a_policy_refuses(&ground, "policy").await;
    tokio::join!(
        a_scaler_of_the_manifests_keeps_its_number(&ground),
        a_scaler_of_somebody_else_keeps_its_number(&ground),
        a_number_that_is_left_out_stays(&ground),
        a_field_of_somebody_else_is_not_taken(&ground),
        an_object_of_another_workload_is_not_touched(&ground),
        a_namespace_must_be_there(&ground),
        a_quota_is_told(&ground),
        what_a_policy_says_is_told(&ground, "policy"),
        a_field_that_no_schema_has_is_refused(&ground),
    );
}

/// A shop of this many instances; its template is another for each release.
fn shop(release: u64, replicas: Option<u64>) -> String {
    [SERVICE, &deployment("shop", replicas, &format!("release: '{release}'"))].concat()
}

async fn reach(unit: &Unit, release: u64, yaml: String) {
    unit.reach((release, 1), &[unit.ground.release(release, 100, yaml).await]).await;
}

async fn refused(unit: &Unit, release: u64, yaml: String) -> PortError {
    let release = [unit.ground.release(release, 100, yaml).await];
    let error = unit.apply((release[0].release, 1), &release).await.expect_err("it cannot be applied");
    assert!(!error.is_temporary(), "trying again does not mend it: {error}");
    error
}

async fn replicas(unit: &Unit) -> Value {
    unit.shop().await["spec"]["replicas"].clone()
}

const SCALER: &str = "{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, metadata: {name: shop}, spec: {
    minReplicas: 1, maxReplicas: 9, scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: shop},
    metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 50}}}]}}\n---\n";

/// As an autoscaler does it.
async fn scale(unit: &Unit, replicas: u64) {
    let words = format!("scale deployment shop --replicas={replicas} --namespace {}", unit.namespace);
    unit.ground.kubectl(&words).await;
}

async fn a_scaler_of_the_manifests_keeps_its_number(ground: &Arc<Ground>) {
    let unit = ground.unit("scaled").await;
    for (release, number) in [(1, Some(2)), (2, Some(2)), (3, None), (4, Some(2))] {
        reach(&unit, release, [SCALER, &shop(release, number)].concat()).await;
        if release == 1 {
            scale(&unit, 5).await;
        }
        assert_eq!(replicas(&unit).await, 5, "release {release}");
    }
    // One that comes with a release takes over what stands.
    let unit = ground.unit("scaled-later").await;
    reach(&unit, 1, shop(1, Some(3))).await;
    reach(&unit, 2, [SCALER, &shop(2, Some(3))].concat()).await;
    assert_eq!(replicas(&unit).await, 3);
    scale(&unit, 4).await;
    reach(&unit, 3, [SCALER, &shop(3, None)].concat()).await;
    assert_eq!(replicas(&unit).await, 4);
}

async fn a_scaler_of_somebody_else_keeps_its_number(ground: &Arc<Ground>) {
    let unit = ground.unit("scaled-by-others").await;
    reach(&unit, 1, shop(1, Some(2))).await;
    let apply = ["apply", "--namespace", &unit.namespace, "--filename=-"];
    ground.cluster.kubectl_with(&ground.cluster.kubeconfig(), &apply, SCALER).await.unwrap();
    scale(&unit, 5).await;
    for (release, number) in [(2, Some(2)), (3, None), (4, Some(2))] {
        reach(&unit, release, shop(release, number)).await;
        assert_eq!(replicas(&unit).await, 5, "release {release}");
    }
}

async fn a_number_that_is_left_out_stays(ground: &Arc<Ground>) {
    let unit = ground.unit("unscaled").await;
    for (release, number) in [(1, Some(3)), (2, Some(3)), (3, None), (4, None)] {
        reach(&unit, release, shop(release, number)).await;
        assert_eq!(replicas(&unit).await, 3, "release {release}");
    }
}

async fn a_field_of_somebody_else_is_not_taken(ground: &Arc<Ground>) {
    let unit = ground.unit("managed").await;
    reach(&unit, 1, shop(1, Some(1))).await;
    let theirs = "{apiVersion: apps/v1, kind: Deployment, metadata: {name: shop}, spec: {template: {spec: {
        containers: [{name: shop, image: 'other:1'}]}}}}";
    let apply =
        ["apply", "--server-side", "--field-manager=other", "--force-conflicts", "-n", "managed", "-f-"];
    ground.cluster.kubectl_with(&ground.cluster.kubeconfig(), &apply, theirs).await.unwrap();
    let before = unit.shop().await;
    let error = refused(&unit, 2, shop(2, Some(1))).await;
    assert_eq!(error.kind, ErrorKind::Invalid);
    let said = error.to_string();
    for word in [
        "Deployment shop",
        r#".spec.template.spec.containers[name="shop"].image"#,
        r#"conflict with "other""#,
        "Longshore forces nothing",
    ] {
        assert!(said.contains(word), "{word}: {said}");
    }
    let after = unit.shop().await;
    assert_eq!(before["spec"], after["spec"]);
    assert_eq!(text(&after, "/spec/template/spec/containers/0/image"), "other:1");
}

async fn an_object_of_another_workload_is_not_touched(ground: &Arc<Ground>) {
    let unit = ground.unit("taken").await;
    let theirs = json!({"metadata": {"name": "shop", "labels": {
        "longshore.dev/environment": "prod", "longshore.dev/service": "other"}}, "spec": {"ports": [{"port": 1}]}});
    let theirs = ground.post("/api/v1/namespaces/taken/services", &theirs).await.unwrap();
    let error = refused(&unit, 1, shop(1, Some(1))).await;
    assert_eq!(error.kind, ErrorKind::Invalid);
    assert!(error.to_string().contains("Service shop belongs to prod/other"), "{error}");
    assert_eq!(unit.get("api/v1", "services/shop").await, Some(theirs));
    assert!(unit.get("apis/apps/v1", "deployments/shop").await.is_none());
}

async fn a_namespace_must_be_there(ground: &Arc<Ground>) {
    let (proxy, cluster) = (ground.proxy.kubeconfig().to_owned(), ground.cluster.kubeconfig());
    let unit = ground.unit_of("nowhere", &proxy, &cluster).await;
    assert_eq!(unit.observe().await.unwrap(), longshore_ports::Observed::default());
    let error = refused(&unit, 1, shop(1, Some(1))).await;
    assert_eq!(error.kind, ErrorKind::NotFound);
    assert!(error.to_string().contains(r#"namespaces "nowhere" not found"#), "{error}");

    let unit = ground.unit("going").await;
    let stays = json!({"metadata": {"name": "stays", "finalizers": ["longshore.test/stays"]}});
    ground.post("/api/v1/namespaces/going/configmaps", &stays).await.unwrap();
    ground.kubectl("delete namespace going --wait=false").await;
    let error = refused(&unit, 1, shop(1, Some(1))).await;
    assert_eq!(error.kind, ErrorKind::Invalid);
    assert!(error.to_string().contains("namespace going because it is being terminated"), "{error}");
}

async fn quota(ground: &Ground, namespace: &str, hard: Value) {
    let quota = json!({"metadata": {"name": "small"}, "spec": {"hard": hard}});
    let path = format!("/api/v1/namespaces/{namespace}/resourcequotas");
    ground.post(&path, &quota).await.unwrap();
    // It holds once what is there was counted.
    while ground.get(&format!("{path}/small")).await.is_none_or(|quota| quota["status"]["hard"].is_null()) {
        a_while().await;
    }
}

async fn a_quota_is_told(ground: &Arc<Ground>) {
    let unit = ground.unit("quota").await;
    quota(ground, "quota", json!({"count/services": "0"})).await;
    let error = refused(&unit, 1, shop(1, Some(1))).await;
    assert_eq!(error.kind, ErrorKind::Invalid);
    assert!(error.to_string().contains("exceeded quota: small"), "{error}");

    let unit = ground.unit("quota-of-pods").await;
    quota(ground, "quota-of-pods", json!({"pods": "1"})).await;
    unit.apply((1, 1), &[ground.release(1, 100, shop(1, Some(2))).await]).await.unwrap();
    let why = unit.until_phase(1, Phase::Failed).await;
    assert!(why.starts_with("no pod can be made: ") && why.contains("exceeded quota: small"), "{why}");
}

/// Has the API server refuse Deployments in a namespace, once it does.
async fn a_policy_refuses(ground: &Arc<Ground>, namespace: &str) {
    ground.namespace(namespace).await;
    let policies = format!(
        "apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {{name: none}}
spec:
  matchConstraints:
    resourceRules: [{{apiGroups: [apps], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [deployments]}}]
  validations: [{{expression: 'false', message: nobody deploys on Fridays}}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {{name: none}}
spec:
  policyName: none
  validationActions: [Deny]
  matchResources: {{namespaceSelector: {{matchLabels: {{kubernetes.io/metadata.name: {namespace}}}}}}}
"
    );
    ground.cluster.apply(&policies).await.unwrap();
    let probe = json!({"metadata": {"name": "probe"}, "spec": {
        "selector": {"matchLabels": {"app": "probe"}},
        "template": {"metadata": {"labels": {"app": "probe"}},
            "spec": {"containers": [{"name": "probe", "image": "probe"}]}}}});
    let path = format!("/apis/apps/v1/namespaces/{namespace}/deployments?dryRun=All");
    while ground.post(&path, &probe).await.is_ok() {
        a_while().await;
    }
}

async fn what_a_policy_says_is_told(ground: &Arc<Ground>, namespace: &str) {
    let direct = ground.cluster.kubeconfig();
    let unit = ground.unit_of(namespace, &direct, &direct).await;
    let error = refused(&unit, 1, shop(1, Some(1))).await;
    assert_eq!(error.kind, ErrorKind::Invalid);
    assert!(error.to_string().contains("nobody deploys on Fridays"), "{error}");
}

async fn a_field_that_no_schema_has_is_refused(ground: &Arc<Ground>) {
    let unit = ground.unit("misspelt").await;
    let misspelt = |release| shop(release, Some(1)).replace("targetPort", "targetport");
    let error = refused(&unit, 1, misspelt(1)).await;
    assert!(error.to_string().contains("targetport"), "{error}");
    reach(&unit, 1, shop(1, Some(1))).await;
    let error = refused(&unit, 2, misspelt(2)).await;
    assert!(error.to_string().contains("targetport"), "{error}");
}
