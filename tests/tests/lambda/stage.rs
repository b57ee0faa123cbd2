//! A stack on moto, a repository at a forge, and what the tests ask of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use jiff::{SignedDuration, Timestamp};
use longshore_aws::testing::{self, Moto, Proxy};
use longshore_aws::{Account, Aws, DynamoJournal, Keys, Names};
use longshore_events::{Digest, Event, EventId};
use longshore_forge::testing::LikeForge;
use longshore_frame::lambda::{PlatformClock, routes};
use longshore_policy::ForgeKind;
use longshore_ports::journal::{Commit, Open, Opened, UnitRow};
use longshore_ports::{Blobs as _, Journal as _};
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
url = "https://github.com/acme/shop.git"
forge = "github"
api = "@API@"

[[service]]
name = "shop"
repository = "acme/shop"
image = "@IMAGE@"

[[environment]]
name = "prod"
settle = "10ms"
"#;

/// The name of the table, the bus, the bucket and the secret. Each stage has a moto of its own.
const NAME: &str = "longshore";

/// A unit, as the journal has it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Unit {
    pub(crate) unit: String,
    pub(crate) row: UnitRow,
}

/// What the functions of one test stand on.
pub(crate) struct Stage {
    pub(crate) folder: TempDir,
    pub(crate) journal: DynamoJournal,
    aws: Aws,
    names: Names,
    /// The queue that gets all that comes onto the bus.
    inbox: String,
    forge: LikeForge,
    /// The topic that people are told by, and the queue that gets what they are told.
    topic: (String, String),
    _moto: Arc<Moto>,
    /// What all speak to in place of AWS.
    pub(crate) proxy: Proxy,
    /// The tip of the branch.
    pub(crate) tip: String,
    /// The registry's address; at first nobody listens there.
    pub(crate) registry: String,
}

impl Stage {
    pub(crate) fn open() -> Self {
        Self::with_image("shop")
    }

    /// A stage whose service's image lies there.
    pub(crate) fn with_image(image: &str) -> Self {
        Self::configured(&CONFIGURATION.replace("@IMAGE@", image))
    }

    /// A stage with this configuration, in which `@API@` is the forge's address.
    pub(crate) fn configured(configuration: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let bare = folder.path().join("shop.git");
        let tip = repository(&folder.path().join("work"), &bare);
        let forge = ask(LikeForge::start(ForgeKind::Github, "acme/shop", bare)).unwrap();
        let configuration = configuration.replace("@API@", &forge.forge(None).api);
        std::fs::write(folder.path().join("longshore.toml"), configuration).unwrap();
        let moto = Moto::start();
        let proxy = ask(Proxy::start(&moto.address));
        let account = Account {
            region: "eu-west-1".into(),
            keys: Keys { id: "AKIATEST".into(), secret: "secret".into(), session: None },
            endpoint: Some(proxy.endpoint.clone()),
            answer_within: Duration::from_secs(20),
        };
        let aws = account.connect().unwrap();
        let (names, inbox) = ask(deploy(&aws));
        let topic = ask(testing::topic(&aws, "told"));
        let journal = DynamoJournal::new(&aws, names.clone(), routes(), Arc::new(PlatformClock));
        let registry = "127.0.0.1:9".into();
        Self { folder, journal, aws, names, inbox, forge, topic, _moto: moto, proxy, tip, registry }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What a function is told by its environment.
    pub(crate) fn variables(&self) -> Vec<(&'static str, String)> {
        let path = |name: &str| self.path(name).display().to_string();
        vec![
            ("AWS_REGION", "eu-west-1".into()),
            ("AWS_ACCESS_KEY_ID", "AKIATEST".into()),
            ("AWS_SECRET_ACCESS_KEY", "secret".into()),
            ("AWS_ENDPOINT_URL", self.proxy.endpoint.clone()),
            ("LONGSHORE_CONFIG", path("longshore.toml")),
            ("LONGSHORE_TABLE", self.names.table.clone()),
            ("LONGSHORE_BUS", self.names.bus.clone()),
            ("LONGSHORE_WAKES", self.names.wakes.clone()),
            ("LONGSHORE_BUCKET", NAME.into()),
            ("LONGSHORE_SECRET", NAME.into()),
            ("LONGSHORE_CODEBUILD_PROJECT", NAME.into()),
            ("LONGSHORE_RUNNER", path("relay.sock")),
            ("LONGSHORE_REGISTRY", self.registry.clone()),
            ("LONGSHORE_TOPIC", self.topic.0.clone()),
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

    /// A cluster of EKS.
    pub(crate) fn cluster(&self, name: &str) {
        ask(testing::cluster(&self.aws, name));
    }

    /// A stack with these outputs.
    pub(crate) fn stack(&self, name: &str, outputs: &[(&str, &str)]) {
        ask(testing::stack(&self.aws, name, &outputs.iter().copied().collect()));
    }

    /// Gives the token a new value.
    pub(crate) fn rotate(&self, token: &str) {
        ask(testing::rotate(&self.aws, NAME, &BTreeMap::from([("github", SECRET), ("token", token)])));
    }

    /// A secret with these names and values.
    pub(crate) fn secret(&self, name: &str, values: &[(&str, &str)]) {
        ask(testing::secret(&self.aws, name, &values.iter().copied().collect()));
    }

    /// Keeps a text in Blobs; says under which name.
    pub(crate) fn blob(&self, text: &str) -> String {
        let blobs = longshore_aws::S3Blobs::new(&self.aws, NAME, Arc::new(PlatformClock));
        ask(blobs.put(text.into())).unwrap().0.to_string()
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

    /// That the image of the tip may run.
    pub(crate) fn gate(&self) -> Value {
        let image = self.image();
        let mut data = image["data"].clone();
        data["environment"] = "prod".into();
        data["verdict"] = "pass".into();
        json!({
            "specversion": "1.0", "id": "gate/prod/shop/1", "source": "longshore/gate",
            "subject": format!("prod/shop/{}", data["digest"].as_str().unwrap()),
            "type": "dev.longshore.gate.evaluated.v1", "time": "2026-11-24T08:00:10Z", "data": data,
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

    /// Commits these files, and pushes: they are the branch's new tip.
    pub(crate) fn commit(&mut self, paths: &[String]) {
        let work = self.path("work");
        for path in paths {
            let path = work.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "x").unwrap();
        }
        self.tip = commit(&work);
        git(&work, &["push", "--quiet", self.path("shop.git").to_str().unwrap(), "main"]);
    }

    /// Puts an image of the tip into ECR, as a build does; its digest.
    pub(crate) fn push_image(&self, repository: &str) -> Digest {
        ask(testing::image(&self.aws, repository, &self.tip))
    }

    /// All events of a type (`push.received`), the oldest first.
    pub(crate) fn events(&self, kind: &str) -> Vec<Event> {
        let kind = format!("dev.longshore.{kind}.v1");
        let all = ask(testing::events(&self.aws, &self.names.table));
        all.into_iter().filter(|event| event.kind() == kind).collect()
    }

    /// The one unit of a function.
    pub(crate) fn unit(&self, function: &str) -> Unit {
        let mut units = ask(testing::units(&self.aws, &self.names.table, function));
        assert_eq!(units.len(), 1, "{units:?}");
        let (unit, row) = units.remove(0);
        Unit { unit, row }
    }

    /// The names of a function's units.
    pub(crate) fn units(&self, function: &str) -> Vec<String> {
        let units = ask(testing::units(&self.aws, &self.names.table, function));
        units.into_iter().map(|(unit, _)| unit).collect()
    }

    /// Ends every claim, as if its time had passed; how many there were.
    pub(crate) fn end_claims(&self) -> usize {
        ask(testing::end_claims(&self.aws, &self.names.table))
    }

    /// What came onto the bus since the last time, in the envelopes that EventBridge gives to functions.
    pub(crate) fn bus(&self) -> Vec<Value> {
        ask(testing::receive(&self.aws, &self.inbox))
    }

    /// What the forge shows beside the tip: each context, state and description, in the order of their writing.
    pub(crate) fn shown(&self) -> Vec<(String, String, String)> {
        let all = self.forge.statuses().into_iter().filter(|shown| shown.commit == self.tip);
        all.map(|shown| (shown.context, shown.state, shown.description)).collect()
    }

    /// What people were told since the last time: subject and message.
    pub(crate) fn told(&self) -> Vec<(String, String)> {
        let text = |message: &Value, name: &str| message[name].as_str().unwrap().to_owned();
        let all = ask(testing::receive(&self.aws, &self.topic.1)).into_iter();
        all.map(|message| (text(&message, "Subject"), text(&message, "Message"))).collect()
    }

    /// What lies in the queue of wake-ups, and is due.
    pub(crate) fn wakes(&self) -> Vec<Value> {
        ask(testing::receive(&self.aws, &self.names.wakes))
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

/// Makes what the template deploys.
async fn deploy(aws: &Aws) -> (Names, String) {
    testing::table(aws, NAME).await;
    testing::bus(aws, NAME).await;
    testing::bucket(aws, NAME).await;
    testing::project(aws, NAME).await;
    testing::secret(
        aws,
        NAME,
        &BTreeMap::from([("forge", "ghp_1"), ("github", SECRET), ("token", "the-token")]),
    )
    .await;
    let names = Names { table: NAME.into(), bus: NAME.into(), wakes: testing::queue(aws, "wakes").await };
    (names, testing::subscribe(aws, NAME).await)
}

/// Waits for an answer, on the one runtime of the test: connections belong to theirs.
pub(crate) fn ask<T>(question: impl Future<Output = T>) -> T {
    static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
    let make = || tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    RUNTIME.get_or_init(make).block_on(question)
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
    let first = commit(work);
    git(work, &["clone", "--quiet", "--bare", ".", bare]);
    first
}

/// Commits what was added; answers the commit.
fn commit(work: &Path) -> String {
    git(work, &["add", "."]);
    let who = ["-c", "user.name=mona", "-c", "user.email=mona@example.org"];
    git(work, &[&who[..], &["commit", "--quiet", "-m", "a commit"]].concat());
    git(work, &["rev-parse", "HEAD"]).trim().to_owned()
}

fn git(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git").args(arguments).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
