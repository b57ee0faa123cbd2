//! `deployment.started`, `.advanced`, `.finished`: a rollout in one environment.

use super::{WindowOverride, wire};
use crate::{CommitId, Digest, EnvironmentName, ServiceName};

wire! {
    /// A rollout began. Subject: `<environment>/<service>`.
    pub struct DeploymentStarted {
        /// `<environment>/<service>/<generation>`.
        pub deployment: String,
        /// Where.
        pub environment: EnvironmentName,
        /// What.
        pub service: ServiceName,
        /// How: `rolling`, `canary` or `blue-green`.
        pub strategy: String,
        /// The release that runs, if one does.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub from: Option<Digest>,
        /// The release that shall run.
        pub to: Digest,
        /// The commit of `to`, where it is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub commit: Option<CommitId>,
        /// The word by which it began, where the environment's calendar was closed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub override_window: Option<WindowOverride>,
    }

    /// A rollout took a step. Subject: `<environment>/<service>`.
    pub struct DeploymentAdvanced {
        /// `<environment>/<service>/<generation>`.
        pub deployment: String,
        /// Where.
        pub environment: EnvironmentName,
        /// What.
        pub service: ServiceName,
        /// The step's number, from 1.
        pub step: u32,
        /// Share of the traffic that the new release gets from now on, in percent.
        pub weight: u8,
        /// The new release was ready when the step was decided.
        pub ready: bool,
    }

    /// A rollout came to its end, or was refused. Subject: `<environment>/<service>`.
    pub struct DeploymentFinished {
        /// `<environment>/<service>/<generation>`; for a refusal, the generation that runs.
        pub deployment: String,
        /// Where.
        pub environment: EnvironmentName,
        /// What.
        pub service: ServiceName,
        /// How it ended.
        pub outcome: DeploymentOutcome,
        /// The release that was to run.
        pub to: Digest,
        /// Its commit, where it is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub commit: Option<CommitId>,
        /// The release that runs now; absent when none does.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub running: Option<Digest>,
        /// Why it did not succeed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub failure: Option<String>,
        /// From the start of the new release's process until it listened, in milliseconds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub boot_ms: Option<u64>,
    }

    /// How a rollout ended.
    #[serde(rename_all = "snake_case")]
    #[derive(Copy)]
    pub enum DeploymentOutcome {
        /// The new release runs alone.
        Succeeded,
        /// It did not become ready, measured bad, or was asked back; the release before runs.
        RolledBack,
        /// It did not become ready, and there was nothing to go back to: it was taken away.
        Removed,
        /// A newer release took its place before it was done.
        Superseded,
        /// It was not begun: its digest is quarantined.
        Refused,
    }
}
