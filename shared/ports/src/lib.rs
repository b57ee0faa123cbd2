//! The outside world, as traits: what Longshore needs of it, without saying which technology provides it.
//!
//! Each port is small and cut by permission. Types of the domain go in and out; no technology appears in a name or a
//! type. Long work is `start(key)` and `find(key)`, never "run and wait". What happened is learned by looking: an
//! operation that may have been done although its reply was lost must be safe to repeat.
//!
//! With the feature `suite` each port brings a contract suite that its fake and every real adapter must pass.

mod blobs;
mod builder;
mod clock;
mod error;
mod forge;
mod git;
mod hint;
pub mod history;
pub mod journal;
mod key;
mod metrics;
mod notify;
mod quarantine;
mod registry;
mod running;
mod scanner;
mod secrets;
mod signatures;
#[cfg(feature = "suite")]
pub mod suite;
mod workloads;

pub use blobs::{BlobRef, Blobs};
pub use builder::{BuildFailure, BuildOrder, BuildStatus, Builder, Built};
pub use clock::Clock;
pub use error::{ErrorKind, PortError, Retry};
pub use forge::{CommitStatus, Forge, MAX_DESCRIPTION, StatusState};
pub use git::{Changes, Git, Relation};
pub use hint::Hints;
pub use history::History;
pub use journal::{Facts, Journal};
pub use key::{EffectKind, Key};
pub use metrics::{Measured, Metrics, Question, Window};
pub use notify::{Notice, Notify};
pub use quarantine::{Quarantine, quarantine};
pub use registry::{Registry, Resolved};
pub use running::running;
pub use scanner::{
    Finding, Findings, MAX_FINDINGS, ScanOrder, ScanReport, ScanState, Scanner, ScannerVersion,
};
pub use secrets::{Secret, Secrets};
pub use signatures::{Claim, Envelope, MAX_CLAIM, MAX_CLAIMS, Signatures};
pub use workloads::{
    Desired, DesiredRelease, Health, Observed, ObservedRelease, Phase, ProbeTarget, Progress, RunSpec,
    Workload, Workloads,
};
