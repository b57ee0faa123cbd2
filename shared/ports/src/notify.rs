//! Telling people.

use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{Key, PortError};

/// Tells people that something needs them.
#[async_trait]
pub trait Notify: Send + Sync {
    /// Tells it at least once, with its key, by which who is told twice knows it.
    ///
    /// # Errors
    /// When nobody was told.
    async fn tell(&self, key: &Key, notice: &Notice) -> Result<(), PortError>;
}

/// What people are told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// One line.
    pub title: String,
    /// What happened, and what to do.
    pub text: String,
}

/// All of several ways; it fails when one of them does, once all were tried.
#[async_trait]
impl Notify for Vec<Arc<dyn Notify>> {
    async fn tell(&self, key: &Key, notice: &Notice) -> Result<(), PortError> {
        let mut told = Ok(());
        for way in self {
            let tried = way.tell(key, notice).await;
            told = told.and(tried);
        }
        told
    }
}
