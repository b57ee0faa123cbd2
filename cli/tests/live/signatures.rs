//! Images signed by cosign: nothing runs that nobody signed who may, whichever way the signature comes.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use longshore_events::types::{GateEvaluated, Verdict};
use longshore_events::{Data, Fact as _};
use serde_json::json;

use crate::host::Host;
use crate::providers::{Peer, copy, free, layout, secret};
use crate::stage::{Stage, eventually};

/// cosign with two key pairs, `release` and `stranger`, and no service in the network.
struct Cosign {
    folder: tempfile::TempDir,
}

impl Cosign {
    fn new() -> Self {
        let cosign = Self { folder: tempfile::tempdir().unwrap() };
        for name in ["release", "stranger"] {
            cosign.run(&["generate-key-pair", "--output-key-prefix", name]);
        }
        cosign.run(&["signing-config", "create", "--out", "none.json"]);
        std::fs::write(cosign.path("bom.json"), r#"{"bomFormat":"CycloneDX","specVersion":"1.6"}"#).unwrap();
        cosign
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn signer(&self) -> String {
        format!("[[signer]]\nname = \"release\"\nfile = \"{}\"\n", self.path("release.pub").display())
    }

    /// With a login to a host's registry.
    fn logs_in(&self, host: &Host) {
        std::fs::write(self.path("config.json"), host.logins()).unwrap();
    }

    fn run(&self, words: &[&str]) {
        let mut cosign = Command::new("cosign");
        cosign
            .args(words)
            .current_dir(&self.folder)
            .env("COSIGN_PASSWORD", "")
            .env("DOCKER_CONFIG", self.folder.path());
        let output = cosign.output().expect("`cargo xtask peers` brings cosign");
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// A Sigstore bundle that refers to the image.
    fn signs(&self, key: &str, image: &str) {
        self.run(&["sign", "--key", &format!("{key}.key"), "--yes", "--signing-config", "none.json", image]);
    }

    /// The older format, under the tag `.sig`.
    fn tags(&self, key: &str, image: &str) {
        let old = ["--new-bundle-format=false", "--use-signing-config=false", "--tlog-upload=false"];
        self.run(&[&["sign", "--key", &format!("{key}.key"), "--yes"], &old[..], &[image]].concat());
    }

    /// A bill of materials by the right key.
    fn attests(&self, image: &str) {
        let what = ["--type", "cyclonedx", "--predicate", "bom.json", "--signing-config", "none.json"];
        self.run(&[&["attest", "--key", "release.key", "--yes"], &what[..], &[image]].concat());
    }
}

const REQUIRES: &str = "[environment.gate]\nrequires = [\"signature\"]\n";

/// What the gate said of an image, in order.
fn said(host: &Host, digest: &str) -> Vec<GateEvaluated> {
    let events = host.events().into_iter();
    let said = events.filter_map(|event| GateEvaluated::from_data(&event.data).cloned());
    said.filter(|fact| fact.digest.as_str() == digest).collect()
}

fn says(host: &Host, digest: &str, verdict: Verdict, why: &str) {
    eventually(&format!("the gate says {verdict:?}: {why}"), || {
        let last = said(host, digest).pop();
        last.is_some_and(|fact| fact.verdict == verdict && fact.reasons.join("; ").contains(why))
    });
}

#[test]
fn an_image_runs_once_it_is_signed_by_who_may_in_either_format_and_by_nothing_else() {
    let cosign = Cosign::new();
    let stage = Stage::set(1, &format!("{REQUIRES}{}", cosign.signer()));
    cosign.logs_in(&stage.host);
    let image = |digest: &str| format!("{}/s0@{digest}", stage.host.ready.listen);
    let built = |commit: &str| {
        eventually("it is built", || stage.facts().digests().contains_key(commit));
        stage.facts().digests().remove(commit).unwrap().pop_first().unwrap()
    };

    let first = stage.push(0, 0);
    let one = built(&first.commit);
    says(&stage.host, &one, Verdict::Unknown, "signature: there is none by release");
    cosign.tags("stranger", &image(&one));
    says(&stage.host, &one, Verdict::Unknown, "layer 1 of the tag .sig: none of the keys signed it");
    cosign.attests(&image(&one));
    says(
        &stage.host,
        &one,
        Verdict::Unknown,
        "it is no signature, but an attestation of https://cyclonedx.org/bom",
    );
    assert_eq!(stage.answer("s0"), None, "nothing runs that nobody signed");
    cosign.signs("release", &image(&one));
    stage.runs(&first.commit);

    let second = stage.push(0, 1);
    let two = built(&second.commit);
    let sig = |digest: &str| {
        format!("{}/s0:sha256-{}.sig", stage.host.ready.listen, digest.trim_start_matches("sha256:"))
    };
    cosign.tags("release", &image(&two));
    stage.runs(&second.commit);

    let third = stage.push(0, 2);
    let three = built(&third.commit);
    says(&stage.host, &three, Verdict::Unknown, "there is none");
    let mut crane = Command::new("crane");
    let copied =
        crane.args(["copy", &sig(&two), &sig(&three)]).env("DOCKER_CONFIG", cosign.folder.path()).status();
    assert!(copied.unwrap().success());
    says(&stage.host, &three, Verdict::Unknown, "it is of another image");
    assert_eq!(stage.answer("s0"), Some(second.commit.clone()), "the one before goes on");

    let images = stage.facts().0.into_iter().filter(|event| matches!(event.data, Data::ImagePushed(_)));
    assert_eq!(images.count(), 3, "no signature is an image");
}

/// A registry without a list of referrers, which tells the host of pushes.
fn registry(folder: &Path, host: &Host, at: SocketAddr) -> Peer {
    let token = secret(folder, "oci");
    let config = json!({
        "version": "0.1", "log": { "level": "error" }, "http": { "addr": at.to_string() },
        "storage": { "filesystem": { "rootdirectory": folder.join("registry") } },
        "notifications": { "endpoints": [{
            "name": "longshore", "url": format!("{}/hooks/oci", host.ready.url()), "timeout": "5s",
            "threshold": 3, "backoff": "100ms", "headers": { "Authorization": [format!("Bearer {token}")] },
        }] },
    });
    let path = folder.join("registry.yml").display().to_string();
    std::fs::write(&path, config.to_string()).unwrap();
    Peer::run("docker-registry", &["serve", &path], at)
}

#[test]
fn a_signature_in_a_registry_without_a_list_of_referrers_is_found_by_its_tag() {
    let (cosign, at, folder) = (Cosign::new(), free(), tempfile::tempdir().unwrap());
    let folder = folder.path();
    let text = format!(
        "[host]\nlisten = \"127.0.0.1:0\"\nproxy = \"127.0.0.1:0\"\n[[source]]\nname = \"oci\"\nprovider = \"oci\"\n\
         [[service]]\nname = \"api\"\nimage = \"{at}/acme/shop\"\n[[environment]]\nname = \"live\"\n{REQUIRES}{}",
        cosign.signer()
    );
    std::fs::write(folder.join("longshore.toml"), text).unwrap();
    let host = Host::start(folder);
    let _registry = registry(folder, &host, at);
    for (label, old) in [("one", false), ("two", true)] {
        let (layout, digest) = (folder.join(label), layout(&folder.join(label), label));
        let target = format!("docker://{at}/acme/shop:latest");
        copy(&["--dest-tls-verify=false", &format!("oci:{}", layout.display()), &target]);
        says(&host, &digest, Verdict::Unknown, "there is none by release");
        let image = format!("{at}/acme/shop@{digest}");
        cosign.attests(&image);
        if old {
            cosign.tags("release", &image);
        } else {
            cosign.signs("release", &image);
        }
        says(&host, &digest, Verdict::Pass, "");
    }
    let images = host.events().into_iter().filter(|event| matches!(event.data, Data::ImagePushed(_)));
    assert_eq!(images.count(), 2, "no signature is an image");
}
