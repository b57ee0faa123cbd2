//! What people ask to be done: `POST /api/requests`, `/api/redrives` and `/api/down`.

use longshore_events::types::RequestKind;
use serde::{Deserialize, Serialize};

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
