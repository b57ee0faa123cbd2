//! Looking into images for what must not run.

use async_trait::async_trait;
use longshore_events::{
    Digest, ImageRef,
    types::{ImageScanned, PlatformDigest, ScanScope, ScanStatus, Severity, SeverityCounts},
};
use serde::{Deserialize, Serialize};

use crate::{BlobRef, Blobs, ErrorKind, Key, PortError};

/// At most so many findings are listed; all of them are counted.
pub const MAX_FINDINGS: usize = 200_000;
/// The longest list of findings, in bytes: a blob holds it.
const MAX_LIST: usize = 48 << 20;

/// Looks into images. Nothing is changed by it but what the scanner itself remembers.
#[async_trait]
pub trait Scanner: Send + Sync {
    /// What would scan now. An image that was scanned by the same version need not be scanned again.
    ///
    /// # Errors
    /// When the scanner cannot be asked.
    async fn version(&self) -> Result<ScannerVersion, PortError>;

    /// Begins a scan under its key, whose unit is the image of the order (`NAME@DIGEST`). If that key was begun already,
    /// nothing happens.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Conflict`] when the key stands for another image.
    async fn start(&self, key: &Key, order: &ScanOrder) -> Result<(), PortError>;

    /// How the scan of `key` stands; `None` when it was never begun, or was cut off and must be begun again.
    ///
    /// # Errors
    /// When the scanner cannot be asked.
    async fn find(&self, key: &Key, order: &ScanOrder) -> Result<Option<ScanState>, PortError>;
}

/// What scans, and what it compares images with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScannerVersion {
    /// The scanner's name, as events say it.
    pub scanner: String,
    /// The version of its rules and advisories together; `None` where that is only known of a scan that has ended.
    pub database: Option<String>,
}

/// What to scan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScanOrder {
    /// The image, or the index of images.
    pub image: ImageRef,
    /// The manifests of an index; empty for a single manifest.
    #[serde(default)]
    pub platforms: Vec<PlatformDigest>,
}

impl ScanOrder {
    /// The manifests of images to look into. In an index, build tools keep their attestations as manifests of the
    /// platform `unknown/unknown`: those are no images.
    pub fn manifests(&self) -> Vec<&longshore_events::Digest> {
        let images = self.platforms.iter().filter(|one| one.platform != "unknown/unknown");
        let digests: Vec<_> = images.map(|one| &one.digest).collect();
        if self.platforms.is_empty() { vec![&self.image.digest] } else { digests }
    }

    /// Whether `key` stands for this order.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Conflict`] when its unit is another image.
    pub fn stands_under(&self, key: &Key) -> Result<(), PortError> {
        if key.unit == self.image.to_string() {
            return Ok(());
        }
        let why = format!("the key {key} stands for another image than {}", self.image);
        Err(PortError::new(crate::ErrorKind::Conflict, "start a scan", why))
    }
}

/// How a scan stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScanState {
    /// It goes on.
    Running,
    /// It came to its end, whichever.
    Ended(ScanReport),
}

/// What a scan ended with. Three-valued: without findings and [`ScanStatus::Complete`] the image is clean, with findings
/// it is not, and with any other status that is unknown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScanReport {
    /// What scanned.
    pub scanner: String,
    /// The version of what it compared with.
    pub database: Option<String>,
    /// What it looked for.
    pub scope: Vec<ScanScope>,
    /// How it ended.
    pub status: ScanStatus,
    /// Why it is not complete, in one line.
    pub reason: Option<String>,
    /// How many findings there are.
    pub counts: SeverityCounts,
    /// The [`Findings`], in Blobs.
    pub findings_ref: Option<String>,
    /// The CycloneDX JSON, in Blobs.
    pub sbom_ref: Option<String>,
}

impl ScanReport {
    /// A scan that found out nothing.
    pub fn unknown(scanner: impl Into<String>, status: ScanStatus, reason: impl Into<String>) -> Self {
        Self {
            scanner: scanner.into(),
            database: None,
            scope: Vec::new(),
            status,
            reason: Some(reason.into()),
            counts: SeverityCounts::default(),
            findings_ref: None,
            sbom_ref: None,
        }
    }
}

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The advisory (`CVE-2024-1234`), or the rule (`secret/aws-access-key`).
    pub id: String,
    /// What kind of finding it is.
    pub scope: ScanScope,
    /// How bad it is.
    pub severity: Severity,
    /// A sentence for people; of a secret, never the secret.
    pub title: String,
    /// Where: a path in the image, or what of its configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// The package.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package: Option<String>,
    /// Its version in the image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The version that mends it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fixed: Option<String>,
}

/// Findings, at most [`MAX_FINDINGS`] of them, with the count of all. As JSON it is what `findings_ref` names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Findings {
    /// How many there are, by severity.
    pub counts: SeverityCounts,
    /// More were counted than are listed.
    #[serde(default)]
    pub truncated: bool,
    /// The first of them.
    pub findings: Vec<Finding>,
}

impl Findings {
    /// What a scan lists. A list that is gone, or cannot be read, names nothing; the scan's own counts stand all the same.
    ///
    /// # Errors
    /// When the blobs cannot be read.
    pub async fn of(blobs: &dyn Blobs, scan: &ImageScanned) -> Result<Self, PortError> {
        let Some(listed) = scan.findings_ref.as_ref().and_then(|listed| Digest::new(listed).ok()) else {
            return Ok(Self::default());
        };
        match blobs.get(&BlobRef(listed)).await {
            Ok(text) => Ok(serde_json::from_slice(&text).unwrap_or_default()),
            Err(error) if error.kind == ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error),
        }
    }

    /// Counts a finding, and lists it while there is room.
    pub fn add(&mut self, finding: Finding) {
        self.counts.add(finding.severity, 1);
        if self.findings.len() < MAX_FINDINGS {
            self.findings.push(finding);
        } else {
            self.truncated = true;
        }
    }

    /// As JSON, cut until it fits into a blob. The counts stay true.
    ///
    /// # Errors
    /// None that is known of: every finding can be written.
    pub fn into_json(mut self) -> serde_json::Result<Vec<u8>> {
        self.cut(MAX_LIST)
    }

    fn cut(&mut self, longest: usize) -> serde_json::Result<Vec<u8>> {
        loop {
            let listed = serde_json::to_vec(self)?;
            if listed.len() <= longest || self.findings.is_empty() {
                return Ok(listed);
            }
            self.truncated = true;
            self.findings.truncate(self.findings.len() / 2);
        }
    }
}

impl Extend<Finding> for Findings {
    fn extend<T: IntoIterator<Item = Finding>>(&mut self, findings: T) {
        for finding in findings {
            self.add(finding);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_beyond_the_limits_are_counted_and_not_listed() {
        let finding = Finding {
            id: "CVE-2026-1".into(),
            scope: ScanScope::Vulnerabilities,
            severity: Severity::High,
            title: "bad".into(),
            place: None,
            package: None,
            version: None,
            fixed: None,
        };
        let mut findings = Findings::default();
        findings.extend(std::iter::repeat_n(finding, MAX_FINDINGS + 5));
        assert_eq!((findings.findings.len(), findings.truncated), (MAX_FINDINGS, true));
        findings.findings.truncate(100);
        let listed = findings.cut(5_000).unwrap();
        assert!(listed.len() <= 5_000 && (10..100).contains(&findings.findings.len()));
        assert_eq!(findings.counts.high, MAX_FINDINGS as u64 + 5);
    }
}
