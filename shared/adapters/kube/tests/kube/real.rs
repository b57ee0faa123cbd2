//! A real node: images come from a registry, pods run, services lead to them.

use std::path::Path;
use std::time::{Duration, Instant};

use http_body_util::{BodyExt as _, Empty};
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use longshore_kube::testing::Cluster;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio::time::{sleep, timeout};

use crate::registry::Registry;

/// Three pods behind a service that has a port of the node, too.
fn shop(image: &str) -> String {
    format!(
        "{{apiVersion: apps/v1, kind: Deployment, metadata: {{name: shop}}, spec: {{
            replicas: 3,
            selector: {{matchLabels: {{app: shop}}}},
            strategy: {{rollingUpdate: {{maxSurge: 3, maxUnavailable: 0}}}},
            template: {{
                metadata: {{labels: {{app: shop}}}},
                spec: {{terminationGracePeriodSeconds: 2, containers: [{{
                    name: shop,
                    image: '{image}',
                    readinessProbe: {{httpGet: {{path: /healthz, port: 8080}}, periodSeconds: 1}},
                    resources: {{limits: {{cpu: 500m, memory: 64Mi}}}}}}]}}}}}}}}
---
{{apiVersion: v1, kind: Service, metadata: {{name: shop}}, spec: {{
    type: NodePort, selector: {{app: shop}}, ports: [{{port: 80, targetPort: 8080}}]}}}}"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_cluster_runs_what_is_deployed_and_leaves_nothing_behind() {
    let start = Instant::now();
    let Some(cluster) = Cluster::start().await else { return };
    eprintln!("the cluster is up after {:.1} s", start.elapsed().as_secs_f64());
    let registry = Registry::start().await;
    cluster.trust_registry(registry.address).await;
    let [one, two] = ["one", "two"].map(|version| registry.push(version, &[("VERSION", version)]));
    let shop = async {
        let at = shop_is_deployed(&cluster, &one).await;
        logs_and_commands_come_from_the_pods(&cluster, &at).await;
        pods_reach_the_machine_and_programs_the_network(&cluster).await;
        shop_is_updated(&cluster, &two, &at).await;
        at
    };
    let (at, (), (), ()) = tokio::join!(
        shop,
        cluster.start_metrics(),
        a_token_without_rights_is_refused(&cluster),
        two_who_set_a_field_are_told_of_each_other(&cluster),
    );
    what_is_used_is_told(&cluster).await;
    a_policy_of_networks_is_taken_and_not_enforced(&cluster, &at).await;
    pods_serve_while_the_api_server_is_away(&cluster, &at).await;
    eprintln!("all is seen after {:.1} s", start.elapsed().as_secs_f64());
    nothing_is_left_of(cluster);
}

/// Where the shop is reached.
struct Shop {
    by_node: String,
    by_service: String,
}

async fn shop_is_deployed(cluster: &Cluster, image: &str) -> Shop {
    cluster.apply(&shop(image)).await.unwrap();
    kubectl(cluster, "rollout status deployment/shop --timeout=60s").await;
    let ask = async |path: &str| kubectl(cluster, &format!("get service shop -o jsonpath={path}")).await;
    let port = ask("{.spec.ports[0].nodePort}").await;
    let at = Shop {
        by_node: format!("http://{}:{port}/", cluster.node_address()),
        by_service: format!("http://{}/", ask("{.spec.clusterIP}").await),
    };
    for url in [&at.by_node, &at.by_service] {
        assert_eq!(get(url).await, "one\n", "{url}");
    }
    let pods = kubectl(cluster, "get pods -l app=shop -o jsonpath={.items[*].status.podIP}").await;
    assert_eq!(pods.split(' ').count(), 3);
    for pod in pods.split(' ') {
        assert_eq!(get(&format!("http://{pod}:8080/")).await, "one\n");
    }
    at
}

async fn logs_and_commands_come_from_the_pods(cluster: &Cluster, at: &Shop) {
    let said = kubectl(cluster, &format!("exec deployment/shop -- /program get {}", at.by_service)).await;
    assert_eq!(said, "one\n");
    get(&format!("{}log?line=heard", at.by_node)).await;
    let logs = kubectl(cluster, "logs --selector app=shop --prefix").await;
    assert_eq!(logs.matches("version one starts").count(), 3, "{logs}");
    assert_eq!(logs.matches("heard").count(), 1, "{logs}");
}

async fn pods_reach_the_machine_and_programs_the_network(cluster: &Cluster) {
    let listener = TcpListener::bind((cluster.host_address(), 0)).await.unwrap();
    let ask = format!("exec deployment/shop -- /program get http://{}/", listener.local_addr().unwrap());
    let answer = async {
        let (mut stream, from) = listener.accept().await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\nmachine").await.unwrap();
        from.ip().to_string()
    };
    let (said, from) = tokio::join!(kubectl(cluster, &ask), answer);
    assert_eq!(said, "machine");
    let pods = kubectl(cluster, "get pods -l app=shop -o jsonpath={.items[*].status.podIP}").await;
    assert!(pods.split(' ').any(|pod| pod == from), "{from} is none of {pods}");
    let links = cluster.command("ip").args(["-o", "link"]).output().unwrap();
    let links = String::from_utf8_lossy(&links.stdout).into_owned();
    assert!(links.contains(": pods: ") && !links.contains("longshore"), "{links}");
}

async fn shop_is_updated(cluster: &Cluster, image: &str, at: &Shop) {
    kubectl(cluster, &format!("set image deployment/shop shop={image}")).await;
    kubectl(cluster, "rollout status deployment/shop --timeout=60s").await;
    kubectl(cluster, "wait --for=jsonpath={.status.replicas}=3 deployment/shop --timeout=60s").await;
    for url in [&at.by_node, &at.by_service] {
        assert_eq!(get(url).await, "two\n", "{url}");
    }
}

async fn a_token_without_rights_is_refused(cluster: &Cluster) {
    kubectl(cluster, "create serviceaccount reader").await;
    let token = kubectl(cluster, "create token reader").await;
    let reader = cluster.kubeconfig_of(token.trim());
    let look = async || cluster.kubectl_with(&reader, &["get", "configmaps"], "").await;
    let refused = look().await.unwrap_err();
    assert!(refused.contains("forbidden"), "{refused}");
    kubectl(cluster, "create role reader --verb=get,list --resource=configmaps").await;
    kubectl(cluster, "create rolebinding reader --role=reader --serviceaccount=default:reader").await;
    // The rules of access are read from a copy that follows.
    let allowed = async || {
        while look().await.is_err() {
            sleep(Duration::from_millis(200)).await;
        }
    };
    timeout(Duration::from_secs(20), allowed()).await.unwrap();
    let nobody = cluster.kubeconfig_of("nobody's");
    let unknown = cluster.kubectl_with(&nobody, &["get", "configmaps"], "").await.unwrap_err();
    assert!(unknown.contains("must be logged in"), "{unknown}");
}

async fn two_who_set_a_field_are_told_of_each_other(cluster: &Cluster) {
    let map = |value| {
        format!("{{apiVersion: v1, kind: ConfigMap, metadata: {{name: both}}, data: {{a: {value}}}}}")
    };
    cluster.apply(&map("one")).await.unwrap();
    let arguments = ["apply", "--server-side", "--field-manager=other", "--filename=-"];
    let conflict = cluster.kubectl_with(&cluster.kubeconfig(), &arguments, &map("two")).await.unwrap_err();
    assert!(conflict.contains("conflict with \"test\": .data.a"), "{conflict}");
}

async fn what_is_used_is_told(cluster: &Cluster) {
    let nodes = kubectl(cluster, "top node --no-headers").await;
    assert!(nodes.starts_with("node-1 "), "{nodes}");
    // Of pods it is known once they were asked for twice.
    let pods = async || cluster.kubectl(&["top", "pod", "--no-headers"]).await.unwrap_or_default();
    let told = async {
        while pods().await.lines().filter(|line| line.starts_with("shop-")).count() < 3 {
            sleep(Duration::from_millis(500)).await;
        }
    };
    timeout(Duration::from_secs(45), told).await.unwrap();
}

/// Whoever writes such policies cannot learn here whether they hold.
async fn a_policy_of_networks_is_taken_and_not_enforced(cluster: &Cluster, at: &Shop) {
    let none = "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: none}, spec: {
        podSelector: {}, policyTypes: [Ingress, Egress]}}";
    cluster.apply(none).await.unwrap();
    assert_eq!(get(&at.by_service).await, "two\n");
}

async fn pods_serve_while_the_api_server_is_away(cluster: &Cluster, at: &Shop) {
    cluster.kill_api_server();
    let refused = cluster.kubectl(&["get", "pods", "--request-timeout=2s"]).await.unwrap_err();
    assert!(refused.contains("refused"), "{refused}");
    for url in [&at.by_node, &at.by_service] {
        assert_eq!(get(url).await, "two\n", "{url}");
    }
    cluster.start_api_server().await;
    // All that follow the API server find it again.
    kubectl(cluster, "scale deployment/shop --replicas=4").await;
    kubectl(cluster, "rollout status deployment/shop --timeout=60s").await;
    cluster.restart_api_server().await;
    assert_eq!(kubectl(cluster, "get deployment shop -o jsonpath={.status.readyReplicas}").await, "4");
}

fn nothing_is_left_of(cluster: Cluster) {
    let link = format!("longshore{}", cluster.host_address().octets()[2]);
    let folder = cluster.kubeconfig().parent().unwrap().to_owned();
    let group = format!("/{link}/");
    assert!(
        links().contains(&link) && !processes(&folder, &group).is_empty(),
        "the test sees what it looks for"
    );
    drop(cluster);
    assert!(!links().contains(&link), "the link is left");
    assert_eq!(processes(&folder, &group), Vec::<String>::new(), "processes are left");
    assert!(!folder.exists(), "the folder is left");
    let read = |path: &Path| path.read_dir().into_iter().flatten().map(|entry| entry.unwrap().path());
    let groups = read(Path::new("/sys/fs/cgroup")).map(|tree| tree.join(&link));
    assert_eq!(groups.filter(|group| group.exists()).collect::<Vec<_>>(), Vec::<std::path::PathBuf>::new());
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
    assert!(!mounts.contains("/run/longshore") && !mounts.contains("cni-"), "{mounts}");
    let outside = ["/var/lib/cni", "/var/lib/kubelet", "/run/containerd", "/run/longshore"];
    for path in outside.map(Path::new) {
        assert!(!path.exists(), "{} is left, or was there before", path.display());
    }
}

fn links() -> Vec<String> {
    let read = Path::new("/sys/class/net").read_dir().unwrap();
    read.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// The processes that name a folder, or are in a control group.
fn processes(folder: &Path, group: &str) -> Vec<String> {
    let folder = folder.to_str().unwrap();
    let of_cluster = |process: &Path| {
        let read = |file| std::fs::read(process.join(file)).unwrap_or_default();
        let [command, groups] = ["cmdline", "cgroup"].map(read);
        let [command, groups] = [command, groups].map(|text| String::from_utf8_lossy(&text).into_owned());
        (command.contains(folder) || groups.contains(group)).then_some(command)
    };
    let read = Path::new("/proc").read_dir().unwrap();
    read.filter_map(|entry| of_cluster(&entry.ok()?.path())).collect()
}

async fn kubectl(cluster: &Cluster, words: &str) -> String {
    let words: Vec<&str> = words.split(' ').collect();
    cluster.kubectl(&words).await.unwrap_or_else(|why| panic!("kubectl {words:?}: {why}"))
}

/// What is answered with 200, over a connection of its own. A service leads to pods that are gone until the node has
/// heard of it: then it is asked again.
async fn get(url: &str) -> String {
    let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build_http::<Empty<Bytes>>();
    let once = async || {
        let answer = timeout(Duration::from_secs(2), client.get(url.parse().unwrap())).await.ok()?.ok()?;
        (answer.status() == 200).then_some(())?;
        Some(answer.into_body().collect().await.ok()?.to_bytes())
    };
    let asked = async {
        loop {
            if let Some(body) = once().await {
                return String::from_utf8(body.to_vec()).unwrap();
            }
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(Duration::from_secs(30), asked).await.unwrap_or_else(|_| panic!("{url} does not answer"))
}
