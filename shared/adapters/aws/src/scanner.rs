//! The scans of ECR, by itself (basic) or by Inspector (enhanced), as the account's registry is set up.
//!
//! ECR knows no keys: a scan is of a digest, and one that was begun within a day stands. Inspector begins by itself, and goes
//! on for as long as the registry says. Of an index each image is scanned, never the index itself. Whatever ECR says that is
//! neither complete nor under way is unknown, and never clean: nor is a finding gone whose scan has expired.
//!
//! Source: "StartImageScan" and "DescribeImageScanFindings", the API reference of ECR; "Scan images for OS and programming
//! language package vulnerabilities", its user guide.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_ecr::operation::describe_image_scan_findings::{
    DescribeImageScanFindingsError as DescribeError, DescribeImageScanFindingsOutput as Answer,
};
use aws_sdk_ecr::types::{
    EnhancedImageScanFinding, FindingSeverity, ImageIdentifier, ImageScanFinding, ImageScanFindings,
    ScanStatus as Status, VulnerablePackage,
};
use aws_sdk_ecr::{Client, error::ProvideErrorMetadata as _};
use longshore_events::types::{ScanScope, ScanStatus, Severity, SeverityCounts};
use longshore_events::{Digest, ImageName};
use longshore_ports::{
    Blobs, Finding, Findings, Key, PortError, ScanOrder, ScanReport, ScanState, Scanner, ScannerVersion,
};

use crate::Aws;
use crate::failure::{Call, failed};
use crate::registry::{Place, place};

const START: &str = "start a scan";
const FIND: &str = "find a scan";
const BASIC: &str = "ecr";
const ENHANCED: &str = "inspector";
/// Findings are asked for so many at a time, and so often at most: an invocation must come to its end.
const PAGE: i32 = 1_000;
const PAGES: usize = 60;
const ALL: [Severity; 5] =
    [Severity::Critical, Severity::High, Severity::Medium, Severity::Low, Severity::Unknown];

/// The scanner of the registries of ECR in one region.
pub struct EcrScanner {
    client: Client,
    region: String,
    blobs: Arc<dyn Blobs>,
}

impl EcrScanner {
    /// The scanner of the account's region; `blobs` takes the findings.
    pub fn new(aws: &Aws, blobs: Arc<dyn Blobs>) -> Self {
        Self { client: Client::new(&aws.config), region: aws.account.region.clone(), blobs }
    }

    fn place<'a>(&self, operation: &str, image: &'a ImageName) -> Result<Place<'a>, PortError> {
        let place = place(image).filter(|place| place.region == self.region);
        let why = || format!("{image} is not an image of ECR in {}: ECR cannot scan it", self.region);
        place.ok_or_else(|| PortError::invalid(operation, why()))
    }

    async fn start_one(&self, place: &Place<'_>, digest: &Digest) -> Result<(), PortError> {
        let ask = self.client.start_image_scan().registry_id(place.account).repository_name(place.repository);
        let image = ImageIdentifier::builder().image_digest(digest.as_str()).build();
        let Err(error) = ask.image_id(image).send().await else { return Ok(()) };
        let code = error.as_service_error().and_then(|error| error.code()).unwrap_or_default();
        // One was begun within a day; or Inspector scans, and begins by itself.
        if matches!(code, "LimitExceededException" | "ValidationException") {
            return Ok(());
        }
        let resource = resource(place);
        let (action, region) = ("ecr:StartImageScan", self.region.as_str());
        Err(failed(Call { operation: START, action, resource: &resource, region }, &error))
    }

    /// What ECR says of one image; `None` when it has no scan.
    async fn one(&self, place: &Place<'_>, digest: &Digest) -> Result<Option<One>, PortError> {
        let Some(first) = self.page(place, digest, None).await? else { return Ok(None) };
        let mut one = One::of(&first);
        let mut token = first.next_token;
        for _ in 1..PAGES {
            if !matches!(one.state, State::Complete) {
                break;
            }
            let Some(next) = token else { return Ok(Some(one)) };
            // A scan that is gone meanwhile has more findings than were read.
            let Some(page) = self.page(place, digest, Some(next)).await? else { return Ok(None) };
            if let Some(findings) = &page.image_scan_findings {
                one.add(findings);
            }
            token = page.next_token;
        }
        one.findings.truncated |= token.is_some();
        Ok(Some(one))
    }

    async fn page(
        &self,
        place: &Place<'_>,
        digest: &Digest,
        token: Option<String>,
    ) -> Result<Option<Answer>, PortError> {
        let ask = self.client.describe_image_scan_findings().registry_id(place.account);
        let image = ImageIdentifier::builder().image_digest(digest.as_str()).build();
        let ask =
            ask.repository_name(place.repository).image_id(image).max_results(PAGE).set_next_token(token);
        match ask.send().await {
            Ok(answer) => Ok(Some(answer)),
            Err(error)
                if error.as_service_error().is_some_and(DescribeError::is_scan_not_found_exception) =>
            {
                Ok(None)
            }
            Err(error) => {
                let resource = resource(place);
                let (action, region) = ("ecr:DescribeImageScanFindings", self.region.as_str());
                Err(failed(Call { operation: FIND, action, resource: &resource, region }, &error))
            }
        }
    }

    /// The report of all images of an order.
    async fn report(&self, all: Vec<One>) -> Result<ScanReport, PortError> {
        let scanner = all.iter().find(|one| one.enhanced).map_or(BASIC, |_| ENHANCED);
        if let Some((status, why)) = all.iter().find_map(One::unknown) {
            return Ok(ScanReport::unknown(scanner, status, why));
        }
        let database = all.iter().filter_map(|one| one.database.clone()).min();
        let mut findings = Findings::default();
        let mut counts = SeverityCounts::default();
        for one in all {
            findings.truncated |= one.findings.truncated;
            for severity in ALL {
                counts.add(severity, one.count(severity));
            }
            findings.extend(one.findings.findings);
        }
        findings.counts = counts;
        let listed = findings.into_json().map_err(|error| PortError::invalid(FIND, error))?;
        let listed = self.blobs.put(listed).await?;
        Ok(ScanReport {
            scanner: scanner.into(),
            database,
            scope: vec![ScanScope::Vulnerabilities],
            status: ScanStatus::Complete,
            reason: None,
            counts,
            findings_ref: Some(listed.0.to_string()),
            sbom_ref: None,
        })
    }
}

fn resource(place: &Place<'_>) -> String {
    format!("the repository {} of {}", place.repository, place.account)
}

/// How one image stands.
enum State {
    Running,
    Complete,
    Unknown(ScanStatus, String),
}

/// What ECR says of one image.
struct One {
    state: State,
    enhanced: bool,
    database: Option<String>,
    /// What ECR counted.
    told: SeverityCounts,
    findings: Findings,
}

impl One {
    fn of(answer: &Answer) -> Self {
        let said = answer.image_scan_status.as_ref();
        let status = said.and_then(|said| said.status.clone());
        let description = said.and_then(|said| said.description.clone()).unwrap_or_default();
        let findings = answer.image_scan_findings.as_ref();
        let mut one = Self {
            state: state(status.as_ref(), &description, findings.is_some()),
            enhanced: status == Some(Status::Active)
                || findings.is_some_and(|found| found.enhanced_findings.is_some()),
            database: findings.and_then(|found| Some(found.vulnerability_source_updated_at?.to_string())),
            told: findings
                .and_then(|found| found.finding_severity_counts.as_ref())
                .map(told)
                .unwrap_or_default(),
            findings: Findings::default(),
        };
        if let Some(findings) = findings {
            one.add(findings);
        }
        one
    }

    fn add(&mut self, found: &ImageScanFindings) {
        self.findings.extend(found.findings.iter().flatten().map(basic));
        // What was suppressed or is closed is not counted by ECR either.
        let active =
            |one: &&EnhancedImageScanFinding| one.status.as_deref().is_none_or(|status| status == "ACTIVE");
        self.findings.extend(found.enhanced_findings.iter().flatten().filter(active).map(enhanced));
    }

    fn unknown(&self) -> Option<(ScanStatus, String)> {
        match &self.state {
            State::Unknown(status, why) => Some((*status, why.clone())),
            State::Running | State::Complete => None,
        }
    }

    /// Of what was told and what was listed never the fewer.
    fn count(&self, severity: Severity) -> u64 {
        self.told.of(severity).max(self.findings.counts.of(severity))
    }
}

fn state(status: Option<&Status>, description: &str, has_findings: bool) -> State {
    let unknown = |kind, why: &str| {
        let told = if description.is_empty() { String::new() } else { format!(": {description}") };
        State::Unknown(kind, format!("{why}{told}"))
    };
    match status {
        Some(Status::InProgress | Status::Pending) => State::Running,
        Some(Status::Complete | Status::Active) if has_findings => State::Complete,
        Some(Status::Complete | Status::Active) => {
            unknown(ScanStatus::Failed, "ECR says that the scan is complete, and gives no list of findings")
        }
        Some(Status::UnsupportedImage) => {
            unknown(ScanStatus::Unsupported, "ECR does not support the image's operating system or type")
        }
        Some(Status::ScanEligibilityExpired) => unknown(
            ScanStatus::Expired,
            "the image is no longer scanned: the registry's re-scan duration has passed",
        ),
        Some(Status::ImageArchived) => {
            unknown(ScanStatus::Expired, "the image is archived, and no longer scanned")
        }
        Some(Status::FindingsUnavailable) => unknown(ScanStatus::Failed, "the findings are not available"),
        Some(Status::LimitExceeded) => unknown(ScanStatus::Failed, "ECR scans no more images today"),
        Some(Status::Failed) => unknown(ScanStatus::Failed, "the scan failed in ECR"),
        Some(other) => {
            unknown(ScanStatus::Failed, &format!("ECR says {}, which is not known here", other.as_str()))
        }
        None => unknown(ScanStatus::Failed, "ECR says nothing about how the scan stands"),
    }
}

fn severity(name: &str) -> Severity {
    match name {
        "CRITICAL" => Severity::Critical,
        "HIGH" => Severity::High,
        "MEDIUM" => Severity::Medium,
        "LOW" | "INFORMATIONAL" => Severity::Low,
        _ => Severity::Unknown,
    }
}

fn told(counts: &HashMap<FindingSeverity, i32>) -> SeverityCounts {
    let mut told = SeverityCounts::default();
    for (name, count) in counts {
        told.add(severity(name.as_str()), u64::try_from(*count).unwrap_or_default());
    }
    told
}

/// A text of theirs, short enough for a list of many.
fn brief(text: Option<&String>) -> String {
    text.map(|text| text.chars().take(200).collect()).unwrap_or_default()
}

fn basic(found: &ImageScanFinding) -> Finding {
    let attribute = |name: &str| {
        let all = found.attributes.iter().flatten();
        all.filter(|one| one.key() == name).find_map(|one| one.value.as_ref()).map(|value| brief(Some(value)))
    };
    Finding {
        id: brief(found.name.as_ref()),
        scope: ScanScope::Vulnerabilities,
        severity: found.severity.as_ref().map_or(Severity::Unknown, |one| severity(one.as_str())),
        title: brief(found.description.as_ref().or(found.uri.as_ref())),
        place: None,
        package: attribute("package_name"),
        version: attribute("package_version"),
        fixed: None,
    }
}

fn enhanced(found: &EnhancedImageScanFinding) -> Finding {
    let details = found.package_vulnerability_details.as_ref();
    let package = details.and_then(|details| details.vulnerable_packages.as_ref()?.first());
    let of = |field: fn(&VulnerablePackage) -> Option<&String>| {
        package.and_then(field).map(|text| brief(Some(text)))
    };
    Finding {
        id: brief(
            details.and_then(|details| details.vulnerability_id.as_ref()).or(found.finding_arn.as_ref()),
        ),
        scope: ScanScope::Vulnerabilities,
        severity: severity(found.severity.as_deref().unwrap_or_default()),
        title: brief(found.title.as_ref()),
        place: of(|package| package.file_path.as_ref()),
        package: of(|package| package.name.as_ref()),
        version: of(|package| package.version.as_ref()),
        fixed: of(|package| package.fixed_in_version.as_ref()),
    }
}

#[async_trait]
impl Scanner for EcrScanner {
    async fn version(&self) -> Result<ScannerVersion, PortError> {
        // Which database it is, only a scan that has ended says.
        Ok(ScannerVersion { scanner: BASIC.into(), database: None })
    }

    async fn start(&self, key: &Key, order: &ScanOrder) -> Result<(), PortError> {
        order.stands_under(key)?;
        let place = self.place(START, &order.image.name)?;
        for digest in order.manifests() {
            self.start_one(&place, digest).await?;
        }
        Ok(())
    }

    async fn find(&self, _key: &Key, order: &ScanOrder) -> Result<Option<ScanState>, PortError> {
        let place = self.place(FIND, &order.image.name)?;
        let manifests = order.manifests();
        if manifests.is_empty() {
            let report = ScanReport::unknown(BASIC, ScanStatus::Unsupported, "the index names no image");
            return Ok(Some(ScanState::Ended(report)));
        }
        let mut all = Vec::new();
        for digest in manifests {
            let Some(one) = self.one(&place, digest).await? else { return Ok(None) };
            all.push(one);
        }
        if all.iter().any(|one| matches!(one.state, State::Running)) {
            return Ok(Some(ScanState::Running));
        }
        Ok(Some(ScanState::Ended(self.report(all).await?)))
    }
}
