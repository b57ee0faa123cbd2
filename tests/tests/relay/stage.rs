//! The stage of the storm: the template's stack on moto behind the proxy, a forge, a cluster, and the functions.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use longshore_aws::testing::{self, Proxy};
use longshore_aws::{Aws, DynamoJournal};
use longshore_events::Event;
use longshore_forge::testing::LikeForge;
use longshore_frame::lambda::{PlatformClock, routes};
use longshore_policy::ForgeKind;

use crate::builds::{Builds, OUTSIDE, REGISTRY, witness};
use crate::bus::Carrier;
use crate::cluster::Cluster;
use crate::forge::{Forge, full_name};
use crate::given::compile_service;
use crate::platform::{Platform, Weather};
use crate::stack::{Stack, account, ask, logical};
use crate::url::url_of;

pub(crate) const SECRET: &str = "It's a Secret to Everybody";
/// The forge's token.
const FORGE: &str = "ghp_of-the-storm";
pub(crate) const FUNCTIONS: [&str; 9] =
    ["intake", "refcheck", "build", "report", "scan", "gate", "deploy", "sweep", "console"];

pub(crate) struct Stage {
    /// First: the sandboxes end before all that they speak to.
    pub(crate) platform: Platform,
    threads: Vec<JoinHandle<()>>,
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) builds: Arc<Builds>,
    pub(crate) forge: Forge,
    _apis: Vec<LikeForge>,
    pub(crate) proxy: Proxy,
    pub(crate) aws: Aws,
    pub(crate) journal: Arc<DynamoJournal>,
    pub(crate) stack: Stack,
    /// Where webhooks go.
    pub(crate) hooks: String,
    pub(crate) table: String,
    /// How often the schedule swept.
    pub(crate) ticks: Arc<AtomicUsize>,
    folder: tempfile::TempDir,
}

impl Stage {
    /// So many services, `s0` and on, in the environment `live`, and one more whose image CodeBuild cannot push. The ref check comes each `ref_check`.
    pub(crate) fn set(services: usize, ref_check: &str, weather: Weather) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().canonicalize().unwrap();
        let stack = Stack::deploy();
        let proxy = ask(Proxy::start(&stack.moto.address));
        let aws = account("AKIATEST", proxy.endpoint.clone()).connect().unwrap();
        let forge = Forge::new(place.join("forge"), services + 1);
        let api = async |service| {
            let api =
                LikeForge::start(ForgeKind::Github, &full_name(service), forge.bare(service)).await.unwrap();
            api.demand(FORGE);
            api
        };
        let apis: Vec<_> = (0..=services).map(|service| ask(api(service))).collect();
        let text = (0..=services).fold(HEAD.replace("@CHECK@", ref_check), |text, service| {
            let image = if service < services {
                format!("{REGISTRY}/{}", repository(service))
            } else {
                "ghcr.io/acme/it".into()
            };
            text + &section(service, &image, &place, &apis[service].forge(None).api)
        });
        std::fs::write(place.join("longshore.toml"), text + &outside(&place)).unwrap();
        let secret = stack.variable("Intake", "LONGSHORE_SECRET");
        ask(testing::rotate(
            &aws,
            &secret,
            &BTreeMap::from([("forge", FORGE), ("github", SECRET), ("token", "the-token")]),
        ));
        for service in 0..services {
            ask(testing::repository(&aws, &repository(service)));
            proxy.build(&format!("s{service}"), serde_json::json!({ "buildStatus": "IN_PROGRESS" }));
        }
        ask(testing::repository(&aws, OUTSIDE));
        let cluster = Arc::new(Cluster::start(&place));
        let names = stack.names();
        let (table, wakes) = (names.table.clone(), names.wakes.clone());
        let mut queues = BTreeMap::new();
        for bus in ["default", &names.bus] {
            let of_bus = ask(crate::queues::queues(&aws, bus, |function, _| function.to_lowercase()));
            queues.extend(of_bus.into_iter().map(|(function, queues)| (function.to_lowercase(), queues)));
        }
        let journal = Arc::new(DynamoJournal::new(&aws, names, routes(), Arc::new(PlatformClock)));
        let variables = FUNCTIONS
            .map(|function| (function.to_owned(), variables(function, &stack, &proxy, &place, &cluster)));
        let bury = {
            let (aws, table) = (aws.clone(), table.clone());
            move |invocation: &str| ask(testing::end_claim(&aws, &table, invocation))
        };
        let platform = Platform::start(variables.into(), weather, bury);
        let (shared, invoker) = (platform.shared.clone(), platform.invoker());
        let ticks = Arc::<AtomicUsize>::default();
        let carrier = Carrier {
            aws: aws.clone(),
            shared: shared.clone(),
            invoker: invoker.clone(),
            ticks: ticks.clone(),
            wakes,
            queues,
        };
        let mut threads = carrier.start();
        let builds = Arc::new(Builds {
            aws: aws.clone(),
            proxy: proxy.clone(),
            shared: shared.clone(),
            program: compile_service(&place),
            folder: place,
            registry: cluster.registry.clone(),
        });
        threads.push(builds.start());
        threads.push(watch(&platform, &cluster, &journal));
        let url = |function: &'static str| {
            let invoker = invoker.clone();
            url_of(move |payload| invoker.ask(function, payload.clone())?.ok())
        };
        let (hooks, console) = (url("intake"), url("console"));
        let outputs =
            BTreeMap::from([("ConsoleUrl", &*console), ("IntakeUrl", &*hooks), ("SecretName", &*secret)]);
        ask(testing::stack(&aws, "people", &outputs));
        Self {
            platform,
            threads,
            cluster,
            builds,
            forge,
            _apis: apis,
            proxy,
            aws,
            journal,
            stack,
            hooks,
            table,
            ticks,
            folder,
        }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn witness(&self, service: usize) -> PathBuf {
        witness(self.folder(), &format!("s{service}"))
    }

    /// The units that have something to do, with how it stands.
    pub(crate) fn busy(&self) -> Vec<String> {
        let functions = ["refcheck", "build", "report", "scan", "gate", "deploy"];
        let units = |function| ask(testing::units(&self.aws, &self.table, function)).into_iter();
        let all = functions.into_iter().flat_map(units);
        all.filter(|(_, row)| !row.todo.is_empty()).map(|(unit, row)| format!("{unit}: {row:?}")).collect()
    }

    /// All that was said.
    pub(crate) fn events(&self) -> Vec<Event> {
        ask(testing::events(&self.aws, &self.table))
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.platform.end();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// What runs tells when something changed, as a hint on the bus: so the host does on one machine.
fn watch(platform: &Platform, cluster: &Arc<Cluster>, journal: &Arc<DynamoJournal>) -> JoinHandle<()> {
    let (shared, cluster, journal) = (platform.shared.clone(), cluster.clone(), journal.clone());
    thread::spawn(move || {
        let mut since = 0;
        while !shared.ended() {
            let changed =
                async { tokio::time::timeout(Duration::from_secs(1), cluster.runner.changes(since)).await };
            let Ok(Ok(changed)) = ask(changed) else { continue };
            since = changed.next;
            let units = changed.workloads.unwrap_or_default();
            let units: Vec<_> =
                units.iter().map(|workload| ("deploy".to_owned(), workload.to_string())).collect();
            if let Err(error) = ask(journal.wake(&units)) {
                eprintln!("a hint was not sent: {error}");
            }
        }
    })
}

/// By which the proxy knows a function.
pub(crate) fn key(function: &str) -> String {
    format!("AKIA{}", function.to_uppercase())
}

/// What a function is told: what the template says, but for where things lie on this machine.
fn variables(
    function: &str,
    stack: &Stack,
    proxy: &Proxy,
    folder: &Path,
    cluster: &Cluster,
) -> Vec<(String, String)> {
    let told = stack.found(&logical(function))["Environment"]["Variables"].as_object().unwrap().clone();
    let mut told: BTreeMap<String, String> =
        told.into_iter().map(|(name, value)| (name, value.as_str().unwrap().to_owned())).collect();
    let here = [
        ("LONGSHORE_CONFIG", folder.join("longshore.toml").display().to_string()),
        ("LONGSHORE_RUNNER", cluster.socket.display().to_string()),
        ("LONGSHORE_REGISTRY", cluster.registry.clone()),
        // The template has none by default; builds read the forge's token there.
        ("LONGSHORE_BUILD_SECRET", "builds".into()),
    ];
    for (name, value) in here {
        told.entry(name.to_owned()).and_modify(|told| *told = value);
    }
    let account = account(&key(function), proxy.endpoint.clone());
    told.extend([
        ("AWS_REGION".to_owned(), account.region),
        ("AWS_ACCESS_KEY_ID".to_owned(), account.keys.id),
        ("AWS_SECRET_ACCESS_KEY".to_owned(), account.keys.secret),
        ("AWS_ENDPOINT_URL".to_owned(), proxy.endpoint.clone()),
    ]);
    told.into_iter().collect()
}

const HEAD: &str = r#"
[host]
ref_check = "@CHECK@"
[[source]]
name = "github"
provider = "github"
[[environment]]
name = "live"
deadline = "60s"
settle = "200ms"
[environment.gate]
requires = ["scan"]
[[waiver]]
id = "CVE-2026-1"
until = "2199-12-31"
why = "every image of the storm has it"
"#;

fn repository(service: usize) -> String {
    format!("longshore/s{service}")
}

fn section(service: usize, image: &str, folder: &Path, api: &str) -> String {
    let name = full_name(service);
    let witness = witness(folder, &format!("s{service}"));
    let mut text = String::new();
    let _ = write!(
        text,
        r#"
[[repository]]
name = "{name}"
url = "https://github.com/{name}.git"
forge = "github"
api = "{api}"
token = "forge"
[[service]]
name = "s{service}"
repository = "{name}"
image = "{image}"
[service.run]
ready = {{ path = "/ready" }}
env = {{ WITNESS = "{}" }}
drain = "1s"
stop = "1s"
"#,
        witness.display()
    );
    text
}

/// A service whose image others push.
fn outside(folder: &Path) -> String {
    let witness = witness(folder, "outside");
    format!(
        r#"
[[service]]
name = "outside"
image = "{REGISTRY}/{OUTSIDE}"
[service.run]
ready = {{ path = "/ready" }}
env = {{ WITNESS = "{}" }}
"#,
        witness.display()
    )
}
