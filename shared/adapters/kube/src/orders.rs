//! Releases and manifests for this crate's unit tests.

use std::collections::BTreeMap;

use longshore_events::{Digest, EnvironmentName, ImageName, ImageRef, ServiceName};
use longshore_ports::{Desired, DesiredRelease, Health, ProbeTarget, RunSpec, Workload};

use crate::dress::Wanted;
use crate::manifest;

/// The workload `prod/web`.
pub(crate) fn workload() -> Workload {
    Workload { environment: EnvironmentName::new("prod").unwrap(), service: ServiceName::new("web").unwrap() }
}

/// A release of the image whose digest is 64 times a digit.
pub(crate) fn release(release: u64, weight: u8) -> DesiredRelease {
    let digit = char::from_digit(u32::try_from(release % 10).unwrap(), 10).unwrap();
    let digest = Digest::new(format!("sha256:{}", digit.to_string().repeat(64))).unwrap();
    let ready = Health { target: ProbeTarget::Tcp, interval_ms: 100, timeout_ms: 500, failures: 1 };
    DesiredRelease {
        release,
        image: ImageRef::new(ImageName::new("shop/web").unwrap(), digest),
        weight,
        run: RunSpec { env: BTreeMap::new(), args: None, ready, health: None, drain_ms: 1000, stop_ms: 1000 },
        manifests: Some("sha256:0".into()),
    }
}

pub(crate) fn desired(pair: (u64, u32), releases: &[DesiredRelease]) -> Desired {
    Desired { workload: workload(), generation: pair.0, step: pair.1, releases: releases.to_vec() }
}

/// The release with these manifests.
pub(crate) fn wanted<'a>(release: &'a DesiredRelease, yaml: &str) -> Wanted<'a> {
    let image = format!("10.0.0.7:5000/{}", release.image);
    Wanted { release, image, pull_secret: None, objects: manifest::parse(yaml, "prod").unwrap() }
}

/// A service as people write it.
pub(crate) const WEB: &str = r"
apiVersion: v1
kind: ConfigMap
metadata: {name: web}
data: {greeting: hello}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: web
        image: web
        envFrom: [{configMapRef: {name: web}}]
      - name: proxy
        image: envoyproxy/envoy:v1.40
      volumes:
      - {name: c, configMap: {name: web}}
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: nightly}
spec: {schedule: '0 3 * * *', jobTemplate: {spec: {template: {spec: {containers: [{name: n, image: 'shop/web:latest'}]}}}}}
";
