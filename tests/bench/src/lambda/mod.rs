//! The functions as Lambda functions: how soon each asks for its first work, the memory that it holds after calls to AWS,
//! and how large its archive is; beside them a bare loop in plain std, and the same intake in Python with boto3.
//!
//! All are started by turns under one emulated Runtime API, over a moto behind TLS. Processor time is what the kernel says
//! of the process: what it waited for is not in it.

mod sandbox;
mod surroundings;
mod tls;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use flate2::Compression;
use flate2::write::DeflateEncoder;
use serde_json::{Value, json};
use tempfile::TempDir;

use self::sandbox::{Program, Sandbox};
use self::surroundings::{Surroundings, push, status};
use crate::row::Row;
use crate::settings::Settings;
use crate::stats::{float, median, mib};

const FLOOR: &str = include_str!("../../floor/main.rs");
const INTAKE_IN_PYTHON: &str = include_str!("../../../peers/intake.py");
/// The functions, each with its row.
const FUNCTIONS: [(&str, &str); 9] = [
    ("build", "build on Lambda"),
    ("console", "console on Lambda"),
    ("deploy", "deploy on Lambda"),
    ("gate", "gate on Lambda"),
    ("intake", "intake on Lambda"),
    ("refcheck", "refcheck on Lambda"),
    ("report", "report on Lambda"),
    ("scan", "scan on Lambda"),
    ("sweep", "sweep on Lambda"),
];
/// Python takes a hundred times as long: it starts at every so many turns.
const TURNS_OF_PYTHON: u32 = 5;
/// Invocations from which on processor time is that of a warm function.
const WARM: usize = 5;
/// What an archive has beside its content, in bytes: names and directory.
const ZIP_FRAME: u64 = 140;

const MOST_TIME: f64 = 2.2;
const MOST_MEMORY: f64 = 4.0;
/// In bytes.
const MOST_ZIP: f64 = 2_200_000.0;
/// In milliseconds of processor time.
const MOST_FIRST_CALL: f64 = 3.0;

/// What was measured of a program.
#[derive(Default)]
struct Measured {
    /// Milliseconds.
    inits: Vec<f64>,
    /// Milliseconds of processor time.
    init_cpus: Vec<f64>,
    /// Bytes.
    rss: u64,
    /// Milliseconds of processor time for each invocation.
    cpu: Vec<f64>,
}

impl Measured {
    fn start(&mut self, program: &Program) -> Result<()> {
        let sandbox = Sandbox::start(program)?;
        self.inits.push(millis(sandbox.init));
        self.init_cpus.push(millis(sandbox.init_cpu));
        Ok(())
    }

    fn init(&self) -> f64 {
        median(&self.inits)
    }

    /// For a warm invocation.
    fn warm(&self) -> f64 {
        median(self.cpu.get(WARM..).unwrap_or_default())
    }
}

pub(crate) fn run(settings: &Settings) -> Result<Vec<Row>> {
    let folder = TempDir::with_prefix("longshore-bench-")?;
    let surroundings = Surroundings::start(folder.path())?;
    let floor = program(compile(folder.path())?, &[]);
    let script = folder.path().join("intake.py");
    std::fs::write(&script, INTAKE_IN_PYTHON)?;
    let mut python = program("boto3-python".into(), &surroundings.variables);
    python.arguments = vec![script.into()];
    // Its interpreter is found as everything else is.
    python.variables.push(("PATH", settings.path.clone()));
    let functions = functions(settings, &surroundings)?;

    let (mut bare, mut ours) = (Measured::default(), Vec::new());
    ours.resize_with(functions.len(), Measured::default);
    let mut theirs = Measured::default();
    for turn in 0..settings.starts {
        bare.start(&floor)?;
        for (function, measured) in functions.iter().zip(&mut ours) {
            measured.start(function)?;
        }
        if turn % TURNS_OF_PYTHON == 0 {
            theirs.start(&python)?;
        }
    }
    eprintln!("    started; now they work");
    let calls = u64::from(settings.starts);
    work(&floor, &mut bare, &(0..calls).map(|number| json!({ "number": number })).collect::<Vec<_>>())?;
    let pushes = (0..calls).map(push).collect::<Result<Vec<_>>>()?;
    work_of("intake", &functions, &mut ours, &pushes)?;
    let told = surroundings.bus();
    let more = (calls..2 * calls).map(push).collect::<Result<Vec<_>>>()?;
    work(&python, &mut theirs, &more)?;
    for function in ["refcheck", "build"] {
        work_of(function, &functions, &mut ours, &told)?;
    }
    work_of("console", &functions, &mut ours, &vec![status(); told.len()])?;
    work_of("sweep", &functions, &mut ours, &vec![json!({}); told.len()])?;
    let image = format!("shop-0@sha256:{}", "0".repeat(64));
    let shown = format!("build/shop-0@{}", "0".repeat(40));
    let units = [
        ("deploy", "prod/shop-0".into()),
        ("gate", format!("prod/{image}")),
        ("report", shown),
        ("scan", image),
    ];
    for (function, unit) in units {
        let hint = json!({ "function": function, "unit": unit });
        work_of(function, &functions, &mut ours, &vec![hint; told.len()])?;
    }

    let mut rows = Vec::new();
    for (((_, name), function), measured) in FUNCTIONS.iter().zip(&functions).zip(&ours) {
        rows.push(row(name, measured, &bare, zip(&function.path)?));
    }
    let intake = &ours[index("intake")];
    rows.push(compared(intake, &theirs));
    rows.push(first_call(&functions[index("build")], &surroundings, settings.starts)?);
    rows.push(decision(&ours[index("refcheck")], &bare));
    Ok(rows)
}

fn program(path: PathBuf, variables: &[(&'static str, String)]) -> Program {
    Program { path, arguments: Vec::new(), variables: variables.to_vec() }
}

fn functions(settings: &Settings, surroundings: &Surroundings) -> Result<Vec<Program>> {
    let built = |(name, _): &(&str, &str)| {
        let path = settings.functions.join(format!("longshore-{name}/bootstrap"));
        if !path.is_file() {
            bail!("{} is missing: run `cargo xtask bench lambda`", path.display());
        }
        Ok(program(path, &surroundings.variables))
    };
    FUNCTIONS.iter().map(built).collect()
}

fn index(name: &str) -> usize {
    FUNCTIONS.iter().position(|(known, _)| *known == name).unwrap_or_default()
}

fn work_of(name: &str, functions: &[Program], ours: &mut [Measured], payloads: &[Value]) -> Result<()> {
    let index = index(name);
    work(&functions[index], &mut ours[index], payloads).with_context(|| format!("the function {name}"))
}

/// Invokes a program with each payload; all must be answered.
fn work(program: &Program, measured: &mut Measured, payloads: &[Value]) -> Result<()> {
    if payloads.len() <= WARM {
        bail!("{} payloads are too few", payloads.len());
    }
    let mut sandbox = Sandbox::start(program)?;
    for payload in payloads {
        let outcome = sandbox.invoke(payload)?;
        let said = outcome.said.map_err(|error| anyhow::anyhow!("an invocation failed: {error}"))?;
        if let Some(status) = said["statusCode"].as_u64().filter(|status| *status >= 300) {
            bail!("an invocation was answered with {status}: {said}");
        }
        measured.cpu.push(millis(outcome.cpu));
    }
    measured.rss = sandbox.rss()?;
    Ok(())
}

fn row(name: &'static str, measured: &Measured, bare: &Measured, zip: u64) -> Row {
    let (slower, larger) = (measured.init() / bare.init(), float(measured.rss) / float(bare.rss));
    Row {
        name,
        goal: "at work ≤ 2.2 times as late as a bare loop, memory ≤ 4 times, archive ≤ 2.2 MB".into(),
        measured: format!(
            "{:.2} ms ({:.2} of processor time), bare loop {:.2} ({:.2}); {:.1} MiB after calls, {larger:.2} times; \
             archive {:.2} MB",
            measured.init(),
            median(&measured.init_cpus),
            bare.init(),
            median(&bare.init_cpus),
            mib(measured.rss),
            float(zip) / 1e6
        ),
        ratio: Some(slower),
        met: slower <= MOST_TIME && larger <= MOST_MEMORY && float(zip) <= MOST_ZIP,
    }
}

/// For who must choose.
fn compared(ours: &Measured, theirs: &Measured) -> Row {
    let first = |measured: &Measured| measured.cpu.first().copied().unwrap_or_default();
    Row {
        name: "intake and the same in Python",
        goal: "for who must choose: Python 3 with boto3, the same calls".into(),
        measured: format!(
            "at work after {:.1} ms, Python {:.0}; {:.1} MiB, Python {:.1}; processor time of the first push {:.1} ms, \
             Python {:.1}; of each further one {:.2} ms, Python {:.2}",
            ours.init(),
            theirs.init(),
            mib(ours.rss),
            mib(theirs.rss),
            first(ours),
            first(theirs),
            ours.warm(),
            theirs.warm()
        ),
        ratio: Some(ours.init() / theirs.init()),
        met: ours.init() < theirs.init() && ours.rss < theirs.rss,
    }
}

/// A function that reads a table that is not there makes one call and no more.
fn first_call(function: &Program, surroundings: &Surroundings, starts: u32) -> Result<Row> {
    let lost = Program { variables: surroundings.with("LONGSHORE_TABLE", "nowhere"), ..function.clone() };
    let hint = json!({ "function": "build", "unit": "shop-0@1" });
    let (mut first, mut second) = (Vec::new(), Vec::new());
    for _ in 0..starts {
        let mut sandbox = Sandbox::start(&lost)?;
        for cpu in [&mut first, &mut second] {
            let outcome = sandbox.invoke(&hint)?;
            let said = outcome.said.err().map(|error| error.to_string()).unwrap_or_default();
            if !said.contains("LS0602") {
                bail!("the table was to be missing, not {said:?}");
            }
            cpu.push(millis(outcome.cpu));
        }
    }
    Ok(Row {
        name: "first call to AWS over TLS",
        goal: "≤ 3 ms of processor time".into(),
        measured: format!("{:.2} ms, the second {:.2} ms", median(&first), median(&second)),
        ratio: None,
        met: median(&first) <= MOST_FIRST_CALL,
    })
}

/// The ref check notes a push: one decision of the frame, with what it reads, commits and publishes.
fn decision(measured: &Measured, bare: &Measured) -> Row {
    Row {
        name: "a decision on Lambda, warm",
        goal: "processor time, without what the calls wait for; no goal is set".into(),
        measured: format!(
            "{:.2} ms for open, commit and publish over TLS; a bare loop's invocation {:.2} ms",
            measured.warm(),
            bare.warm()
        ),
        ratio: None,
        met: true,
    }
}

/// The size of the archive that is deployed: the binary alone, as `sam` packs it.
fn zip(binary: &Path) -> Result<u64> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(&std::fs::read(binary)?)?;
    Ok(encoder.finish()?.len() as u64 + ZIP_FRAME)
}

/// Compiles the floor as the functions are.
fn compile(folder: &Path) -> Result<PathBuf> {
    let source = folder.join("floor.rs");
    std::fs::write(&source, FLOOR)?;
    let mut command = Command::new("rustc");
    command.current_dir(folder).args(["--edition", "2024", "-C", "opt-level=s", "-C", "lto=fat"]);
    command.args(["-C", "codegen-units=1", "-C", "strip=symbols", "floor.rs"]);
    let output = command.output().context("cannot run rustc")?;
    if !output.status.success() {
        bail!("the bare loop does not compile: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(folder.join("floor"))
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
