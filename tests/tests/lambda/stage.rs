//! A data folder with a repository, secrets and a journal, and what the tests ask of it.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use jiff::{SignedDuration, Timestamp};
use longshore_events::{Event, EventId};
use longshore_frame::lambda::routes;
use longshore_local::SqliteJournal;
use longshore_local::journal::{EventQuery, Unit};
use longshore_ports::Journal as _;
use longshore_ports::journal::{Commit, Open, Opened};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::sandbox::{Sandbox, gives_up};

pub(crate) const SECRET: &str = "It's a Secret to Everybody";

const CONFIGURATION: &str = r#"
[[source]]
name = "github"
provider = "github"

[[repository]]
name = "acme/shop"

[[service]]
name = "shop"
repository = "acme/shop"
image = "shop"

[[environment]]
name = "prod"
settle = "10ms"
"#;

/// What the functions of one test stand on.
pub(crate) struct Stage {
    pub(crate) folder: TempDir,
    pub(crate) journal: SqliteJournal,
    /// The tip of the branch.
    pub(crate) tip: String,
    /// The registry's address; at first nobody listens there.
    pub(crate) registry: String,
}

impl Stage {
    pub(crate) fn open() -> Self {
        let folder = TempDir::new().unwrap();
        let data = folder.path().join("data");
        std::fs::create_dir_all(data.join("secrets")).unwrap();
        for (name, value) in [("github", SECRET), ("token", "the-token")] {
            let path = data.join("secrets").join(name);
            std::fs::write(&path, value).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        }
        std::fs::write(folder.path().join("longshore.toml"), CONFIGURATION).unwrap();
        let tip = repository(&folder.path().join("work"), &data.join("git/acme/shop.git"));
        let journal = SqliteJournal::open(&data.join("journal.sqlite"), routes(), None).unwrap();
        Self { folder, journal, tip, registry: "127.0.0.1:9".into() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What a function is told by its environment.
    pub(crate) fn variables(&self) -> Vec<(&'static str, String)> {
        let path = |name: &str| self.path(name).display().to_string();
        vec![
            ("LONGSHORE_DATA", path("data")),
            ("LONGSHORE_CONFIG", path("longshore.toml")),
            ("LONGSHORE_RUNNER", path("relay.sock")),
            ("LONGSHORE_REGISTRY", self.registry.clone()),
        ]
    }

    pub(crate) fn start(&self, function: &str) -> Sandbox {
        Sandbox::start(function, &self.variables())
    }

    /// What a function says when one variable is missing.
    pub(crate) fn start_without(&self, function: &str, missing: &str) -> String {
        let variables: Vec<_> = self.variables().into_iter().filter(|(name, _)| *name != missing).collect();
        gives_up(function, &variables)
    }

    /// Keeps an event that is owed for long enough to be swept.
    pub(crate) fn keep(&self, event: &Value) -> Event {
        let event = Event::from_json(&event.to_string()).unwrap();
        let at = now() - SignedDuration::from_mins(1);
        let commit = Commit { at, events: vec![event.clone()], ..Commit::default() };
        ask(self.journal.commit(&commit)).unwrap();
        event
    }

    /// An image of the branch's tip.
    pub(crate) fn image(&self) -> Value {
        json!({
            "specversion": "1.0", "id": "build/shop/pushed", "source": "longshore/build", "subject": "shop",
            "type": "dev.longshore.image.pushed.v1", "time": "2026-11-24T08:00:09Z",
            "data": {
                "image": "shop", "tag": "main", "service": "shop", "commit": self.tip, "forced": false,
                "digest": "sha256:baa5a0964d3320fbc0c6a922140453c8513ea24ab8fd0577034804a967248096",
                "media_type": "application/vnd.oci.image.manifest.v1+json",
            },
        })
    }

    /// A push of the branch's tip.
    pub(crate) fn push(&self) -> Value {
        json!({
            "specversion": "1.0", "id": "push/1", "source": "github/acme/shop", "subject": "acme/shop",
            "type": "dev.longshore.push.received.v1", "time": "2026-11-24T08:00:09Z",
            "data": {
                "provider": "github", "repo": "acme/shop", "ref": "refs/heads/main", "ref_kind": "branch",
                "before": null, "after": self.tip, "created": true, "deleted": false, "forced": false,
                "paths": [], "paths_truncated": true,
            },
        })
    }

    /// All events of a type (`push.received`), the oldest first.
    pub(crate) fn events(&self, kind: &str) -> Vec<Event> {
        let kind = Some(format!("dev.longshore.{kind}.v1"));
        let query = EventQuery { kind, limit: 100, ..EventQuery::default() };
        ask(self.journal.events(&query)).unwrap().into_iter().map(|recorded| recorded.event).collect()
    }

    /// The one unit of a function.
    pub(crate) fn unit(&self, function: &str) -> Unit {
        let mut units = ask(self.journal.units(Some(function))).unwrap();
        assert_eq!(units.len(), 1, "{units:?}");
        units.remove(0)
    }

    /// Whether the event is owed to the function, and which of its units have taken it.
    pub(crate) fn opened(&self, function: &str, unit: &str, event: &EventId) -> Opened {
        let question = Open {
            function: function.into(),
            unit: unit.into(),
            told: Some((event.clone(), vec![unit.into()])),
            ..Open::default()
        };
        ask(self.journal.open(&question)).unwrap()
    }
}

/// Waits for an answer of the journal or of the runner.
pub(crate) fn ask<T>(question: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(question)
}

/// A batch from SQS.
pub(crate) fn batch<'a>(bodies: impl IntoIterator<Item = (&'a str, String)>) -> Value {
    let record =
        |(id, body): (&str, String)| json!({ "messageId": id, "eventSource": "aws:sqs", "body": body });
    json!({ "Records": bodies.into_iter().map(record).collect::<Vec<_>>() })
}

pub(crate) fn now() -> Timestamp {
    Timestamp::try_from(SystemTime::now()).unwrap()
}

/// A bare repository with one commit on `main`; answers the commit.
fn repository(work: &Path, bare: &Path) -> String {
    std::fs::create_dir_all(work).unwrap();
    std::fs::create_dir_all(bare.parent().unwrap()).unwrap();
    let bare = bare.to_str().unwrap();
    git(work, &["init", "--quiet", "--initial-branch=main"]);
    std::fs::write(work.join("Dockerfile"), "FROM scratch\n").unwrap();
    git(work, &["add", "."]);
    git(
        work,
        &["-c", "user.name=mona", "-c", "user.email=mona@example.org", "commit", "--quiet", "-m", "first"],
    );
    git(work, &["clone", "--quiet", "--bare", ".", bare]);
    git(work, &["rev-parse", "HEAD"]).trim().to_owned()
}

fn git(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git").args(arguments).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
