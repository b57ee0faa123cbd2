//! `approval.given`: a person's word on an image.

use super::wire;
use crate::{Digest, EnvironmentName, ServiceName, Timestamp};

wire! {
    /// Somebody approved an image for an environment, or rejected it; the last word of a person counts. Subject:
    /// `<environment>/<service>/<digest>`.
    pub struct ApprovalGiven {
        /// Where it may run.
        pub environment: EnvironmentName,
        /// What runs.
        pub service: ServiceName,
        /// The image's digest.
        pub digest: Digest,
        /// The word.
        pub decision: ApprovalDecision,
        /// Who gave it.
        pub who: String,
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub why: Option<String>,
        /// Until when it counts; absent when it does for as long as the environment's policy says.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
        pub until: Option<Timestamp>,
        /// A rollout of it may begin outside of the environment's windows, and within a freeze.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        pub override_window: bool,
    }

    /// A person's word.
    #[serde(rename_all = "snake_case")]
    #[derive(Copy)]
    pub enum ApprovalDecision {
        /// It may run.
        Approved,
        /// It must not run.
        Rejected,
    }
}
