//! Pushes whose webhook does not say what they touch: the forge's API is asked, as the built program asks it.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use longshore_events::Data;
use longshore_events::types::{ImagePushed, PushReceived};
use longshore_forge::testing::{LikeForge, Shown};
use longshore_intake::sign;
use longshore_policy::ForgeKind;
use longshore_ports::{BlobRef, Secret};

use crate::common::http::send;
use crate::forge::{Forge, full_name, git};
use crate::host::Host;
use crate::stage::eventually;

/// GitHub lists no more commits of a push.
const LISTED: usize = 2_048;

struct Story {
    host: Host,
    forge: Forge,
    api: LikeForge,
    // Last: what runs in it ends first.
    folder: tempfile::TempDir,
    _runtime: tokio::runtime::Runtime,
}

impl Story {
    /// A repository at a forge; its service is built, and runs nowhere.
    fn begin() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let forge = Forge::new(folder.path().join("forge"), 1);
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let api = async { LikeForge::start(ForgeKind::Github, &full_name(0), forge.bare(0)).await };
        let api = runtime.block_on(api).unwrap();
        api.demand("t0ken");
        let text = config(&forge.bare(0), &api.forge(None).api);
        fs::write(folder.path().join("longshore.toml"), text).unwrap();
        let host = Host::start(folder.path());
        let mut options = fs::OpenOptions::new();
        let token = options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(folder.path().join(".longshore/secrets/api"));
        std::io::Write::write_all(&mut token.unwrap(), b"t0ken\n").unwrap();
        Self { host, forge, api, folder, _runtime: runtime }
    }

    /// Commits files, pushes, and delivers a webhook that lists as many commits as fit, without their files.
    fn push(&self, number: usize, paths: &[&str]) -> String {
        let work = self.folder.path().join("forge/work-s0");
        for path in paths {
            let path = work.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, format!("kind: {number}\n")).unwrap();
        }
        let push = self.forge.push(0, number, false);
        let before = if number == 0 { "0".repeat(40) } else { git(&work, &["rev-parse", "HEAD~1"]) };
        let secret = fs::read_to_string(self.folder.path().join(".longshore/secrets/github")).unwrap();
        let body = webhook(&push.commit, &before);
        let signature = sign::github(&Secret::new(secret.trim()), body.as_bytes());
        let delivery = format!("delivery-{number}");
        let headers = [
            ("content-type", "application/json"),
            ("x-github-event", "push"),
            ("x-github-delivery", &delivery),
            ("x-hub-signature-256", &signature),
        ];
        assert_eq!(
            send(self.host.ready.listen, "POST", "/hooks/github", &headers, body.as_bytes()).status,
            202
        );
        push.commit
    }

    /// The image of a commit, once there is one, and whether it was built for it.
    fn image(&self, commit: &str) -> (ImagePushed, bool) {
        let image = |data: Data| match data {
            Data::ImagePushed(image) => {
                image.commit.as_ref().is_some_and(|of| of.as_str() == commit).then_some(image)
            }
            _ => None,
        };
        let find = || self.host.events().into_iter().find_map(|event| image(event.data));
        eventually(&format!("an image of {commit}"), || find().is_some());
        let is_build =
            |data: &Data| matches!(data, Data::BuildStarted(build) if build.commit.as_str() == commit);
        (find().unwrap(), self.host.events().iter().any(|event| is_build(&event.data)))
    }

    fn received(&self, commit: &str) -> PushReceived {
        let push = |data: Data| match data {
            Data::PushReceived(push) => {
                push.after.as_ref().is_some_and(|of| of.as_str() == commit).then_some(push)
            }
            _ => None,
        };
        self.host.events().into_iter().find_map(|event| push(event.data)).unwrap()
    }
}

fn config(bare: &Path, api: &str) -> String {
    let mut text =
        String::from("[host]\nlisten = \"127.0.0.1:0\"\nproxy = \"127.0.0.1:0\"\nref_check = \"1h\"\n");
    let _ = write!(
        text,
        r#"
[[source]]
name = "github"
provider = "github"
[[repository]]
name = "{name}"
url = "{url}"
forge = "github"
api = "{api}"
token = "api"
[[service]]
name = "s0"
repository = "{name}"
watch = ["src/**"]
prepare = "touch service commit"
manifests = {{ files = ["deploy"] }}
[[service]]
name = "tools"
image = "tools"
[[environment]]
name = "live"
services = ["tools"]
"#,
        name = full_name(0),
        url = bare.display(),
    );
    text
}

fn webhook(commit: &str, before: &str) -> String {
    let listed = serde_json::json!({ "id": commit, "added": [], "modified": [], "removed": [] });
    serde_json::json!({
        "ref": "refs/heads/main", "before": before, "after": commit, "created": before.starts_with("000"),
        "deleted": false, "forced": false, "repository": { "full_name": full_name(0) }, "pusher": { "name": "test" },
        "commits": vec![listed; LISTED],
    })
    .to_string()
}

#[test]
fn a_truncated_push_is_built_by_what_the_forge_says_it_touches() {
    let story = Story::begin();
    let first = story.push(0, &["src/main.rs", "deploy/service.yaml"]);
    let (image, built) = story.image(&first);
    assert!(built);
    let manifests = image.manifests_ref.clone().unwrap();
    assert_eq!(manifests, BlobRef::of(b"---\nkind: 0\n\n").0.as_str(), "they are kept by their content");
    let is_shown = |shown: Shown| {
        (shown.commit, &*shown.context, &*shown.state) == (first.clone(), "longshore/s0", "success")
    };
    eventually("the build's status is shown", || story.api.statuses().into_iter().any(is_shown));
    story.api.asked();

    let elsewhere = story.push(1, &["docs/a.md"]);
    assert!(story.received(&elsewhere).paths_truncated && story.received(&elsewhere).paths.is_empty());
    let (same, built) = story.image(&elsewhere);
    assert_eq!((same.digest, built), (image.digest, false), "nothing that is watched was touched");
    assert_eq!(same.manifests_ref, Some(manifests), "they stand for it, too");
    let compared = format!("/compare/{first}...{elsewhere}");
    let asked = story.api.asked();
    assert!(asked.iter().any(|path| path.contains(&compared)), "{asked:?}");

    let touched = story.push(2, &["src/main.rs"]);
    assert!(story.image(&touched).1);
    let (image, built) = story.image(&story.push(4, &["deploy/service.yaml"]));
    let manifests = BlobRef::of(b"---\nkind: 4\n\n").0.to_string();
    assert_eq!(
        (image.manifests_ref, built),
        (Some(manifests), true),
        "what manifests are made of is watched"
    );
    story.api.asked();

    let many: Vec<String> = (0..300).map(|n| format!("docs/{n}")).collect();
    let many = story.push(3, &many.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(!story.image(&many).1, "more than a comparison lists, and none of them is watched");
    let asked = story.api.asked();
    assert_eq!(asked.iter().filter(|path| path.contains("/git/trees/")).count(), 2, "{asked:?}");
}
