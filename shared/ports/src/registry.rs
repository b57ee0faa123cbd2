//! What an image registry knows.

use async_trait::async_trait;
use longshore_events::{Digest, ImageName, types::PlatformDigest};
use serde::{Deserialize, Serialize};

use crate::PortError;

/// What an image registry knows. An answer may be stale.
#[async_trait]
pub trait Registry: Send + Sync {
    /// What `reference`, a tag or a digest, names in `image`; `None` when it names nothing.
    ///
    /// # Errors
    /// When the registry cannot be asked.
    async fn resolve(&self, image: &ImageName, reference: &str) -> Result<Option<Resolved>, PortError>;
}

/// A manifest or an index of manifests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolved {
    /// Its digest.
    pub digest: Digest,
    /// Its media type.
    pub media_type: String,
    /// The manifests of an index, by platform; empty for a single manifest.
    pub platforms: Vec<PlatformDigest>,
}
