//! The scans of ECR.
//!
//! What moto cannot do, and the proxy says as the API's reference does: moto finds the same in every image, and
//! knows neither enhanced scanning, nor pages, nor any end of a scan but the good one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use longshore_aws::testing::{self, Fault};
use longshore_aws::{EcrScanner, S3Blobs};
use longshore_events::types::{PlatformDigest, ScanScope, ScanStatus, Severity, SeverityCounts};
use longshore_events::{Digest, ImageName, ImageRef};
use longshore_ports::suite::scanner::key;
use longshore_ports::{
    BlobRef, Blobs as _, ErrorKind, Findings, ScanOrder, ScanReport, ScanState, Scanner as _,
    suite::scanner::Bench,
};
use serde_json::{Value, json};

use crate::stack::{Cloud, StandingClock};

static IMAGES: AtomicU32 = AtomicU32::new(0);

/// "Example response" of DescribeImageScanFindings for enhanced scanning, shortened.
const ENHANCED: &str = r#"{"imageScanFindings":{"enhancedFindings":[
    {"findingArn":"arn:aws:inspector2:eu-west-1:123456789012:finding/1","severity":"HIGH","status":"ACTIVE",
     "title":"CVE-2026-1 - libcrypto","score":7.5,"packageVulnerabilityDetails":{"vulnerabilityId":"CVE-2026-1",
     "vulnerablePackages":[{"name":"libcrypto","version":"1.0","fixedInVersion":"1.1","filePath":"usr/lib/libcrypto.so"}]}},
    {"findingArn":"arn:aws:inspector2:eu-west-1:123456789012:finding/2","severity":"UNTRIAGED","status":"ACTIVE",
     "title":"CVE-2026-2"},
    {"findingArn":"arn:aws:inspector2:eu-west-1:123456789012:finding/3","severity":"CRITICAL","status":"SUPPRESSED"}],
    "findingSeverityCounts":{"HIGH":1,"UNTRIAGED":1},"imageScanCompletedAt":1760000000},
    "imageScanStatus":{"status":"ACTIVE","description":"Continuous scan is selected for image."}}"#;
const FIRST_PAGE: &str = r#"{"imageScanFindings":{"findings":[{"name":"CVE-2026-1","severity":"LOW"}],
    "findingSeverityCounts":{"LOW":3},"vulnerabilitySourceUpdatedAt":1760000000},
    "imageScanStatus":{"status":"COMPLETE"},"nextToken":"two"}"#;
const SECOND_PAGE: &str = r#"{"imageScanFindings":{"findings":[{"name":"CVE-2026-2","severity":"LOW"}],
    "findingSeverityCounts":{"LOW":3}},"imageScanStatus":{"status":"COMPLETE"}}"#;

struct Yard {
    cloud: Cloud,
    scanner: EcrScanner,
    blobs: Arc<S3Blobs>,
}

async fn yard() -> Yard {
    let cloud = Cloud::start().await;
    testing::bucket(&cloud.aws, "findings").await;
    let blobs = Arc::new(S3Blobs::new(&cloud.aws, "findings", Arc::new(StandingClock)));
    Yard { scanner: EcrScanner::new(&cloud.aws, blobs.clone()), cloud, blobs }
}

/// Each process has a repository of its own.
fn repository() -> String {
    format!("scanned/shop-{}", std::process::id())
}

fn at(digest: Digest) -> ScanOrder {
    let name = format!("123456789012.dkr.ecr.eu-west-1.amazonaws.com/{}", repository());
    ScanOrder { image: ImageRef::new(ImageName::new(name).unwrap(), digest), platforms: Vec::new() }
}

fn complete(counts: &Value) -> Value {
    json!({ "imageScanFindings": { "findings": [], "findingSeverityCounts": counts },
            "imageScanStatus": { "status": "COMPLETE" } })
}

fn stands(status: &str) -> Value {
    json!({ "imageScanStatus": { "status": status, "description": "as it is" } })
}

impl Yard {
    /// An image of its own: moto makes its digest of those of its layers.
    async fn image(&self) -> ScanOrder {
        let client = aws_sdk_ecr::Client::new(self.cloud.aws.config());
        let _ = client.create_repository().repository_name(repository()).send().await;
        let number = IMAGES.fetch_add(1, Ordering::Relaxed);
        let kind = "application/vnd.oci.image.manifest.v1+json";
        let part = |what: &str| {
            let digest = BlobRef::of(what.as_bytes());
            json!({ "mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": digest, "size": 2 })
        };
        let layer = part(&number.to_string());
        let manifest =
            json!({ "schemaVersion": 2, "mediaType": kind, "config": part("c"), "layers": [layer] });
        let put = client.put_image().repository_name(repository()).image_tag(format!("tag-{number}"));
        let put = put.image_manifest(manifest.to_string()).image_manifest_media_type(kind).send().await;
        at(Digest::new(put.unwrap().image.unwrap().image_id.unwrap().image_digest.unwrap()).unwrap())
    }

    /// The state of a scan that ECR says so of.
    async fn says(&self, answer: Value) -> ScanState {
        let order = self.image().await;
        self.cloud.proxy.scan(order.image.digest.as_str(), answer);
        self.scanner.start(&key(&order), &order).await.unwrap();
        self.scanner.find(&key(&order), &order).await.unwrap().unwrap()
    }

    async fn reports(&self, answer: Value) -> ScanReport {
        match self.says(answer).await {
            ScanState::Ended(report) => report,
            ScanState::Running => panic!("it was to end"),
        }
    }

    async fn found(&self, report: &ScanReport) -> Findings {
        let listed = BlobRef(Digest::new(report.findings_ref.as_ref().unwrap()).unwrap());
        serde_json::from_slice(&self.blobs.get(&listed).await.unwrap()).unwrap()
    }
}

#[tokio::test]
async fn the_scanner_passes_the_suite() {
    let make = async || {
        let yard = yard().await;
        let (clean, dirty, unreadable) = (yard.image().await, yard.image().await, yard.image().await);
        yard.cloud.proxy.scan(clean.image.digest.as_str(), complete(&json!({})));
        yard.cloud.proxy.scan(unreadable.image.digest.as_str(), stands("UNSUPPORTED_IMAGE"));
        // moto is another process, and the proxy has tasks of its own.
        std::mem::forget(yard.cloud);
        Bench { scanner: yard.scanner, clean, dirty, unreadable }
    };
    longshore_ports::suite::scanner::run(make, async |_| {}).await;
}

#[tokio::test]
async fn what_moto_finds_is_listed_and_counted() {
    let yard = yard().await;
    let order = yard.image().await;
    yard.scanner.start(&key(&order), &order).await.unwrap();
    let Some(ScanState::Ended(report)) = yard.scanner.find(&key(&order), &order).await.unwrap() else {
        panic!("it ends")
    };
    assert_eq!((report.scanner.as_str(), report.counts.high), ("ecr", 1));
    assert_eq!(report.scope, [ScanScope::Vulnerabilities]);
    assert!(report.database.as_ref().is_some_and(|at| at.starts_with("20")), "{report:?}");
    let findings = yard.found(&report).await;
    assert_eq!(
        (findings.findings[0].id.as_str(), findings.findings[0].severity),
        ("CVE-9999-9999", Severity::High)
    );
    assert_eq!(findings.findings[0].package.as_deref(), Some("moto_fake"));
}

#[tokio::test]
async fn only_a_complete_scan_with_its_findings_is_complete() {
    let yard = yard().await;
    for going_on in ["IN_PROGRESS", "PENDING"] {
        assert_eq!(yard.says(stands(going_on)).await, ScanState::Running, "{going_on}");
    }
    let cases = [
        ("UNSUPPORTED_IMAGE", ScanStatus::Unsupported, "does not support"),
        ("SCAN_ELIGIBILITY_EXPIRED", ScanStatus::Expired, "no longer scanned"),
        ("IMAGE_ARCHIVED", ScanStatus::Expired, "archived"),
        ("FAILED", ScanStatus::Failed, "as it is"),
        ("FINDINGS_UNAVAILABLE", ScanStatus::Failed, "not available"),
        ("LIMIT_EXCEEDED", ScanStatus::Failed, "no more images"),
        ("SOMETHING_NEW", ScanStatus::Failed, "SOMETHING_NEW"),
        ("COMPLETE", ScanStatus::Failed, "no list of findings"),
        ("ACTIVE", ScanStatus::Failed, "no list of findings"),
    ];
    for (status, expected, why) in cases {
        let report = yard.reports(stands(status)).await;
        assert_eq!((report.status, report.counts), (expected, SeverityCounts::default()), "{status}");
        assert!(report.reason.as_ref().unwrap().contains(why), "{report:?}");
    }
    assert_eq!(yard.reports(json!({})).await.status, ScanStatus::Failed);
}

#[tokio::test]
async fn inspectors_findings_are_those_that_are_active() {
    let yard = yard().await;
    let order = yard.image().await;
    // Inspector begins by itself, and refuses to be told.
    yard.cloud
        .proxy
        .next("StartImageScan", Fault::Refused(400, "ValidationException", "This feature is disabled"));
    yard.scanner.start(&key(&order), &order).await.unwrap();
    assert_eq!(yard.scanner.find(&key(&order), &order).await.unwrap(), None, "it has not begun yet");
    yard.cloud.proxy.next("DescribeImageScanFindings", Fault::Said(ENHANCED));
    let Some(ScanState::Ended(report)) = yard.scanner.find(&key(&order), &order).await.unwrap() else {
        panic!("it ends")
    };
    assert_eq!((report.scanner.as_str(), report.status), ("inspector", ScanStatus::Complete));
    assert_eq!((report.counts.critical, report.counts.high, report.counts.unknown), (0, 1, 1));
    let findings = yard.found(&report).await.findings;
    assert_eq!(findings.len(), 2);
    assert_eq!((findings[0].id.as_str(), findings[0].fixed.as_deref()), ("CVE-2026-1", Some("1.1")));
}

#[tokio::test]
async fn all_pages_are_read_and_the_counts_are_never_fewer_than_told() {
    let yard = yard().await;
    let order = yard.image().await;
    yard.cloud.proxy.next("DescribeImageScanFindings", Fault::Said(FIRST_PAGE));
    yard.cloud.proxy.next("DescribeImageScanFindings", Fault::Said(SECOND_PAGE));
    let Some(ScanState::Ended(report)) = yard.scanner.find(&key(&order), &order).await.unwrap() else {
        panic!("it ends")
    };
    assert_eq!((report.counts.low, yard.found(&report).await.findings.len()), (3, 2));
}

#[tokio::test]
async fn of_an_index_each_image_counts_and_its_attestations_do_not() {
    let yard = yard().await;
    let (one, two) = (yard.image().await.image.digest, yard.image().await.image.digest);
    let index = Digest::new(format!("sha256:{}", "1".repeat(64))).unwrap();
    let platform =
        |name: &str, digest: &Digest| PlatformDigest { platform: name.into(), digest: digest.clone() };
    let attestation = platform("unknown/unknown", &index);
    let platforms = vec![platform("linux/amd64", &one), platform("linux/arm64", &two), attestation.clone()];
    let order = ScanOrder { platforms, ..at(index.clone()) };
    yard.scanner.start(&key(&order), &order).await.unwrap();
    let find = async || yard.scanner.find(&key(&order), &order).await.unwrap();
    let Some(ScanState::Ended(report)) = find().await else { panic!("it ends") };
    assert_eq!(report.counts.high, 2, "one finding of moto each");
    yard.cloud.proxy.scan(two.as_str(), stands("IN_PROGRESS"));
    assert_eq!(find().await, Some(ScanState::Running));
    yard.cloud.proxy.scan(two.as_str(), stands("UNSUPPORTED_IMAGE"));
    assert!(
        matches!(find().await, Some(ScanState::Ended(report)) if report.status == ScanStatus::Unsupported)
    );
    let order = ScanOrder { platforms: vec![attestation], ..at(index) };
    let none = yard.scanner.find(&key(&order), &order).await.unwrap();
    assert!(matches!(none, Some(ScanState::Ended(report)) if report.status == ScanStatus::Unsupported));
}

#[tokio::test]
async fn what_ecr_refuses_is_named_and_an_image_of_others_is_not_asked_for() {
    let yard = yard().await;
    let order = yard.image().await;
    for (code, temporary, text) in [
        ("ThrottlingException", true, "asked for too much"),
        ("AccessDeniedException", false, "may not ecr:StartImageScan on the repository scanned/shop-"),
        ("UnsupportedImageTypeException", false, "UnsupportedImageTypeException"),
    ] {
        yard.cloud.proxy.next("StartImageScan", Fault::Refused(400, code, "refused"));
        let error = yard.scanner.start(&key(&order), &order).await.unwrap_err();
        assert!(error.to_string().contains(text) && error.is_temporary() == temporary, "{code}: {error}");
    }
    yard.cloud.proxy.next("DescribeImageScanFindings", Fault::BrokenAfter);
    assert!(yard.scanner.find(&key(&order), &order).await.unwrap_err().is_temporary());
    for name in ["ghcr.io/acme/shop", "123456789012.dkr.ecr.us-east-1.amazonaws.com/scanned/shop"] {
        let image = ImageRef::new(ImageName::new(name).unwrap(), order.image.digest.clone());
        let order = ScanOrder { image, platforms: Vec::new() };
        let error = yard.scanner.start(&key(&order), &order).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Invalid, "{error}");
    }
}
