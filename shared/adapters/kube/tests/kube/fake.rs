//! Many nodes of kwok's, whose pods only say that they run.

use std::fmt::Write as _;
use std::time::Instant;

use longshore_kube::testing::Cluster;

fn deployment(name: &str, replicas: u32, annotations: &str) -> String {
    format!(
        "{{apiVersion: apps/v1, kind: Deployment, metadata: {{name: {name}}}, spec: {{
            replicas: {replicas},
            selector: {{matchLabels: {{app: {name}}}}},
            template: {{
                metadata: {{labels: {{app: {name}}}, annotations: {{{annotations}}}}},
                spec: {{containers: [{{name: shop, image: 'shop:1'}}]}}}}}}}}\n---\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn many_pods_are_ready_on_many_nodes_and_some_fare_badly_when_told_to() {
    let start = Instant::now();
    let (Some(cluster), Some(other)) = tokio::join!(Cluster::kwok(50), Cluster::kwok(1)) else { return };
    eprintln!("the nodes are ready after {:.1} s", start.elapsed().as_secs_f64());
    assert_eq!(other.kubectl(&["get", "nodes", "-o", "name"]).await.unwrap(), "node/node-1\n");
    drop(other);
    let kubectl = async |words: &str| {
        let words: Vec<&str> = words.split(' ').collect();
        cluster.kubectl(&words).await.unwrap_or_else(|why| panic!("kubectl {words:?}: {why}"))
    };
    let mut manifests = deployment("many", 200, "");
    let _ = write!(manifests, "{}", deployment("unready", 1, r#"longshore.test/ready: "false""#));
    let _ = write!(manifests, "{}", deployment("crashing", 1, r#"longshore.test/crash: "true""#));
    cluster.apply(&manifests).await.unwrap();

    kubectl("rollout status deployment/many --timeout=90s").await;
    assert_eq!(kubectl("get deployment many -o jsonpath={.status.readyReplicas}").await, "200");
    let nodes = kubectl("get pods -l app=many -o jsonpath={.items[*].spec.nodeName}").await;
    let mut nodes: Vec<&str> = nodes.split(' ').collect();
    nodes.sort_unstable();
    nodes.dedup();
    assert!(nodes.len() > 25, "the pods are spread: {nodes:?}");
    eprintln!("200 pods are ready after {:.1} s", start.elapsed().as_secs_f64());

    let unready = "wait --for=condition=Ready=false pod -l app=unready --timeout=30s";
    kubectl(unready).await;
    kubectl("annotate pod -l app=unready longshore.test/ready=true --overwrite").await;
    kubectl("rollout status deployment/unready --timeout=30s").await;

    let waiting = "{.status.containerStatuses[0].state.waiting.reason}=CrashLoopBackOff";
    kubectl(&format!("wait --for=jsonpath={waiting} pod -l app=crashing --timeout=30s")).await;
    let restarts = "get pod -l app=crashing -o jsonpath={.items[0].status.containerStatuses[0].restartCount}";
    assert!(kubectl(restarts).await.parse::<u32>().unwrap() > 0);
    eprintln!("all is seen after {:.1} s", start.elapsed().as_secs_f64());
}
