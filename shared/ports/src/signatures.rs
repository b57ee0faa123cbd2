//! What lies beside an image and claims to be a signature of it.

use async_trait::async_trait;
use longshore_events::{Digest, ImageName};
use serde::{Deserialize, Serialize};

use crate::PortError;

/// The most claims that are looked at beside one image.
pub const MAX_CLAIMS: usize = 32;
/// The longest part of a claim that is read, in bytes.
pub const MAX_CLAIM: usize = 64 << 10;

/// What lies beside images. An answer may be stale.
#[async_trait]
pub trait Signatures: Send + Sync {
    /// What lies beside the image at `digest` and claims to be a signature, in no order; at most [`MAX_CLAIMS`]. Nothing of it
    /// was verified: whoever may push puts there what they like. None for an image that is not there.
    ///
    /// # Errors
    /// When the registry cannot be asked.
    async fn claims(&self, image: &ImageName, digest: &Digest) -> Result<Vec<Claim>, PortError>;
}

/// What claims to be a signature.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Claim {
    /// The tag that brings it, or the digest of the manifest that does.
    pub place: String,
    /// What it is.
    pub envelope: Envelope,
}

/// How signatures lie in registries.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Envelope {
    /// A payload of simple signing, and its signature in base64. Source: "Signature spec" of cosign.
    Simple {
        /// The payload, as it was signed.
        payload: String,
        /// The signature in base64.
        signature: String,
    },
    /// A Sigstore bundle in JSON. Source: `sigstore_bundle.proto` of Sigstore's protobuf-specs.
    Bundle(String),
    /// It cannot be read, or is too long, for this reason.
    Unreadable(String),
}
