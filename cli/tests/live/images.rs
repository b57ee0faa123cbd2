//! Images: copied in and out by skopeo, and the same for the same files.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use longshore_events::Data;
use longshore_events::types::DeploymentOutcome;

use crate::stage::{Stage, eventually};

/// A service from outside: whoever pushes its image to the host's registry deploys it.
pub(crate) const OUTSIDE: &str = r#"
[[service]]
name = "tools"
image = "tools"
[service.run]
env = { WITNESS = "/dev/null" }
stop = "1s"
"#;

#[test]
fn skopeo_copies_an_image_out_and_in_and_what_it_copied_in_is_deployed() {
    let stage = Stage::set(1, OUTSIDE);
    let push = stage.push(0, 0);
    stage.runs(&push.commit);
    let built = stage.facts().digests().remove(&push.commit).unwrap().pop_first().unwrap();

    let registry = stage.host.ready.listen;
    let layout = format!("oci:{}:copy", stage.folder.join("layout").display());
    let source = format!("docker://{registry}/s0@{built}");
    skopeo(&stage, &["copy", "--src-tls-verify=false", "--src-creds", "CREDS", &source, &layout]);
    let target = format!("docker://{registry}/tools:latest");
    skopeo(&stage, &["copy", "--dest-tls-verify=false", "--dest-creds", "CREDS", &layout, &target]);

    let outside = || {
        let facts = stage.facts();
        let pushed = facts.0.into_iter().filter_map(|event| match event.data {
            Data::ImagePushed(image) if image.service.is_none() => Some(image.digest.to_string()),
            _ => None,
        });
        pushed.collect::<BTreeSet<_>>()
    };
    eventually("the push from outside is an event", || !outside().is_empty());
    assert_eq!(outside(), BTreeSet::from([built]), "the same image both ways");
    eventually("it is deployed", || {
        stage.facts().0.iter().any(|event| match &event.data {
            Data::DeploymentFinished(fact) => {
                fact.service.as_str() == "tools" && fact.outcome == DeploymentOutcome::Succeeded
            }
            _ => false,
        })
    });
    assert_eq!(stage.answer("tools"), Some(push.commit), "it is the same service");
}

fn skopeo(stage: &Stage, words: &[&str]) {
    let token = std::fs::read_to_string(&stage.host.ready.token_file).unwrap();
    let creds = format!("longshore:{}", token.trim());
    let words = words.iter().map(|word| if *word == "CREDS" { &creds } else { *word });
    let output = Command::new("skopeo").args(words).output().expect("`cargo xtask peers` brings skopeo");
    assert!(output.status.success(), "skopeo: {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_demos_service_built_twice_is_the_same_image() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("source");
    repository(&source);
    let digests = ["one", "two"].map(|name| built_in(&folder.path().join(name), &source));
    assert_eq!(digests[0], digests[1]);
}

/// A repository with the demo's service in it.
fn repository(folder: &Path) {
    std::fs::create_dir(folder).unwrap();
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("demo");
    for name in ["main.rs", "Dockerfile"] {
        std::fs::copy(demo.join(name), folder.join(name)).unwrap();
    }
    std::fs::write(folder.join("broken.rs"), "false").unwrap();
    crate::forge::git(folder, &["init", "--quiet", "--initial-branch=main"]);
    crate::forge::git(folder, &["add", "--all"]);
    crate::forge::git(folder, &["commit", "--quiet", "--message", "the demo's service"]);
}

/// The digest of the image that a host in `folder` builds.
fn built_in(folder: &Path, source: &Path) -> String {
    std::fs::create_dir(folder).unwrap();
    let config = include_str!("../../demo/longshore.toml");
    let witness = folder.join("witness.log").display().to_string();
    let url = format!("name = \"hello\"\nurl = \"{}\"\n", source.display());
    let config = config.replace("@WITNESS@", &witness).replacen("name = \"hello\"\n", &url, 1);
    std::fs::write(folder.join("longshore.toml"), config).unwrap();
    let host = crate::host::Host::start(folder);
    let mut digest = None;
    eventually("the ref check finds the commit, and it is built", || {
        digest = host.events().into_iter().find_map(|event| match event.data {
            Data::ImagePushed(image) => Some(image.digest.to_string()),
            _ => None,
        });
        digest.is_some()
    });
    digest.unwrap()
}
