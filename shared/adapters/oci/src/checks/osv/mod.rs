//! Advisories in OSV's JSON, in a folder: as the dumps of osv.dev are, unpacked, one file each.
//!
//! A folder that bears the name of an ecosystem (`npm`, `crates.io`, …) holds that ecosystem alone. Nothing is kept in
//! memory between two scans: a scan reads the advisories once, and keeps those of its packages. An advisory that cannot be
//! read fails the scan: what it would have said is unknown.
//!
//! Source: "Open Source Vulnerability schema", 1.6.

mod cvss;
mod version;

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use longshore_events::types::{ScanScope, Severity};
use longshore_ports::Finding;
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::locks::{Ecosystem, Package};
use crate::digest;

/// The longest advisory that is read, in bytes.
const MAX_ADVISORY: u64 = 4 << 20;
/// The most advisories of a folder.
const MAX_FILES: usize = 1_000_000;
/// How deep folders are looked into.
const DEPTH: usize = 4;

const ALL: [Ecosystem; 4] = [Ecosystem::Cargo, Ecosystem::Npm, Ecosystem::PyPi, Ecosystem::Go];

/// Why the advisories cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum OsvError {
    #[error("the advisories in {} cannot be read: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{} is no advisory in OSV's JSON: {why}", path.display())]
    Garbage { path: PathBuf, why: String },
    #[error("{} holds no advisory: unpack a dump of osv.dev there, or take `advisories` out", .0.display())]
    Empty(PathBuf),
    #[error("{} holds more than {MAX_FILES} advisories", .0.display())]
    TooMany(PathBuf),
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> OsvError + '_ {
    move |source| OsvError::Io { path: path.to_owned(), source }
}

/// The advisories of a folder, by path, sorted.
struct Listing {
    files: Vec<(PathBuf, Option<Ecosystem>)>,
    hasher: Sha256,
}

fn list(folder: &Path) -> Result<Listing, OsvError> {
    let mut listing = Listing { files: Vec::new(), hasher: Sha256::new() };
    enter(folder, None, DEPTH, &mut listing)?;
    if listing.files.is_empty() {
        return Err(OsvError::Empty(folder.to_owned()));
    }
    Ok(listing)
}

fn enter(folder: &Path, of: Option<Ecosystem>, depth: usize, into: &mut Listing) -> Result<(), OsvError> {
    let entries = fs::read_dir(folder).map_err(failed(folder))?;
    let mut entries = entries.collect::<Result<Vec<_>, _>>().map_err(failed(folder))?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let (path, name) = (entry.path(), entry.file_name());
        let about = fs::metadata(&path).map_err(failed(&path))?;
        if about.is_dir() && depth > 1 {
            let named = ALL.into_iter().find(|ecosystem| name == ecosystem.osv());
            enter(&path, named.or(of), depth - 1, into)?;
        } else if about.is_file() && path.extension().is_some_and(|end| end == "json") {
            if into.files.len() == MAX_FILES {
                return Err(OsvError::TooMany(folder.to_owned()));
            }
            let changed = about.modified().ok().and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
            into.hasher.update(path.as_os_str().as_encoded_bytes());
            into.hasher.update(about.len().to_le_bytes());
            into.hasher.update(changed.unwrap_or_default().as_nanos().to_le_bytes());
            into.files.push((path, of));
        }
    }
    Ok(())
}

/// A name for what the folder holds now: another when a file of it is another.
pub(super) fn version(folder: &Path) -> Result<String, OsvError> {
    let listing = list(folder)?;
    Ok(digest::finish(listing.hasher).hex()[..12].to_owned())
}

#[derive(Deserialize)]
struct Advisory {
    id: String,
    #[serde(default)]
    aliases: Vec<String>,
    #[serde(default)]
    summary: String,
    withdrawn: Option<String>,
    #[serde(default)]
    severity: Vec<Scored>,
    #[serde(default)]
    database_specific: Value,
    #[serde(default)]
    affected: Vec<Affected>,
}

#[derive(Deserialize)]
struct Scored {
    #[serde(default)]
    score: String,
}

#[derive(Deserialize)]
struct Affected {
    package: Option<Named>,
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
struct Named {
    ecosystem: String,
    name: String,
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
enum Hit {
    No,
    /// By a range that ends with this version, if it ends.
    Yes(Option<String>),
    /// It cannot be compared.
    Unknown,
}

/// What advisories say of packages, each of which lies in these places.
pub(super) fn find(
    folder: &Path,
    packages: &BTreeMap<Package, BTreeSet<String>>,
) -> Result<Vec<Finding>, OsvError> {
    let listing = list(folder)?;
    let mut by_name: BTreeMap<(Ecosystem, &str), Vec<&Package>> = BTreeMap::new();
    for package in packages.keys() {
        by_name.entry((package.ecosystem, &package.name)).or_default().push(package);
    }
    let wanted: BTreeSet<_> = packages.keys().map(|package| package.ecosystem).collect();
    let (mut found, mut seen) = (Vec::new(), BTreeSet::new());
    for (path, of) in listing.files {
        if of.is_some_and(|of| !wanted.contains(&of)) {
            continue;
        }
        let advisory = read(&path)?;
        if advisory.withdrawn.is_some() {
            continue;
        }
        for affected in &advisory.affected {
            let Some(named) = &affected.package else { continue };
            let Some(ecosystem) = ALL.into_iter().find(|known| known.osv() == named.ecosystem) else {
                continue;
            };
            for package in by_name.get(&(ecosystem, named.name.as_str())).into_iter().flatten() {
                let id = advisory.name();
                let (fixed, unsure) = match affected.hits(package) {
                    Hit::No => continue,
                    Hit::Yes(fixed) => (fixed, false),
                    Hit::Unknown => (None, true),
                };
                let severity = if unsure { Severity::Unknown } else { advisory.severity(affected) };
                let places = packages.get(*package).into_iter().flatten();
                for place in places {
                    if seen.insert((id.to_owned(), *package, place)) {
                        found.push(advisory.finding(severity, unsure, package, place, fixed.clone()));
                    }
                }
            }
        }
    }
    Ok(found)
}

fn read(path: &Path) -> Result<Advisory, OsvError> {
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
    fn name(&self) -> &str {
        let cve = self.aliases.iter().find(|alias| alias.starts_with("CVE-"));
        cve.unwrap_or(&self.id)
    }

    fn severity(&self, affected: &Affected) -> Severity {
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

    fn finding(
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
    fn hits(&self, package: &Package) -> Hit {
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

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tempfile::TempDir;

    use super::*;

    fn package(ecosystem: Ecosystem, name: &str, version: &str) -> Package {
        Package { ecosystem, name: name.into(), version: version.into() }
    }

    fn advisory(id: &str, ecosystem: &str, name: &str, events: &Value) -> Value {
        json!({
            "id": id, "aliases": ["CVE-2026-0001"], "summary": "bad",
            "severity": [{ "type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H" }],
            "affected": [{ "package": { "ecosystem": ecosystem, "name": name },
                           "ranges": [{ "type": "SEMVER", "events": events }] }],
        })
    }

    fn folder(files: &[(&str, String)]) -> TempDir {
        let folder = TempDir::new().unwrap();
        for (path, text) in files {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        folder
    }

    fn ids(folder: &TempDir, packages: &[Package]) -> Vec<(String, Severity)> {
        let packages = packages.iter().map(|one| (one.clone(), BTreeSet::from(["Cargo.lock".to_owned()])));
        let found = find(folder.path(), &packages.collect()).unwrap();
        found
            .into_iter()
            .map(|found| (format!("{} {}", found.id, found.fixed.unwrap_or_default()), found.severity))
            .collect()
    }

    #[test]
    fn a_version_in_a_range_is_found_with_what_mends_it() {
        let events = json!([{ "introduced": "0" }, { "fixed": "0.1.5" }, { "introduced": "0.2.0" }, { "last_affected": "0.2.2" }]);
        let folder =
            folder(&[("crates.io/A.json", advisory("RUSTSEC-1", "crates.io", "time", &events).to_string())]);
        let of = |version: &str| ids(&folder, &[package(Ecosystem::Cargo, "time", version)]);
        assert_eq!(of("0.1.4"), [("CVE-2026-0001 0.1.5".to_owned(), Severity::Critical)]);
        assert_eq!(of("0.2.2"), [("CVE-2026-0001 ".to_owned(), Severity::Critical)]);
        for fine in ["0.1.5", "0.1.99", "0.2.3"] {
            assert_eq!(of(fine), [], "{fine}");
        }
        assert_eq!(of("strange"), [("CVE-2026-0001 ".to_owned(), Severity::Unknown)], "unknown is not clean");
        assert_eq!(ids(&folder, &[package(Ecosystem::Npm, "time", "0.1.4")]), []);
    }

    #[test]
    fn versions_may_be_listed_and_what_was_withdrawn_does_not_count() {
        let mut listed = advisory("PYSEC-1", "PyPI", "django", &json!([]));
        listed["affected"][0]["versions"] = json!(["3.2.1"]);
        let mut gone = listed.clone();
        gone["id"] = "PYSEC-2".into();
        gone["aliases"] = json!([]);
        gone["withdrawn"] = "2026-01-01T00:00:00Z".into();
        let folder =
            folder(&[("a.json", listed.to_string()), ("b.json", gone.to_string()), ("note.txt", "x".into())]);
        let found = ids(&folder, &[package(Ecosystem::PyPi, "django", "3.2.1")]);
        assert_eq!(found.len(), 1);
    }

    #[test]
    fn garbage_and_nothing_are_errors_and_never_no_findings() {
        let packages = BTreeMap::from([(package(Ecosystem::Go, "a", "v1.0.0"), BTreeSet::new())]);
        for (files, wanted) in [
            (vec![("Go/x.json", "<html>".to_owned())], "no advisory in OSV"),
            (vec![("Go/x.json", "{}".to_owned())], "no advisory in OSV"),
            (vec![("readme.txt", String::new())], "holds no advisory"),
        ] {
            let folder = folder(&files);
            let error = find(folder.path(), &packages).unwrap_err().to_string();
            assert!(error.contains(wanted), "{error}");
        }
        let error = version(Path::new("/nowhere/at/all")).unwrap_err();
        assert!(error.to_string().contains("cannot be read"), "{error}");
    }

    #[test]
    fn the_version_of_a_folder_changes_with_its_files() {
        let folder = folder(&[("a.json", "{}".into())]);
        let before = version(folder.path()).unwrap();
        assert_eq!(version(folder.path()).unwrap(), before);
        fs::write(folder.path().join("b.json"), "{}").unwrap();
        assert_ne!(version(folder.path()).unwrap(), before);
    }
}
