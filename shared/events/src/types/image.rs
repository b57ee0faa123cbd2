//! `image.pushed`, `image.deleted`, `image.scanned`: what a registry holds, and what was found in it.

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
        /// The Kubernetes manifests that were rendered with it, in Blobs: YAML.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub manifests_ref: Option<String>,
        /// The push that led to it was forced: the branch may have gone back to an older commit.
        #[serde(default)]
        pub forced: bool,
        /// Who pushed the commit, as the provider names them; absent where nobody said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub actor: Option<String>,
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

    /// A scan of an image came to its end. Subject: the image at its digest, `NAME@DIGEST`.
    ///
    /// Only `complete` says what is in the image. Every other status is unknown, and never clean.
    pub struct ImageScanned {
        /// Where the image lies.
        pub image: ImageName,
        /// The digest of its manifest or index.
        pub digest: Digest,
        /// What scanned it: `built-in`, `trivy`, `ecr`, `inspector`, …
        pub scanner: String,
        /// The version of what it was compared with, where the scanner names one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub database: Option<String>,
        /// What was looked for.
        #[serde(default)]
        pub scope: Vec<ScanScope>,
        /// How it ended.
        pub status: ScanStatus,
        /// Why it is not complete.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub reason: Option<String>,
        /// How many findings there are, by severity; all of them, even where the list of them is cut.
        #[serde(default)]
        pub counts: SeverityCounts,
        /// The list of findings, in Blobs.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub findings_ref: Option<String>,
        /// What the image is made of, as CycloneDX JSON, in Blobs.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub sbom_ref: Option<String>,
    }

    /// What a scan looks for.
    #[serde(rename_all = "snake_case")]
    #[derive(Copy, PartialOrd, Ord)]
    pub enum ScanScope {
        /// Packages with known vulnerabilities.
        Vulnerabilities,
        /// Keys and tokens that lie in files.
        Secrets,
        /// How the image is set up: its user, its variables, set-id files.
        Configuration,
    }

    /// How a scan ended.
    #[serde(rename_all = "snake_case")]
    #[derive(Copy)]
    pub enum ScanStatus {
        /// All of the scope was looked through.
        Complete,
        /// It broke off, or never ended.
        Failed,
        /// The scanner cannot look into an image of this kind.
        Unsupported,
        /// There was a result, and it is too old to count.
        Expired,
    }

    /// How bad a finding is.
    #[serde(rename_all = "snake_case")]
    #[derive(Copy, PartialOrd, Ord, Hash)]
    pub enum Severity {
        /// Nobody has said.
        Unknown,
        /// Low, or only told.
        Low,
        /// Medium.
        Medium,
        /// High.
        High,
        /// Critical.
        Critical,
    }

    /// Findings by severity.
    #[derive(Default, Copy)]
    pub struct SeverityCounts {
        /// Critical.
        #[serde(default)]
        pub critical: u64,
        /// High.
        #[serde(default)]
        pub high: u64,
        /// Medium.
        #[serde(default)]
        pub medium: u64,
        /// Low, and those that only inform.
        #[serde(default)]
        pub low: u64,
        /// Of a severity that nobody has said.
        #[serde(default)]
        pub unknown: u64,
    }
}

impl SeverityCounts {
    /// How many there are of a severity.
    pub fn of(&self, severity: Severity) -> u64 {
        match severity {
            Severity::Critical => self.critical,
            Severity::High => self.high,
            Severity::Medium => self.medium,
            Severity::Low => self.low,
            Severity::Unknown => self.unknown,
        }
    }

    /// Counts so many more.
    pub fn add(&mut self, severity: Severity, more: u64) {
        *match severity {
            Severity::Critical => &mut self.critical,
            Severity::High => &mut self.high,
            Severity::Medium => &mut self.medium,
            Severity::Low => &mut self.low,
            Severity::Unknown => &mut self.unknown,
        } += more;
    }
}
