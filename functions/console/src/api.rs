//! What the HTTP API says and takes, shared by who serves it and by those who ask.
//!
//! Every request needs `Authorization: Bearer <token>`; the token lies in the file `token` of the data folder, and on
//! AWS as `token` in the stack's secret. All bodies are JSON, except the logs, which are text. An error is an
//! [`ApiError`] with a 4xx or 5xx status.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use jiff::Timestamp;
use longshore_events::types::RequestKind;
use longshore_ports::Phase;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The file of the data folder with a running host's [`Ready`].
pub const HOST_FILE: &str = "host.json";
/// The file of the data folder with the API's token, which is also the password for Git and the registry.
pub const TOKEN_FILE: &str = "token";
/// The user name beside the token where one is needed (Git, registry); any other is taken as well.
pub const TOKEN_USER: &str = "longshore";
/// The header of a log's answer that says where to go on reading: the next `offset`, in bytes.
pub const NEXT_OFFSET: &str = "x-longshore-next-offset";
/// The header of a log's answer that says whether the log may still grow: `true` or `false`.
pub const MAY_GROW: &str = "x-longshore-may-grow";
/// The longest that `GET /api/events` waits, in milliseconds.
pub const MAX_WAIT_MS: u64 = 30_000;

/// A running host: the content of `host.json`, and the line that says it is ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    /// Where webhooks, Git, the registry and this API listen.
    pub listen: SocketAddr,
    /// Where the proxy in front of the services listens.
    pub proxy: SocketAddr,
    /// The data folder, absolute.
    pub data: PathBuf,
    /// The file with the token.
    pub token_file: PathBuf,
    /// The host's process.
    pub pid: u32,
    /// The host's version.
    pub version: String,
}

impl Ready {
    /// The base of the API's URLs, e.g. `http://127.0.0.1:7200`.
    pub fn url(&self) -> String {
        format!("http://{}", self.listen)
    }
}

/// Why a request was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiError {
    /// A stable code, where `docs/errors.md` has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// What is wrong and what to do.
    pub message: String,
}

/// The answer to `GET /api/status`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The host itself; absent where no one machine is the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<Ready>,
    /// When it was asked.
    pub at: Timestamp,
    /// The environments, in the order of the configuration.
    pub environments: Vec<EnvironmentStatus>,
    /// The last build of each service that is built here.
    pub builds: Vec<BuildStatus>,
    /// Switches that say stop: `all`, or environments.
    pub stopped: Vec<String>,
    /// What is owed and due.
    pub work: Work,
    /// The repositories.
    pub repositories: Vec<RepositoryStatus>,
    /// The sources of webhooks.
    pub sources: Vec<SourceStatus>,
    /// Why the runner could not be asked, if so: then nothing is known of what runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runner_error: Option<String>,
}

/// What runs in an environment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EnvironmentStatus {
    /// Its name.
    pub name: String,
    /// Its services, in the order of the configuration.
    pub services: Vec<ServiceStatus>,
}

/// A service in an environment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServiceStatus {
    /// Its name.
    pub name: String,
    /// Where the host's proxy answers for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Its releases, the newest first.
    pub releases: Vec<ReleaseStatus>,
    /// The rollout under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<RolloutStatus>,
    /// How the last rollout ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Outcome>,
}

impl ServiceStatus {
    /// The release that gets the traffic, if one does.
    pub fn running(&self) -> Option<&ReleaseStatus> {
        self.releases.iter().filter(|release| release.weight > 0).max_by_key(|release| release.weight)
    }
}

/// A release that exists.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReleaseStatus {
    /// Its number.
    pub release: u64,
    /// What runs.
    pub digest: String,
    /// The commit that it was built from, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// How it stands.
    pub phase: Phase,
    /// Why it stands so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Its share of the traffic, in percent.
    pub weight: u8,
    /// How often it was started again after an exit.
    pub restarts: u32,
}

/// A rollout under way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RolloutStatus {
    /// `<environment>/<service>/<generation>`.
    pub deployment: String,
    /// What shall run.
    pub to: String,
    /// Its commit, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// When it began.
    pub since: Timestamp,
}

/// How a rollout ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// `succeeded`, `rolled_back`, `removed`, `superseded` or `refused`.
    pub outcome: String,
    /// The digest that it was about.
    pub to: String,
    /// Its commit, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Why it did not succeed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// When.
    pub at: Timestamp,
}

/// The last build of a service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BuildStatus {
    /// The service.
    pub service: String,
    /// The commit.
    pub commit: String,
    /// `running`, `succeeded`, `unchanged`, `failed` or `superseded`.
    pub outcome: String,
    /// Why it did not succeed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When it began, or ended.
    pub at: Timestamp,
}

/// How much is to be done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Work {
    /// Events that are owed to functions.
    pub deliveries: u64,
    /// When the oldest of them was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest: Option<Timestamp>,
    /// Units with effects that are not seen to be done.
    pub busy: u64,
}

/// A repository.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RepositoryStatus {
    /// Its name.
    pub name: String,
    /// Where to push to, without the credential; for one that the host keeps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote: Option<String>,
    /// The branch whose tip runs.
    pub branch: String,
}

/// A source of webhooks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SourceStatus {
    /// Its name.
    pub name: String,
    /// What it speaks: `github`, `gitlab` or `cloudevents`.
    pub provider: String,
    /// Where it sends to; a path alone where the host does not know its own address.
    pub url: String,
    /// The file that holds its secret, on one machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_file: Option<PathBuf>,
}

/// The query of `GET /api/timeline`: exactly one of the three.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TimelineQuery {
    /// The newest chain of this service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// The chain of this commit, or of the start of one (4 digits or more).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// This chain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chain: Option<String>,
}

/// The answer to `GET /api/timeline`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Timeline {
    /// The chain.
    pub chain: String,
    /// Its events, by time.
    pub entries: Vec<TimelineEntry>,
}

/// One event of a timeline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TimelineEntry {
    /// Its id.
    pub id: String,
    /// Its number in the journal.
    pub seq: u64,
    /// When.
    pub time: Timestamp,
    /// Since the first event of the timeline, in milliseconds.
    pub ms: i64,
    /// Its type, e.g. `dev.longshore.push.received.v1`.
    pub kind: String,
    /// What it is about.
    pub subject: String,
    /// One line for people.
    pub summary: String,
    /// The event that it follows from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// How deep it stands in the tree of causes: 0 for one without a cause in this timeline.
    pub depth: usize,
}

/// The query of `GET /api/decisions`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DecisionsQuery {
    /// A unit, as `function/unit`; or a chain, the commit of one (4 digits or more), or a service, whose newest it is.
    pub of: String,
    /// Of a unit: the last so many; 100 when absent, never more than 300.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// The answer to `GET /api/decisions`: what decisions were made of, so that they can be made once more.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decisions {
    /// The chain, where it is not a unit that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chain: Option<String>,
    /// How long the functions here wait between two looks, in milliseconds.
    pub poll_ms: u64,
    /// What builds here, by name.
    pub builder: String,
    /// Decisions of units, each without a gap; a unit may have several.
    pub trails: Vec<Trail>,
    /// There were more, older ones than one answer takes.
    pub cut: bool,
}

/// Decisions of one unit, without a gap.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trail {
    /// The function.
    pub function: String,
    /// Its unit.
    pub unit: String,
    /// Its decisions, the oldest first.
    pub decisions: Vec<DecisionEntry>,
    /// The state that the last of them left, as it is stored; absent where that is not known any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left: Option<String>,
}

/// One decision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DecisionEntry {
    /// The unit's version that it made.
    pub version: u64,
    /// When.
    pub at: Timestamp,
    /// What made the unit look.
    pub cause: String,
    /// What it saw, as JSON.
    pub seen: String,
    /// What it was made of besides, and what was decided, as the frame stores it; absent where an older release made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<String>,
    /// The event that it was told, as CloudEvents JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told: Option<Value>,
    /// The events that it said.
    pub said: Vec<Value>,
}

/// The query of `GET /api/logs/build/{service}` and `GET /api/logs/service/{environment}/{service}`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LogQuery {
    /// The build of this commit rather than the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// This release rather than the newest one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<u64>,
    /// From this byte on.
    #[serde(default)]
    pub offset: u64,
}

/// The query of `GET /api/events`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct EventsQuery {
    /// Only events after this number; the last `limit` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
    /// Only this type; `push.received` stands for `dev.longshore.push.received.v1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Only this subject, or this service in any environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// At most so many; 100 when absent, never more than 1,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// With `after`: how long to wait for the first one when there is none, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_ms: Option<u64>,
}

/// The answer to `GET /api/events`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Events {
    /// The events, by their numbers.
    pub events: Vec<EventEntry>,
    /// What to ask for next, as `after`.
    pub next: u64,
}

/// One event of a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EventEntry {
    /// Its number in the journal.
    pub seq: u64,
    /// One line for people.
    pub summary: String,
    /// The event, as CloudEvents JSON. `GET /api/events/{id}` answers the same, with the id percent-encoded.
    pub event: Value,
}

/// The body of `POST /api/requests`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewRequest {
    /// What is asked for.
    pub what: RequestKind,
    /// `<environment>/<service>` to roll back; an environment or `all` to stop and resume.
    pub target: String,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Who asks.
    pub who: String,
}

/// The answer to `POST /api/requests`: what was committed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestTaken {
    /// The id of the event `request.made`.
    pub id: String,
    /// The units that were woken, or will see it.
    #[serde(default)]
    pub note: Option<String>,
}

/// The body of `POST /api/redrives`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redrive {
    /// The id of the event `event.deadlettered`.
    pub id: String,
}

/// The answer to `POST /api/redrives`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redriven {
    /// The id under which the original is said again.
    pub id: String,
    /// The original's own.
    pub original: String,
    /// The function that gave it up.
    pub function: String,
    /// It was not sent again before.
    pub new: bool,
}

/// The body of `POST /api/down`: everything is stopped, and the host ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Down {
    /// Stop the runner and the services too; otherwise they go on, and the next host finds them.
    pub services: bool,
}

/// The answer to `GET /api/units`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Units {
    /// The units, by function and name.
    pub units: Vec<UnitStatus>,
    /// Who holds the leases, by `environment/service`: the holder and the generation.
    pub leases: BTreeMap<String, LeaseStatus>,
}

/// A unit of a function.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UnitStatus {
    /// The function.
    pub function: String,
    /// Its unit.
    pub unit: String,
    /// How often it was committed.
    pub version: u64,
    /// The keys of the effects that are not seen to be done.
    pub todo: Vec<String>,
    /// How often that was tried in vain.
    pub attempts: u32,
    /// When it looks again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Timestamp>,
    /// Events that wait for it.
    pub waiting: usize,
    /// Its state.
    pub state: Value,
}

/// A lease.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseStatus {
    /// Who holds it, as `function/unit`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder: Option<String>,
    /// How often it was taken.
    pub generation: u64,
}
