//! Trivy's JSON report: what it found, and whether it looked through all of the image.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use longshore_events::types::{ScanScope, ScanStatus, Severity};
use longshore_ports::Finding;
use serde::Deserialize;

use crate::desk::Broken;

/// What of Trivy is used, whatever its own configuration says: a severity that is left out, or a list of what to ignore, would
/// make an image look clean.
pub(super) const WANTED: [&str; 15] = [
    "--quiet",
    "--no-progress",
    "--disable-telemetry",
    "--skip-version-check",
    "--list-all-pkgs",
    "--exit-code",
    "0",
    "--scanners",
    "vuln,secret",
    "--severity",
    "UNKNOWN,LOW,MEDIUM,HIGH,CRITICAL",
    "--pkg-types",
    "os,library",
    "--ignorefile",
    "/dev/null",
];

/// The longest report, in bytes.
const LONGEST: u64 = 1 << 30;

/// A report, as far as it is read.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Report {
    schema_version: u64,
    #[serde(default)]
    metadata: Metadata,
    #[serde(default)]
    results: Vec<Result_>,
}

#[derive(Debug, Default, Deserialize)]
struct Metadata {
    #[serde(rename = "OS")]
    os: Option<Os>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Os {
    family: String,
    #[serde(default)]
    name: String,
    /// It gets no advisories any more.
    #[serde(default, rename = "EOSL")]
    is_ended: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Result_ {
    #[serde(default)]
    target: String,
    #[serde(default)]
    class: String,
    #[serde(default)]
    vulnerabilities: Vec<Vulnerability>,
    #[serde(default)]
    secrets: Vec<Secret>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Vulnerability {
    #[serde(rename = "VulnerabilityID")]
    id: String,
    pkg_name: String,
    #[serde(default)]
    pkg_path: Option<String>,
    #[serde(default)]
    installed_version: Option<String>,
    #[serde(default)]
    fixed_version: Option<String>,
    #[serde(default)]
    title: Option<String>,
    #[serde(default)]
    severity: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Secret {
    #[serde(rename = "RuleID")]
    rule: String,
    #[serde(default)]
    title: String,
    #[serde(default)]
    severity: String,
    #[serde(default)]
    start_line: u64,
}

/// Reads a report. One that is missing, empty, too long or something else was never written by Trivy.
pub(super) fn read(path: &Path) -> Result<Report, Broken> {
    let none = |error| Broken::failed(format!("trivy ended well, and wrote no report: {error}"));
    let file = File::open(path).map_err(none)?;
    let length = file.metadata().map_err(none)?.len();
    if length == 0 {
        return Err(Broken::failed("trivy ended well, and its report is empty"));
    }
    if length > LONGEST {
        return Err(Broken::failed(format!("trivy's report has more than {LONGEST} bytes")));
    }
    let report: Report = serde_json::from_reader(BufReader::new(file))
        .map_err(|error| Broken::failed(format!("trivy's report cannot be read: {error}")))?;
    if report.schema_version != 2 {
        let version = report.schema_version;
        return Err(Broken::failed(format!("trivy's report is of schema version {version}, and 2 is known")));
    }
    Ok(report)
}

impl Report {
    /// Whether the packages of the image's distribution were compared with advisories that are still kept.
    pub(super) fn is_whole(&self) -> Result<(), Broken> {
        let Some(os) = &self.metadata.os else { return Ok(()) };
        let name = format!("{} {}", os.family, os.name);
        if os.is_ended {
            let why =
                format!("{} gets no advisories any more: what is not found in it may be there", name.trim());
            return Err(Broken { status: ScanStatus::Expired, why });
        }
        if !self.results.iter().any(|result| result.class == "os-pkgs") {
            return Err(Broken::unsupported(format!("trivy knows no packages of {}", name.trim())));
        }
        Ok(())
    }

    /// Whether Trivy knows what distribution the image is of.
    pub(super) fn names_distribution(&self) -> bool {
        self.metadata.os.is_some()
    }

    /// What was found.
    pub(super) fn findings(&self) -> impl Iterator<Item = Finding> {
        self.results.iter().flat_map(|result| {
            let vulnerabilities = result.vulnerabilities.iter().map(|found| found.finding(result));
            vulnerabilities.chain(result.secrets.iter().map(|found| found.finding(result)))
        })
    }
}

impl Vulnerability {
    fn finding(&self, of: &Result_) -> Finding {
        // Of a distribution the target names the image, which is the same for all.
        let place = self.pkg_path.clone().or_else(|| (of.class != "os-pkgs").then(|| of.target.clone()));
        Finding {
            id: self.id.clone(),
            scope: ScanScope::Vulnerabilities,
            severity: severity(&self.severity),
            title: self.title.clone().unwrap_or_else(|| format!("{} in {}", self.id, self.pkg_name)),
            place: place.filter(|place| !place.is_empty()),
            package: Some(self.pkg_name.clone()),
            version: self.installed_version.clone(),
            fixed: self.fixed_version.clone().filter(|version| !version.is_empty()),
        }
    }
}

impl Secret {
    fn finding(&self, of: &Result_) -> Finding {
        Finding {
            id: format!("secret/{}", self.rule),
            scope: ScanScope::Secrets,
            severity: severity(&self.severity),
            title: self.title.clone(),
            place: Some(format!("{}:{}", of.target, self.start_line)),
            package: None,
            version: None,
            fixed: None,
        }
    }
}

fn severity(word: &str) -> Severity {
    match word {
        "CRITICAL" => Severity::Critical,
        "HIGH" => Severity::High,
        "MEDIUM" => Severity::Medium,
        "LOW" => Severity::Low,
        _ => Severity::Unknown,
    }
}
