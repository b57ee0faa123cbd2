//! `gate.evaluated`: whether an image may run in an environment.

use super::wire;
use crate::{CommitId, Digest, EnvironmentName, EventId, ImageName, ServiceName, Timestamp};

wire! {
    /// What is known of an image was joined into a verdict, or into another one than before. Subject:
    /// `<environment>/<service>/<digest>`.
    pub struct GateEvaluated {
        /// Where it may run.
        pub environment: EnvironmentName,
        /// What runs.
        pub service: ServiceName,
        /// Where the image lies.
        pub image: ImageName,
        /// Its digest.
        pub digest: Digest,
        /// The tag that names it, if one does.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub tag: Option<String>,
        /// The commit that it was built from; absent for an image from outside.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub commit: Option<CommitId>,
        /// The push that led to it was forced: the branch may have gone back to an older commit.
        #[serde(default)]
        pub forced: bool,
        /// The verdict.
        pub verdict: Verdict,
        /// Why it is not pass.
        #[serde(default)]
        pub reasons: Vec<String>,
        /// The events that it was joined from.
        #[serde(default)]
        pub inputs: Vec<EventId>,
        /// Where it ran before: in the environment that this one is promoted from.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub proof: Option<Proof>,
        /// The Kubernetes manifests that were rendered with it, in Blobs: YAML.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub manifests_ref: Option<String>,
        /// When it may be another by itself: a waiver or an approval that counts ends then.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
        pub expires_at: Option<Timestamp>,
        /// A person's word by which a rollout of it may begin outside of the environment's windows, and within a freeze.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub override_window: Option<WindowOverride>,
    }

    /// A person's word that overrides an environment's calendar for one image.
    pub struct WindowOverride {
        /// The event `approval.given` that said it.
        pub approval: EventId,
        /// Who gave it.
        pub who: String,
        /// Why.
        pub why: String,
        /// Until when a rollout may begin by it.
        #[cfg_attr(feature = "schema", schemars(with = "String"))]
        pub until: Timestamp,
    }

    /// An image ran in the environment that another one is promoted from.
    pub struct Proof {
        /// That environment.
        pub environment: EnvironmentName,
        /// The generation of the deployment there: what came later is newer.
        pub generation: u64,
        /// When that deployment ended well.
        #[cfg_attr(feature = "schema", schemars(with = "String"))]
        pub since: Timestamp,
    }

    /// Whether an image may run.
    #[serde(rename_all = "snake_case")]
    #[derive(Copy)]
    pub enum Verdict {
        /// It may.
        Pass,
        /// It may not.
        Fail,
        /// That is not known yet, or not any more: nothing goes forward.
        Unknown,
    }
}
