//! The function `console`: the HTTP API that the command line speaks, over whatever journal there is.
//!
//! [`Console::reply`] takes a request and gives its answer, and knows no HTTP framework: the one-machine host and the
//! Lambda function serve the same code. It reads the journal's history, and writes one kind of fact: that somebody asked
//! for something.

pub mod api;
mod approval;
mod dead;
mod decisions;
mod dora;
mod findings;
mod list;
mod log;
mod reply;
mod request;
mod status;
mod stored;
mod summary;
mod timeline;
mod token;

use std::sync::Arc;

use longshore_policy::Policy;
use longshore_ports::journal::Routes;
use longshore_ports::{Blobs, Clock, History, Workloads};

pub use reply::{Ask, Refused, Reply};
pub use token::{Caller, caller, opens};

/// The console; see the crate's documentation.
pub struct Console {
    /// What is shown, and where requests are kept.
    pub journal: Arc<dyn History>,
    /// Where the logs of builds that ended are kept.
    pub blobs: Arc<dyn Blobs>,
    /// What runs; `None` where it cannot be looked at from here.
    pub workloads: Option<Arc<dyn Workloads>>,
    /// The repositories, services and environments.
    pub policy: Arc<Policy>,
    /// The time of requests.
    pub clock: Arc<dyn Clock>,
    /// The functions, by what they take.
    pub routes: Routes,
    /// The host, where all functions run on one machine.
    pub host: Option<api::Ready>,
    /// How the functions are set up here.
    pub setup: Setup,
}

/// What functions decide by, besides the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setup {
    /// Between two looks at something that goes on, in milliseconds.
    pub poll_ms: u64,
    /// What builds, by name.
    pub builder: String,
}
