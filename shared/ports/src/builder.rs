//! Building images.

use async_trait::async_trait;
use longshore_events::{
    CommitId, Digest, ImageName, RepositoryName, ServiceName,
    types::{BuildTimes, PlatformDigest},
};
use serde::{Deserialize, Serialize};

use crate::{Key, PortError};

/// Builds images, at most once for each key as long as it lives.
#[async_trait]
pub trait Builder: Send + Sync {
    /// Begins a build under its key. If that key was begun already, nothing happens.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Conflict`] when the key stands for another order.
    async fn start(&self, key: &Key, order: &BuildOrder) -> Result<(), PortError>;

    /// How the build of `key` stands; `None` when it was never begun, or was cut off and must be begun again.
    ///
    /// # Errors
    /// When the builder cannot be asked.
    async fn find(&self, key: &Key) -> Result<Option<BuildStatus>, PortError>;
}

/// What to build. How (commands, Dockerfile, limits) is the configuration's, looked up by the service's name: nothing
/// that a pushed tree says is ever run unless the configuration names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildOrder {
    /// The service.
    pub service: ServiceName,
    /// Its repository.
    pub repo: RepositoryName,
    /// The commit.
    pub commit: CommitId,
}

/// How a build stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BuildStatus {
    /// It goes on.
    Running,
    /// There is an image in the registry.
    Succeeded(Built),
    /// There is none.
    Failed(BuildFailure),
}

/// A finished image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Built {
    /// Where it lies.
    pub image: ImageName,
    /// The tag that names it.
    pub tag: String,
    /// Its digest.
    pub digest: Digest,
    /// Its media type.
    pub media_type: String,
    /// The manifests of an index.
    pub platforms: Vec<PlatformDigest>,
    /// The Kubernetes manifests that were rendered with it, in Blobs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifests_ref: Option<String>,
    /// The log, in Blobs.
    pub logs_ref: Option<String>,
    /// How long the parts took.
    pub times: BuildTimes,
}

/// Why there is no image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildFailure {
    /// Why, in one line.
    pub reason: String,
    /// The log, in Blobs.
    pub logs_ref: Option<String>,
    /// How long the parts took, as far as they got.
    pub times: BuildTimes,
}
