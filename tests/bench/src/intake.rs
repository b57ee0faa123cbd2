//! Signed pushes of 8 KB as GitHub sends them, taken by our host and by Debian's `webhook`, each on the same one core,
//! the load on the other.
//!
//! `webhook` checks the same signature and runs a command that appends a line to a file, whose output it answers. The
//! host's rate is of events that were taken *and* handled: its time ends when nothing is owed any more. Every delivery
//! is a new event, of one of a few repositories, on a branch that nothing is built from.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use longshore_cli::api::{Events, Status};
use longshore_local::FileSecrets;
use longshore_ports::Secret;
use serde_json::json;
use tempfile::TempDir;

use crate::host::Host;
use crate::load::{Load, Outcome, Until};
use crate::machine::Machine;
use crate::peers;
use crate::process::{Server, free_address, rss};
use crate::push_body::{REPOSITORIES, SECRET, body, delivery_id, repository, signature};
use crate::row::Row;
use crate::settings::Settings;
use crate::stats::{float, median, mib, percentile};

const TURNS: usize = 3;
const TURN: Duration = Duration::from_secs(5);
const CONNECTIONS: u32 = 64;
/// Bodies that are signed beforehand; each is sent many times under new delivery ids.
const BODIES: u64 = 1_008;
/// How long what was taken may be owed.
const PATIENCE: Duration = Duration::from_mins(20);

pub(crate) fn run(settings: &Settings) -> Result<Vec<Row>> {
    let folder = TempDir::with_prefix("longshore-bench-")?;
    let bodies: Vec<(Vec<u8>, String)> =
        (0..BODIES).map(body).map(|body| (body.clone(), signature(&body))).collect();
    let make = |number: u64| {
        let (body, signature) = &bodies[usize::try_from(number % BODIES).unwrap_or_default()];
        request(number, body, signature)
    };
    let ours = Ours::start(settings, folder.path())?;
    let theirs = Theirs::start(settings, folder.path())?;
    let to = |address| Load { address, connections: CONNECTIONS, core: settings.machine.load_core() };
    let (ours_at, theirs_at) = (to(ours.host.ready.listen), to(theirs.address));
    let (mut our_rates, mut their_rates, mut answered) = (Vec::new(), Vec::new(), Vec::new());
    for turn in 1..=TURNS {
        let (rate, outcome) = ours.taken(|next| ours_at.closed(Until::Time(TURN), next, &make))?;
        our_rates.push(rate);
        answered.push(float(outcome.answered) / outcome.seconds);
        let outcome = theirs_at.closed(Until::Time(TURN), &theirs.next, &make)?.whole()?;
        their_rates.push(float(outcome.answered) / outcome.seconds);
        eprintln!(
            "    turn {turn} of {TURNS}: {:.0} and {:.0} a second",
            our_rates[turn - 1],
            their_rates[turn - 1]
        );
    }
    theirs.check()?;
    drop(theirs);
    let (our_rate, their_rate) = (median(&our_rates), median(&their_rates));
    let rate = Row {
        name: "intake rate",
        goal: "≥ 10 times webhook 2.8, on one core".into(),
        measured: format!(
            "{our_rate:.0} pushes a second taken and handled, {:.0} taken; webhook {their_rate:.0}",
            median(&answered)
        ),
        ratio: Some(our_rate / their_rate),
        met: our_rate >= 10.0 * their_rate,
    };
    let (_, half) = ours.taken(|next| ours_at.open(our_rate / 2.0, TURN * 2, next, &make))?;
    let p99 = percentile(&half.latencies, 0.99);
    let late = Row {
        name: "intake p99 at half load",
        goal: "≤ 10 ms".into(),
        measured: format!("{p99:.1} ms at {:.0} a second", our_rate / 2.0),
        ratio: None,
        met: p99 <= 10.0,
    };
    let left = settings.events.saturating_sub(ours.next.load(Ordering::Relaxed));
    eprintln!("    {left} more events, for the memory");
    ours.taken(|next| ours_at.closed(Until::Count(left), next, &make))?;
    Ok(vec![rate, late, ours.memory()?])
}

fn request(number: u64, body: &[u8], signature: &str) -> Vec<u8> {
    let mut request = format!(
        "POST /hooks/github HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nuser-agent: GitHub-Hookshot/b8c71d8\r\n\
         x-github-event: push\r\nx-github-delivery: {}\r\n\
         x-hub-signature-256: {signature}\r\ncontent-length: {}\r\n\r\n",
        delivery_id(number),
        body.len()
    )
    .into_bytes();
    request.extend_from_slice(body);
    request
}

/// Our host.
struct Ours {
    host: Host,
    next: AtomicU64,
}

impl Ours {
    fn start(settings: &Settings, folder: &Path) -> Result<Self> {
        let folder = folder.join("ours");
        fs::create_dir(&folder)?;
        let mut config = "[host]\nlisten = \"127.0.0.1:0\"\nproxy = \"127.0.0.1:0\"\nref_check = \"24h\"\n\
             [[source]]\nname = \"github\"\nprovider = \"github\"\n"
            .to_owned();
        for number in 0..REPOSITORIES {
            let (service, repository) = (format!("shop-{number}"), repository(number));
            config += &format!(
                "[[repository]]\nname = \"{repository}\"\n[[service]]\nname = \"{service}\"\nrepository = \"{repository}\"\n"
            );
        }
        fs::write(folder.join("longshore.toml"), config)?;
        let secrets = FileSecrets::open(&folder.join(".longshore/secrets"), [])?;
        secrets.set("github", &Secret::new(SECRET.to_owned()))?;
        let host = Host::start(settings, &folder, Some(Machine::measured_core()))?;
        Ok(Self { host, next: AtomicU64::new(0) })
    }

    /// Sends load, waits until nothing is owed, and checks that each delivery became an event. Answers events a second.
    fn taken(&self, load: impl FnOnce(&AtomicU64) -> Result<Outcome>) -> Result<(f64, Outcome)> {
        let before = self.events()?;
        let begun = Instant::now();
        let outcome = load(&self.next)?.whole()?;
        while self.owes()? {
            if begun.elapsed() > PATIENCE {
                let owed = self.host.get::<Status>("/api/status")?.work.deliveries;
                let (taken, time) = (outcome.answered, PATIENCE.as_secs());
                bail!(
                    "of {taken} events taken in {:.0} s, {owed} deliveries are still owed after {time} s",
                    outcome.seconds
                );
            }
            sleep(Duration::from_millis(10));
        }
        let rate = float(outcome.answered) / begun.elapsed().as_secs_f64();
        eprintln!(
            "    {} taken in {:.1} s, handled after {:.1} s",
            outcome.answered,
            outcome.seconds,
            begun.elapsed().as_secs_f64()
        );
        let taken = self.events()? - before;
        if taken != outcome.answered {
            bail!("{} deliveries were answered, but {taken} events are kept", outcome.answered);
        }
        Ok((rate, outcome))
    }

    fn owes(&self) -> Result<bool> {
        Ok(self.host.get::<Status>("/api/status")?.work.deliveries > 0)
    }

    /// The number of the newest event.
    fn events(&self) -> Result<u64> {
        let newest: Events = self.host.get("/api/events?limit=1")?;
        Ok(newest.events.last().map_or(0, |event| event.seq))
    }

    fn memory(&self) -> Result<Row> {
        let (bytes, events) = (rss(self.host.pid())?, self.events()?);
        Ok(Row {
            name: "intake memory",
            goal: "≤ 60 MB after 1,000,000 events".into(),
            measured: format!("{:.0} MiB after {events} events", mib(bytes)),
            ratio: None,
            met: bytes <= 60_000_000 && events >= 1_000_000,
        })
    }
}

/// Debian's `webhook`.
struct Theirs {
    _server: Server,
    address: std::net::SocketAddr,
    file: std::path::PathBuf,
    next: AtomicU64,
}

impl Theirs {
    fn start(settings: &Settings, folder: &Path) -> Result<Self> {
        let folder = folder.join("theirs");
        fs::create_dir(&folder)?;
        let (script, hooks, file) = (folder.join("append"), folder.join("hooks.json"), folder.join("pushes"));
        fs::write(&script, format!("#!/bin/sh\necho \"$1\" >> '{}'\necho taken\n", file.display()))?;
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;
        let rule = json!({ "match": {
            "type": "payload-hmac-sha256", "secret": SECRET,
            "parameter": { "source": "header", "name": "X-Hub-Signature-256" },
        } });
        let hook = json!([{
            "id": "github", "execute-command": script, "include-command-output-in-response": true,
            "pass-arguments-to-command": [{ "source": "header", "name": "X-GitHub-Delivery" }],
            "trigger-rule": rule,
        }]);
        fs::write(&hooks, hook.to_string())?;
        let (program, address) = (peers::program(settings, "webhook", "usr/bin/webhook")?, free_address()?);
        let port = address.port().to_string();
        let arguments = ["-hooks", "hooks.json", "-ip", "127.0.0.1", "-port", &port];
        let log = folder.join("webhook.log");
        let mut server = Server::start(&program, &arguments, Some(Machine::measured_core()), &log)?;
        server.listens(address)?;
        Ok(Self { _server: server, address, file, next: AtomicU64::new(0) })
    }

    /// Whether its command ran for each delivery.
    fn check(&self) -> Result<()> {
        let lines = fs::read_to_string(&self.file)?.lines().count() as u64;
        // Numbers were taken for requests that were not sent any more when the time was over.
        if lines == 0 || lines > self.next.load(Ordering::Relaxed) {
            bail!("webhook ran its command {lines} times");
        }
        Ok(())
    }
}
