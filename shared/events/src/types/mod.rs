//! The event types: one module for each subject, one struct for each type and version.
//!
//! Within a version only optional fields may be added.

mod build;
mod deployment;
mod digest;
mod event;
mod image;
mod push;
mod request;

pub use build::{BuildFinished, BuildOutcome, BuildStarted, BuildTimes};
pub use deployment::{DeploymentAdvanced, DeploymentFinished, DeploymentOutcome, DeploymentStarted};
pub use digest::DigestQuarantined;
pub use event::EventDeadlettered;
pub use image::{ImageDeleted, ImagePushed, PlatformDigest};
pub use push::{PushReceived, RefKind};
pub use request::{RequestKind, RequestMade};

/// Derives every event type shares.
macro_rules! wire {
    ($($item:item)+) => { $(
        #[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        $item
    )+ };
}
use wire;
