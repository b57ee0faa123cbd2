//! The stage: a host whose environments are namespaces of a cluster, and a repository that it keeps.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use longshore_cli::api::{Events, Ready};
use longshore_events::types::{DeploymentFinished, DeploymentStarted, DigestQuarantined};
use longshore_events::{Digest, Event, Fact as _};
use longshore_kube::testing::{Cluster, Image};

use crate::common;

/// What a slow machine needs at most for one thing.
const PATIENCE: Duration = Duration::from_mins(2);

const MANIFESTS: &str = "apiVersion: v1
kind: Service
metadata: {name: shop}
spec: {selector: {app: shop}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop}
spec:
  replicas: 2
  selector: {matchLabels: {app: shop}}
  strategy: {rollingUpdate: {maxSurge: 2, maxUnavailable: 0}}
  template:
    metadata: {labels: {app: shop}}
    spec:
      terminationGracePeriodSeconds: 2
      containers:
      - name: shop
        image: shop
        readinessProbe: {httpGet: {path: /healthz, port: 8080}, periodSeconds: 1}
";

/// The stage; what runs on it ends with it.
pub(crate) struct Stage<'a> {
    cluster: &'a Cluster,
    folder: tempfile::TempDir,
    child: Child,
    ready: Ready,
}

impl Drop for Stage<'_> {
    fn drop(&mut self) {
        let _ = common::longshore(self.folder.path(), &["down"]).output();
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            // For whoever wants to know why.
            let log = std::fs::read(self.folder.path().join("log")).unwrap_or_default();
            let _ = std::io::stderr().write_all(&log);
        }
    }
}

impl<'a> Stage<'a> {
    /// A host with the environments `live` and, promoted from it, `prod`.
    pub(crate) async fn set(cluster: &'a Cluster) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listen = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        cluster.trust_registry(listen).await;
        for namespace in ["live", "prod"] {
            cluster.kubectl(&["create", "namespace", namespace]).await.unwrap();
        }
        std::fs::write(folder.path().join("longshore.toml"), config(listen, &cluster.kubeconfig())).unwrap();
        let (child, ready) = up(folder.path());
        let stage = Self { cluster, folder, child, ready };
        let work = stage.work();
        std::fs::create_dir_all(work.join("k8s")).unwrap();
        std::fs::write(work.join("k8s/shop.yaml"), MANIFESTS).unwrap();
        std::fs::copy(Image::test_service(&[]).program, work.join("program")).unwrap();
        stage.git(&["init", "--quiet", "--initial-branch=main"]);
        stage
    }

    fn work(&self) -> PathBuf {
        self.folder.path().join("work")
    }

    /// Pushes a release of this version, which fails as it is told; its commit.
    pub(crate) fn push(&self, version: &str, fail: &str) -> String {
        let dockerfile = format!(
            "FROM scratch\nCOPY program /program\nENV VERSION={version} FAIL={fail}\nENTRYPOINT [\"/program\"]\n"
        );
        std::fs::write(self.work().join("Dockerfile"), dockerfile).unwrap();
        self.git(&["add", "."]);
        self.git(&["commit", "--quiet", "--message", version]);
        let remote = format!("http://longshore:{}@{}/git/shop", self.token(), self.ready.listen);
        self.git(&["push", "--quiet", &remote, "main"]);
        self.git(&["rev-parse", "HEAD"]).trim().to_owned()
    }

    /// How the rollout of a commit ended.
    pub(crate) fn finished(&self, environment: &str, commit: &str) -> DeploymentFinished {
        self.told(DeploymentFinished::KIND, |data| {
            let fact = DeploymentFinished::from_data(data)?;
            let is_it = fact.environment.as_str() == environment
                && fact.commit.as_ref().is_some_and(|known| known.as_str() == commit);
            is_it.then(|| fact.clone())
        })
    }

    /// Waits until the rollout of a commit has begun.
    pub(crate) fn began(&self, environment: &str, commit: &str) {
        self.told(DeploymentStarted::KIND, |data| {
            let fact = DeploymentStarted::from_data(data)?;
            let is_it = fact.environment.as_str() == environment
                && fact.commit.as_ref().is_some_and(|known| known.as_str() == commit);
            is_it.then_some(())
        });
    }

    pub(crate) fn is_quarantined(&self, digest: &Digest) -> bool {
        self.events(DigestQuarantined::KIND, 0)
            .0
            .iter()
            .any(|event| DigestQuarantined::from_data(&event.data).is_some_and(|fact| fact.digest == *digest))
    }

    fn told<T>(&self, kind: &str, find: impl Fn(&longshore_events::Data) -> Option<T>) -> T {
        let (until, mut after) = (Instant::now() + PATIENCE, 0);
        while Instant::now() < until {
            let (events, next) = self.events(kind, after);
            if let Some(found) = events.iter().find_map(|event| find(&event.data)) {
                return found;
            }
            after = next;
        }
        panic!("never told: {kind}; {}", self.longshore(&["events"]))
    }

    fn events(&self, kind: &str, after: u64) -> (Vec<Event>, u64) {
        let path = format!("/api/events?after={after}&kind={kind}&wait_ms=5000");
        let bearer = format!("Bearer {}", self.token());
        let answer = common::http::send(self.ready.listen, "GET", &path, &[("authorization", &bearer)], b"");
        let events: Events = serde_json::from_str(&answer.body).unwrap();
        let read = events.events.iter().map(|entry| Event::from_json(&entry.event.to_string()).unwrap());
        (read.collect(), events.next)
    }

    /// SIGKILL, and a new life on the same folder.
    pub(crate) fn kill_and_start_again(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        (self.child, self.ready) = up(self.folder.path());
    }

    /// What the service answers to whoever asks it within the cluster.
    pub(crate) fn answer(&self, environment: &str) -> String {
        let ask = ["get", "service", "shop", "--namespace", environment, "-o", "jsonpath={.spec.clusterIP}"];
        let runtime = tokio::runtime::Handle::current();
        let address = tokio::task::block_in_place(|| runtime.block_on(self.cluster.kubectl(&ask))).unwrap();
        let address: SocketAddr = format!("{address}:80").parse().unwrap();
        let until = Instant::now() + PATIENCE;
        // A service leads to pods that are gone until the node has heard of it.
        while Instant::now() < until {
            if let Some(body) = get(address) {
                return body;
            }
        }
        panic!("{environment} does not answer at {address}")
    }

    /// What `longshore` prints.
    pub(crate) fn longshore(&self, words: &[&str]) -> String {
        let output = common::longshore(self.folder.path(), words).output().unwrap();
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    pub(crate) async fn kubectl(&self, namespace: &str, words: &str) -> String {
        let words: Vec<&str> = words.split(' ').chain(["--namespace", namespace]).collect();
        self.cluster.kubectl(&words).await.unwrap_or_else(|why| panic!("{words:?}: {why}"))
    }

    fn token(&self) -> String {
        std::fs::read_to_string(&self.ready.token_file).unwrap().trim().to_owned()
    }

    fn git(&self, words: &[&str]) -> String {
        let output = Command::new("git")
            .args(["-c", "user.name=Test", "-c", "user.email=test@example.org"])
            .args(words)
            .current_dir(self.work())
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_SYSTEM", "/dev/null")
            .env("GIT_TERMINAL_PROMPT", "0")
            .output()
            .unwrap();
        assert!(output.status.success(), "git {words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

fn up(folder: &Path) -> (Child, Ready) {
    common::up(common::longshore(folder, &["up", "--output", "json"]), &folder.join("log"))
}

fn config(listen: SocketAddr, kubeconfig: &Path) -> String {
    let kubeconfig = kubeconfig.display();
    let cluster = |namespace: &str| {
        format!(
            "[environment.cluster]\nkubeconfig = \"{kubeconfig}\"\nnamespace = \"{namespace}\"\nregistry = \"{listen}\"\n"
        )
    };
    format!(
        r#"
[host]
listen = "{listen}"
proxy = "127.0.0.1:0"
[[repository]]
name = "shop"
[[service]]
name = "shop"
repository = "shop"
manifests = {{ files = ["k8s"] }}
[[environment]]
name = "live"
deadline = "60s"
settle = "200ms"
{}
[[environment]]
name = "prod"
after = "live"
deadline = "60s"
settle = "200ms"
strategy = {{ kind = "blue-green" }}
{}
"#,
        cluster("live"),
        cluster("prod")
    )
}

/// What is answered with 200 within a second or two.
fn get(address: SocketAddr) -> Option<String> {
    let limit = Duration::from_secs(2);
    let mut stream = TcpStream::connect_timeout(&address, limit).ok()?;
    stream.set_read_timeout(Some(limit)).ok()?;
    stream.write_all(b"GET / HTTP/1.1\r\nhost: shop\r\nconnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    head.starts_with("HTTP/1.1 200").then(|| body.to_owned())
}
