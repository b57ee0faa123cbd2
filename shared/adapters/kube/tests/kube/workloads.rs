//! The port `Workloads` on a real cluster: its contract suite, and what only a cluster can do.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use longshore_events::{Digest, EnvironmentName, ImageName, ImageRef, ServiceName, Timestamp};
use longshore_kube::testing::Cluster;
use longshore_kube::{KubeWorkloads, Place, connect};
use longshore_ports::suite::workloads::{Bench, run};
use longshore_ports::{
    BlobRef, Blobs, Clock, DesiredRelease, Health, PortError, ProbeTarget, RunSpec, Workload,
};

use crate::registry::Registry;

/// Blobs, in memory.
#[derive(Default)]
pub(crate) struct Memory(Mutex<BTreeMap<String, Vec<u8>>>);

#[async_trait]
impl Blobs for Memory {
    async fn put(&self, content: Vec<u8>) -> Result<BlobRef, PortError> {
        let of = BlobRef::of(&content);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(of.0.to_string(), content);
        Ok(of)
    }

    async fn get(&self, blob: &BlobRef) -> Result<Vec<u8>, PortError> {
        let found = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&blob.0.to_string()).cloned();
        found.ok_or_else(|| PortError::invalid("read", "no such blob"))
    }
}

pub(crate) struct Machine;

impl Clock for Machine {
    #[expect(clippy::disallowed_methods, reason = "the cluster's time is the machine's")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// A service of one instance, as people write it.
pub(crate) fn manifests(replicas: u32) -> String {
    format!(
        "apiVersion: v1
kind: Service
metadata: {{name: shop}}
spec: {{selector: {{app: shop}}, ports: [{{port: 80, targetPort: 8080}}]}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: shop}}
spec:
  replicas: {replicas}
  selector: {{matchLabels: {{app: shop}}}}
  strategy: {{rollingUpdate: {{maxSurge: 1, maxUnavailable: 0}}}}
  template:
    metadata: {{labels: {{app: shop}}}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: shop
        image: shop
        readinessProbe: {{httpGet: {{path: /healthz, port: 8080}}, periodSeconds: 1}}
"
    )
}

/// A cluster with a registry, and what of Longshore's deploys onto it.
pub(crate) struct Yard {
    pub(crate) cluster: Cluster,
    registry: Registry,
    pub(crate) blobs: Arc<Memory>,
    count: AtomicU64,
}

impl Yard {
    pub(crate) async fn start() -> Option<Self> {
        let cluster = Cluster::start().await?;
        let registry = Registry::start().await;
        cluster.trust_registry(registry.address).await;
        Some(Self { cluster, registry, blobs: Arc::default(), count: AtomicU64::new(0) })
    }

    /// Workloads of one environment after another, each in a namespace of its own that is new.
    pub(crate) async fn workloads(
        &self,
        kubeconfig: &std::path::Path,
        environments: &[&str],
    ) -> KubeWorkloads {
        let mut places = BTreeMap::new();
        for environment in environments {
            let namespace = format!("{environment}-{}", self.count.fetch_add(1, Ordering::Relaxed));
            self.cluster.kubectl(&["create", "namespace", &namespace]).await.unwrap();
            let connection = connect(Some(kubeconfig), None).await.unwrap();
            let place = Place::new(connection.client, namespace, None);
            places.insert(EnvironmentName::new(*environment).unwrap(), place);
        }
        KubeWorkloads { places, elsewhere: None, blobs: self.blobs.clone(), clock: Arc::new(Machine) }
    }

    /// A release of the test service with this environment.
    pub(crate) async fn release(&self, version: &str, env: &[(&str, &str)], yaml: String) -> DesiredRelease {
        let digest = self.registry.push_by_digest(version, env);
        self.release_of(&digest, yaml).await
    }

    pub(crate) async fn release_of(&self, digest: &str, yaml: String) -> DesiredRelease {
        let name = ImageName::new(format!("{}/shop", self.registry.address)).unwrap();
        let ready = Health { target: ProbeTarget::Tcp, interval_ms: 100, timeout_ms: 500, failures: 1 };
        let run =
            RunSpec { env: BTreeMap::new(), args: None, ready, health: None, drain_ms: 100, stop_ms: 1_000 };
        let manifests = self.blobs.put(yaml.into_bytes()).await.unwrap();
        DesiredRelease {
            release: 1,
            image: ImageRef::new(name, Digest::new(digest).unwrap()),
            weight: 100,
            run,
            manifests: Some(manifests.0.to_string()),
        }
    }
}

pub(crate) fn workload(environment: &str) -> Workload {
    Workload {
        environment: EnvironmentName::new(environment).unwrap(),
        service: ServiceName::new("shop").unwrap(),
    }
}

pub(crate) async fn a_while() {
    tokio::time::sleep(Duration::from_millis(100)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_cluster_passes_the_suite_of_workloads() {
    let Some(yard) = Yard::start().await else { return };
    let kubeconfig = yard.cluster.kubeconfig();
    let good = yard.release("good", &[("VERSION", "good")], manifests(1)).await;
    let other = yard.release("other", &[("VERSION", "other")], manifests(1)).await;
    let unready = yard.release("unready", &[("FAIL", "unready")], manifests(1)).await;
    let unfit = yard.release_of(&format!("sha256:{}", "0".repeat(64)), manifests(1)).await;
    let make = async || Bench {
        workloads: yard.workloads(&kubeconfig, &["prod", "stage"]).await,
        units: [workload("prod"), workload("stage")],
        good: good.clone(),
        other: other.clone(),
        unready: unready.clone(),
        unfit: Some(unfit.clone()),
        last: Mutex::default(),
    };
    run(make, async |_| a_while().await).await;
}
