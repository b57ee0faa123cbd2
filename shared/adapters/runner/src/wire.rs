//! What goes over the runner's socket, besides the port's own types.

use std::net::SocketAddr;
use std::path::PathBuf;

use longshore_ports::{ObservedRelease, Workload};
use serde::{Deserialize, Serialize};

/// The runner itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Info {
    /// Its process.
    pub pid: u32,
    /// Where its proxy listens.
    pub proxy: SocketAddr,
}

/// What changed since some change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// The number to ask with next.
    pub next: u64,
    /// The workloads that changed, each once; `None` means that any may have.
    pub workloads: Option<Vec<Workload>>,
}

/// A workload with all that runs of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// Which one.
    pub workload: Workload,
    /// The newest (generation, step) that was applied.
    pub generation: u64,
    /// See `generation`.
    pub step: u32,
    /// The `Host` headers by which the proxy knows it.
    pub hosts: Vec<String>,
    /// Its releases, the oldest first.
    pub releases: Vec<ListedRelease>,
}

/// One release with its process and its traffic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedRelease {
    /// As the port shows it.
    #[serde(flatten)]
    pub observed: ObservedRelease,
    /// Its process, which leads a process group of its own.
    pub pid: Option<u32>,
    /// The loopback port given to it.
    pub port: Option<u16>,
    /// Requests that it has now.
    pub open: usize,
    /// Requests that the proxy sent to it since the runner started.
    pub requests: u64,
    /// How many of them got no answer, or one of 500 and above.
    pub errors: u64,
    /// Its log.
    pub log: PathBuf,
}

/// Why a call was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Refusal {
    /// For people.
    pub(crate) message: String,
}
