//! Images that are made by hand, in a registry of their own, and scanners' surroundings.

#![expect(clippy::unwrap_used, reason = "a test's helper fails as its test does")]

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use longshore_events::{Digest, ImageName, ImageRef};
use longshore_ports::suite::scanner::key;
use longshore_ports::{
    BlobRef, Blobs, ErrorKind, Finding, Findings, Hints, PortError, ScanOrder, ScanReport, ScanState, Scanner,
};
use serde_json::{Value, json};
use tar::{EntryType, Header};
use tempfile::TempDir;

use crate::image::{self, Descriptor};
use crate::server::Store;

pub(crate) const TAR: &str = "application/vnd.oci.image.layer.v1.tar";

/// Blobs in memory, that fail as often as they are told to.
#[derive(Default)]
pub(crate) struct Blob {
    all: Mutex<HashMap<String, Vec<u8>>>,
    pub(crate) fails: AtomicUsize,
}

#[async_trait]
impl Blobs for Blob {
    async fn put(&self, content: Vec<u8>) -> Result<BlobRef, PortError> {
        if self.fails.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
            return Err(PortError::unavailable("put", "the disk is full"));
        }
        let name = BlobRef::of(&content);
        self.all.lock().unwrap().insert(name.0.to_string(), content);
        Ok(name)
    }

    async fn get(&self, blob: &BlobRef) -> Result<Vec<u8>, PortError> {
        let all = self.all.lock().unwrap();
        all.get(blob.0.as_str()).cloned().ok_or_else(|| PortError::new(ErrorKind::NotFound, "get", "none"))
    }
}

pub(crate) struct NoHints;

impl Hints for NoHints {
    fn hint(&self, _: &str, _: &str) {}
}

/// A layer: what is in it, each with its mode.
#[derive(Default)]
pub(crate) struct Tar(pub(crate) Vec<u8>);

impl Tar {
    pub(crate) fn entry(mut self, kind: EntryType, name: &str, mode: u32, data: &[u8]) -> Self {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(data.len() as u64);
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self.0.extend_from_slice(data);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    pub(crate) fn file(self, name: &str, data: &str) -> Self {
        self.entry(EntryType::Regular, name, 0o644, data.as_bytes())
    }
}

pub(crate) struct Yard {
    pub(crate) folder: TempDir,
    pub(crate) store: Store,
    pub(crate) blobs: Arc<Blob>,
}

impl Yard {
    pub(crate) fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let store = Store::open(&folder.path().join("registry")).unwrap();
        Self { folder, store, blobs: Arc::default() }
    }

    pub(crate) fn link(&self, media_type: &str, document: &Value) -> Digest {
        let bytes = document.to_string().into_bytes();
        let digest = self.store.put_blob(&bytes).unwrap();
        let descriptor = Descriptor::new(media_type, digest.clone(), bytes.len() as u64);
        self.store.link_manifest(&"shop".parse().unwrap(), &descriptor, None).unwrap();
        digest
    }

    pub(crate) fn described(&self, media_type: &str, bytes: &[u8]) -> Value {
        let digest = self.store.put_blob(bytes).unwrap();
        json!({ "mediaType": media_type, "digest": digest, "size": bytes.len() })
    }

    /// An image that runs as nobody, of these layers.
    pub(crate) fn image(&self, layers: Vec<Tar>) -> Digest {
        self.image_of(&json!({ "config": { "User": "65534" } }), layers)
    }

    pub(crate) fn image_of(&self, config: &Value, layers: Vec<Tar>) -> Digest {
        let layers = layers.into_iter().map(|mut layer| {
            layer.0.resize(layer.0.len() + 1024, 0);
            self.described(TAR, &layer.0)
        });
        let layers: Vec<_> = layers.collect();
        let mut config = config.clone();
        if config.get("rootfs").is_none() {
            // Of a layer that is not compressed, both digests are one.
            let digests: Vec<_> = layers.iter().map(|layer| layer["digest"].clone()).collect();
            config["rootfs"] = json!({ "type": "layers", "diff_ids": digests });
        }
        let config = self.described(image::CONFIG, config.to_string().as_bytes());
        let manifest =
            json!({ "schemaVersion": 2, "mediaType": image::MANIFEST, "config": config, "layers": layers });
        self.link(image::MANIFEST, &manifest)
    }
}

pub(crate) fn order(digest: &Digest) -> ScanOrder {
    ScanOrder { image: ImageRef::new(ImageName::new("shop").unwrap(), digest.clone()), platforms: Vec::new() }
}

pub(crate) fn nowhere() -> Digest {
    Digest::new(format!("sha256:{}", "e".repeat(64))).unwrap()
}

/// Scans an image to its end.
pub(crate) async fn ended(scanner: &impl Scanner, order: &ScanOrder) -> ScanReport {
    scanner.start(&key(order), order).await.unwrap();
    loop {
        match scanner.find(&key(order), order).await.unwrap() {
            Some(ScanState::Ended(report)) => return report,
            Some(ScanState::Running) => tokio::time::sleep(std::time::Duration::from_millis(1)).await,
            None => scanner.start(&key(order), order).await.unwrap(),
        }
    }
}

impl Yard {
    /// What a report lists.
    pub(crate) async fn findings(&self, report: &ScanReport) -> Vec<Finding> {
        let Some(listed) = &report.findings_ref else { return Vec::new() };
        let listed = self.blobs.get(&BlobRef(Digest::new(listed).unwrap())).await.unwrap();
        let findings: Findings = serde_json::from_slice(&listed).unwrap();
        findings.findings
    }
}
