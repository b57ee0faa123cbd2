//! The event types: one module for each subject, one struct for each type and version.
//!
//! Within a version only optional fields may be added.

mod alarm;
mod approval;
mod build;
mod change;
mod deployment;
mod detection;
mod digest;
mod event;
mod gate;
mod image;
mod pipeline;
mod push;
mod request;
mod schedule;
mod verification;

pub use alarm::{AlarmCleared, AlarmRaised};
pub use approval::{ApprovalDecision, ApprovalGiven};
pub use build::{BuildFinished, BuildOutcome, BuildStarted, BuildTimes};
pub use change::{ChangeClosed, ChangeMerged, ChangeOpened, ChangeUpdated};
pub use deployment::{DeploymentAdvanced, DeploymentFinished, DeploymentOutcome, DeploymentStarted};
pub use detection::DetectionRaised;
pub use digest::{DigestQuarantined, DigestReleased};
pub use event::EventDeadlettered;
pub use gate::{GateEvaluated, Proof, Verdict, WindowOverride};
pub use image::{
    ImageDeleted, ImagePushed, ImageScanned, PlatformDigest, ScanScope, ScanStatus, Severity, SeverityCounts,
};
pub use pipeline::{PipelineFinished, PipelineOutcome};
pub use push::{PushReceived, RefKind};
pub use request::{RequestKind, RequestMade};
pub use schedule::ScheduleFired;
pub use verification::{CheckResult, VerificationFinished};

/// Derives every event type shares.
macro_rules! wire {
    ($($item:item)+) => { $(
        #[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        $item
    )+ };
}
use wire;
