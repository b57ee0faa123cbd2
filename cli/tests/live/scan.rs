//! The host's own scanner over what the host has built.

use std::path::Path;

use longshore_events::Data;
use longshore_events::types::{ImageScanned, ScanStatus};
use longshore_ports::Findings;

use crate::forge::git;
use crate::host::Host;
use crate::stage::eventually;

const ADVISORY: &str = r#"{"id":"GHSA-1","aliases":["CVE-2026-1"],"summary":"it pads","database_specific":{"severity":"HIGH"},
    "affected":[{"package":{"ecosystem":"npm","name":"left"},
                 "ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"1.0.1"}]}]}]}"#;
const LOCK: &str = r#"{"lockfileVersion":3,"packages":{"node_modules/left":{"version":"1.0.0"}}}"#;

/// A repository whose image has a key in it, and a package with a known vulnerability.
fn repository(folder: &Path) {
    std::fs::create_dir(folder).unwrap();
    git(folder, &["init", "--quiet", "--initial-branch=main"]);
    for (name, text) in [
        ("Dockerfile", "FROM scratch\nCOPY . /app\nCMD [\"/app/nothing\"]\n"),
        ("package-lock.json", LOCK),
        ("settings.env", "KEY=AKIAIOSFODNN7ABCDEFG\n"),
    ] {
        std::fs::write(folder.join(name), text).unwrap();
    }
    git(folder, &["add", "--all"]);
    git(folder, &["commit", "--quiet", "--message", "with a key in it"]);
}

fn scans(host: &Host) -> Vec<ImageScanned> {
    let facts = host.events().into_iter().filter_map(|event| match event.data {
        Data::ImageScanned(fact) => Some(fact),
        _ => None,
    });
    facts.collect()
}

/// The blob of a reference, wherever the host keeps it.
fn blob(folder: &Path, reference: &str) -> Vec<u8> {
    let hex = reference.trim_start_matches("sha256:");
    let mut folders = vec![folder.join(".longshore/blobs")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_string_lossy().replace('/', "").ends_with(hex) {
                return std::fs::read(path).unwrap();
            }
        }
    }
    panic!("there is no blob {reference}")
}

#[test]
fn what_is_built_is_scanned_once_and_its_findings_and_parts_are_listed() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path().canonicalize().unwrap();
    let source = folder.join("source");
    repository(&source);
    std::fs::create_dir_all(folder.join("osv/npm")).unwrap();
    std::fs::write(folder.join("osv/npm/GHSA-1.json"), ADVISORY).unwrap();
    let config = format!(
        "[host]\nlisten = \"127.0.0.1:0\"\nproxy = \"127.0.0.1:0\"\nref_check = \"1s\"\n[scan]\nadvisories = \"osv\"\n\
         [[repository]]\nname = \"shop\"\nurl = \"{}\"\n[[service]]\nname = \"shop\"\nrepository = \"shop\"\nwatch = [\"**\"]\n\
         [[environment]]\nname = \"live\"\ndeadline = \"2s\"\n",
        source.display()
    );
    std::fs::write(folder.join("longshore.toml"), config).unwrap();
    let mut host = Host::start(&folder);
    eventually("the image is scanned", || !scans(&host).is_empty());
    let [scan] = scans(&host).try_into().unwrap();
    assert_eq!((scan.scanner.as_str(), scan.status), ("built-in", ScanStatus::Complete), "{scan:?}");
    let findings: Findings = serde_json::from_slice(&blob(&folder, &scan.findings_ref.unwrap())).unwrap();
    let mut ids: Vec<_> = findings.findings.iter().map(|found| found.id.as_str()).collect();
    ids.sort_unstable();
    assert_eq!(ids, ["CVE-2026-1", "configuration/no-user", "secret/aws-access-key"]);
    assert_eq!((findings.counts, scan.counts.high), (scan.counts, 1));
    let bom: serde_json::Value = serde_json::from_slice(&blob(&folder, &scan.sbom_ref.unwrap())).unwrap();
    assert_eq!(
        (&bom["specVersion"], &bom["components"][0]["purl"]),
        (&"1.6".into(), &"pkg:npm/left@1.0.0".into())
    );

    host.kill();
    host.start_again();
    // The same image under another commit: it is said again, and what was said of it stands.
    git(&source, &["commit", "--quiet", "--allow-empty", "--message", "nothing else"]);
    let images =
        |host: &Host| host.events().iter().filter(|event| matches!(event.data, Data::ImagePushed(_))).count();
    eventually("the image is said again", || images(&host) == 2);
    eventually("nothing is owed", || host.status().work.deliveries == 0);
    assert_eq!(scans(&host).len(), 1);
}
