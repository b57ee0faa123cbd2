//! Secrets, by name.

use std::fmt;

use async_trait::async_trait;

use crate::PortError;

/// A secret value. It has no `Display`, and its `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// Wraps a value.
    pub fn new(value: impl Into<Vec<u8>>) -> Self {
        Self(value.into())
    }

    /// The value, to be used and not kept.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Secrets, by name.
#[async_trait]
pub trait Secrets: Send + Sync {
    /// Every valid value of a secret, the newest first: two while it is rotated.
    ///
    /// # Errors
    /// [`crate::ErrorKind::NotFound`] when there is none of that name; the error never holds a value.
    async fn get(&self, name: &str) -> Result<Vec<Secret>, PortError>;
}
