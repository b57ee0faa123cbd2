//! The checked configuration: what the functions and the host are given.
//!
//! Nothing here can be wrong any more: names are valid, references lead somewhere, durations are in milliseconds.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use longshore_events::{
    EnvironmentName, ImageName, RefName, RepositoryName, ServiceName, Timestamp,
    types::{ImagePushed, Severity},
};

use crate::rules::PROVIDERS;
use crate::scan::Scan;
use crate::{Calendar, Cluster, Manifests, MetricsSource, SigningKey, Strategy, Watch};

/// The whole configuration, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// The one-machine host.
    pub host: Host,
    /// How images are looked into.
    pub scan: Scan,
    /// Who is asked what releases do under traffic.
    pub metrics: MetricsSource,
    /// Who is told of failures.
    pub notify: Notify,
    /// Where webhooks come from.
    pub sources: Vec<Source>,
    /// The repositories.
    pub repositories: Vec<Repository>,
    /// The services.
    pub services: Vec<Service>,
    /// The environments, in the order of the file.
    pub environments: Vec<Environment>,
    /// Findings that are accepted for a while.
    pub waivers: Vec<Waiver>,
    /// Who may approve images; without any, whoever has the host's token.
    pub people: Vec<Person>,
    /// The keys whose signatures count, where an environment requires them.
    pub signers: Vec<Signer>,
}

/// A finding that is accepted for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiver {
    /// The finding's id.
    pub id: String,
    /// It counts before then.
    pub until: Timestamp,
    /// Why it is accepted.
    pub why: String,
}

/// The one-machine host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Webhooks, Git, registry and API. Port 0: a free one.
    pub listen: SocketAddr,
    /// The proxy in front of the services. Port 0: a free one.
    pub proxy: SocketAddr,
    /// The data folder, relative to the configuration file.
    pub data: String,
    /// The largest webhook body, in bytes.
    pub max_body: usize,
    /// How often the ref check looks for pushes whose webhook never came, in milliseconds.
    pub ref_check_ms: u64,
}

/// After so long without news an answer of Git or of a registry counts as true, in milliseconds: it may be older
/// than the event that led to the question.
pub const SETTLE_MS: u64 = 3_000;

impl Host {
    /// How long a superseded commit is watched, in milliseconds: more than two looks of the ref check. A branch that
    /// went and came back between them, with its webhooks lost, is seen by nobody else.
    pub fn watch_ms(&self) -> u64 {
        (self.ref_check_ms.saturating_mul(5) / 2).max(4 * SETTLE_MS)
    }
}

/// Who is told of failures: of rollouts that failed, and of dead letters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notify {
    /// The name of the secret with the address of a webhook that takes JSON.
    pub webhook: Option<String>,
    /// The name of the secret with the address of an incoming webhook of Slack.
    pub slack: Option<String>,
}

/// Where webhooks come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Its name: the webhook's path is `/hooks/<name>`.
    pub name: String,
    /// What it speaks.
    pub provider: Provider,
    /// The name of its secret, in Secrets.
    pub secret: String,
}

/// What a source of webhooks speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provider {
    /// GitHub: `X-Hub-Signature-256`.
    Github,
    /// GitLab: the plain `X-Gitlab-Token`, or Standard Webhooks' signature.
    Gitlab,
    /// Bitbucket Cloud: `X-Hub-Signature`.
    Bitbucket,
    /// Gitea: `X-Gitea-Signature`.
    Gitea,
    /// Forgejo: `X-Forgejo-Signature`.
    Forgejo,
    /// A registry that sends the notifications of CNCF's distribution: a token.
    Oci,
    /// Docker Hub: a token.
    DockerHub,
    /// Quay: a token.
    Quay,
    /// Prometheus' Alertmanager: a token.
    Alertmanager,
    /// Grafana's alerting: a token, or `X-Grafana-Alerting-Signature`.
    Grafana,
    /// Falco's `http_output`, or falcosidekick: a token.
    Falco,
    /// CloudWatch's alarms, through SNS or an API destination of EventBridge: a token.
    CloudWatch,
    /// AWS, through API destinations of EventBridge or through SNS: a token.
    Aws,
    /// CloudEvents over HTTP, signed as Standard Webhooks.
    CloudEvents,
}

impl Provider {
    /// Its name in the configuration and in events.
    pub fn name(self) -> &'static str {
        PROVIDERS.iter().find(|(_, known)| *known == self).map_or("", |(name, _)| name)
    }
}

/// A Git repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository {
    /// Its name, as webhooks say it: `acme/shop`; for one that the host keeps, any name.
    pub name: RepositoryName,
    /// Where to clone it from; `None` for one that the host keeps.
    pub url: Option<String>,
    /// The branch whose tip runs.
    pub branch: RefName,
    /// The forge whose API is asked what it knows; `None` when the git command is.
    pub forge: Option<Forge>,
}

/// A forge, and how its API is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forge {
    /// What its API speaks.
    pub kind: ForgeKind,
    /// The address of its API.
    pub api: String,
    /// The name of the secret with the token, in Secrets; `None` when it is asked as anybody may.
    pub token: Option<String>,
}

/// What a forge's API speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForgeKind {
    /// GitHub's REST API.
    Github,
    /// GitLab's REST API, version 4.
    Gitlab,
}

impl ForgeKind {
    /// The address of the public forge's API.
    pub fn public_api(self) -> &'static str {
        match self {
            Self::Github => "https://api.github.com",
            Self::Gitlab => "https://gitlab.com/api/v4",
        }
    }
}

/// A deployable thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Its name.
    pub name: ServiceName,
    /// Where its source lives; `None` for one whose image only comes from outside.
    pub source: Option<ServiceSource>,
    /// Where its image lies, without the registry's host where that is the host's own.
    pub image: ImageName,
    /// The tag that is followed for an image from outside.
    pub tag: String,
    /// How it runs.
    pub run: Run,
    /// What cannot be taken back: nothing goes back past a release that changes any of it. `None` when all can.
    pub no_rollback_past: Option<Watch>,
}

/// Where a service's source lives, and how it becomes an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceSource {
    /// The repository.
    pub repository: RepositoryName,
    /// The folder that is the build's context, relative to the repository's root; empty for the root.
    pub path: String,
    /// Only pushes that touch one of these globs build it; empty means any push.
    pub watch: Watch,
    /// Run in `path` of a clean checkout before packing.
    pub prepare: Option<Vec<String>>,
    /// Run after `prepare`; the build fails when it does.
    pub test: Option<Vec<String>>,
    /// The Dockerfile, relative to `path`.
    pub dockerfile: String,
    /// Build arguments.
    pub args: BTreeMap<String, String>,
    /// The names of the secrets that the Dockerfile's RUN may mount.
    pub secrets: Vec<String>,
    /// How the Kubernetes manifests come to be that belong to the image; `None` when it has none.
    pub manifests: Option<Manifests>,
    /// How long the whole build may take, in milliseconds.
    pub timeout_ms: u64,
}

/// How a service runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Environment variables, over those of the image.
    pub env: BTreeMap<String, String>,
    /// Arguments in place of the image's `CMD`.
    pub args: Option<Vec<String>>,
    /// When it may get traffic.
    pub ready: Probe,
    /// When it must be restarted.
    pub health: Option<Probe>,
    /// How long open requests may go on once it gets no new ones, in milliseconds.
    pub drain_ms: u64,
    /// From SIGTERM to SIGKILL, in milliseconds.
    pub stop_ms: u64,
}

/// A probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// A path that answers 200 to 399; `None` when a connection is enough.
    pub path: Option<String>,
    /// Between two probes, in milliseconds.
    pub interval_ms: u64,
    /// How long an answer may take, in milliseconds.
    pub timeout_ms: u64,
    /// How many must fail in a row.
    pub failures: u32,
}

/// Where services run, and the policy there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment {
    /// Its name.
    pub name: EnvironmentName,
    /// The services that run there.
    pub services: Vec<ServiceName>,
    /// How a release replaces another.
    pub strategy: Strategy,
    /// How long a new release has to become ready, in milliseconds.
    pub deadline_ms: u64,
    /// How long a new release must stay ready with all the traffic before the old one goes, in milliseconds.
    pub settle_ms: u64,
    /// What an image must have before it runs there.
    pub gate: GatePolicy,
    /// The environment that images are promoted from; `None` when they come as they are built.
    pub after: Option<Promotion>,
    /// When rollouts may begin.
    pub calendar: Calendar,
    /// The cluster where its services run; `None` for this machine.
    pub cluster: Option<Cluster>,
}

/// How images come from an environment into the next one: the same digest, never built anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Promotion {
    /// The environment that they must have run in.
    pub from: EnvironmentName,
    /// How long, in milliseconds.
    pub soak_ms: u64,
}

/// What an image must have before it runs in an environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatePolicy {
    /// It was scanned whole, and nothing that blocks was found.
    pub scan: bool,
    /// A build ran the service's tests.
    pub tests: bool,
    /// People approved it; `None` when nobody must.
    pub approval: Option<ApprovalPolicy>,
    /// It was signed by a key that may sign it.
    pub signature: bool,
    /// Severities of findings that block.
    pub block: Vec<Severity>,
    /// How long something that is required may be unknown, in milliseconds.
    pub deadline_ms: u64,
    /// How long a person's word counts, in milliseconds.
    pub approval_valid_ms: u64,
}

/// Who must approve an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprovalPolicy {
    /// How many people.
    pub people: u32,
    /// Who pushed the commit may be one of them.
    pub author_counts: bool,
}

/// Somebody who may approve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// Their name.
    pub name: String,
    /// The name of the secret with their token, in Secrets.
    pub secret: String,
    /// What providers of webhooks call them.
    pub logins: Vec<String>,
    /// Where their approval counts.
    pub approves: Vec<EnvironmentName>,
    /// Where their word overrides windows and freezes.
    pub overrides: Vec<EnvironmentName>,
}

/// A key whose signatures on images count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signer {
    /// Its name.
    pub name: String,
    /// The public key.
    pub key: SigningKey,
    /// The services whose images it may sign.
    pub services: Vec<ServiceName>,
    /// The environments where its signatures count.
    pub environments: Vec<EnvironmentName>,
}

impl Signer {
    /// Whether its signature on an image of the service counts in the environment.
    pub fn may_sign(&self, environment: &EnvironmentName, service: &ServiceName) -> bool {
        self.environments.contains(environment) && self.services.contains(service)
    }
}

impl Person {
    /// Whether a provider means this person by `login`.
    pub fn is(&self, login: &str) -> bool {
        self.name == login || self.logins.iter().any(|known| known == login)
    }
}

/// Something that a gate may require.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Requirement {
    Scan,
    Tests,
    Approval,
    Signature,
}

impl Service {
    /// How its Kubernetes manifests come to be; `None` when it has nothing to apply on a cluster.
    pub fn manifests(&self) -> Option<&Manifests> {
        self.source.as_ref()?.manifests.as_ref()
    }

    /// Whether this image may have to run as the service: one that `build` made names the service; one from outside is
    /// known by where it lies and by the followed tag.
    pub fn may_run(&self, image: &ImagePushed) -> bool {
        match &image.service {
            Some(name) => *name == self.name,
            None => image.image == self.image && image.tag.as_deref() == Some(self.tag.as_str()),
        }
    }
}

impl Policy {
    /// The service of that name.
    pub fn service(&self, name: &ServiceName) -> Option<&Service> {
        self.services.iter().find(|service| service.name == *name)
    }

    /// The person of that name.
    pub fn person(&self, name: &str) -> Option<&Person> {
        self.people.iter().find(|person| person.name == name)
    }

    /// Whether somebody's word counts in an environment: that of a person, or, where there are none, of whoever has the host's
    /// token.
    pub fn may_approve(&self, who: &str, environment: &EnvironmentName) -> bool {
        self.people.is_empty() || self.person(who).is_some_and(|person| person.approves.contains(environment))
    }

    /// Whether somebody's word overrides the windows and freezes of an environment: only that of a person who is allowed to.
    pub fn may_override(&self, who: &str, environment: &EnvironmentName) -> bool {
        self.person(who).is_some_and(|person| person.overrides.contains(environment))
    }

    /// The environments that images of `service` are promoted to from `environment`.
    pub fn promotes(
        &self,
        environment: &EnvironmentName,
        service: &ServiceName,
    ) -> impl Iterator<Item = &Environment> {
        let follows = move |next: &&Environment| {
            next.after.as_ref().is_some_and(|promotion| promotion.from == *environment)
        };
        self.environments_of(service).filter(follows)
    }

    /// The repository of that name.
    pub fn repository(&self, name: &RepositoryName) -> Option<&Repository> {
        self.repositories.iter().find(|repository| repository.name == *name)
    }

    /// The environment of that name.
    pub fn environment(&self, name: &EnvironmentName) -> Option<&Environment> {
        self.environments.iter().find(|environment| environment.name == *name)
    }

    /// The services whose source lives in `repository`.
    pub fn services_of(
        &self,
        repository: &RepositoryName,
    ) -> impl Iterator<Item = (&Service, &ServiceSource)> {
        self.services.iter().filter_map(move |service| {
            service
                .source
                .as_ref()
                .filter(|source| source.repository == *repository)
                .map(|source| (service, source))
        })
    }

    /// Where an image may run: each environment with a service of that image.
    pub fn places_of(&self, image: &ImageName) -> impl Iterator<Item = (&Environment, &Service)> {
        let services = self.services.iter().filter(move |service| service.image == *image);
        services.flat_map(|service| self.environments_of(&service.name).map(move |place| (place, service)))
    }

    /// The environments that `service` runs in.
    pub fn environments_of(&self, service: &ServiceName) -> impl Iterator<Item = &Environment> {
        self.environments.iter().filter(move |environment| environment.services.contains(service))
    }
}
