//! Advisories in OSV's JSON, in a folder: as the dumps of osv.dev are, unpacked, one file each.
//!
//! A folder that bears the name of an ecosystem (`npm`, `crates.io`, …) holds that ecosystem alone. Nothing is kept in
//! memory between two scans: a scan reads the advisories once, and keeps those of its packages. An advisory that cannot be
//! read fails the scan: what it would have said is unknown.
//!
//! Source: "Open Source Vulnerability schema", 1.6.

mod advisory;
mod cvss;
mod folder;
mod version;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use longshore_events::types::Severity;
use longshore_ports::Finding;

use super::locks::{Ecosystem, Package};
use advisory::{Hit, read};
use folder::list;
pub(super) use folder::{OsvError, version};

const ALL: [Ecosystem; 4] = [Ecosystem::Cargo, Ecosystem::Npm, Ecosystem::PyPi, Ecosystem::Go];

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

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::{Value, json};
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
