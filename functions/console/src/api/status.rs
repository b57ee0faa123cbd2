//! What runs and what is to be done: `GET /api/status` and `GET /api/units`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use jiff::Timestamp;
use longshore_ports::Phase;
use serde::{Deserialize, Serialize};

use super::Ready;
use serde_json::Value;

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
    /// What may run, and waits for a window to open or a freeze to end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<HeldStatus>,
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
    /// Why it goes back, when it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub goes_back: Option<String>,
    /// Who overrode the environment's windows for it, and why; absent where they were open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overrides: Option<String>,
}

/// An image that waits for a window to open or a freeze to end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HeldStatus {
    /// The image.
    pub digest: String,
    /// Its commit, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Why it waits.
    pub why: String,
    /// Until when; absent when that is not in sight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
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
