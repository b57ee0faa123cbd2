//! A real node: containerd and runc, a bridge for the pods, kubelet, and kube-proxy.
//!
//! What is unusual is so because the node lies in namespaces, and on control groups of a version that Kubernetes leaves.

use std::path::Path;

use serde_json::json;

use super::archive::Image;
use super::component::Component;
use super::link::Link;
use super::pki::{Files, write};
use super::programs::Programs;
use super::space::{Space, state};

/// The image of the first process of every pod.
const PAUSE: &str = "longshore.test/pause:1";

/// What the node's programs read, in one folder.
pub(super) struct Node<'a> {
    pub(super) space: &'a Space,
    pub(super) files: &'a Files,
    pub(super) folder: &'a Path,
}

impl Node<'_> {
    /// Starts what runs containers, and gives it the image that every pod needs.
    pub(super) fn containerd(&self, logs: &Path) -> Component {
        self.write("containerd.toml", &containerd(self.space.programs(), &self.registries()));
        self.write("cni/bridge.conflist", &bridge(self.space.link()));
        let mut command = self.space.command("containerd");
        command.args(["--config", &self.path("containerd.toml")]);
        let component = Component::start("containerd", command, logs);
        let image = Image { program: self.space.programs().service.clone(), args: &["pause"], env: &[] };
        let archive = self.folder.join("pause.tar");
        image.write(PAUSE, &archive);
        self.load(&archive);
        component
    }

    /// Gives containerd an image. While it starts, it is asked again.
    pub(super) fn load(&self, archive: &Path) {
        let mut ctr = self.space.command("ctr");
        // It waits for the socket by itself.
        ctr.args(["--address", &state("containerd.sock"), "--connect-timeout", "30s"]);
        ctr.args(["--namespace", "k8s.io", "images", "import"]).arg(archive);
        let said = ctr.output().unwrap();
        assert!(said.status.success(), "ctr: {}", String::from_utf8_lossy(&said.stderr));
    }

    /// Where containerd looks up how registries are spoken to, at each pull.
    pub(super) fn registries(&self) -> String {
        self.path("registries")
    }

    /// Starts what brings pods to life, once the API server answers.
    pub(super) fn kubelet(&self, logs: &Path) -> Component {
        self.write("kubelet.json", &self.kubelet_settings());
        self.write("resolv.conf", "nameserver 127.0.0.1\n");
        let mut command = self.space.command(&self.space.programs().kube);
        command.args(["kubelet", "--hostname-override=node-1"]);
        command.arg(format!("--config={}", self.path("kubelet.json")));
        command.arg(format!("--kubeconfig={}", self.files.path("kubelet.kubeconfig")));
        command.arg(format!("--node-ip={}", self.space.link().node()));
        command.arg(format!("--root-dir={}", state("kubelet")));
        command.arg(format!("--cert-dir={}", state("kubelet/pki")));
        // Without it there are no figures of pods.
        command.arg(format!("--containerd={}", state("containerd.sock")));
        Component::start("kubelet", command, logs)
    }

    fn kubelet_settings(&self) -> String {
        let settings = json!({
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "readOnlyPort": 0,
            "healthzPort": 0,
            "authentication": {
                "anonymous": { "enabled": false },
                "webhook": { "enabled": true },
                "x509": { "clientCAFile": self.files.path("ca.crt") },
            },
            "authorization": { "mode": "Webhook" },
            "tlsCertFile": self.files.path("kubelet.crt"),
            "tlsPrivateKeyFile": self.files.path("kubelet.key"),
            "containerRuntimeEndpoint": format!("unix://{}", state("containerd.sock")),
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": self.space.cgroup().path(),
            "failCgroupV1": false,
            "failSwapOn": false,
            // What the machine has besides is not the cluster's to share out.
            "enforceNodeAllocatable": [],
            "makeIPTablesUtilChains": false,
            "resolvConf": self.path("resolv.conf"),
            "clusterDomain": "cluster.local",
            "nodeStatusUpdateFrequency": "5s",
            "podLogsDir": state("logs"),
            "volumePluginDir": state("plugins"),
            "serializeImagePulls": false,
            "registryPullQPS": 0,
            "eventRecordQPS": 0,
            "evictionHard": { "memory.available": "50Mi", "nodefs.available": "1%", "imagefs.available": "1%" },
            "imageGCHighThresholdPercent": 100,
        });
        format!("{settings:#}")
    }

    /// Starts what leads from services to pods.
    pub(super) fn kube_proxy(&self, logs: &Path) -> Component {
        let settings = json!({
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "mode": "nftables",
            "clusterCIDR": self.space.link().pods(),
            "hostnameOverride": "node-1",
            "clientConnection": { "kubeconfig": self.files.path("kube-proxy.kubeconfig") },
            // The machine's own limits stay as they are.
            "conntrack": { "maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s" },
        });
        self.write("kube-proxy.json", &format!("{settings:#}"));
        let mut command = self.space.command(&self.space.programs().kube);
        command.arg("kube-proxy").arg(format!("--config={}", self.path("kube-proxy.json")));
        Component::start("kube-proxy", command, logs)
    }

    fn path(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        write(&path, text);
    }
}

fn containerd(programs: &Programs, registries: &str) -> String {
    let [root, run, socket] = ["containerd", "containerd-run", "containerd.sock"].map(state);
    let (cni, conf) = (programs.cni(), registries.replace("registries", "cni"));
    format!(
        r#"version = 2
root = "{root}"
state = "{run}"
# To change how ready they are to be killed takes a right that containers lack.
oom_score = 0
disabled_plugins = ["io.containerd.internal.v1.opt"]

[grpc]
address = "{socket}"

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{PAUSE}"
restrict_oom_score_adj = true
disable_apparmor = true
stream_server_address = "127.0.0.1"

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{}"
conf_dir = "{conf}"

[plugins."io.containerd.grpc.v1.cri".registry]
config_path = "{registries}"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
"#,
        cni.display(),
    )
}

/// The pods' bridge. The machine knows the way to them, so that nothing needs to be translated.
fn bridge(link: &Link) -> String {
    let addresses = json!({
        "type": "host-local",
        "ranges": [[{ "subnet": link.pods() }]],
        "routes": [{ "dst": "0.0.0.0/0" }],
        "dataDir": state("addresses"),
    });
    let bridge = json!({
        "type": "bridge",
        "bridge": "pods",
        "isGateway": true,
        "hairpinMode": true,
        "ipam": addresses,
    });
    json!({ "cniVersion": "0.4.0", "name": "pods", "plugins": [bridge] }).to_string()
}
