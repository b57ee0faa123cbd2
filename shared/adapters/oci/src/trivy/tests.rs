//! Real Trivy over images that are made by hand, with a database of invented advisories; and programs in its place that
//! answer what they should not.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command as Process;
use std::time::Instant;

use longshore_events::types::Severity;
use longshore_ports::suite::scanner::key;
use longshore_ports::{BlobRef, ScanReport, Scanner as _, suite};
use serde_json::Value;
use tar::EntryType;

use super::*;
use crate::yard::{NoHints, Tar, Yard, ended, nowhere, order};

struct Wall;

impl Clock for Wall {
    #[expect(clippy::disallowed_methods, reason = "Trivy's database is dated by the machine's clock")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

const LEFT: &str = r#"{"name":"left","version":"1.0.0"}"#;
/// An apk database with one package, as Alpine has it.
const OPENSSL: &str = "C:Q1\nP:openssl\nV:3.3.0-r0\nA:x86_64\nS:1\nI:1\nT:t\nU:u\nL:l\no:openssl\n\n";

/// An image with node's package `left`, in a version that is known to be bad.
fn left() -> Tar {
    Tar::default().file("app/node_modules/left/package.json", LEFT)
}

fn alpine(release: &str) -> Tar {
    let os = format!("ID=alpine\nVERSION_ID={release}\n");
    Tar::default()
        .file("etc/os-release", &os)
        .file("etc/alpine-release", release)
        .file("lib/apk/db/installed", OPENSSL)
}

impl Yard {
    fn parts(&self, program: &str) -> Parts {
        #[expect(
            clippy::disallowed_methods,
            reason = "a test is an entry point: it may read the environment"
        )]
        let path = std::env::var("PATH").unwrap();
        let home = self.folder.path().join("home").to_string_lossy().into_owned();
        Parts {
            store: self.store.clone(),
            blobs: self.blobs.clone(),
            hints: Arc::new(NoHints),
            clock: Arc::new(Wall),
            program: program.to_owned(),
            cache: Some(self.folder.path().join("cache")),
            server: None,
            max_age: Duration::from_hours(48),
            within: Duration::from_mins(1),
            environment: BTreeMap::from([("PATH".into(), path), ("HOME".into(), home)]),
            folder: self.folder.path().join("trivy"),
        }
    }

    /// Trivy with a database that is so many hours old.
    fn trivy(&self, age: u32) -> TrivyScanner {
        database(&self.folder.path().join("cache"), age);
        TrivyScanner::new(self.parts("trivy"))
    }

    /// A program in the place of Trivy: what it does when it is asked to look; it says its version as Trivy does.
    fn stand_in(&self, looks: &str) -> Parts {
        let path = self.folder.path().join("stand-in");
        let version = r#"{"Version":"0.74.0","VulnerabilityDB":{"UpdatedAt":"2126-11-01T00:00:00Z","NextUpdate":"2126-11-02T00:00:00Z"}}"#;
        let script = format!(
            "#!/bin/sh\nif [ \"$1\" = version ]; then echo '{version}'; exit; fi\nfor word; do [ \"$last\" = --output ] && out=$word; last=$word; done\n{looks}\n"
        );
        std::fs::write(&path, script).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        Parts { max_age: Duration::MAX, ..self.parts(&path.to_string_lossy()) }
    }

    async fn scan_with(&self, scanner: &TrivyScanner, layers: Vec<Tar>) -> ScanReport {
        ended(scanner, &order(&self.image(layers))).await
    }
}

fn database(cache: &Path, age: u32) {
    let made = Process::new("trivy-db").arg(cache).arg(age.to_string()).output();
    let made = made.expect("trivy-db is on the PATH: `cargo xtask peers` brings it");
    assert!(made.status.success(), "{made:?}");
}

#[tokio::test]
async fn trivy_passes_the_suite() {
    let make = async || {
        let yard = Yard::new();
        let (clean, dirty) = (yard.image(vec![]), yard.image(vec![left()]));
        let scanner = yard.trivy(1);
        std::mem::forget(yard.folder);
        suite::scanner::Bench {
            scanner,
            clean: order(&clean),
            dirty: order(&dirty),
            unreadable: order(&nowhere()),
        }
    };
    suite::scanner::run(make, async |_| tokio::time::sleep(Duration::from_millis(10)).await).await;
}

#[tokio::test]
async fn what_trivy_finds_is_told_with_its_package_and_its_place() {
    let yard = Yard::new();
    let scanner = yard.trivy(1);
    let with_key = left().file("app/key", "AWS_ACCESS_KEY_ID=AKIAIOSFODNN7ABCDEFG\n");
    let report = yard.scan_with(&scanner, vec![alpine("3.99.1"), with_key]).await;
    assert_eq!((report.status, &report.reason), (ScanStatus::Complete, &None), "{report:?}");
    assert_eq!(report.scope, [ScanScope::Vulnerabilities, ScanScope::Secrets]);
    let findings = yard.findings(&report).await;
    let of =
        |id: &str| findings.iter().find(|found| found.id == id).unwrap_or_else(|| panic!("{findings:?}"));
    let openssl = of("CVE-2099-1001");
    assert_eq!((openssl.severity, openssl.version.as_deref()), (Severity::Critical, Some("3.3.0-r0")));
    assert_eq!((openssl.fixed.as_deref(), &openssl.place), (Some("3.3.9-r0"), &None));
    let left = of("CVE-2099-1002");
    assert_eq!((left.severity, left.package.as_deref()), (Severity::High, Some("left")));
    assert_eq!(left.place.as_deref(), Some("app/node_modules/left/package.json"));
    let secret = findings.iter().find(|found| found.scope == ScanScope::Secrets).unwrap();
    assert!(secret.id.starts_with("secret/aws") && !format!("{secret:?}").contains("AKIA"), "{secret:?}");
    assert_eq!((report.counts.critical, report.counts.high >= 1), (2, true), "{:?}", report.counts);
    let bill = yard.blobs.get(&BlobRef(Digest::new(report.sbom_ref.unwrap()).unwrap())).await.unwrap();
    let bill: Value = serde_json::from_slice(&bill).unwrap();
    assert_eq!((&bill["bomFormat"], &bill["specVersion"]), (&"CycloneDX".into(), &"1.7".into()));
    assert!(bill.to_string().contains("pkg:npm/left@1.0.0"), "{bill}");
}

/// A Trivy server; it ends with the test.
struct Server(std::process::Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn a_server_has_the_database_and_wants_its_token() {
    let yard = Yard::new();
    let cache = yard.folder.path().join("served");
    database(&cache, 1);
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let server = Process::new("trivy")
        .args([
            "server",
            "--skip-db-update",
            "--listen",
            &free.to_string(),
            "--token",
            "open sesame",
            "--cache-dir",
        ])
        .arg(&cache)
        .env("HOME", yard.folder.path())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let _server = Server(server);
    while std::net::TcpStream::connect(free).is_err() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let asks = |token: &str| {
        let server = Some((format!("http://{free}"), Some(token.to_owned())));
        TrivyScanner::new(Parts { cache: None, server, ..yard.parts("trivy") })
    };
    let report = yard.scan_with(&asks("open sesame"), vec![left()]).await;
    assert_eq!((report.status, report.counts.high), (ScanStatus::Complete, 1), "{report:?}");
    let report = yard.scan_with(&asks("wrong"), vec![left().file("k", "x")]).await;
    assert_eq!(report.status, ScanStatus::Failed, "{report:?}");
}

#[tokio::test]
async fn a_distribution_that_gets_no_advisories_is_not_clean() {
    let yard = Yard::new();
    let scanner = yard.trivy(1);
    let report = yard.scan_with(&scanner, vec![alpine("3.5.0")]).await;
    assert_eq!(report.status, ScanStatus::Expired, "{report:?}");
    assert!(report.reason.unwrap().contains("alpine 3.5"), "it is named");
    let unknown = Tar::default().file("etc/os-release", "ID=plan9\nVERSION_ID=4\n");
    let report = yard.scan_with(&scanner, vec![unknown]).await;
    assert_eq!(report.status, ScanStatus::Unsupported, "{report:?}");
}

#[tokio::test]
async fn a_hostile_bill_of_materials_in_an_image_hides_nothing() {
    let yard = Yard::new();
    let scanner = yard.trivy(1);
    for bill in [
        "not json",
        "{\"bomFormat\":\"CycloneDX\",\"components\":[{\"components\":[",
        "{\"bomFormat\":\"CycloneDX\",\"specVersion\":\"1.6\",\"components\":[]}",
    ] {
        let layer = left().file("opt/bitnami/left/left.cdx.json", bill).file("app/bom.json", bill);
        let report = yard.scan_with(&scanner, vec![layer]).await;
        assert!(report.status != ScanStatus::Complete || report.counts.high == 1, "{bill}: {report:?}");
    }
}

#[tokio::test]
async fn by_advisories_that_are_too_old_nothing_is_clean() {
    let yard = Yard::new();
    let report = yard.scan_with(&yard.trivy(49), vec![]).await;
    assert_eq!(report.status, ScanStatus::Expired, "{report:?}");
    assert!(report.reason.unwrap().contains("2 days old"), "it says how old");
}

#[tokio::test]
async fn the_same_image_by_the_same_database_is_looked_into_once() {
    let yard = Yard::new();
    let looks = r#"echo x >> "$HOME"; echo '{"SchemaVersion":2}' > "$out""#;
    let scanner = TrivyScanner::new(yard.stand_in(looks));
    let image = order(&yard.image(vec![]));
    let first = ended(&scanner, &image).await;
    assert_eq!(first.status, ScanStatus::Complete, "{first:?}");
    let looked = || std::fs::read_to_string(yard.folder.path().join("home")).unwrap().len();
    let once = looked();
    let again = longshore_ports::Key { generation: Some(2), ..key(&image) };
    scanner.start(&again, &image).await.unwrap();
    while scanner.find(&again, &image).await.unwrap()
        != Some(longshore_ports::ScanState::Ended(first.clone()))
    {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(looked(), once);
}

#[tokio::test]
async fn whatever_is_no_report_is_never_clean() {
    let yard = Yard::new();
    let many = "x".repeat(3_000);
    for (looks, reason) in [
        ("exit 0", "wrote no report"),
        (": > \"$out\"", "its report is empty"),
        ("echo garbage > \"$out\"", "cannot be read"),
        ("echo '{}' > \"$out\"", "cannot be read"),
        ("echo '{\"SchemaVersion\":3}' > \"$out\"", "schema version 3"),
        (
            "echo '{\"SchemaVersion\":2,\"Results\":[{\"Vulnerabilities\":[{}]}]}' > \"$out\"",
            "cannot be read",
        ),
        ("echo 'FATAL: no space' >&2; exit 1", "ended with status 1: FATAL: no space"),
        ("kill -9 $$", "ended by a signal"),
        ("head -c 3G /dev/zero > \"$out\"; exit 3", "status"),
        (&format!("echo '{many}' >&2; exit 9"), "status 9: xxx"),
    ] {
        let report = yard.scan_with(&TrivyScanner::new(yard.stand_in(looks)), vec![left()]).await;
        assert_eq!(report.status, ScanStatus::Failed, "{looks}: {report:?}");
        let said = report.reason.unwrap();
        assert!(said.contains(reason) && said.len() < 1_000, "{looks}: {said}");
    }
    let missing = Parts { program: "/nowhere/trivy".into(), ..yard.stand_in("") };
    let report = yard.scan_with(&TrivyScanner::new(missing), vec![left()]).await;
    assert!(report.reason.unwrap().contains("is not installed here"));
}

#[tokio::test]
async fn a_scanner_that_hangs_is_ended_with_all_that_it_started() {
    let yard = Yard::new();
    let parts = Parts { within: Duration::from_millis(300), ..yard.stand_in("sleep 7171 & sleep 7171") };
    let begun = Instant::now();
    let report = yard.scan_with(&TrivyScanner::new(parts), vec![left()]).await;
    assert!(report.reason.as_ref().unwrap().contains("did not end within"), "{report:?}");
    assert!(begun.elapsed() < Duration::from_secs(20));
    let left = Process::new("pgrep").args(["-f", "sleep 7171"]).output();
    assert!(left.is_ok_and(|left| left.stdout.is_empty()), "a process is left");
}

#[tokio::test]
async fn two_hundred_thousand_findings_are_counted() {
    let yard = Yard::new();
    let looks = r#"{ printf '{"SchemaVersion":2,"Results":[{"Class":"lang-pkgs","Target":"lock","Vulnerabilities":['
        seq -f '{"VulnerabilityID":"CVE-%.0f","PkgName":"left","Severity":"LOW"},' 1 200000
        echo '{"VulnerabilityID":"CVE-0","PkgName":"left","Severity":"CRITICAL"}]}]}'; } > "$out""#;
    let report = yard.scan_with(&TrivyScanner::new(yard.stand_in(looks)), vec![left()]).await;
    assert_eq!(
        (report.status, report.counts.low, report.counts.critical),
        (ScanStatus::Complete, 200_000, 1),
        "{report:?}"
    );
}

#[tokio::test]
async fn a_layer_that_lies_elsewhere_is_not_handed_over() {
    let yard = Yard::new();
    let scanner = yard.trivy(1);
    let image = yard.image(vec![Tar::default().entry(EntryType::Regular, "k", 0o644, b"x")]);
    let blobs: Vec<_> = walk(&yard.folder.path().join("registry"));
    // The layer alone is longer than a tar's two blocks of nothing.
    let layer = blobs.iter().max_by_key(|path| std::fs::metadata(path).unwrap().len()).unwrap();
    std::fs::remove_file(layer).unwrap();
    let report = ended(&scanner, &order(&image)).await;
    assert_eq!(report.status, ScanStatus::Failed);
    assert!(report.reason.unwrap().contains("is not in the host's registry"));
}

fn walk(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

#[tokio::test]
async fn a_layer_that_the_configuration_hides_makes_the_image_unknown() {
    let yard = Yard::new();
    let scanner = yard.trivy(1);
    let diffs =
        |ids: &[&str]| serde_json::json!({ "config": {}, "rootfs": { "type": "layers", "diff_ids": ids } });
    let one = format!("sha256:{}", "1".repeat(64));
    for config in [diffs(&[]), diffs(&[&one]), diffs(&[&one, &one])] {
        let image = yard.image_of(&config, vec![left(), Tar::default().file("k", "x")]);
        let report = ended(&scanner, &order(&image)).await;
        assert_eq!(report.status, ScanStatus::Unsupported, "{config}: {report:?}");
    }
}
