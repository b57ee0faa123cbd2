//! Large data, by its content.

use async_trait::async_trait;
use longshore_events::Digest;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::PortError;

/// Names a blob by the SHA-256 of its content.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BlobRef(pub Digest);

impl BlobRef {
    /// The reference of `content`.
    #[expect(clippy::expect_used, reason = "64 hexadecimal digits are always a digest")]
    pub fn of(content: &[u8]) -> Self {
        use std::fmt::Write as _;
        let mut text = String::from("sha256:");
        for byte in Sha256::digest(content) {
            let _ = write!(text, "{byte:02x}");
        }
        Self(Digest::new(text).expect("64 hexadecimal digits"))
    }
}

/// Large data, by its content. Writing the same content twice is one blob.
#[async_trait]
pub trait Blobs: Send + Sync {
    /// Stores `content`, at most 64 MiB.
    ///
    /// # Errors
    /// When it cannot be stored; trying again is safe.
    async fn put(&self, content: Vec<u8>) -> Result<BlobRef, PortError>;

    /// The content of a blob.
    ///
    /// # Errors
    /// [`crate::ErrorKind::NotFound`] when there is none.
    async fn get(&self, blob: &BlobRef) -> Result<Vec<u8>, PortError>;
}
