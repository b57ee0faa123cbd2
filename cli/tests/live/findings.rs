//! What becomes known of a release while it runs.

use std::fs;

use serde_json::Value;

use crate::stage::{Stage, eventually};
use crate::stop::hook;

const ADVISORY: &str = r#"{"id":"GHSA-2","aliases":["CVE-2026-2"],"summary":"it pads","database_specific":{"severity":"HIGH"},
    "affected":[{"package":{"ecosystem":"npm","name":"left"},
                 "ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"1.0.1"}]}]}]}"#;

/// A lock file with the package `left` in that version, which lies in the image.
fn lock(stage: &Stage, version: &str) {
    let work = stage.forge.work(0);
    let dockerfile =
        "FROM scratch\nCOPY service /\nCOPY commit broken package-lock.json /\nENTRYPOINT [\"/service\"]\n";
    fs::write(work.join("Dockerfile"), dockerfile).unwrap();
    let lock =
        format!(r#"{{"lockfileVersion":3,"packages":{{"node_modules/left":{{"version":"{version}"}}}}}}"#);
    fs::write(work.join("package-lock.json"), lock).unwrap();
}

fn findings(stage: &Stage, words: &[&str]) -> String {
    String::from_utf8(stage.longshore(&[&["findings"], words].concat()).stdout).unwrap()
}

#[test]
fn a_new_advisory_of_what_runs_is_found_told_and_gone_with_the_version_that_mends_it() {
    let advisories = tempfile::tempdir().unwrap();
    fs::create_dir(advisories.path().join("npm")).unwrap();
    let other =
        ADVISORY.replace("GHSA-2", "GHSA-1").replace("CVE-2026-2", "CVE-2026-1").replace("left", "right");
    fs::write(advisories.path().join("npm/GHSA-1.json"), other).unwrap();
    let config = format!(
        "[scan]\nadvisories = \"{}\"\nagain = \"1s\"\n[notify]\nwebhook = \"hook\"\n",
        advisories.path().display()
    );
    let stage = Stage::set(1, &config);
    let heard = hook(&stage);
    lock(&stage, "1.0.0");
    let first = stage.push(0, 0);
    stage.runs(&first.commit);
    let is_scanned = || {
        let said: Value = serde_json::from_str(&findings(&stage, &["--output", "json"])).unwrap();
        said["images"][0]["scan"]["status"] == "complete"
    };
    eventually("it is scanned", is_scanned);
    assert!(!findings(&stage, &["--severity", "high"]).contains("CVE-"), "nothing is known of it yet");

    fs::write(advisories.path().join("npm/GHSA-2.json"), ADVISORY).unwrap();
    eventually("it is found", || findings(&stage, &["live/s0"]).contains("CVE-2026-2"));
    let listed = findings(&stage, &["s0", "--severity", "high"]);
    for words in ["live/s0", "high", "left 1.0.0", "1.0.1", "1 is mended in newer versions"] {
        assert!(listed.contains(words), "{words}: {listed}");
    }
    let tells = |text: &String| {
        text.contains("1 new finding in what runs as live/s0") && text.contains("mended in 1.0.1")
    };
    eventually("people are told", || heard.lock().unwrap().iter().any(tells));

    lock(&stage, "1.0.1");
    let second = stage.push(0, 1);
    stage.runs(&second.commit);
    eventually("it is gone", || !findings(&stage, &[]).contains("CVE-2026-2"));
    assert_eq!(heard.lock().unwrap().iter().filter(|text| tells(text)).count(), 1, "once");
}
