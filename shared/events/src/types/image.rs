//! `image.pushed`, `image.deleted`: what a registry holds.

use super::wire;
use crate::{CommitId, Digest, ImageName, ServiceName};

wire! {
    /// An image is in a registry. Subject: the image's repository.
    pub struct ImagePushed {
        /// Where it lies, with the registry's host.
        pub image: ImageName,
        /// The tag that names it, if one does.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub tag: Option<String>,
        /// The digest of its manifest or index.
        pub digest: Digest,
        /// The media type of that manifest or index.
        pub media_type: String,
        /// The manifests of an index, by platform.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pub platforms: Vec<PlatformDigest>,
        /// The service that `build` built it for; absent for an image from outside.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub service: Option<ServiceName>,
        /// The commit that it was built from.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub commit: Option<CommitId>,
        /// The push that led to it was forced: the branch may have gone back to an older commit.
        #[serde(default)]
        pub forced: bool,
    }

    /// One manifest of an index.
    pub struct PlatformDigest {
        /// `os/architecture[/variant]`.
        pub platform: String,
        /// Its manifest.
        pub digest: Digest,
    }

    /// A tag or a manifest is gone from a registry. Subject: the image's repository.
    pub struct ImageDeleted {
        /// Where it lay.
        pub image: ImageName,
        /// The tag, when only the tag was deleted.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub tag: Option<String>,
        /// The manifest that it named.
        pub digest: Digest,
    }
}
