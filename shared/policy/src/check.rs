//! Puts the checked policy together, and checks what only shows between tables: names, references, addresses.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::net::SocketAddr;
use std::path::Path;

use longshore_events::{EnvironmentName, ImageName, ServiceName};
use toml_span::{Error, ErrorKind, Span, Spanned};

use crate::calendar::{self, Calendar, Freeze};
use crate::cluster;
use crate::fault::{Code, Fault, Faults, Wrong};
use crate::gates;
use crate::manifests::{self, Manifests};
use crate::metrics::{self, MetricsSource};
use crate::policy::{
    Environment, Forge, Host, Notify, Policy, Repository, Run, Service, ServiceSource, Source,
};
use crate::read::Keys;
use crate::rules::{self, FORGES, PROVIDERS};
use crate::scan;
use crate::signers::{self, Read};
use crate::spec::{ENVIRONMENT, ROOT};
use crate::steps;
use crate::suggest::{self, nearest, quoted};
use crate::url;
use crate::watch::{self, Watch};

/// The largest file that a configuration may name, in bytes; what is longer is cut.
const LARGEST_FILE: u64 = 64 << 10;
/// Keys of a service that only say how to build it.
const BUILD_KEYS: &[&str] =
    &["path", "watch", "prepare", "test", "dockerfile", "args", "secrets", "manifests", "timeout"];

/// Checks the text of a configuration; `file` is its name for messages.
///
/// # Errors
/// Every [`Fault`] of it, in the order of their places. Text that is no TOML has one fault: where reading stopped.
pub fn check(text: &str, file: &str) -> Result<Policy, Vec<Fault>> {
    check_with(text, file, &|_| Err("the configuration does not come from a file".into()))
}

fn check_with(text: &str, file: &str, read: &Read<'_>) -> Result<Policy, Vec<Fault>> {
    let faults = Faults::new(text, file);
    let policy = match toml_span::parse(text) {
        Ok(root) => root
            .as_table()
            .and_then(|root| policy(&Keys::open(root, &ROOT, Span::new(0, 0), &faults), read, &faults)),
        Err(error) => {
            note_syntax(&error, &faults);
            None
        }
    };
    let faults = faults.into_sorted();
    policy.filter(|_| faults.is_empty()).ok_or(faults)
}

/// As [`check`], for the bytes of a file.
///
/// # Errors
/// As [`check`]; one fault when the bytes are not UTF-8.
pub fn check_bytes(bytes: &[u8], file: &str) -> Result<Policy, Vec<Fault>> {
    check_bytes_with(bytes, file, &|_| Err("the configuration does not come from a file".into()))
}

/// As [`check_bytes`], for those of the file `path`: files that it names are read beside it.
///
/// # Errors
/// As [`check_bytes`].
pub fn check_file(bytes: &[u8], path: &Path) -> Result<Policy, Vec<Fault>> {
    let folder = path.parent().unwrap_or(Path::new(""));
    check_bytes_with(bytes, &path.display().to_string(), &|name| small(&folder.join(name)))
}

/// The text of a small file.
fn small(path: &Path) -> Result<String, String> {
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(LARGEST_FILE).read_to_string(&mut text));
    read.map(|_| text).map_err(|error| error.to_string())
}

fn check_bytes_with(bytes: &[u8], file: &str, read: &Read<'_>) -> Result<Policy, Vec<Fault>> {
    let error = match std::str::from_utf8(bytes) {
        Ok(text) => return check_with(text, file, read),
        Err(error) => error,
    };
    let text = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
    let faults = Faults::new(&text, file);
    let message = "the file is not UTF-8 from here on: save it as UTF-8";
    faults.add(Span::new(text.len(), text.len()), Wrong::new(Code::NotText, message));
    Err(faults.into_sorted())
}

fn note_syntax(error: &Error, faults: &Faults<'_>) {
    let first = match &error.kind {
        ErrorKind::DuplicateKey { first, .. } | ErrorKind::DuplicateTable { first, .. } => {
            format!(" (first on line {})", faults.line(first.start))
        }
        _ => String::new(),
    };
    let message = match &error.kind {
        // What stands there without quotes, or is written twice, may be a secret; the place is enough.
        ErrorKind::UnquotedString => "a text must stand in quotes".to_owned(),
        _ => error.to_string(),
    };
    let message = suggest::one_line(&format!("not valid TOML: {message}{first}"));
    faults.add(error.span, Wrong::new(Code::Syntax, message));
}

fn policy<'a>(root: &Keys<'a>, read: &Read<'_>, faults: &'a Faults<'a>) -> Option<Policy> {
    let host = root.table("host").and_then(|keys| host(&keys));
    let scan = root.table("scan").and_then(|keys| scan::scan(&keys));
    let metrics = root.table("metrics").and_then(|keys| metrics::metrics(&keys));
    let notify = root.table("notify").map(|keys| Notify {
        webhook: keys.parsed("webhook", rules::secret),
        slack: keys.parsed("slack", rules::secret),
    });
    let mut names = Names::new("source", faults);
    let sources = root.tables("source").iter().filter_map(|keys| source(keys, &mut names)).collect();
    let mut repository_names = Names::new("repository", faults);
    let repositories =
        root.tables("repository").iter().filter_map(|keys| repository(keys, &mut repository_names)).collect();
    let mut service_names = Names::new("service", faults);
    let tables = root.tables("service");
    let services: Vec<Service> =
        tables.iter().filter_map(|keys| service(keys, &mut service_names, &repository_names)).collect();
    if root.lists_nothing("service") {
        let message =
            "there is no service, so nothing to run: add a [[service]], or let `longshore init` write one";
        root.note("service", Wrong::new(Code::NothingToRun, message));
    }
    note_shared_images(&services, &tables);
    let expressions = metrics.as_ref().is_none_or(|metrics| *metrics != MetricsSource::Host);
    let freezes: Vec<Freeze> = root.tables("freeze").iter().filter_map(calendar::freeze).collect();
    let known = Known { services: &services, names: &service_names, expressions, freezes: &freezes };
    let tables = root.tables("environment");
    let environments = environments(&tables, &known, faults);
    let waivers = root.tables("waiver").iter().filter_map(gates::waiver).collect();
    let people = gates::people(root, &environments, faults);
    let signers = signers::signers(root, (&services, &service_names), (&tables, &environments), read, faults);
    Some(Policy {
        host: host?,
        scan: scan?,
        metrics: metrics?,
        notify: notify?,
        sources,
        repositories,
        services,
        environments,
        waivers,
        people,
        signers,
    })
}

fn host(keys: &Keys<'_>) -> Option<Host> {
    let (listen, proxy) = (keys.parsed("listen", rules::address), keys.parsed("proxy", rules::address));
    if let (Some(listen), Some(proxy)) = (listen, proxy)
        && collide(listen, proxy)
    {
        let key = if keys.has("proxy") { "proxy" } else { "listen" };
        let message =
            format!("`listen` and `proxy` both take port {}: give one of them another", proxy.port());
        keys.note(key, Wrong::new(Code::InvalidAddress, message));
    }
    let data = keys.parsed("data", rules::folder);
    let (max_body, ref_check) = (keys.bytes("max_body"), keys.millis("ref_check"));
    Some(Host { listen: listen?, proxy: proxy?, data: data?, max_body: max_body?, ref_check_ms: ref_check? })
}

fn collide(a: SocketAddr, b: SocketAddr) -> bool {
    let same_machine = a.ip() == b.ip() || a.ip().is_unspecified() || b.ip().is_unspecified();
    a.port() != 0 && a.port() == b.port() && same_machine
}

fn source(keys: &Keys<'_>, names: &mut Names<'_>) -> Option<Source> {
    names.define(keys.text("name"));
    let name = keys.parsed("name", rules::source);
    let provider = keys.parsed("provider", |text| rules::choice(text, "provider", PROVIDERS));
    let secret = if keys.has("secret") { keys.parsed("secret", rules::secret) } else { name.clone() };
    Some(Source { name: name?, provider: provider?, secret: secret? })
}

fn repository(keys: &Keys<'_>, names: &mut Names<'_>) -> Option<Repository> {
    names.define(keys.text("name"));
    let (name, branch) = (keys.parsed("name", rules::repository), keys.parsed("branch", rules::branch));
    let url = keys.parsed("url", url::clone_url);
    Some(Repository { name: name?, url, branch: branch?, forge: forge(keys) })
}

fn forge(keys: &Keys<'_>) -> Option<Forge> {
    let token = keys.parsed("token", rules::secret);
    let api = keys.parsed("api", url::api);
    if !keys.has("forge") {
        for key in ["api", "token"].iter().filter(|key| keys.has(key)) {
            let message = format!(
                "`{key}` says how a forge is asked, but the repository has no `forge`: add it, or take `{key}` out"
            );
            keys.note(key, Wrong::new(Code::NotAtForge, message));
        }
        return None;
    }
    if !keys.has("url") {
        let message =
            "the repository lies at a forge, but has no `url` to clone it from: add it, or take `forge` out";
        keys.note("forge", Wrong::new(Code::NotAtForge, message));
    }
    let kind = keys.parsed("forge", |text| rules::choice(text, "forge", FORGES))?;
    Some(Forge { kind, api: api.unwrap_or_else(|| kind.public_api().to_owned()), token })
}

fn service(keys: &Keys<'_>, names: &mut Names<'_>, repositories: &Names<'_>) -> Option<Service> {
    names.define(keys.text("name"));
    let name = keys.parsed("name", rules::service);
    let source =
        if keys.has("repository") { service_source(keys, repositories) } else { note_not_built(keys) };
    let image = match &name {
        Some(name) if !keys.has("image") => ImageName::new(name).ok(),
        _ => keys.parsed("image", rules::image),
    };
    let tag = keys.parsed("tag", rules::tag);
    let run = keys.table("run").and_then(|keys| run(&keys));
    let past = keys.all_or_globs("no_rollback_past");
    Some(Service { name: name?, source, image: image?, tag: tag?, run: run?, no_rollback_past: past? })
}

fn note_not_built(keys: &Keys<'_>) -> Option<ServiceSource> {
    for key in BUILD_KEYS.iter().filter(|key| keys.has(key)) {
        let message = format!(
            "`{key}` says how to build, but the service has no `repository`: add it, or take `{key}` out"
        );
        keys.note(key, Wrong::new(Code::NotBuilt, message));
    }
    None
}

fn service_source(keys: &Keys<'_>, repositories: &Names<'_>) -> Option<ServiceSource> {
    let repository = keys.text("repository").filter(|name| repositories.resolve(name));
    let path = keys.parsed("path", rules::inside);
    let watch = keys.each("watch", watch::glob);
    let (prepare, test) = (keys.command("prepare"), keys.command("test"));
    let dockerfile = keys.parsed("dockerfile", rules::dockerfile);
    let args = keys.map("args", rules::variable);
    let secrets = keys.each("secrets", rules::secret);
    let manifests = if keys.has("manifests") { Some(keys.table("manifests")) } else { None };
    let manifests = manifests.map(|keys| manifests::read(&keys?));
    let timeout = keys.millis("timeout");
    // `None` inside is a fault that was noted.
    let manifests = match manifests {
        Some(manifests) => Some(manifests?),
        None => None,
    };
    let watch = watch?;
    let rendered = manifests.iter().filter(|_| !watch.is_empty()).flat_map(Manifests::globs);
    let watch = Watch::of(rendered.chain(watch.iter().cloned()).collect());
    Some(ServiceSource {
        // A name that breaks its rule was noted where the repository is defined.
        repository: repository.and_then(|name| rules::repository(name.value).ok())?,
        path: path?,
        watch,
        prepare,
        test,
        dockerfile: dockerfile?,
        args: args?,
        secrets: secrets?,
        manifests,
        timeout_ms: timeout?,
    })
}

fn run(keys: &Keys<'_>) -> Option<Run> {
    let env = keys.map("env", rules::environment_variable);
    let args = keys.each("args", rules::argument);
    let ready = keys.probe("ready");
    let health = if keys.has("health") { keys.probe("health") } else { None };
    let (drain, stop) = (keys.millis("drain"), keys.millis("stop"));
    Some(Run { env: env?, args, ready: ready?, health, drain_ms: drain?, stop_ms: stop? })
}

/// Two services built into one image would replace each other with every build.
fn note_shared_images(services: &[Service], tables: &[Keys<'_>]) {
    let mut built: BTreeMap<&ImageName, &ServiceName> = BTreeMap::new();
    for service in services.iter().filter(|service| service.source.is_some()) {
        let Some(other) = built.insert(&service.image, &service.name) else { continue };
        if *other == service.name {
            continue; // noted as a duplicate
        }
        let named =
            |keys: &&Keys<'_>| keys.text("name").is_some_and(|name| name.value == service.name.as_str());
        let message = format!(
            "the services {other} and {} are built into one image, {}: give one of them another `image`",
            service.name, service.image
        );
        if let Some(keys) = tables.iter().find(named) {
            keys.note("image", Wrong::new(Code::SharedImage, message));
        }
    }
}

/// What environments may refer to.
struct Known<'a> {
    services: &'a [Service],
    names: &'a Names<'a>,
    /// Whether who measures knows expressions.
    expressions: bool,
    /// What freezes all of them.
    freezes: &'a [Freeze],
}

fn environments<'a>(tables: &[Keys<'a>], known: &Known<'_>, faults: &'a Faults<'a>) -> Vec<Environment> {
    let mut names = Names::new("environment", faults);
    if tables.is_empty() {
        let local = EnvironmentName::new("local").ok();
        return environment(&Keys::defaults(&ENVIRONMENT, faults), local, known).into_iter().collect();
    }
    let read = |keys: &Keys<'a>| {
        names.define(keys.text("name"));
        environment(keys, keys.parsed("name", rules::environment), known)
    };
    let environments: Vec<_> = tables.iter().filter_map(read).collect();
    gates::note_order(tables, &environments);
    environments
}

fn environment(keys: &Keys<'_>, name: Option<EnvironmentName>, known: &Known<'_>) -> Option<Environment> {
    let listed = keys.texts("services");
    if listed.as_ref().is_some_and(Vec::is_empty) {
        let message =
            "this environment runs nothing: name services, or leave `services` out to run all of them";
        keys.note("services", Wrong::new(Code::NothingToRun, message));
    }
    let named: Vec<_> = listed.unwrap_or_default();
    let mut seen = Names::new("service of this environment", known.names.faults);
    for name in named.iter().filter(|name| name.value != "*" && known.names.resolve(name)) {
        seen.define(Some(Spanned::with_span(name.value, name.span)));
    }
    let runs = |service: &&Service| {
        named.iter().any(|name| name.value == "*" || name.value == service.name.as_str())
    };
    let services: Vec<&Service> = known.services.iter().filter(runs).collect();
    let (deadline, settle) = (keys.millis("deadline"), keys.millis("settle"));
    let gate = keys.table("gate").and_then(|keys| gates::gate(&keys));
    let after = gates::promotion(keys);
    let windows = keys.tables("window").iter().filter_map(calendar::window).collect();
    let freezes = keys.tables("freeze");
    let freezes = freezes.iter().filter_map(calendar::freeze).chain(known.freezes.iter().cloned()).collect();
    let strategy = steps::strategy(keys, settle, known.expressions, known.names.faults);
    let on_cluster = keys.has("cluster").then(|| keys.table("cluster"));
    let cluster = on_cluster.map(|keys| keys.and_then(|keys| cluster::read(&keys, name.as_ref(), &services)));
    Some(Environment {
        name: name?,
        services: services.into_iter().map(|service| service.name.clone()).collect(),
        strategy: strategy?,
        deadline_ms: deadline?,
        settle_ms: settle?,
        gate: gate?,
        after: after?,
        calendar: Calendar { windows, freezes },
        cluster: match cluster {
            Some(cluster) => Some(cluster?),
            None => None,
        },
    })
}

/// The names of one kind of thing, each with the line that defines it. A name counts as defined even where its table has
/// faults, so that one slip is not reported again at each use.
pub(crate) struct Names<'a> {
    what: &'static str,
    faults: &'a Faults<'a>,
    lines: BTreeMap<String, usize>,
}

impl<'a> Names<'a> {
    pub(crate) fn new(what: &'static str, faults: &'a Faults<'a>) -> Self {
        Self { what, faults, lines: BTreeMap::new() }
    }

    /// A name that is defined elsewhere.
    pub(crate) fn know(&mut self, name: &str) {
        self.lines.insert(name.to_owned(), 0);
    }

    pub(crate) fn define(&mut self, name: Option<Spanned<&str>>) {
        let Some(name) = name else { return };
        if let Some(line) = self.lines.get(name.value) {
            let message =
                format!("the {} {} is already there, on line {line}", self.what, quoted(name.value));
            self.faults.add(
                name.span,
                Wrong::new(Code::Duplicate, message + ": give this one another name, or take it out"),
            );
            return;
        }
        self.lines.insert(name.value.to_owned(), self.faults.line(name.span.start));
    }

    pub(crate) fn resolve(&self, name: &Spanned<&str>) -> bool {
        let known = self.lines.contains_key(name.value);
        if !known {
            let suggestion = nearest(name.value, self.lines.keys().map(String::as_str));
            let message = format!("there is no {} {}: add it as [[{0}]]", self.what, quoted(name.value));
            self.faults.add(name.span, Wrong::new(Code::UnknownReference, message).suggest(suggestion));
        }
        known
    }
}
