//! A cluster as tests see it.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::Method;
use serde_json::Value;
use tempfile::TempDir;

use super::api::{Api, until};
use super::component::Component;
use super::node::Node;
use super::pki::{ADMIN, Authority, Files, User, write};
use super::programs::Programs;
use super::space::Space;
use super::{control, kwok, machine, metrics, registry};

/// What a slow machine needs at most for one thing.
const PATIENCE: Duration = Duration::from_mins(2);

const API_SERVER: &str = "kube-apiserver";

/// A running cluster. When it is let go it ends at once, with all that it made; of a test that fails the logs are kept.
pub struct Cluster {
    // In the order in which they end.
    components: Mutex<BTreeMap<&'static str, Component>>,
    pub(super) space: Space,
    pub(super) authority: Authority,
    pub(super) api: Api,
    files: Files,
    folder: Option<TempDir>,
}

impl Cluster {
    /// Starts one with a real node, `node-1`, that pulls images and runs pods. It is there when pods can be made.
    ///
    /// Where the machine cannot run one there is none, and the reason is printed; but in CI that is a failure.
    pub async fn start() -> Option<Self> {
        let cluster = Self::prepare()?;
        cluster.start_store();
        let node = cluster.node();
        cluster.add("containerd", node.containerd(&cluster.logs()));
        cluster.start_control_plane().await;
        cluster.add("kubelet", node.kubelet(&cluster.logs()));
        cluster.add("kube-proxy", node.kube_proxy(&cluster.logs()));
        cluster.is_ready(1).await;
        Some(cluster)
    }

    /// Starts one with so many nodes that only say that they run pods.
    ///
    /// A pod with the annotation `longshore.test/ready: "false"` is not ready, and one with `longshore.test/crash: "true"`
    /// crashes again and again.
    pub async fn kwok(nodes: usize) -> Option<Self> {
        let cluster = Self::prepare()?;
        cluster.start_store();
        cluster.start_control_plane().await;
        let stages = cluster.path().join("stages.yaml");
        kwok::write_stages(cluster.space.programs(), &stages);
        let mut command = cluster.space.command(&cluster.space.programs().kube);
        command.args(kwok::arguments(&cluster.files, cluster.space.link(), &cluster.kubeconfig(), &stages));
        cluster.add("kwok", Component::start("kwok", command, &cluster.logs()));
        for number in 1..=nodes {
            cluster.make("/api/v1/nodes", &kwok::node(number)).await;
        }
        cluster.is_ready(nodes).await;
        Some(cluster)
    }

    fn prepare() -> Option<Self> {
        if let Some(lacks) = machine::lacks() {
            eprintln!("skipped: no cluster can be started: {lacks}");
            return None;
        }
        let space = Space::open(Programs::find());
        let folder = tempfile::Builder::new().prefix("longshore-kube-").tempdir().unwrap();
        std::fs::create_dir(folder.path().join("logs")).unwrap();
        let authority = Authority::new("cluster");
        let link = space.link();
        let addresses = [Ipv4Addr::LOCALHOST, link.node(), link.api_service()].map(IpAddr::V4);
        let files = Files::write(folder.path().join("pki"), &authority, &addresses);
        let api = Api::new(format!("https://{}:6443", link.node()), &authority.certificate);
        let cluster =
            Self { components: Mutex::default(), space, authority, api, files, folder: Some(folder) };
        cluster.write_kubeconfig(&cluster.kubeconfig(), &cluster.api.server, ADMIN);
        Some(cluster)
    }

    /// A kubeconfig of one who may do everything, by a bearer token.
    pub fn kubeconfig(&self) -> PathBuf {
        self.path().join("admin.kubeconfig")
    }

    /// A kubeconfig of whoever has this token.
    pub fn kubeconfig_of(&self, token: &str) -> PathBuf {
        self.new_kubeconfig(&self.api.server, token)
    }

    /// The node as the machine reaches it: with the API server, and the ports of services. Pods and services are reached
    /// at their own addresses.
    pub fn node_address(&self) -> Ipv4Addr {
        self.space.link().node()
    }

    /// The machine as pods reach it.
    pub fn host_address(&self) -> Ipv4Addr {
        self.space.link().host()
    }

    /// A program that sees the machine's files, and the cluster's network in place of the machine's.
    pub fn command(&self, program: &str) -> Command {
        self.space.in_network(program)
    }

    /// Has images that are named after this registry, which listens on the machine, be pulled from there over plain HTTP,
    /// for as long as this test's runtime runs.
    pub async fn trust_registry(&self, registry: SocketAddr) {
        let folder = self.node().registries();
        registry::reach(registry, self.host_address(), Path::new(&folder)).await;
    }

    /// Starts what tells what nodes and pods use, and waits until it does.
    pub async fn start_metrics(&self) {
        let kubeconfig = self.kubeconfig().display().to_string();
        let mut command = self.space.command(&self.space.programs().kube);
        command.args(metrics::arguments(&self.files, &kubeconfig));
        self.add("metrics-server", Component::start("metrics-server", command, &self.logs()));
        for (path, object) in metrics::objects() {
            self.make(path, &object).await;
        }
        until("what nodes use", PATIENCE, async || {
            self.must_run();
            let list = self.look("/apis/metrics.k8s.io/v1beta1/nodes").await?;
            let known = list["items"].as_array().is_some_and(|all| !all.is_empty());
            if known { Ok(()) } else { Err("of none it is known".to_owned()) }
        })
        .await;
    }

    /// Kills the API server. What runs goes on.
    pub fn kill_api_server(&self) {
        self.lock().remove(API_SERVER);
    }

    /// Starts the API server again, and waits until it answers.
    pub async fn start_api_server(&self) {
        self.run(API_SERVER, control::api_server(&self.files, self.space.link()));
        self.serves().await;
    }

    /// Kills the API server, and starts it again.
    pub async fn restart_api_server(&self) {
        self.kill_api_server();
        self.start_api_server().await;
    }

    fn start_store(&self) {
        self.run("etcd", control::etcd());
        self.run(API_SERVER, control::api_server(&self.files, self.space.link()));
    }

    /// Those that end when the API server does not answer yet come after it.
    async fn start_control_plane(&self) {
        self.serves().await;
        let (files, link) = (&self.files, self.space.link());
        self.run("kube-controller-manager", control::controller_manager(files, link));
        self.run("kube-scheduler", control::scheduler(files));
    }

    fn run(&self, name: &'static str, arguments: Vec<String>) {
        let mut command = self.space.command(&self.space.programs().kube);
        command.arg(name).args(arguments);
        self.add(name, Component::start(name, command, &self.logs()));
    }

    fn add(&self, name: &'static str, component: Component) {
        self.lock().insert(name, component);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<&'static str, Component>> {
        self.components.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the API server answers. Whatever ends meanwhile is told.
    async fn serves(&self) {
        until("the API server", PATIENCE, async || {
            self.must_run();
            self.look("/readyz").await
        })
        .await;
    }

    /// Waits until so many nodes are ready, and pods can be made.
    async fn is_ready(&self, nodes: usize) {
        until("ready nodes", PATIENCE, async || {
            self.must_run();
            let list = self.look("/api/v1/nodes").await?;
            let ready =
                list["items"].as_array().map_or(0, |all| all.iter().filter(|one| takes_pods(one)).count());
            if ready == nodes { Ok(()) } else { Err(format!("{ready} of {nodes} are ready")) }
        })
        .await;
        let account = "/api/v1/namespaces/default/serviceaccounts/default";
        until("the account of pods", PATIENCE, async || self.look(account).await).await;
    }

    async fn look(&self, path: &str) -> Result<Value, String> {
        self.api.ask(ADMIN, Method::GET, path, None).await
    }

    async fn make(&self, path: &str, object: &Value) {
        let made = self.api.ask(ADMIN, Method::POST, path, Some(object)).await;
        made.unwrap_or_else(|why| panic!("{path}: {why}"));
    }

    fn must_run(&self) {
        self.lock().values_mut().for_each(Component::must_run);
    }

    fn node(&self) -> Node<'_> {
        Node { space: &self.space, files: &self.files, folder: self.path() }
    }

    pub(super) fn new_kubeconfig(&self, server: &str, token: &str) -> PathBuf {
        let file = tempfile::Builder::new().suffix(".kubeconfig").tempfile_in(self.path()).unwrap();
        let path = file.into_temp_path().keep().unwrap();
        self.write_kubeconfig(&path, server, token);
        path
    }

    fn write_kubeconfig(&self, path: &Path, server: &str, token: &str) {
        write(path, &self.authority.kubeconfig(server, &User::Token(token)));
    }

    pub(super) fn path(&self) -> &Path {
        self.folder.as_ref().unwrap().path()
    }

    fn logs(&self) -> PathBuf {
        self.path().join("logs")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.lock().clear();
        if std::thread::panicking()
            && let Some(folder) = self.folder.take()
        {
            eprintln!("the logs of the cluster are kept in {}", folder.keep().join("logs").display());
        }
    }
}

/// Whether a node is ready, and the scheduler knows it.
fn takes_pods(node: &Value) -> bool {
    let ready = |condition: &Value| condition["type"] == "Ready" && condition["status"] == "True";
    let conditions = node["status"]["conditions"].as_array();
    conditions.is_some_and(|all| all.iter().any(ready)) && node["spec"]["taints"].is_null()
}
