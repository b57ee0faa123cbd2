//! The control plane: what each of its programs is told.
//!
//! All ports are the usual ones, since the network is the cluster's own. Nothing is written to disk for good.

use super::link::Link;
use super::pki::Files;
use super::space::state;

const ETCD: &str = "http://127.0.0.1:2379";

pub(super) fn etcd() -> Vec<String> {
    let peer = "http://127.0.0.1:2380";
    [
        "--name=etcd".to_owned(),
        format!("--data-dir={}", state("etcd")),
        format!("--listen-client-urls={ETCD}"),
        format!("--advertise-client-urls={ETCD}"),
        format!("--listen-peer-urls={peer}"),
        format!("--initial-advertise-peer-urls={peer}"),
        format!("--initial-cluster=etcd={peer}"),
        "--unsafe-no-fsync".to_owned(),
        "--log-level=warn".to_owned(),
    ]
    .into()
}

pub(super) fn api_server(files: &Files, link: &Link) -> Vec<String> {
    let file = |flag: &str, name: &str| format!("--{flag}={}", files.path(name));
    [
        format!("--etcd-servers={ETCD}"),
        format!("--advertise-address={}", link.node()),
        "--bind-address=0.0.0.0".to_owned(),
        "--secure-port=6443".to_owned(),
        format!("--service-cluster-ip-range={}", link.services()),
        "--allow-privileged=true".to_owned(),
        "--profiling=false".to_owned(),
        file("tls-cert-file", "api.crt"),
        file("tls-private-key-file", "api.key"),
        file("client-ca-file", "ca.crt"),
        file("token-auth-file", "tokens.csv"),
        "--authorization-mode=Node,RBAC".to_owned(),
        "--enable-admission-plugins=NodeRestriction".to_owned(),
        "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
        file("service-account-key-file", "accounts.pub"),
        file("service-account-signing-key-file", "accounts.key"),
        file("kubelet-client-certificate", "api-to-kubelet.crt"),
        file("kubelet-client-key", "api-to-kubelet.key"),
        file("kubelet-certificate-authority", "ca.crt"),
        "--kubelet-preferred-address-types=InternalIP".to_owned(),
        file("requestheader-client-ca-file", "front.crt"),
        "--requestheader-allowed-names=front-proxy-client".to_owned(),
        "--requestheader-extra-headers-prefix=X-Remote-Extra-".to_owned(),
        "--requestheader-group-headers=X-Remote-Group".to_owned(),
        "--requestheader-username-headers=X-Remote-User".to_owned(),
        file("proxy-client-cert-file", "front-proxy.crt"),
        file("proxy-client-key-file", "front-proxy.key"),
    ]
    .into()
}

pub(super) fn controller_manager(files: &Files, link: &Link) -> Vec<String> {
    let file = |flag: &str, name: &str| format!("--{flag}={}", files.path(name));
    let mut flags = behind("kube-controller-manager", files);
    flags.extend([
        "--use-service-account-credentials=true".to_owned(),
        file("service-account-private-key-file", "accounts.key"),
        file("root-ca-file", "ca.crt"),
        format!("--service-cluster-ip-range={}", link.services()),
        "--allocate-node-cidrs=false".to_owned(),
    ]);
    flags
}

pub(super) fn scheduler(files: &Files) -> Vec<String> {
    behind("kube-scheduler", files)
}

/// What both of those are told that stand behind the API server.
fn behind(name: &str, files: &Files) -> Vec<String> {
    let config = files.path(&format!("{name}.kubeconfig"));
    let flags = ["kubeconfig", "authentication-kubeconfig", "authorization-kubeconfig"];
    let mut flags: Vec<String> = flags.iter().map(|flag| format!("--{flag}={config}")).collect();
    flags.extend([
        "--bind-address=127.0.0.1".to_owned(),
        format!("--tls-cert-file={}", files.path(&format!("{name}.crt"))),
        format!("--tls-private-key-file={}", files.path(&format!("{name}.key"))),
        "--leader-elect=false".to_owned(),
        "--profiling=false".to_owned(),
        // Many small things at once: what a cluster holds back to be spared is not what tests are for.
        "--kube-api-qps=1000".to_owned(),
        "--kube-api-burst=2000".to_owned(),
    ]);
    flags
}
