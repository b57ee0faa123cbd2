//! The scanner over images that are made by hand, the good and the hostile ones.

use std::sync::atomic::Ordering;

use longshore_events::types::ScanStatus;
use longshore_events::{Digest, ImageName, ImageRef};
use longshore_ports::{BlobRef, ScanReport, suite};
use serde_json::{Value, json};
use tar::EntryType;

use super::*;
use crate::image;
use crate::yard::{NoHints, TAR, Tar, Yard, ended, nowhere, order};

impl Yard {
    fn scanner(&self) -> Checks {
        let advisories = self.folder.path().join("osv");
        Checks::new(Parts {
            store: self.store.clone(),
            blobs: self.blobs.clone(),
            hints: Arc::new(NoHints),
            advisories: advisories.is_dir().then_some(advisories),
        })
    }

    fn advisory(&self, text: &str) {
        let folder = self.folder.path().join("osv/npm");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("GHSA-1.json"), text).unwrap();
    }

    /// Scans an image; the ids of what was found, and the report.
    async fn scan(&self, digest: &Digest) -> (Vec<String>, ScanReport) {
        let report = ended(&self.scanner(), &order(digest)).await;
        let id = |found: &longshore_ports::Finding| {
            format!("{} {}", found.id, found.place.clone().unwrap_or_default())
        };
        (self.findings(&report).await.iter().map(id).collect(), report)
    }
}

#[tokio::test]
async fn the_built_in_scanner_passes_the_suite() {
    let make = async || {
        let yard = Yard::new();
        let (clean, dirty) =
            (yard.image(vec![]), yard.image(vec![Tar::default().file("k", "AKIAIOSFODNN7ABCDEFG")]));
        let scanner = yard.scanner();
        std::mem::forget(yard.folder);
        suite::scanner::Bench {
            scanner,
            clean: order(&clean),
            dirty: order(&dirty),
            unreadable: order(&nowhere()),
        }
    };
    suite::scanner::run(make, async |_| tokio::task::yield_now().await).await;
}

#[tokio::test]
async fn a_secret_counts_in_every_layer_and_a_set_id_file_as_the_image_shows_it() {
    let yard = Yard::new();
    let lower = Tar::default()
        .file("app/.env", "KEY=AKIAIOSFODNN7ABCDEFG\n")
        .entry(EntryType::Regular, "bin/su", 0o4755, b"x")
        .entry(EntryType::Regular, "bin/mount", 0o4755, b"x")
        .entry(EntryType::Regular, "opt/old/wall", 0o2755, b"x")
        .entry(EntryType::Regular, "opt/older/wall", 0o2755, b"x");
    let upper = Tar::default()
        .file("app/.wh..env", "")
        .file("bin/.wh.su", "")
        .file("opt/.wh..wh..opq", "")
        .entry(EntryType::Regular, "opt/new", 0o6755, b"x")
        .file("bin/mount", "no longer");
    let (found, report) = yard.scan(&yard.image(vec![lower, upper])).await;
    assert_eq!(found, ["secret/aws-access-key app/.env:1", "configuration/setuid opt/new"]);
    assert_eq!((report.counts.critical, report.counts.low), (1, 1));
    assert_eq!(report.scope, [ScanScope::Secrets, ScanScope::Configuration]);
}

#[tokio::test]
async fn packages_of_lock_files_are_compared_with_advisories_and_listed() {
    let yard = Yard::new();
    yard.advisory(
        r#"{"id":"GHSA-1","aliases":["CVE-2026-1"],"summary":"bad","database_specific":{"severity":"HIGH"},
            "affected":[{"package":{"ecosystem":"npm","name":"left"},
                         "ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"1.0.1"}]}]}]}"#,
    );
    let lock = |version: &str| {
        format!(r#"{{"lockfileVersion":3,"packages":{{"node_modules/left":{{"version":"{version}"}}}}}}"#)
    };
    let old = Tar::default().file("app/package-lock.json", &lock("1.0.0"));
    let new = Tar::default().file("app/package-lock.json", &lock("1.0.1"));
    let (found, report) = yard.scan(&yard.image(vec![old])).await;
    assert_eq!(found, ["CVE-2026-1 app/package-lock.json"]);
    assert!(report.database.as_ref().unwrap().starts_with("1+"), "{report:?}");
    assert_eq!(report.scope[0], ScanScope::Vulnerabilities);
    let sbom = Digest::new(report.sbom_ref.unwrap()).unwrap();
    let sbom = String::from_utf8(yard.blobs.get(&BlobRef(sbom)).await.unwrap()).unwrap();
    assert!(sbom.contains("pkg:npm/left@1.0.0"), "{sbom}");

    let old = Tar::default().file("app/package-lock.json", &lock("1.0.0"));
    let (found, _) = yard.scan(&yard.image(vec![old, new])).await;
    assert!(found.is_empty(), "the upper layer shows the mended version: {found:?}");
}

#[tokio::test]
async fn where_go_mod_says_what_is_linked_go_sum_does_not_count() {
    let yard = Yard::new();
    let image = yard.image(vec![
        Tar::default()
            .file("a/go.mod", "require x.org/y v1.2.0\n")
            .file("a/go.sum", "x.org/y v1.0.0 h1:a=\nx.org/y v1.2.0 h1:b=\n")
            .file("b/go.sum", "x.org/z v1.0.0 h1:a=\n"),
    ]);
    let (_, report) = yard.scan(&image).await;
    let sbom = yard.blobs.get(&BlobRef(Digest::new(report.sbom_ref.unwrap()).unwrap())).await.unwrap();
    let sbom: Value = serde_json::from_slice(&sbom).unwrap();
    let purls: Vec<_> =
        sbom["components"].as_array().unwrap().iter().map(|one| one["purl"].clone()).collect();
    assert_eq!(purls, ["pkg:golang/x.org/y@v1.2.0", "pkg:golang/x.org/z@v1.0.0"]);
}

#[tokio::test]
async fn each_image_of_an_index_is_looked_into_but_for_attestations() {
    let yard = Yard::new();
    let child = yard.image(vec![Tar::default().file("k", "AKIAIOSFODNN7ABCDEFG")]);
    let attestation = yard.link(image::MANIFEST, &json!({ "schemaVersion": 2, "layers": [] }));
    let entry = |digest: &Digest, os: &str, arch: &str| {
        json!({ "mediaType": image::MANIFEST, "digest": digest, "size": 2,
                "platform": { "os": os, "architecture": arch } })
    };
    let index =
        |entries: Value| json!({ "schemaVersion": 2, "mediaType": image::INDEX, "manifests": entries });
    let both = index(json!([entry(&child, "linux", "amd64"), entry(&attestation, "unknown", "unknown")]));
    let (found, _) = yard.scan(&yard.link(image::INDEX, &both)).await;
    assert_eq!(found, ["secret/aws-access-key k:1"]);
    let none = index(json!([entry(&attestation, "unknown", "unknown")]));
    let (_, report) = yard.scan(&yard.link(image::INDEX, &none)).await;
    assert_eq!(report.status, ScanStatus::Unsupported);
}

#[tokio::test]
async fn what_cannot_be_looked_through_is_never_clean_and_says_why() {
    let yard = Yard::new();
    let chart = yard.described("application/vnd.cncf.helm.config.v1+json", b"{}");
    let chart = yard.link(image::MANIFEST, &json!({ "schemaVersion": 2, "config": chart, "layers": [] }));
    let config = yard.described(image::CONFIG, b"{}");
    let layers = |layer: Value| {
        yard.link(image::MANIFEST, &json!({ "schemaVersion": 2, "config": config, "layers": [layer] }))
    };
    let garbage = layers(yard.described("application/vnd.oci.image.layer.v1.tar+gzip", b"garbage"));
    let foreign = layers(yard.described("application/x-squashfs", b"hsqs"));
    let missing = layers(json!({ "mediaType": TAR, "digest": nowhere(), "size": 1 }));
    let lock = yard.image(vec![Tar::default().file("package-lock.json", "<html>")]);
    let escapes = yard.image(vec![Tar::default().file("a/../../etc/passwd", "x")]);
    for (image, status, why) in [
        (chart, ScanStatus::Unsupported, "helm"),
        (garbage, ScanStatus::Failed, "tar"),
        (foreign, ScanStatus::Unsupported, "squashfs"),
        (missing, ScanStatus::Failed, "is not in the host's registry"),
        (lock, ScanStatus::Failed, "package-lock.json"),
        (escapes, ScanStatus::Failed, "`..`"),
        (nowhere(), ScanStatus::Unsupported, "is not in the host's registry"),
    ] {
        let (_, report) = yard.scan(&image).await;
        assert_eq!(report.status, status, "{report:?}");
        assert!(report.reason.unwrap().contains(why), "{why}");
    }
    yard.advisory("<html>");
    let lock = r#"{"packages":{"node_modules/left":{"version":"1.0.0"}}}"#;
    let (_, report) = yard.scan(&yard.image(vec![Tar::default().file("package-lock.json", lock)])).await;
    assert_eq!(report.status, ScanStatus::Failed, "advisories that cannot be read: {report:?}");
    assert!(report.reason.unwrap().contains("GHSA-1.json"));
}

#[tokio::test]
async fn an_image_of_another_registry_is_unsupported() {
    let yard = Yard::new();
    let image = ImageRef::new(ImageName::new("ghcr.io/acme/shop").unwrap(), yard.image(vec![]));
    let report = ended(&yard.scanner(), &ScanOrder { image, platforms: Vec::new() }).await;
    assert_eq!(report.status, ScanStatus::Unsupported);
}

#[tokio::test]
async fn a_scan_whose_findings_could_not_be_stored_is_begun_again() {
    let yard = Yard::new();
    yard.blobs.fails.store(1, Ordering::Relaxed);
    let (_, report) = yard.scan(&yard.image(vec![])).await;
    assert_eq!(report.status, ScanStatus::Complete);
}

#[tokio::test]
async fn the_same_image_under_another_name_is_not_looked_into_again() {
    let yard = Yard::new();
    let (digest, scanner) = (yard.image(vec![]), yard.scanner());
    let first = ended(&scanner, &order(&digest)).await;
    let renamed = ImageRef::new(ImageName::new("elsewhere").unwrap(), digest);
    let again = ended(&scanner, &ScanOrder { image: renamed, platforms: Vec::new() }).await;
    assert_eq!(first, again, "the repository elsewhere does not even hold it");
}
