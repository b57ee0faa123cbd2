//! Processor time for each request through our proxy and through nginx, to the same service, by turns; and whether a
//! request is lost while the weights of two releases change 100 times.
//!
//! nginx: one worker, HTTP/1.1 to the service over 64 kept connections, no access log. Both proxies may use every core;
//! what counts is the processor time that each used, which the kernel tells.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, sleep};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use longshore_events::{Data, EnvironmentName, Event, ImageRef, ServiceName};
use longshore_ports::{
    Desired, DesiredRelease, Health, Phase, ProbeTarget, RunSpec, Workload, Workloads as _,
};
use longshore_runner::{Listed, RunnerClient};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::host::runtime;
use crate::load::{Load, Until};
use crate::machine::Machine;
use crate::peers;
use crate::process::{Server, cpu, free_address};
use crate::row::Row;
use crate::settings::Settings;
use crate::stage::{HOST_NAME, Stage};
use crate::stats::{float, median};

const TURNS: usize = 3;
const REQUESTS: u64 = 40_000;
const CONNECTIONS: u32 = 32;
const CHANGES: u32 = 100;
/// Between two changes of the weights.
const EVERY: Duration = Duration::from_millis(50);

pub(crate) fn run(settings: &Settings) -> Result<Vec<Row>> {
    let runtime = runtime()?;
    let mut stage = Stage::set(settings)?;
    let commit = stage.commit("the only change")?;
    stage.push()?;
    stage.until_running(&commit)?;
    let runner = stage.host.runner();
    let info = runtime.block_on(runner.info())?;
    let listed = only(&runtime, &runner)?;
    let port = listed.releases.last().and_then(|release| release.port).context("the service has no port")?;
    let folder = TempDir::with_prefix("longshore-bench-")?;
    let nginx = Nginx::start(settings, folder.path(), port)?;
    let to = |address| Load { address, connections: CONNECTIONS, core: settings.machine.load_core() };
    let make = |_| format!("GET / HTTP/1.1\r\nhost: {HOST_NAME}\r\n\r\n").into_bytes();
    let each = |load: Load, pid: u32| -> Result<f64> {
        let before = cpu(pid)?;
        load.closed(Until::Count(REQUESTS), &AtomicU64::new(0), &make)?.whole()?;
        Ok(cpu(pid)?.saturating_sub(before).as_secs_f64() * 1e6 / float(REQUESTS))
    };
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for turn in 1..=TURNS {
        ours.push(each(to(info.proxy), info.pid)?);
        theirs.push(each(to(nginx.address), nginx.server.pid())?);
        eprintln!("    turn {turn} of {TURNS}: {:.1} µs and {:.1} µs", ours[turn - 1], theirs[turn - 1]);
    }
    let (ours, theirs) = (median(&ours), median(&theirs));
    let image = image(&stage.events).context("no image was said")?;
    stage.host.leave_the_runner()?;
    let (sent, lost) = shift(&runtime, &runner, &listed, &image, to(info.proxy), &make)?;
    Ok(vec![
        Row {
            name: "proxy processor time",
            goal: "≤ 1.5 times nginx 1.22, for each request".into(),
            measured: format!("{ours:.1} µs a request, nginx {theirs:.1} µs"),
            ratio: Some(ours / theirs),
            met: ours <= 1.5 * theirs,
        },
        Row {
            name: "proxy while weights change",
            goal: format!("no request lost over {CHANGES} changes"),
            measured: format!("{lost} lost of {sent} over {CHANGES} changes"),
            ratio: None,
            met: lost == 0,
        },
    ])
}

fn only(runtime: &Runtime, runner: &RunnerClient) -> Result<Listed> {
    let mut listed = runtime.block_on(runner.list())?;
    listed.pop().context("the runner runs nothing")
}

/// The image that was deployed.
fn image(events: &[Event]) -> Option<ImageRef> {
    events.iter().rev().find_map(|event| match &event.data {
        Data::ImagePushed(fact) => Some(ImageRef::new(fact.image.clone(), fact.digest.clone())),
        _ => None,
    })
}

/// Starts a second release beside the first, and moves the weights between them under load. Answers how many requests
/// were sent, and how many were lost.
fn shift(
    runtime: &Runtime,
    runner: &RunnerClient,
    listed: &Listed,
    image: &ImageRef,
    load: Load,
    make: &(dyn Fn(u64) -> Vec<u8> + Sync),
) -> Result<(u64, u64)> {
    let workload =
        Workload { environment: EnvironmentName::new("local")?, service: ServiceName::new("hello")? };
    let (old, new) = (listed.generation, listed.generation + 1);
    let wish = |step: u32, weight: u8| Desired {
        workload: workload.clone(),
        generation: new,
        step,
        releases: vec![release(old, image, 100 - weight), release(new, image, weight)],
    };
    runtime.block_on(runner.apply(&wish(0, 0)))?;
    let ready = || -> Result<bool> {
        let seen = runtime.block_on(runner.observe(&workload))?;
        Ok(seen.release(new).is_some_and(|release| release.phase == Phase::Ready))
    };
    for _ in 0..500 {
        if ready()? {
            break;
        }
        sleep(Duration::from_millis(20));
    }
    if !ready()? {
        bail!("a second release did not become ready");
    }
    let over = AtomicBool::new(false);
    let next = AtomicU64::new(0);
    thread::scope(|scope| {
        let loading = scope.spawn(|| {
            let (mut sent, mut lost) = (0, 0);
            while !over.load(Ordering::Relaxed) {
                let outcome = load.closed(Until::Count(2_000), &next, make)?;
                sent += outcome.answered + outcome.failed;
                lost += outcome.failed;
            }
            anyhow::Ok((sent, lost))
        });
        let changed = (1..=CHANGES).try_for_each(|step| {
            sleep(EVERY);
            let weight = u8::try_from(step * 37 % 101).unwrap_or_default();
            runtime.block_on(runner.apply(&wish(step, weight)))
        });
        over.store(true, Ordering::Relaxed);
        let counted = loading.join().map_err(|_| anyhow::anyhow!("the load ended early"))?;
        changed?;
        counted
    })
}

fn release(number: u64, image: &ImageRef, weight: u8) -> DesiredRelease {
    let probe = Health {
        target: ProbeTarget::Http("/ready".into()),
        interval_ms: 10_000,
        timeout_ms: 1_000,
        failures: 3,
    };
    let run = RunSpec {
        env: std::collections::BTreeMap::new(),
        args: None,
        ready: probe.clone(),
        health: Some(probe),
        drain_ms: 100,
        stop_ms: 1_000,
    };
    DesiredRelease { release: number, image: image.clone(), weight, run, manifests: None }
}

/// Debian's nginx, in front of the service.
struct Nginx {
    server: Server,
    address: std::net::SocketAddr,
}

impl Nginx {
    fn start(settings: &Settings, folder: &Path, service: u16) -> Result<Self> {
        let (program, address) =
            (peers::program(settings, "nginx-light", "usr/sbin/nginx")?, free_address()?);
        let config = format!(
            "daemon off; master_process off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;\n\
             events {{ worker_connections 1024; }}\n\
             http {{ access_log off; keepalive_requests 100000000;\n\
               client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;\n\
               uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;\n\
               upstream service {{ server 127.0.0.1:{service}; keepalive 64; keepalive_requests 100000000; }}\n\
               server {{ listen {address}; location / {{ proxy_pass http://service; proxy_http_version 1.1;\n\
                 proxy_set_header Connection \"\"; proxy_set_header Host $host;\n\
                 proxy_set_header X-Forwarded-For $remote_addr; }} }} }}\n",
            folder = folder.display()
        );
        let path = folder.join("nginx.conf");
        fs::write(&path, config)?;
        let path = path.display().to_string();
        let arguments = ["-c", &path, "-e", "error.log", "-p", "."];
        let core = Machine::measured_core();
        let mut server = Server::start(&program, &arguments, Some(core), &folder.join("nginx.log"))?;
        server.listens(address)?;
        Ok(Self { server, address })
    }
}
