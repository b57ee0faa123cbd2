//! `build.started`, `build.finished`: one service built at one commit.

use super::wire;
use crate::{CommitId, Digest, ImageName, RepositoryName, ServiceName};

wire! {
    /// A build began. Subject: the service.
    pub struct BuildStarted {
        /// The service that is built.
        pub service: ServiceName,
        /// The repository that it lives in.
        pub repo: RepositoryName,
        /// The commit that is built.
        pub commit: CommitId,
        /// What builds: `packer`, `buildah`, `codebuild`, …
        pub builder: String,
    }

    /// A build came to its end. Subject: the service.
    pub struct BuildFinished {
        /// The service that was built.
        pub service: ServiceName,
        /// The repository that it lives in.
        pub repo: RepositoryName,
        /// The commit.
        pub commit: CommitId,
        /// What built it.
        pub builder: String,
        /// How it ended.
        pub outcome: BuildOutcome,
        /// Why, unless it succeeded.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub reason: Option<String>,
        /// Where the image lies.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub image: Option<ImageName>,
        /// The image's digest.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub digest: Option<Digest>,
        /// The Kubernetes manifests that were rendered with it, in Blobs: YAML.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub manifests_ref: Option<String>,
        /// The log, in Blobs.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub logs_ref: Option<String>,
        /// How long its parts took.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub times: Option<BuildTimes>,
    }

    /// How a build ended.
    #[serde(rename_all = "snake_case")]
    #[derive(Copy)]
    pub enum BuildOutcome {
        /// There is an image.
        Succeeded,
        /// Nothing that the service watches changed since its last image, which stands for this commit too.
        Unchanged,
        /// A command or the packing failed.
        Failed,
        /// The commit is not the tip of the branch any more.
        Superseded,
    }

    /// Wall time of a build's parts, in milliseconds.
    #[derive(Default, Copy)]
    pub struct BuildTimes {
        /// Fetching and checking out.
        pub git_ms: u64,
        /// The service's `prepare` command.
        pub prepare_ms: u64,
        /// The service's `test` command.
        pub test_ms: u64,
        /// Packing the layers.
        pub pack_ms: u64,
        /// Pushing to the registry.
        pub push_ms: u64,
    }
}
