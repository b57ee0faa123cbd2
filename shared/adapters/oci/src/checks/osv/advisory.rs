//! One advisory, and whether it concerns a package.

use std::cmp::Ordering;
use std::fs;
use std::path::Path;

use longshore_events::types::{ScanScope, Severity};
use longshore_ports::Finding;
use serde::Deserialize;
use serde_json::Value;

use super::super::locks::{Ecosystem, Package};
use super::folder::{OsvError, failed};
use super::{cvss, version};

/// The longest advisory that is read, in bytes.
const MAX_ADVISORY: u64 = 4 << 20;

#[derive(Deserialize)]
pub(super) struct Advisory {
    id: String,
    #[serde(default)]
    aliases: Vec<String>,
    #[serde(default)]
    summary: String,
    pub(super) withdrawn: Option<String>,
    #[serde(default)]
    severity: Vec<Scored>,
    #[serde(default)]
    database_specific: Value,
    #[serde(default)]
    pub(super) affected: Vec<Affected>,
}

#[derive(Deserialize)]
struct Scored {
    #[serde(default)]
    score: String,
}

#[derive(Deserialize)]
pub(super) struct Affected {
    pub(super) package: Option<Named>,
    #[serde(default)]
    ranges: Vec<Range>,
    #[serde(default)]
    versions: Vec<String>,
    #[serde(default)]
    severity: Vec<Scored>,
    #[serde(default)]
    database_specific: Value,
}

#[derive(Deserialize)]
pub(super) struct Named {
    pub(super) ecosystem: String,
    pub(super) name: String,
}

#[derive(Deserialize)]
struct Range {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    events: Vec<Event>,
}

#[derive(Deserialize)]
struct Event {
    introduced: Option<String>,
    fixed: Option<String>,
    last_affected: Option<String>,
}

/// Whether a version is affected.
pub(super) enum Hit {
    No,
    /// By a range that ends with this version, if it ends.
    Yes(Option<String>),
    /// It cannot be compared.
    Unknown,
}

/// Reads one.
pub(super) fn read(path: &Path) -> Result<Advisory, OsvError> {
    let garbage = |why: String| OsvError::Garbage { path: path.to_owned(), why };
    let length = fs::metadata(path).map_err(failed(path))?.len();
    if length > MAX_ADVISORY {
        return Err(garbage("it is longer than 4 MiB".into()));
    }
    let bytes = fs::read(path).map_err(failed(path))?;
    serde_json::from_slice(&bytes).map_err(|error| garbage(error.to_string()))
}

impl Advisory {
    /// As people know it: by its CVE, if it has one.
    pub(super) fn name(&self) -> &str {
        let cve = self.aliases.iter().find(|alias| alias.starts_with("CVE-"));
        cve.unwrap_or(&self.id)
    }

    pub(super) fn severity(&self, affected: &Affected) -> Severity {
        let named = |value: &Value| match value["severity"].as_str()?.to_uppercase().as_str() {
            "CRITICAL" => Some(Severity::Critical),
            "HIGH" => Some(Severity::High),
            "MODERATE" | "MEDIUM" => Some(Severity::Medium),
            "LOW" => Some(Severity::Low),
            _ => None,
        };
        let scored =
            affected.severity.iter().chain(&self.severity).filter_map(|one| cvss::severity(&one.score));
        let informs = affected.database_specific["informational"].is_string();
        let known = named(&self.database_specific).or_else(|| scored.max());
        known.unwrap_or(if informs { Severity::Low } else { Severity::Unknown })
    }

    pub(super) fn finding(
        &self,
        severity: Severity,
        unsure: bool,
        package: &Package,
        place: &str,
        fixed: Option<String>,
    ) -> Finding {
        let summary = if self.summary.is_empty() { "no summary" } else { &self.summary };
        let unsure = if unsure { "; whether this version is affected cannot be told" } else { "" };
        Finding {
            id: self.name().chars().take(100).collect(),
            scope: ScanScope::Vulnerabilities,
            severity,
            title: format!("{}: {summary}{unsure}", self.id).chars().take(300).collect(),
            place: Some(place.to_owned()),
            package: Some(package.name.clone()),
            version: Some(package.version.clone()),
            fixed,
        }
    }
}

impl Affected {
    /// Whether it concerns the package at its version.
    pub(super) fn hits(&self, package: &Package) -> Hit {
        let version = package.version.as_str();
        let bare = version.strip_prefix('v').unwrap_or(version);
        if self.versions.iter().any(|known| known == version || known == bare) {
            return Hit::Yes(self.fixed(package));
        }
        let ranges = self.ranges.iter().filter(|range| range.kind != "GIT");
        let mut unknown = false;
        for range in ranges {
            match range.holds(package.ecosystem, version) {
                Some(true) => return Hit::Yes(self.fixed(package)),
                Some(false) => {}
                None => unknown = true,
            }
        }
        if unknown { Hit::Unknown } else { Hit::No }
    }

    /// The oldest version after the package's that mends it.
    fn fixed(&self, package: &Package) -> Option<String> {
        let all = self.ranges.iter().flat_map(|range| &range.events).filter_map(|event| event.fixed.as_ref());
        let order = |a: &str, b: &str| version::compare(package.ecosystem, a, b);
        let newer = all.filter(|fixed| order(fixed, &package.version) == Some(Ordering::Greater));
        newer.min_by(|a, b| order(a, b).unwrap_or(Ordering::Equal)).cloned()
    }
}

impl Range {
    /// Whether the version is in it; `None` when that cannot be told. The events are in order, as the schema wants them.
    fn holds(&self, ecosystem: Ecosystem, version: &str) -> Option<bool> {
        let mut inside = false;
        for event in &self.events {
            let compare = |to: &str| version::compare(ecosystem, version, to);
            if let Some(introduced) = &event.introduced {
                if introduced == "0" || compare(introduced)?.is_ge() {
                    inside = true;
                }
            } else if let Some(fixed) = &event.fixed {
                if compare(fixed)?.is_ge() {
                    inside = false;
                }
            } else if let Some(last) = &event.last_affected
                && compare(last)?.is_gt()
            {
                inside = false;
            }
        }
        Some(inside)
    }
}
