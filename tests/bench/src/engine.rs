//! The load engine against k6 and wrk, by turns: the same script against the same nginx, the target on one core, the
//! generator on the other.
//!
//! What counts is processor time for each request, and the most memory that was held. A script with a check and a tag;
//! one that sleeps a second, as most scripts do, for memory; arrivals at a fixed rate; and one that computes.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use tempfile::TempDir;

use crate::machine::Machine;
use crate::peers;
use crate::process::{Server, cpu_of_children, free_address, peak};
use crate::row::Row;
use crate::settings::Settings;
use crate::stats::{float, median, mib};

const TURNS: usize = 3;
const SECONDS: u32 = 4;

/// What a generator did.
#[derive(Debug, Default, Clone)]
struct Did {
    requests: u64,
    /// Processor time, in seconds.
    cpu: f64,
    /// The most memory, in bytes.
    peak: u64,
    /// The summary's metrics.
    metrics: Value,
}

impl Did {
    /// Seconds of processor time for 100,000 requests.
    fn each(&self) -> f64 {
        self.cpu * 1e5 / float(self.requests.max(1))
    }

    fn figure(&self, metric: &str, figure: &str) -> f64 {
        self.metrics[metric][figure].as_f64().unwrap_or_default()
    }
}

struct Bench<'a> {
    settings: &'a Settings,
    folder: TempDir,
    target: SocketAddr,
    _nginx: Server,
}

pub(crate) fn run(settings: &Settings) -> Result<Vec<Row>> {
    let folder = TempDir::with_prefix("longshore-bench-")?;
    let (nginx, target) = nginx(settings, folder.path())?;
    let bench = Bench { settings, folder, target, _nginx: nginx };
    let mut rows = bench.requests(50, "load, processor time at 50 VUs", "load, requests at 50 VUs", 0.75)?;
    rows.extend(bench.requests(500, "load, processor time at 500 VUs", "load, requests at 500 VUs", 0.65)?);
    rows.push(bench.memory(500, "load, memory at 500 VUs that sleep")?);
    rows.push(bench.memory(5_000, "load, memory at 5,000 VUs that sleep")?);
    rows.push(bench.arrivals()?);
    rows.push(bench.computing()?);
    Ok(rows)
}

impl Bench<'_> {
    /// As fast as it goes: processor time and requests against k6, requests against wrk.
    fn requests(&self, vus: u32, time: &'static str, rate: &'static str, part: f64) -> Result<Vec<Row>> {
        let script = self.script(&format!(
            "import http from 'k6/http'; import {{ check }} from 'k6';\n\
             export const options = {{ vus: {vus}, duration: '{SECONDS}s' }};\n\
             export default function () {{\n\
               const answer = http.get('http://{}/', {{ tags: {{ kind: 'home' }} }});\n\
               check(answer, {{ 'is 200': (r) => r.status === 200 }});\n}}\n",
            self.target
        ))?;
        let (mut ours, mut theirs, mut wrks) = (Vec::new(), Vec::new(), Vec::new());
        for turn in 1..=TURNS {
            ours.push(self.longshore(&script)?);
            theirs.push(self.k6(&script)?);
            wrks.push(self.wrk(vus)?);
            let each = [&ours, &theirs, &wrks].map(|all| all.last().map_or(0.0, Did::each));
            eprintln!("    turn {turn} of {TURNS}: {:.2}, k6 {:.2}, wrk {:.2} s", each[0], each[1], each[2]);
        }
        let of = |all: &[Did], figure: fn(&Did) -> f64| median(&all.iter().map(figure).collect::<Vec<_>>());
        let (our, their, wrk) = (of(&ours, Did::each), of(&theirs, Did::each), of(&wrks, Did::each));
        let per_second = |did: &Did| float(did.requests) / f64::from(SECONDS);
        let (our_rate, their_rate, wrk_rate) =
            (of(&ours, per_second), of(&theirs, per_second), of(&wrks, per_second));
        Ok(vec![
            Row {
                name: time,
                goal: "≤ 0.15 times k6 1.1, for 100,000 requests with a check and a tag".into(),
                measured: format!("{our:.2} s, k6 {their:.2} s, wrk {wrk:.2} s"),
                ratio: Some(our / their),
                met: our <= 0.15 * their,
            },
            Row {
                name: rate,
                goal: format!("≥ 6 times k6 1.1, ≥ {part} times wrk 4.1, on one core"),
                measured: format!("{our_rate:.0} a second, k6 {their_rate:.0}, wrk {wrk_rate:.0}"),
                ratio: Some(our_rate / their_rate),
                met: our_rate >= 6.0 * their_rate && our_rate >= part * wrk_rate,
            },
        ])
    }

    fn memory(&self, vus: u32, name: &'static str) -> Result<Row> {
        let script = self.script(&format!(
            "import http from 'k6/http'; import {{ check, sleep }} from 'k6';\n\
             export const options = {{ vus: {vus}, duration: '6s' }};\n\
             export default function () {{\n\
               check(http.get('http://{}/'), {{ 'is 200': (r) => r.status === 200 }});\n  sleep(1);\n}}\n",
            self.target
        ))?;
        let (ours, theirs) = (self.longshore(&script)?, self.k6(&script)?);
        let p95 = |did: &Did| did.figure("http_req_duration", "p(95)");
        Ok(Row {
            name,
            goal: "≤ 0.3 times k6 1.1, at the peak".into(),
            measured: format!(
                "{:.0} MiB, k6 {:.0} MiB; p(95) {:.1} ms, k6 {:.1} ms",
                mib(ours.peak),
                mib(theirs.peak),
                p95(&ours),
                p95(&theirs)
            ),
            ratio: Some(float(ours.peak) / float(theirs.peak)),
            met: float(ours.peak) <= 0.3 * float(theirs.peak),
        })
    }

    fn arrivals(&self) -> Result<Row> {
        let script = self.script(&format!(
            "import http from 'k6/http';\n\
             export const options = {{ scenarios: {{ all: {{ executor: 'constant-arrival-rate', rate: 20000,\n\
               duration: '5s', preAllocatedVUs: 200 }} }} }};\n\
             export default function () {{ http.get('http://{}/'); }}\n",
            self.target
        ))?;
        let did = self.longshore(&script)?;
        let dropped = did.figure("dropped_iterations", "count");
        let sent = did.figure("iterations", "count");
        Ok(Row {
            name: "load, 20,000 arrivals a second",
            goal: "on one core, none dropped".into(),
            measured: format!(
                "{sent:.0} begun in 5 s, {dropped:.0} dropped; from the intended start p(95) {:.2} ms",
                did.figure("iteration_duration", "p(95)")
            ),
            ratio: None,
            met: dropped < 1.0 && sent >= 99_999.0,
        })
    }

    fn computing(&self) -> Result<Row> {
        let script = self.script(
            "const text = JSON.stringify(Array.from({ length: 200 }, (_, id) => ({ id, name: 'n'.repeat(30) })));\n\
             export const options = { vus: 2, iterations: 200 };\n\
             export default function () {\n\
               let sum = JSON.parse(text).length;\n  for (let i = 0; i < 100000; i += 1) sum += i % 7;\n\
               if (sum < 0) throw new Error('never');\n}\n",
        )?;
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..TURNS {
            ours.push(self.longshore(&script)?.cpu);
            theirs.push(self.k6(&script)?.cpu);
        }
        let (ours, theirs) = (median(&ours) * 5.0, median(&theirs) * 5.0);
        Ok(Row {
            name: "load, a script that computes",
            goal: "≤ 1.0 times k6 1.1: 10 KB of JSON and a loop of 100,000 steps".into(),
            measured: format!("{ours:.1} ms an iteration, k6 {theirs:.1} ms"),
            ratio: Some(ours / theirs),
            met: ours <= theirs,
        })
    }

    fn script(&self, text: &str) -> Result<PathBuf> {
        let path = self.folder.path().join("script.js");
        fs::write(&path, text)?;
        Ok(path)
    }

    fn longshore(&self, script: &Path) -> Result<Did> {
        let mut command = self.on_the_loads_core(&self.settings.longshore);
        // A busy machine makes the generator late; here that is a figure, and no verdict.
        command.args(["load", "run", "--quiet", "--loops", "1", "--max-lag", "60000"]);
        self.generate(command, script)
    }

    fn k6(&self, script: &Path) -> Result<Did> {
        let mut command = self.on_the_loads_core(Path::new("k6"));
        command
            .args(["run", "--quiet", "--address", "", "--no-usage-report"])
            .env("HOME", self.folder.path());
        self.generate(command, script)
    }

    fn generate(&self, mut command: Command, script: &Path) -> Result<Did> {
        let summary = self.folder.path().join("summary.json");
        command.arg("--summary-export").arg(&summary).arg(script);
        let (mut did, said) = measure(command)?;
        let text = fs::read_to_string(&summary).with_context(|| format!("no summary was written: {said}"))?;
        let mut summary: Value = serde_json::from_str(&text)?;
        did.metrics = summary["metrics"].take();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
        let requests = did.figure("http_reqs", "count") as u64;
        did.requests = requests;
        Ok(did)
    }

    fn wrk(&self, connections: u32) -> Result<Did> {
        let program = peers::program(self.settings, "wrk", "usr/bin/wrk")?;
        let libraries = self.settings.peers.join("wrk/usr/lib");
        let folders =
            fs::read_dir(&libraries)?.filter_map(|entry| Some(entry.ok()?.path().display().to_string()));
        let mut command = self.on_the_loads_core(&program);
        command.env("LD_LIBRARY_PATH", folders.collect::<Vec<_>>().join(":"));
        command.args([
            "-t1",
            &format!("-c{connections}"),
            &format!("-d{SECONDS}s"),
            &format!("http://{}/", self.target),
        ]);
        let (mut did, said) = measure(command)?;
        let count = said.split(" requests in").next().and_then(|text| text.split_whitespace().last());
        did.requests =
            count.and_then(|count| count.parse().ok()).with_context(|| format!("wrk says {said:?}"))?;
        Ok(did)
    }

    fn on_the_loads_core(&self, program: &Path) -> Command {
        let mut command = Command::new("taskset");
        command.arg("--cpu-list").arg(self.settings.machine.load_core().to_string()).arg(program);
        command
    }
}

/// Runs it to its end, with what it printed.
fn measure(mut command: Command) -> Result<(Did, String)> {
    let before = cpu_of_children()?;
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let peak = watch(&mut child)?;
    let output = child.wait_with_output()?;
    let cpu = cpu_of_children()?.saturating_sub(before).as_secs_f64();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        bail!("a generator ended with {}: {said}", output.status);
    }
    Ok((Did { cpu, peak, ..Did::default() }, said))
}

/// The most memory that it held until it ended; what it prints is little, and waits.
fn watch(child: &mut Child) -> Result<u64> {
    let mut most = 0;
    while child.try_wait()?.is_none() {
        // It may have ended meanwhile.
        most = most.max(peak(child.id()).unwrap_or_default());
        sleep(Duration::from_millis(20));
    }
    Ok(most)
}

/// Debian's nginx, which answers a few bytes.
fn nginx(settings: &Settings, folder: &Path) -> Result<(Server, SocketAddr)> {
    let (program, address) = (peers::program(settings, "nginx-light", "usr/sbin/nginx")?, free_address()?);
    let config = format!(
        "daemon off; master_process off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;\n\
         events {{ worker_connections 12000; }}\n\
         http {{ access_log off; keepalive_requests 100000000;\n\
           client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;\n\
           uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;\n\
           server {{ listen {address} backlog=8192; location / {{ return 200 \"hello\"; }} }} }}\n",
        folder = folder.display()
    );
    let path = folder.join("nginx.conf");
    fs::write(&path, config)?;
    let path = path.display().to_string();
    let arguments = ["-c", &path, "-e", "error.log", "-p", "."];
    let mut server =
        Server::start(&program, &arguments, Some(Machine::measured_core()), &folder.join("nginx.log"))?;
    server.listens(address)?;
    Ok((server, address))
}
