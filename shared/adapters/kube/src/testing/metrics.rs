//! What pods and nodes use, as metrics-server tells it: for `kubectl top`, and for autoscaling by it.
//!
//! It is a program beside the pods, to which the API server is led by a service that is another name of its own host.

use serde_json::{Value, json};

use super::pki::Files;
use super::space::state;

const PORT: u16 = 4443;

/// So often it asks kubelet, in seconds: its least.
const RESOLUTION: u8 = 10;

/// As the administrator, whose kubeconfig this is.
pub(super) fn arguments(files: &Files, kubeconfig: &str) -> Vec<String> {
    [
        "metrics-server".to_owned(),
        format!("--kubeconfig={kubeconfig}"),
        format!("--authentication-kubeconfig={kubeconfig}"),
        format!("--authorization-kubeconfig={kubeconfig}"),
        "--bind-address=127.0.0.1".to_owned(),
        format!("--secure-port={PORT}"),
        format!("--cert-dir={}", state("metrics")),
        format!("--metric-resolution={RESOLUTION}s"),
        format!("--kubelet-request-timeout={}s", RESOLUTION / 2),
        "--kubelet-use-node-status-port".to_owned(),
        "--kubelet-preferred-address-types=InternalIP".to_owned(),
        format!("--kubelet-certificate-authority={}", files.path("ca.crt")),
        format!("--kubelet-client-certificate={}", files.path("api-to-kubelet.crt")),
        format!("--kubelet-client-key={}", files.path("api-to-kubelet.key")),
    ]
    .into()
}

/// What leads the API server to it, with the paths where these are made.
pub(super) fn objects() -> [(&'static str, Value); 2] {
    let service = json!({
        "metadata": { "name": "metrics-server" },
        "spec": { "type": "ExternalName", "externalName": "localhost", "ports": [{ "port": PORT }] },
    });
    let api = json!({
        "metadata": { "name": "v1beta1.metrics.k8s.io" },
        "spec": {
            "group": "metrics.k8s.io",
            "version": "v1beta1",
            "groupPriorityMinimum": 100,
            "versionPriority": 100,
            "insecureSkipTLSVerify": true,
            "service": { "name": "metrics-server", "namespace": "kube-system", "port": PORT },
        },
    });
    [
        ("/api/v1/namespaces/kube-system/services", service),
        ("/apis/apiregistration.k8s.io/v1/apiservices", api),
    ]
}
