//! The host's registry, used by crane.

use std::path::PathBuf;
use std::process::{Command, Output};

use crate::stage::Stage;

/// crane, logged in to a host's registry.
struct Crane {
    registry: String,
    folder: PathBuf,
}

impl Crane {
    fn of(stage: &Stage) -> Self {
        std::fs::write(stage.folder.join("config.json"), stage.host.logins()).unwrap();
        Self { registry: stage.host.ready.listen.to_string(), folder: stage.folder.clone() }
    }

    fn try_to(&self, words: &[&str]) -> Output {
        let mut crane = Command::new("crane");
        crane.args(words).current_dir(&self.folder).env("DOCKER_CONFIG", &self.folder);
        crane.output().expect("`cargo xtask peers` brings crane")
    }

    /// What it prints.
    fn run(&self, words: &[&str]) -> String {
        let output = self.try_to(words);
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn image(&self, name: &str) -> String {
        format!("{}/{name}", self.registry)
    }
}

#[test]
fn crane_copies_tags_appends_pulls_pushes_and_deletes() {
    let stage = Stage::set(1, "");
    let push = stage.push(0, 0);
    stage.runs(&push.commit);
    let crane = Crane::of(&stage);
    let built = stage.facts().digests().remove(&push.commit).unwrap().pop_first().unwrap();
    let (source, tools) = (crane.image(&format!("s0@{built}")), crane.image("tools"));
    let tag = |name: &str| format!("{tools}:{name}");
    crane.run(&["copy", &source, &tag("one")]);
    assert_eq!(crane.run(&["digest", &tag("one")]), built);
    crane.run(&["tag", &tag("one"), "two"]);
    assert_eq!(crane.run(&["ls", &tools]), "one\ntwo");

    crane.run(&["pull", "--format=oci", &tag("two"), "layout"]);
    crane.run(&["push", "layout", &crane.image("again:1")]);
    assert_eq!(crane.run(&["digest", &crane.image("again:1")]), built, "there and back again");

    std::fs::write(stage.folder.join("layer"), "a file").unwrap();
    let tar = Command::new("tar").args(["-cf", "layer.tar", "layer"]).current_dir(&stage.folder).status();
    assert!(tar.unwrap().success());
    crane.run(&["append", "--base", &tag("one"), "--new_layer", "layer.tar", "--new_tag", &tag("three")]);
    let manifest: serde_json::Value = serde_json::from_str(&crane.run(&["manifest", &tag("three")])).unwrap();
    assert_eq!(manifest["layers"].as_array().unwrap().len(), 3, "{manifest}");
    crane.run(&[
        "index",
        "append",
        "--manifest",
        &tag("one"),
        "--manifest",
        &tag("three"),
        "--tag",
        &tag("both"),
    ]);
    let index: serde_json::Value = serde_json::from_str(&crane.run(&["manifest", &tag("both")])).unwrap();
    assert_eq!(index["manifests"].as_array().unwrap().len(), 2, "{index}");
    crane.run(&["validate", "--remote", &tag("both")]);

    crane.run(&["delete", &tag("two")]);
    assert_eq!(crane.run(&["ls", &tools]), "both\none\nthree");
    let gone = crane.try_to(&["digest", &tag("two")]);
    assert!(String::from_utf8_lossy(&gone.stderr).contains("MANIFEST_UNKNOWN"), "{gone:?}");
    assert_eq!(crane.run(&["digest", &tag("one")]), built, "the other tag stays");
}
