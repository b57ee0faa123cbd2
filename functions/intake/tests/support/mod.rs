//! An intake with a journal in memory, a clock that stands still, and the samples' secrets.

#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(clippy::unwrap_used, reason = "the helpers of tests fail as tests do")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use jiff::Timestamp;
use longshore_events::{Digest, Event, EventId, ImageName, RefName, RepositoryName};
use longshore_intake::{Answer, Headers, Intake, Request, sign};
use longshore_policy::{
    Environment, Host, MetricsSource, Policy, Probe, Provider, Repository, Run, Scan, Service, Source,
    Strategy,
};
use longshore_ports::journal::{Commit, CommitError, Committed, Open, Opened, Owed};
use longshore_ports::{
    Clock, ErrorKind, Facts, Hints, Journal, PortError, Registry, Resolved, Secret, Secrets,
};

pub(crate) const GITHUB: &str = "It's a Secret to Everybody";
pub(crate) const GITLAB: &str = "sample-gitlab-token";
pub(crate) const BITBUCKET: &str = "sample-bitbucket-secret";
pub(crate) const GITEA: &str = "sample-gitea-secret";
/// Of every source that is known by a token.
pub(crate) const TOKEN: &str = "sample-token";
pub(crate) const SIGNING: &str = "whsec_bG9uZ3Nob3JlIHNhbXBsZSBzaWduaW5nIGtleSAzMmI=";
/// When the signed sample was sent, in seconds since 1970.
pub(crate) const NOW: i64 = 1_795_514_400;
pub(crate) const MAX_BODY: usize = 500_000;

/// A source of each provider, named as its samples' folder is.
pub(crate) const SOURCES: [&str; 14] = [
    "github",
    "gitlab",
    "bitbucket",
    "gitea",
    "forgejo",
    "oci",
    "dockerhub",
    "quay",
    "alertmanager",
    "grafana",
    "falco",
    "cloudwatch",
    "aws",
    "events",
];

/// A journal of events and switches alone.
#[derive(Default)]
pub(crate) struct Memory {
    pub(crate) events: Mutex<Vec<Event>>,
    pub(crate) switches: Mutex<BTreeMap<String, bool>>,
    /// How many events each commit was given.
    pub(crate) commits: Mutex<Vec<usize>>,
    /// The commit that fails, counted from 0.
    pub(crate) fails: Mutex<Option<usize>>,
}

#[async_trait]
impl Facts for Memory {
    async fn latest(&self, kind: &str, subject: &str) -> Result<Option<Event>, PortError> {
        let events = self.events.lock().unwrap();
        Ok(events.iter().rfind(|event| event.kind() == kind && event.subject == subject).cloned())
    }
}

#[async_trait]
impl Journal for Memory {
    async fn open(&self, _: &Open) -> Result<Opened, PortError> {
        Err(down())
    }

    async fn commit(&self, commit: &Commit) -> Result<Committed, CommitError> {
        let mut commits = self.commits.lock().unwrap();
        if *self.fails.lock().unwrap() == Some(commits.len()) {
            return Err(down().into());
        }
        commits.push(commit.events.len());
        let mut events = self.events.lock().unwrap();
        for event in &commit.events {
            if events.iter().all(|kept| kept.id != event.id) {
                events.push(event.clone());
            }
        }
        if let Some(switch) = &commit.switch {
            self.switches.lock().unwrap().insert(switch.name.clone(), switch.stop);
        }
        Ok(Committed::default())
    }

    async fn publish(&self, _: &Committed) -> Result<(), PortError> {
        // The bus is always down here: it is a hint, and the answer does not depend on it.
        Err(down())
    }

    async fn event(&self, id: &EventId) -> Result<Option<Event>, PortError> {
        Ok(self.events.lock().unwrap().iter().find(|event| event.id == *id).cloned())
    }

    async fn owed(&self, _: Timestamp, _: u64, _: usize) -> Result<Owed, PortError> {
        Err(down())
    }
}

fn down() -> PortError {
    PortError::unavailable("test", "down")
}

struct Known(BTreeMap<&'static str, Vec<&'static str>>);

#[async_trait]
impl Secrets for Known {
    async fn get(&self, name: &str) -> Result<Vec<Secret>, PortError> {
        let values = self.0.get(name).ok_or_else(|| PortError::new(ErrorKind::NotFound, "read", "none"))?;
        Ok(values.iter().map(|value| Secret::new(*value)).collect())
    }
}

/// A registry in which every tag names one image.
#[derive(Default)]
pub(crate) struct Names(pub(crate) Mutex<Option<Digest>>);

#[async_trait]
impl Registry for Names {
    async fn resolve(&self, image: &ImageName, _: &str) -> Result<Option<Resolved>, PortError> {
        if image.as_str() == "quay.io/acme/away" {
            return Err(down());
        }
        let digest = self.0.lock().unwrap().clone();
        let media_type = "application/vnd.oci.image.manifest.v1+json".to_owned();
        Ok(digest.map(|digest| Resolved { digest, media_type, platforms: Vec::new() }))
    }
}

/// What was hinted, as `function/unit`.
#[derive(Default)]
pub(crate) struct Hinted(pub(crate) Mutex<Vec<String>>);

impl Hints for Hinted {
    fn hint(&self, function: &str, unit: &str) {
        self.0.lock().unwrap().push(format!("{function}/{unit}"));
    }
}

struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(NOW).unwrap()
    }
}

pub(crate) struct World {
    pub(crate) journal: Arc<Memory>,
    pub(crate) registry: Arc<Names>,
    pub(crate) hints: Arc<Hinted>,
    intake: Intake,
}

impl World {
    pub(crate) fn new() -> Self {
        let secrets = Known(BTreeMap::from([
            ("github", vec!["a newer secret", GITHUB]),
            ("gitlab", vec![SIGNING, GITLAB]),
            ("events", vec![SIGNING]),
            ("bitbucket", vec!["a newer secret", BITBUCKET]),
            ("gitea", vec!["a newer secret", GITEA]),
            ("token", vec!["a newer secret", TOKEN]),
            ("empty", vec![GITHUB, ""]),
            ("damaged", vec!["whsec_no base64"]),
        ]));
        let journal = Arc::new(Memory::default());
        let hints = Arc::new(Hinted::default());
        let registry = Arc::new(Names(Mutex::new(Some(digest("a")))));
        let intake = Intake {
            journal: journal.clone(),
            secrets: Arc::new(secrets),
            clock: Arc::new(Still),
            policy: Arc::new(policy()),
            registry: registry.clone(),
            hints: hints.clone(),
        };
        Self { journal, registry, hints, intake }
    }

    pub(crate) async fn send(&self, source: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let headers: Headers = headers.iter().copied().collect();
        let (source, query) = source.split_once('?').unwrap_or((source, ""));
        self.intake.receive(&Request { source, query, headers, body }).await
    }

    /// With a token.
    pub(crate) async fn told(&self, source: &str, body: &[u8]) -> Answer {
        let token = format!("Bearer {TOKEN}");
        let headers = [("content-type", "application/json"), ("authorization", &token)];
        self.send(source, &headers, body).await
    }

    /// As the platform brings it, without a secret.
    pub(crate) async fn invoked(&self, payload: &[u8]) -> Answer {
        self.intake.invoked(payload).await
    }

    /// With whatever proves to `source` that the body is genuine, before the other headers.
    pub(crate) async fn genuine(&self, source: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let hex = |secret| sign::github(&Secret::new(secret), body)["sha256=".len()..].to_owned();
        let proof = match source {
            "github" => vec![("x-hub-signature-256", format!("sha256={}", hex(GITHUB)))],
            "gitlab" => vec![("x-gitlab-token", GITLAB.to_owned())],
            "bitbucket" => vec![("x-hub-signature", format!("sha256={}", hex(BITBUCKET)))],
            "gitea" | "forgejo" => {
                vec![("x-gitea-signature", hex(GITEA)), ("x-forgejo-signature", hex(GITEA))]
            }
            "events" => sign::standard(&Secret::new(SIGNING), "msg", NOW, body).unwrap().to_vec(),
            "grafana" => vec![("x-grafana-alerting-signature", hex(TOKEN))],
            _ => vec![("authorization", format!("Bearer {TOKEN}"))],
        };
        let mut all: Vec<(&str, &str)> = proof.iter().map(|(name, value)| (*name, value.as_str())).collect();
        all.extend(headers);
        self.send(source, &all, body).await
    }

    /// A sample, as it is.
    pub(crate) async fn sample(&self, name: &str) -> Answer {
        let (headers, body) = sample(name);
        self.send(name.split('/').next().unwrap(), &borrowed(&headers), &body).await
    }

    /// As GitHub, signed with the right secret.
    pub(crate) async fn github(&self, event: &str, body: &[u8]) -> Answer {
        let signature = sign::github(&Secret::new(GITHUB), body);
        let headers = [
            ("content-type", "application/json"),
            ("x-github-event", event),
            ("x-github-delivery", "d-1"),
            ("x-hub-signature-256", &signature),
        ];
        self.send("github", &headers, body).await
    }

    /// As CloudEvents, signed with the right secret.
    pub(crate) async fn events(&self, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let signed = sign::standard(&Secret::new(SIGNING), "msg-1", NOW, body).unwrap();
        let mut all: Vec<(&str, &str)> = signed.iter().map(|(name, value)| (*name, value.as_str())).collect();
        all.extend(headers);
        self.send("events", &all, body).await
    }

    pub(crate) async fn structured(&self, body: &str) -> Answer {
        self.events(&[("content-type", "application/cloudevents+json; charset=utf-8")], body.as_bytes()).await
    }

    pub(crate) fn kept(&self) -> Vec<Event> {
        self.journal.events.lock().unwrap().clone()
    }

    pub(crate) fn is_untouched(&self) -> bool {
        self.journal.commits.lock().unwrap().is_empty() && self.journal.switches.lock().unwrap().is_empty()
    }
}

pub(crate) fn digest(digit: &str) -> Digest {
    Digest::new(format!("sha256:{}", digit.repeat(64))).unwrap()
}

/// An image from outside, followed under the tag `latest`.
fn service(name: &str, image: &str) -> Service {
    let ready = Probe { path: None, interval_ms: 1, timeout_ms: 1, failures: 1 };
    Service {
        name: name.parse().unwrap(),
        source: None,
        image: ImageName::new(image).unwrap(),
        tag: "latest".into(),
        no_rollback_past: None,
        run: Run { env: BTreeMap::new(), args: None, ready, health: None, drain_ms: 1, stop_ms: 1 },
    }
}

/// A service that is built.
fn built() -> Service {
    let text = "[[repository]]
name = \"acme/shop\"
[[service]]
name = \"built\"
repository = \"acme/shop\"
";
    longshore_policy::check(text, "built").unwrap().services.remove(0)
}

/// The sources that are known by a token.
pub(crate) const TOLD: [Provider; 8] = [
    Provider::Oci,
    Provider::DockerHub,
    Provider::Quay,
    Provider::Alertmanager,
    Provider::Grafana,
    Provider::Falco,
    Provider::CloudWatch,
    Provider::Aws,
];

fn policy() -> Policy {
    let any = "127.0.0.1:0".parse().unwrap();
    let source = |name: &str, provider, secret: &str| Source {
        name: name.to_owned(),
        provider,
        secret: secret.to_owned(),
    };
    Policy {
        host: Host { listen: any, proxy: any, data: ".".into(), max_body: MAX_BODY, ref_check_ms: 60_000 },
        scan: Scan { advisories: None, timeout_ms: 1, again_ms: None, trivy: None },
        metrics: MetricsSource::Host,
        notify: longshore_policy::Notify { webhook: None, slack: None },
        sources: TOLD
            .map(|provider| source(provider.name(), provider, "token"))
            .into_iter()
            .chain([
                source("bitbucket", Provider::Bitbucket, "bitbucket"),
                source("gitea", Provider::Gitea, "gitea"),
                source("forgejo", Provider::Forgejo, "gitea"),
                source("github", Provider::Github, "github"),
                source("gitlab", Provider::Gitlab, "gitlab"),
                source("events", Provider::CloudEvents, "events"),
                source("no-secret", Provider::Github, "missing"),
                source("empty-secret", Provider::Github, "empty"),
                source("damaged-secret", Provider::CloudEvents, "damaged"),
            ])
            .collect(),
        repositories: vec![Repository {
            name: RepositoryName::new("acme/shop").unwrap(),
            url: None,
            branch: RefName::branch("main").unwrap(),
            forge: None,
        }],
        services: vec![
            service("api", "127.0.0.1:5055/acme/shop"),
            service("web", "ghcr.io/acme/web"),
            service("hub", "docker.io/acme/hub"),
            service("quay", "quay.io/acme/quay"),
            service("away", "quay.io/acme/away"),
            service("ecr", "123456789012.dkr.ecr.us-east-1.amazonaws.com/acme/shop"),
            built(),
        ],
        environments: vec![Environment {
            name: "staging".parse().unwrap(),
            services: vec!["api".parse().unwrap(), "ecr".parse().unwrap()],
            strategy: Strategy::Rolling,
            deadline_ms: 1,
            settle_ms: 1,
            gate: longshore_policy::GatePolicy {
                scan: false,
                tests: false,
                signature: true,
                approval: None,
                block: Vec::new(),
                deadline_ms: 1,
                approval_valid_ms: 1,
            },
            after: None,
            calendar: longshore_policy::Calendar::default(),
            cluster: None,
        }],
        waivers: Vec::new(),
        people: Vec::new(),
        signers: Vec::new(),
    }
}

/// A sample's headers and body, as the provider sends them.
pub(crate) fn sample(name: &str) -> (Vec<(String, String)>, Vec<u8>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events/providers").join(name);
    let headers = std::fs::read_to_string(path.with_extension("headers")).unwrap();
    let field = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_owned(), value.to_owned()));
    (
        headers.lines().map(|line| field(line).unwrap()).collect(),
        std::fs::read(path.with_extension("body")).unwrap(),
    )
}

/// The names of all samples, `<source>/<name>`, in order.
pub(crate) fn samples() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events/providers");
    let entries = |path: &Path| std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
    let sources: Vec<std::path::PathBuf> = entries(&folder);
    let files = sources.iter().filter(|path| path.is_dir()).flat_map(|path| {
        let files: Vec<std::path::PathBuf> = entries(path);
        files
    });
    let name = |path: std::path::PathBuf| {
        let relative = path.strip_prefix(&folder).unwrap().with_extension("");
        path.extension().is_some_and(|end| end == "headers").then(|| relative.display().to_string())
    };
    let mut names: Vec<String> = files.filter_map(name).collect();
    names.sort();
    names
}

pub(crate) fn borrowed(headers: &[(String, String)]) -> Vec<(&str, &str)> {
    headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}
