//! `verification.finished`: what a release did under traffic, compared with what it may do.

use super::{Verdict, wire};
use crate::{Digest, EnvironmentName, Number, ServiceName, Timestamp};

wire! {
    /// The checks of a step of a rollout came to an end. Subject: `<environment>/<service>/<digest>`.
    ///
    /// Everything that the verdict was made of is in `checks`: at most 20.
    pub struct VerificationFinished {
        /// `<environment>/<service>/<generation>`.
        pub deployment: String,
        /// Where.
        pub environment: EnvironmentName,
        /// What.
        pub service: ServiceName,
        /// The release that was measured.
        pub digest: Digest,
        /// The release that it was compared with, if one ran.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub running: Option<Digest>,
        /// The step's number, as in `deployment.advanced`.
        pub step: u32,
        /// The share of the traffic that the release had, in percent.
        pub weight: u8,
        /// Since when it was measured.
        #[cfg_attr(feature = "schema", schemars(with = "String"))]
        pub from: Timestamp,
        /// Until when.
        #[cfg_attr(feature = "schema", schemars(with = "String"))]
        pub until: Timestamp,
        /// Fail when a check failed, else unknown when one is, else pass.
        pub verdict: Verdict,
        /// Each check.
        pub checks: Vec<CheckResult>,
    }

    /// What a check found.
    pub struct CheckResult {
        /// The check's name in the configuration.
        pub name: String,
        /// What was measured: `error_rate` and `saturation` in percent, `latency_p99` in milliseconds, `requests`,
        /// `expression`.
        pub measure: String,
        /// What it says.
        pub verdict: Verdict,
        /// What the release did; absent when that is not known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub value: Option<Number>,
        /// How many requests that was made of.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub requests: Option<u64>,
        /// What the running release did over the same window.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub running: Option<Number>,
        /// How many requests that was made of.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub running_requests: Option<u64>,
        /// What it may do at most, given what the running release did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub limit: Option<Number>,
        /// Why it did not pass.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub reason: Option<String>,
    }
}
