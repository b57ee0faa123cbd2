//! The host's registry, used by strangers: skopeo and buildah; crane has a file of its own.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Command;

use longshore_events::Data;

use crate::images::OUTSIDE;
use crate::stage::{Stage, eventually};

/// Clients of a host's registry, logged in.
struct Clients {
    registry: String,
    folder: PathBuf,
    logins: PathBuf,
}

impl Clients {
    fn of(stage: &Stage) -> Self {
        let registry = stage.host.ready.listen.to_string();
        let logins = stage.folder.join("logins.json");
        std::fs::write(&logins, stage.host.logins()).unwrap();
        Self { registry, folder: stage.folder.clone(), logins }
    }

    /// Runs skopeo; gives what it prints.
    fn skopeo(&self, words: &[&str]) -> String {
        let mut command = Command::new("skopeo");
        self.run(command.args(words))
    }

    /// Runs buildah with the images of `storage`; gives what it prints.
    fn buildah(&self, storage: &str, words: &[&str]) -> String {
        let storage = self.folder.join(storage);
        let mut command = Command::new("buildah");
        command.arg("--root").arg(storage.join("root")).arg("--runroot").arg(storage.join("run"));
        self.run(command.args(["--storage-driver", "vfs"]).args(words))
    }

    fn run(&self, command: &mut Command) -> String {
        command.env("REGISTRY_AUTH_FILE", &self.logins).current_dir(&self.folder);
        let output = command.output().expect("`cargo xtask peers` brings skopeo and buildah");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command:?}: {errors}");
        String::from_utf8_lossy(&output.stdout).into_owned() + &errors
    }

    fn image(&self, name: &str) -> String {
        format!("docker://{}/{name}", self.registry)
    }
}

#[test]
fn skopeo_copies_lists_inspects_and_deletes_and_the_deletion_is_told() {
    let stage = Stage::set(1, OUTSIDE);
    let push = stage.push(0, 0);
    stage.runs(&push.commit);
    let built = stage.facts().digests().remove(&push.commit).unwrap().pop_first().unwrap();
    let clients = Clients::of(&stage);
    let source = clients.image(&format!("s0@{built}"));
    let (latest, other) = (clients.image("tools:latest"), clients.image("tools:v1"));
    for target in [&latest, &other] {
        clients.skopeo(&["copy", "--src-tls-verify=false", "--dest-tls-verify=false", &source, target]);
    }

    let listed = clients.skopeo(&["list-tags", "--tls-verify=false", &clients.image("tools")]);
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed["Tags"], serde_json::json!(["latest", "v1"]));
    let inspected = clients.skopeo(&["inspect", "--tls-verify=false", &other]);
    let inspected: serde_json::Value = serde_json::from_str(&inspected).unwrap();
    assert_eq!(inspected["Digest"], built.as_str());

    clients.skopeo(&["delete", "--tls-verify=false", &other]);
    eventually("the end of the followed tag is an event", || {
        stage.facts().0.iter().any(|event| match &event.data {
            Data::ImageDeleted(image) => {
                image.image.as_str() == "tools" && image.tag.as_deref() == Some("latest")
            }
            _ => false,
        })
    });
    let listed = clients.skopeo(&["list-tags", "--tls-verify=false", &clients.image("tools")]);
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed["Tags"], serde_json::json!([]), "the manifest took its tags along");
    let still = clients.skopeo(&["inspect", "--tls-verify=false", &source]);
    assert!(still.contains(&built), "in its own repository it is still there");
}

#[test]
fn buildah_shares_its_layers_through_the_registry_and_pushes_indexes() {
    let stage = Stage::set(0, OUTSIDE);
    let clients = Clients::of(&stage);
    let context = stage.folder.join("context");
    std::fs::create_dir(&context).unwrap();
    std::fs::write(context.join("a"), "content").unwrap();
    let mut dockerfile = "FROM scratch AS files\nCOPY a /a\nFROM scratch\n".to_owned();
    let _ = writeln!(dockerfile, "COPY --from=files /a /b\nCOPY a /c\nCMD [\"/b\"]");
    std::fs::write(context.join("Dockerfile"), dockerfile).unwrap();
    let (cache, name) = (format!("{}/cache", clients.registry), format!("{}/shop/web:1", clients.registry));
    let build = |storage: &str| {
        let words = ["bud", "--isolation", "chroot", "--layers", "--tls-verify=false", "--timestamp", "0"];
        let cached = ["--cache-from", &cache, "--cache-to", &cache, "--tag", &name, "context"];
        clients.buildah(storage, &[&words[..], &cached].concat())
    };
    assert!(!build("one").contains("Cache pulled from remote"));
    let again = build("two");
    assert!(again.contains("Cache pulled from remote"), "{again}");

    clients.buildah("one", &["push", "--tls-verify=false", &name]);
    clients.buildah("two", &["push", "--tls-verify=false", &name, &clients.image("shop/web:2")]);
    let digest = |tag: &str| {
        let image = clients.image(&format!("shop/web:{tag}"));
        clients.skopeo(&["inspect", "--tls-verify=false", "--format", "{{.Digest}}", &image])
    };
    assert_eq!(digest("1"), digest("2"), "from the cache as from the files");

    clients.buildah("one", &["manifest", "create", "all", &name]);
    clients.buildah(
        "one",
        &["manifest", "push", "--all", "--tls-verify=false", "all", &clients.image("shop/web:all")],
    );
    clients.buildah("three", &["pull", "--tls-verify=false", &format!("{}/shop/web:all", clients.registry)]);
    let raw = clients.skopeo(&["inspect", "--raw", "--tls-verify=false", &clients.image("shop/web:all")]);
    assert!(raw.contains("\"manifests\""), "{raw}");
}
