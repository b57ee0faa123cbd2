//! The proxy before the API server: what a client sees of each fault, and what was done all the same.

use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use longshore_kube::testing::{Cluster, Fault, FaultProxy};
use serde_json::{Value, json};

async fn client(kubeconfig: &std::path::Path) -> Client {
    let read = Kubeconfig::read_from(kubeconfig).unwrap();
    let mut config = Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await.unwrap();
    // Each request counts, and none is sent again by itself.
    config.default_retry = false;
    Client::try_from(config).unwrap()
}

fn map(name: &str, value: &str) -> ConfigMap {
    let object = json!({ "metadata": { "name": name }, "data": { "a": value } });
    serde_json::from_value(object).unwrap()
}

fn value(map: &ConfigMap) -> &str {
    &map.data.as_ref().unwrap()["a"]
}

/// The status that a refusal names.
fn code<T: std::fmt::Debug>(answer: Result<T, kube::Error>) -> Option<u16> {
    match answer {
        Err(kube::Error::Api(status)) => Some(status.code),
        Err(_) => None,
        Ok(done) => panic!("it was done: {done:?}"),
    }
}

/// What comes of creating a map of this name while a fault is on, and whether it is there.
struct Tried<'a> {
    proxy: &'a FaultProxy,
    maps: Api<ConfigMap>,
}

impl Tried<'_> {
    async fn create(&self, name: &str, fault: Fault) -> (Option<u16>, bool) {
        self.proxy.next("create", "configmaps", fault);
        let code = code(self.maps.create(&PostParams::default(), &map(name, "one")).await);
        (code, self.maps.get_opt(name).await.unwrap().is_some())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_proxy_plays_its_faults_and_notes_what_was_asked() {
    let Some(cluster) = Cluster::kwok(0).await else { return };
    let proxy = FaultProxy::start(&cluster).await;
    let client = client(proxy.kubeconfig()).await;
    let maps: Api<ConfigMap> = Api::namespaced(client, "default");
    writes_are_refused_lost_and_doubled(&proxy, &maps).await;
    reads_are_old_and_late(&proxy, &maps).await;
    foul_weather_is_the_same_for_one_seed(&proxy, &maps).await;
    what_goes_on_is_passed_on(&cluster, &proxy).await;
    each_is_known_by_a_token(&cluster, &proxy).await;
    every_request_is_noted(&proxy, &maps).await;
    an_api_server_that_is_away_is_away_here_too(&cluster, &maps).await;
}

async fn writes_are_refused_lost_and_doubled(proxy: &FaultProxy, maps: &Api<ConfigMap>) {
    let tried = Tried { proxy, maps: maps.clone() };
    for status in [401, 409, 410, 500, 503] {
        let seen = tried.create(&format!("refused-{status}"), Fault::Refused(status)).await;
        assert_eq!(seen, (Some(status), false));
    }
    assert_eq!(tried.create("busy", Fault::Busy(1)).await, (Some(429), false));
    assert_eq!(tried.create("cut", Fault::Cut).await, (None, false));
    assert_eq!(tried.create("cut-after", Fault::CutAfter).await, (None, true));
    assert_eq!(tried.create("broken-after", Fault::BrokenAfter).await, (Some(500), true));
    assert_eq!(tried.create("twice", Fault::Twice).await, (Some(409), true));
    // Each was for one request.
    maps.create(&PostParams::default(), &map("calm", "one")).await.unwrap();
    proxy.always("*", "configmaps", Fault::Refused(503));
    for _ in 0..2 {
        assert_eq!(code(maps.get("calm").await), Some(503));
    }
    proxy.calm();
    maps.get("calm").await.unwrap();
}

async fn reads_are_old_and_late(proxy: &FaultProxy, maps: &Api<ConfigMap>) {
    maps.create(&PostParams::default(), &map("read", "one")).await.unwrap();
    assert_eq!(value(&maps.get("read").await.unwrap()), "one");
    let patch = Patch::Merge(json!({ "data": { "a": "two" } }));
    maps.patch("read", &PatchParams::default(), &patch).await.unwrap();
    proxy.next("get", "configmaps", Fault::Stale);
    assert_eq!(value(&maps.get("read").await.unwrap()), "one", "as it was read before");
    assert_eq!(value(&maps.get("read").await.unwrap()), "two");
    let (late, start) = (Duration::from_millis(700), Instant::now());
    proxy.next("get", "*", Fault::Slow(late));
    maps.get("read").await.unwrap();
    assert!(start.elapsed() >= late);
}

async fn foul_weather_is_the_same_for_one_seed(proxy: &FaultProxy, maps: &Api<ConfigMap>) {
    let walk = async || {
        proxy.weather(7);
        proxy.asked();
        for round in 0..40 {
            let patch = Patch::Merge(json!({ "data": { "round": round.to_string() } }));
            let _ = maps.patch("read", &PatchParams::default(), &patch).await;
        }
        proxy.calm();
        proxy.asked().iter().map(|asked| asked.status).collect::<Vec<_>>()
    };
    let (once, again) = (walk().await, walk().await);
    assert_eq!(once, again);
    let good = once.iter().filter(|status| **status == 200).count();
    assert!((20..=38).contains(&good), "{once:?}");
    assert!([0, 429, 500, 503].iter().all(|status| once.contains(status)), "{once:?}");
}

async fn what_goes_on_is_passed_on(cluster: &Cluster, proxy: &FaultProxy) {
    proxy.asked();
    let wait = ["wait", "--for=jsonpath={.data.a}=three", "configmap/read", "--timeout=30s"];
    let waits = cluster.kubectl_with(proxy.kubeconfig(), &wait, "");
    let changes = async {
        while !proxy.asked().iter().any(|asked| asked.verb == "watch") {
            tokio::task::yield_now().await;
        }
        let patch = ["patch", "configmap", "read", "--patch", r#"{"data": {"a": "three"}}"#];
        cluster.kubectl(&patch).await.unwrap();
    };
    let (waited, ()) = tokio::join!(waits, changes);
    assert!(waited.unwrap().contains("condition met"));
}

async fn each_is_known_by_a_token(cluster: &Cluster, proxy: &FaultProxy) {
    cluster.kubectl(&["create", "serviceaccount", "nobody"]).await.unwrap();
    let token = cluster.kubectl(&["create", "token", "nobody"]).await.unwrap();
    let nobody = client(&proxy.kubeconfig_of(cluster, token.trim())).await;
    let maps: Api<ConfigMap> = Api::namespaced(nobody, "default");
    assert_eq!(code(maps.get("read").await), Some(403));
}

async fn every_request_is_noted(proxy: &FaultProxy, maps: &Api<ConfigMap>) {
    proxy.asked();
    maps.get("read").await.unwrap();
    maps.get_opt("none").await.unwrap();
    let apply = PatchParams::apply("test").force();
    let object: Value = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "read" }, "data": { "a": "four" },
    });
    maps.patch("read", &apply, &Patch::Apply(&object)).await.unwrap();
    proxy.next("delete", "configmaps", Fault::CutAfter);
    maps.delete("read", &kube::api::DeleteParams::default()).await.unwrap_err();
    let asked = proxy.asked();
    let seen: Vec<_> = asked.iter().map(|asked| (asked.verb, &*asked.name, asked.status)).collect();
    assert_eq!(
        seen,
        [("get", "read", 200), ("get", "none", 404), ("patch", "read", 200), ("delete", "read", 0)]
    );
    let apply = &asked[2];
    assert_eq!((&*apply.method, &*apply.resource, &*apply.namespace), ("PATCH", "configmaps", "default"));
    assert!(apply.path.contains("fieldManager=test"), "{}", apply.path);
    assert_eq!(apply.sent, object.to_string().len());
    assert!(apply.answered > 100);
}

async fn an_api_server_that_is_away_is_away_here_too(cluster: &Cluster, maps: &Api<ConfigMap>) {
    cluster.kill_api_server();
    assert_eq!(code(maps.get("calm").await), None);
    cluster.start_api_server().await;
    maps.get("calm").await.unwrap();
}
