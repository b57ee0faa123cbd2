//! Many namespaces of one cluster, a service in each, and what is seen of it there.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::Request;
use kube::Client;
use longshore_events::{Digest, EnvironmentName, ImageName, ImageRef, ServiceName};
use longshore_kube::testing::{Cluster, FaultProxy};
use longshore_kube::{KubeWorkloads, Place, connect};
use longshore_ports::{
    Blobs as _, Desired, DesiredRelease, Health, Observed, ObservedRelease, Phase, PortError, ProbeTarget,
    Progress, RunSpec, Workload, Workloads as _,
};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::workloads::{Machine, Memory};

/// Looks are bounded, so that what never gets there fails the test.
const LOOKS: usize = 300;
/// So many stories are told at once.
const AT_ONCE: usize = 32;
/// Of what only says that it runs.
pub(crate) const IMAGE: &str = "registry.example/shop";

/// A cluster whose pods only say that they run, and a proxy before it.
pub(crate) struct Ground {
    pub(crate) cluster: Cluster,
    pub(crate) proxy: FaultProxy,
    client: Client,
    blobs: Arc<Memory>,
    /// For what many want: more at once than that, and a slow machine answers none of them in time.
    pub(crate) room: Semaphore,
}

/// A service in a namespace of its own.
pub(crate) struct Unit {
    pub(crate) ground: Arc<Ground>,
    pub(crate) namespace: String,
    /// What it is told goes this way, and what is looked at, that.
    pub(crate) writes: KubeWorkloads,
    pub(crate) looks: KubeWorkloads,
    /// Whether its releases have a route, and a password.
    pub(crate) routed: bool,
}

pub(crate) async fn a_while() {
    tokio::time::sleep(Duration::from_millis(300)).await;
}

impl Ground {
    pub(crate) async fn start(nodes: usize) -> Option<Arc<Self>> {
        let cluster = Cluster::kwok(nodes).await?;
        let proxy = FaultProxy::start(&cluster).await;
        let client = connect(Some(&cluster.kubeconfig()), None).await.unwrap().client;
        Some(Arc::new(Self { cluster, proxy, client, blobs: Arc::default(), room: Semaphore::new(AT_ONCE) }))
    }

    /// What is there, as whoever may see everything.
    pub(crate) async fn get(&self, path: &str) -> Option<Value> {
        let request = Request::get(path).body(Vec::new()).unwrap();
        self.client.request(request).await.ok()
    }

    pub(crate) async fn post(&self, path: &str, object: &Value) -> Result<Value, kube::Error> {
        let request = Request::post(path).header("content-type", "application/json");
        self.client.request(request.body(object.to_string().into_bytes()).unwrap()).await
    }

    /// Makes a namespace in which pods can be made.
    pub(crate) async fn namespace(&self, name: &str) {
        self.post("/api/v1/namespaces", &json!({"metadata": {"name": name}})).await.unwrap();
        let account = format!("/api/v1/namespaces/{name}/serviceaccounts/default");
        while self.get(&account).await.is_none() {
            a_while().await;
        }
    }

    /// Has the API server know routes.
    pub(crate) async fn know_routes(&self) {
        self.cluster.apply(HTTP_ROUTES).await.unwrap();
        let wait = "wait --for=condition=Established crd/httproutes.gateway.networking.k8s.io --timeout=30s";
        self.kubectl(wait).await;
    }

    pub(crate) async fn kubectl(&self, words: &str) -> String {
        let words: Vec<&str> = words.split(' ').collect();
        self.cluster.kubectl(&words).await.unwrap_or_else(|why| panic!("kubectl {words:?}: {why}"))
    }

    /// Workloads in a namespace, asked for by a kubeconfig.
    pub(crate) async fn workloads(&self, kubeconfig: &Path, namespace: &str) -> KubeWorkloads {
        let client = connect(Some(kubeconfig), None).await.unwrap().client;
        let place = Place::new(client, namespace.to_owned(), None);
        let places = BTreeMap::from([(workload().environment, place)]);
        KubeWorkloads { places, elsewhere: None, blobs: self.blobs.clone(), clock: Arc::new(Machine) }
    }

    /// A service in a new namespace. What it is told goes by the proxy, and what is looked at does not.
    pub(crate) async fn unit(self: &Arc<Self>, namespace: &str) -> Unit {
        let (proxy, cluster) = (self.proxy.kubeconfig().to_owned(), self.cluster.kubeconfig());
        self.unit_by(namespace, &proxy, &cluster).await
    }

    pub(crate) async fn unit_by(self: &Arc<Self>, namespace: &str, writes: &Path, looks: &Path) -> Unit {
        self.namespace(namespace).await;
        self.unit_of(namespace, writes, looks).await
    }

    /// The same in a namespace that is there, or is not.
    pub(crate) async fn unit_of(self: &Arc<Self>, namespace: &str, writes: &Path, looks: &Path) -> Unit {
        let writes = self.workloads(writes, namespace).await;
        let looks = self.workloads(looks, namespace).await;
        Unit { ground: self.clone(), namespace: namespace.to_owned(), writes, looks, routed: false }
    }

    pub(crate) async fn release(&self, release: u64, weight: u8, yaml: String) -> DesiredRelease {
        let ready = Health { target: ProbeTarget::Tcp, interval_ms: 100, timeout_ms: 500, failures: 1 };
        let run =
            RunSpec { env: BTreeMap::new(), args: None, ready, health: None, drain_ms: 100, stop_ms: 1_000 };
        let manifests = self.blobs.put(yaml.into_bytes()).await.unwrap();
        let image = ImageRef::new(ImageName::new(IMAGE).unwrap(), digest(release));
        DesiredRelease { release, image, weight, run, manifests: Some(manifests.0.to_string()) }
    }
}

/// A digest for each release.
pub(crate) fn digest(release: u64) -> Digest {
    Digest::new(format!("sha256:{release:064}")).unwrap()
}

pub(crate) fn workload() -> Workload {
    Workload {
        environment: EnvironmentName::new("prod").unwrap(),
        service: ServiceName::new("shop").unwrap(),
    }
}

/// A Deployment of this many instances, which says nothing of their number where it is `None`.
pub(crate) fn deployment(name: &str, replicas: Option<u64>, annotations: &str) -> String {
    let replicas = replicas.map(|replicas| format!("replicas: {replicas},")).unwrap_or_default();
    format!(
        "{{apiVersion: apps/v1, kind: Deployment, metadata: {{name: {name}}}, spec: {{
            {replicas}
            selector: {{matchLabels: {{app: {name}}}}},
            template: {{
                metadata: {{labels: {{app: {name}}}, annotations: {{{annotations}}}}},
                spec: {{terminationGracePeriodSeconds: 0, containers: [{{name: shop, image: shop}}]}}}}}}}}\n---\n"
    )
}

pub(crate) const SERVICE: &str = "{apiVersion: v1, kind: Service, metadata: {name: shop}, spec: {
    selector: {app: shop}, ports: [{port: 80, targetPort: 8080}]}}\n---\n";

/// A Deployment, a Service, and configuration that differs between releases.
pub(crate) fn shop(release: u64) -> String {
    let settings = format!(
        "{{apiVersion: v1, kind: ConfigMap, metadata: {{name: settings}}, data: {{release: '{release}'}}}}\n---\n"
    );
    let deployment = deployment("shop", Some(2), "")
        .replace("image: shop}", "image: shop, envFrom: [{configMapRef: {name: settings}}]}");
    [settings.as_str(), SERVICE, &deployment].concat()
}

/// All that Gateway API's own definition has and the adapter needs.
const HTTP_ROUTES: &str = "
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: httproutes.gateway.networking.k8s.io
  annotations: {api-approved.kubernetes.io: 'unapproved, a part of it for tests'}
spec:
  group: gateway.networking.k8s.io
  names: {plural: httproutes, singular: httproute, kind: HTTPRoute, listKind: HTTPRouteList}
  scope: Namespaced
  versions:
  - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}
";

/// The shop with a route and a password, which differs between releases.
pub(crate) fn routed(release: u64) -> String {
    let more = format!(
        "{{apiVersion: v1, kind: Secret, metadata: {{name: password}}, stringData: {{password: 'p{release}'}}}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: shop}}
spec: {{parentRefs: [{{name: gateway}}], rules: [{{backendRefs: [{{name: shop, port: 80}}]}}]}}
---
"
    );
    [&more, shop(release).as_str()].concat()
}

impl Unit {
    pub(crate) async fn apply(&self, pair: (u64, u32), releases: &[DesiredRelease]) -> Result<(), PortError> {
        let (generation, step) = pair;
        self.writes
            .apply(&Desired { workload: workload(), generation, step, releases: releases.to_vec() })
            .await
    }

    pub(crate) async fn observe(&self) -> Result<Observed, PortError> {
        self.looks.observe(&workload()).await
    }

    /// Releases of the shop, by number and weight.
    pub(crate) async fn shops(&self, releases: &[(u64, u8)]) -> Vec<DesiredRelease> {
        let mut all = Vec::new();
        for (release, weight) in releases {
            let yaml = if self.routed { routed(*release) } else { shop(*release) };
            all.push(self.ground.release(*release, *weight, yaml).await);
        }
        all
    }

    /// Applies a wish, and again where the outside asks for that or where it failed, until it is there.
    pub(crate) async fn reach(&self, pair: (u64, u32), releases: &[DesiredRelease]) {
        let is_there = |seen: &Observed| {
            let stands = |one: &ObservedRelease, weight| one.phase == Phase::Ready && one.weight == weight;
            let each =
                |of: &DesiredRelease| seen.release(of.release).is_some_and(|one| stands(one, of.weight));
            seen.progress == Progress::Settled && releases.iter().all(each)
        };
        let mut wish = true;
        let mut last = String::new();
        for _ in 0..LOOKS {
            if wish && let Err(error) = self.apply(pair, releases).await {
                assert!(error.is_temporary(), "{}: {pair:?}: {error}", self.namespace);
                last = error.to_string();
                continue;
            }
            a_while().await;
            let seen = match self.observe().await {
                Ok(seen) => seen,
                Err(error) => {
                    assert!(error.is_temporary(), "{}: {pair:?}: {error}", self.namespace);
                    continue;
                }
            };
            let reached = (seen.generation, seen.step) == pair;
            if reached && is_there(&seen) {
                return;
            }
            wish = !reached || seen.progress == Progress::Again;
            last = format!("{seen:?}");
        }
        panic!("{}: {pair:?} is never reached: {last}", self.namespace);
    }

    /// Looks until it is as expected.
    pub(crate) async fn until(&self, what: &str, is: impl Fn(&Observed) -> bool) -> Observed {
        let mut seen = self.observe().await.unwrap();
        for _ in 0..LOOKS {
            if is(&seen) {
                return seen;
            }
            a_while().await;
            seen = self.observe().await.unwrap();
        }
        panic!("{}: never seen: {what}; but {seen:?}", self.namespace);
    }

    /// Looks until the release stands so, and says why.
    pub(crate) async fn until_phase(&self, release: u64, phase: Phase) -> String {
        let is = |seen: &Observed| seen.release(release).is_some_and(|one| one.phase == phase);
        let seen = self.until(&format!("{phase:?}"), is).await;
        seen.release(release).and_then(|one| one.reason.clone()).unwrap_or_default()
    }

    /// E.g. `apis/apps/v1`, `deployments/shop`.
    pub(crate) async fn get(&self, api: &str, object: &str) -> Option<Value> {
        self.ground.get(&format!("/{api}/namespaces/{}/{object}", self.namespace)).await
    }

    pub(crate) async fn list(&self, api: &str, resource: &str) -> Vec<Value> {
        let list = self.get(api, resource).await.unwrap_or_else(|| panic!("{resource} cannot be listed"));
        list["items"].as_array().cloned().unwrap_or_default()
    }

    pub(crate) async fn shop(&self) -> Value {
        self.get("apis/apps/v1", "deployments/shop").await.expect("the Deployment shop is there")
    }

    /// That this release of the shop alone is left, as its manifests have it, all of it written by this pair.
    pub(crate) async fn only(&self, release: u64, pair: (u64, u32)) {
        let of = &self.namespace;
        let names = |all: &[Value]| all.iter().map(|one| text(one, "/metadata/name")).collect::<Vec<_>>();
        assert_eq!(names(&self.list("apis/apps/v1", "deployments").await), ["shop"], "{of}");
        assert_eq!(names(&self.list("api/v1", "services").await), ["shop"], "{of}");
        let mut maps = names(&self.list("api/v1", "configmaps").await);
        maps.retain(|name| !matches!(name.as_str(), "kube-root-ca.crt" | "longshore-prod-shop"));
        assert_eq!(maps, ["settings"], "{of}");
        let shop = self.shop().await;
        assert_eq!(shop["metadata"]["labels"]["longshore.dev/release"], release.to_string(), "{of}");
        assert_eq!(shop["spec"]["replicas"], 2, "{of}");
        let image = shop["spec"]["template"]["spec"]["containers"][0]["image"].clone();
        assert_eq!(image, format!("{IMAGE}@{}", digest(release)), "{of}");
        let notes = &shop["metadata"]["annotations"];
        let mut inventory = vec!["apps/v1 Deployment shop", "v1 ConfigMap settings", "v1 Service shop"];
        if self.routed {
            inventory.extend(["gateway.networking.k8s.io/v1 HTTPRoute shop", "v1 Secret password"]);
            inventory.sort_unstable();
            self.only_its_route(release).await;
        }
        let inventory = json!(inventory);
        assert_eq!(notes["longshore.dev/inventory"], inventory.to_string(), "{of}");
        assert_eq!(notes["longshore.dev/weights"], json!({release.to_string(): 100}).to_string(), "{of}");
        let service = self.get("api/v1", "services/shop").await.unwrap();
        assert_eq!(service["spec"]["selector"], json!({"app": "shop"}), "{of}");
        let settings = self.get("api/v1", "configmaps/settings").await.unwrap();
        assert_eq!(settings["data"], json!({"release": release.to_string()}), "{of}");
        for object in [&shop, &service, &settings] {
            let notes = &object["metadata"]["annotations"];
            let by = (notes["longshore.dev/generation"].clone(), notes["longshore.dev/step"].clone());
            assert_eq!(by, (pair.0.to_string().into(), pair.1.to_string().into()), "{of}: {object}");
        }
        self.only_pods_of(release).await;
    }

    async fn only_its_route(&self, release: u64) {
        let of = &self.namespace;
        let routes = self.list("apis/gateway.networking.k8s.io/v1", "httproutes").await;
        let rules = routes.iter().map(|route| route["spec"]["rules"].clone()).collect::<Vec<_>>();
        assert_eq!(rules, [json!([{"backendRefs": [{"name": "shop", "port": 80}]}])], "{of}");
        let secrets = self.list("api/v1", "secrets").await;
        let passwords = secrets.iter().map(|secret| text(secret, "/data/password")).collect::<Vec<_>>();
        assert_eq!(passwords, [BASE64_STANDARD.encode(format!("p{release}"))], "{of}");
    }

    /// Pods of other releases go after what made them.
    async fn only_pods_of(&self, release: u64) {
        let mut releases = Vec::new();
        for _ in 0..LOOKS {
            let pods = self.list("api/v1", "pods").await;
            let stays = pods.iter().filter(|pod| pod["metadata"]["deletionTimestamp"].is_null());
            releases = stays.map(|pod| text(pod, "/metadata/labels/longshore.dev~1release")).collect();
            if releases == [release.to_string(), release.to_string()] {
                return;
            }
            a_while().await;
        }
        panic!("{}: pods of {releases:?} run, and two of {release} shall", self.namespace);
    }
}

pub(crate) fn text(object: &Value, pointer: &str) -> String {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}
