//! Blobs and a registry that nobody pushes to from outside.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use longshore_events::ImageName;
use longshore_ports::{BlobRef, Blobs, ErrorKind, PortError, Registry, Resolved};

use crate::Air;

/// Blobs in memory.
pub struct FakeBlobs {
    air: Arc<Air>,
    blobs: Mutex<HashMap<BlobRef, Vec<u8>>>,
}

impl FakeBlobs {
    /// No blobs.
    pub fn new(air: Arc<Air>) -> Self {
        Self { air, blobs: Mutex::default() }
    }
}

#[async_trait]
impl Blobs for FakeBlobs {
    async fn put(&self, content: Vec<u8>) -> Result<BlobRef, PortError> {
        let act = || {
            let blob = BlobRef::of(&content);
            self.blobs.lock().unwrap_or_else(PoisonError::into_inner).insert(blob.clone(), content);
            Ok(blob)
        };
        self.air.call("blobs put", act).await
    }

    async fn get(&self, blob: &BlobRef) -> Result<Vec<u8>, PortError> {
        let act = || {
            let blobs = self.blobs.lock().unwrap_or_else(PoisonError::into_inner);
            blobs
                .get(blob)
                .cloned()
                .ok_or_else(|| PortError::new(ErrorKind::NotFound, "blobs get", "no such blob"))
        };
        self.air.call("blobs get", act).await
    }
}

/// Only `build` pushes in the simulated world, so no followed tag ever points anywhere.
#[async_trait]
impl Registry for FakeBlobs {
    async fn resolve(&self, _: &ImageName, _: &str) -> Result<Option<Resolved>, PortError> {
        self.air.call("registry resolve", || Ok(None)).await
    }
}
