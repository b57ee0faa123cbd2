//! Nodes that only say that they run pods: kwok plays their kubelets.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::link::Link;
use super::pki::{Files, write};
use super::programs::Programs;

/// How pods come to be not ready, and to crash: added to how kwok has them be ready.
const STAGES: &str = include_str!("../../../../../tests/peers/kube/stages.yaml");

/// Writes what pods and nodes go through.
pub(super) fn write_stages(programs: &Programs, path: &Path) {
    let said = Command::new(&programs.kube).arg("kwok-stages").output().unwrap();
    assert!(said.status.success(), "kwok-stages: {}", String::from_utf8_lossy(&said.stderr));
    write(path, &format!("{}---\n{STAGES}", String::from_utf8_lossy(&said.stdout)));
}

pub(super) fn arguments(files: &Files, link: &Link, kubeconfig: &Path, stages: &Path) -> Vec<String> {
    [
        "kwok".to_owned(),
        "--manage-all-nodes=true".to_owned(),
        format!("--kubeconfig={}", kubeconfig.display()),
        format!("--config={}", stages.display()),
        format!("--node-ip={}", link.node()),
        "--node-port=10250".to_owned(),
        "--server-address=0.0.0.0:10250".to_owned(),
        format!("--tls-cert-file={}", files.path("kubelet.crt")),
        format!("--tls-private-key-file={}", files.path("kubelet.key")),
        "--node-lease-duration-seconds=40".to_owned(),
    ]
    .into()
}

/// A node of an ordinary size: on a vast one all pods would fit. kwok fills in the rest.
pub(super) fn node(number: usize) -> Value {
    let size = json!({ "cpu": "4", "memory": "16Gi", "pods": "110" });
    json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": { "name": format!("node-{number}") },
        "status": { "capacity": size, "allocatable": size },
    })
}
