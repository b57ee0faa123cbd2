//! The scanner over images that are made by hand, the good and the hostile ones.

use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use longshore_events::{Digest, ImageName, ImageRef};
use longshore_ports::suite::scanner::key;
use longshore_ports::{ErrorKind, Findings, suite};
use serde_json::{Value, json};
use tar::{EntryType, Header};
use tempfile::TempDir;

use super::*;
use crate::image::{self, Descriptor};

const TAR: &str = "application/vnd.oci.image.layer.v1.tar";

/// Blobs in memory, that fail as often as they are told to.
#[derive(Default)]
struct Blob {
    all: Mutex<HashMap<String, Vec<u8>>>,
    fails: AtomicUsize,
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

struct NoHints;

impl Hints for NoHints {
    fn hint(&self, _: &str, _: &str) {}
}

/// A layer: what is in it, each with its mode.
#[derive(Default)]
struct Tar(Vec<u8>);

impl Tar {
    fn entry(mut self, kind: EntryType, name: &str, mode: u32, data: &[u8]) -> Self {
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

    fn file(self, name: &str, data: &str) -> Self {
        self.entry(EntryType::Regular, name, 0o644, data.as_bytes())
    }
}

struct Yard {
    folder: TempDir,
    store: Store,
    blobs: Arc<Blob>,
}

impl Yard {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let store = Store::open(&folder.path().join("registry")).unwrap();
        Self { folder, store, blobs: Arc::default() }
    }

    fn scanner(&self) -> Checks {
        let advisories = self.folder.path().join("osv");
        Checks::new(Parts {
            store: self.store.clone(),
            blobs: self.blobs.clone(),
            hints: Arc::new(NoHints),
            advisories: advisories.is_dir().then_some(advisories),
        })
    }

    fn link(&self, media_type: &str, document: &Value) -> Digest {
        let bytes = document.to_string().into_bytes();
        let digest = self.store.put_blob(&bytes).unwrap();
        let descriptor = Descriptor::new(media_type, digest.clone(), bytes.len() as u64);
        self.store.link_manifest(&"shop".parse().unwrap(), &descriptor, None).unwrap();
        digest
    }

    fn described(&self, media_type: &str, bytes: &[u8]) -> Value {
        let digest = self.store.put_blob(bytes).unwrap();
        json!({ "mediaType": media_type, "digest": digest, "size": bytes.len() })
    }

    /// An image that runs as nobody, of these layers.
    fn image(&self, layers: Vec<Tar>) -> Digest {
        self.image_of(&json!({ "config": { "User": "65534" } }), layers)
    }

    fn image_of(&self, config: &Value, layers: Vec<Tar>) -> Digest {
        let layers = layers.into_iter().map(|mut layer| {
            layer.0.resize(layer.0.len() + 1024, 0);
            self.described(TAR, &layer.0)
        });
        let layers: Vec<_> = layers.collect();
        let config = self.described(image::CONFIG, config.to_string().as_bytes());
        let manifest =
            json!({ "schemaVersion": 2, "mediaType": image::MANIFEST, "config": config, "layers": layers });
        self.link(image::MANIFEST, &manifest)
    }

    fn advisory(&self, text: &str) {
        let folder = self.folder.path().join("osv/npm");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("GHSA-1.json"), text).unwrap();
    }

    /// Scans an image; the ids of what was found, and the report.
    async fn scan(&self, digest: &Digest) -> (Vec<String>, ScanReport) {
        let report = ended(&self.scanner(), &order(digest)).await;
        let Some(listed) = &report.findings_ref else { return (Vec::new(), report) };
        let listed = self.blobs.get(&BlobRef(Digest::new(listed).unwrap())).await.unwrap();
        let findings: Findings = serde_json::from_slice(&listed).unwrap();
        let id = |found: &longshore_ports::Finding| {
            format!("{} {}", found.id, found.place.clone().unwrap_or_default())
        };
        (findings.findings.iter().map(id).collect(), report)
    }
}

fn order(digest: &Digest) -> ScanOrder {
    ScanOrder { image: ImageRef::new(ImageName::new("shop").unwrap(), digest.clone()), platforms: Vec::new() }
}

async fn ended(scanner: &Checks, order: &ScanOrder) -> ScanReport {
    scanner.start(&key(order), order).await.unwrap();
    loop {
        match scanner.find(&key(order), order).await.unwrap() {
            Some(ScanState::Ended(report)) => return report,
            Some(ScanState::Running) => tokio::task::yield_now().await,
            None => scanner.start(&key(order), order).await.unwrap(),
        }
    }
}

fn nowhere() -> Digest {
    Digest::new(format!("sha256:{}", "e".repeat(64))).unwrap()
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
