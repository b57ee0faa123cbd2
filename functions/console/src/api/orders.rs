//! What people ask to be done: `POST /api/requests`, `/api/approvals`, `/api/releases`, `/api/redrives` and `/api/down`.

use jiff::Timestamp;
use longshore_events::types::{ApprovalDecision, RequestKind};
use serde::{Deserialize, Serialize};

/// The body of `POST /api/requests`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewRequest {
    /// What is asked for.
    pub what: RequestKind,
    /// `<environment>/<service>` to roll back; an environment or `all` to stop and resume.
    pub target: String,
    /// The release to roll back to: its digest, or how that begins; absent for the one before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Who asks; a person's token says that itself.
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

/// The body of `POST /api/approvals`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewApproval {
    /// A service, as `shop` or `production/shop`, whose newest image that waits is meant; or a digest, or how that begins, as
    /// `0123ab` or `production/0123ab`.
    pub what: String,
    /// The word.
    pub decision: ApprovalDecision,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Until when it counts; absent for as long as the policy says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// A rollout of it may begin outside of the environment's windows, and within a freeze; needs `why`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub override_window: bool,
    /// Who says it; a person's token says that itself.
    pub who: String,
}

/// An image that waits for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// Where it may run.
    pub environment: String,
    /// What runs.
    pub service: String,
    /// The image's digest.
    pub digest: String,
    /// Its commit, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Why it waits.
    pub reasons: Vec<String>,
    /// Since when.
    pub since: Timestamp,
}

/// The answer to `GET /api/approvals`: what waits for people, the newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approvals {
    /// The images.
    pub waiting: Vec<Waiting>,
}

/// The answer to `POST /api/approvals` and `POST /api/releases`: what was committed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Given {
    /// The id of the event.
    pub id: String,
    /// Where.
    pub environment: String,
    /// What runs.
    pub service: String,
    /// The image's digest.
    pub digest: String,
    /// Who gave it.
    pub who: String,
}

/// The body of `POST /api/releases`: a quarantine is lifted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewRelease {
    /// The digest, or how it begins.
    pub digest: String,
    /// The environment, where it is quarantined in more than one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// The service, where it is quarantined for more than one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// Why it may run again.
    pub why: String,
    /// Who says it; a person's token says that itself.
    pub who: String,
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
