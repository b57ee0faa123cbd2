//! `cargo xtask fuzz`: each target under libFuzzer for a while, from the seeds and from what earlier runs kept.
//!
//! The fuzzed programs are built on stable Rust, without a sanitizer: our code has no `unsafe`, and a panic, a hang or
//! a gigabyte of memory is a finding as well.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::context::Context;
use crate::step::{Failure, output, run};
use crate::{peers, suggest};

const CRATE: &str = "tests/fuzz";
/// What the findings go on to be: inputs of an ordinary test.
const REGRESSIONS: &str = "tests/fuzz/regressions";
/// A minute each.
const SECONDS: u64 = 60;
/// How often a running target says how far it is.
const PULSE: Duration = Duration::from_secs(10);
/// An input that takes longer is a finding.
const SLOW: &str = "-timeout=10";
/// So is one for which the program needs more, in MiB.
const LARGE: &str = "-rss_limit_mb=1024";
/// The longest input, in bytes.
const LONG: &str = "-max_len=65536";

/// What the words after the task's name ask for.
#[derive(Debug, PartialEq, Eq)]
struct Wanted {
    seconds: u64,
    targets: Vec<String>,
}

/// Where things are for one run.
struct Yard<'a> {
    context: &'a Context,
    cargo_fuzz: PathBuf,
    folder: PathBuf,
}

/// Fuzzes the targets that `arguments` name, or all; fails when one of them found something.
pub(crate) fn task(context: &Context, arguments: &[String]) -> Result<(), Failure> {
    let wanted = wanted(arguments)?;
    let cargo_fuzz = peers::bring_fuzz(context)?;
    let yard = Yard { context, cargo_fuzz, folder: context.root.join("target/fuzz") };
    let known = yard.targets()?;
    let targets = chosen(&wanted.targets, &known)?;
    yard.prepare()?;
    yard.build()?;
    let mut found = Vec::new();
    for target in &targets {
        found.extend(yard.fuzz(target, wanted.seconds)?.map(|input| (target, input)));
    }
    if found.is_empty() {
        eprintln!("fuzz: nothing found in {} targets, {} s each", targets.len(), wanted.seconds);
        return Ok(());
    }
    for (target, input) in &found {
        eprintln!(
            "fuzz: {target} fails on {}; once it is mended, keep it in {REGRESSIONS}/{target}/",
            input.display()
        );
    }
    Err(format!("{} of {} targets found something", found.len(), targets.len()).into())
}

fn wanted(arguments: &[String]) -> Result<Wanted, Failure> {
    let mut wanted = Wanted { seconds: SECONDS, targets: Vec::new() };
    let mut rest = arguments.iter();
    while let Some(word) = rest.next() {
        if word == "--seconds" {
            let number = rest.next().and_then(|number| number.parse().ok()).filter(|number| *number > 0);
            wanted.seconds = number.ok_or("--seconds takes a whole number, at least 1")?;
        } else if word.starts_with('-') {
            return Err(format!("fuzz takes --seconds N and targets, but was given {word:?}").into());
        } else {
            wanted.targets.push(word.clone());
        }
    }
    Ok(wanted)
}

fn chosen(wanted: &[String], known: &[String]) -> Result<Vec<String>, Failure> {
    if let Some(name) = wanted.iter().find(|name| !known.contains(name)) {
        let near = suggest::nearest(name, known.iter().map(String::as_str));
        let near = near.map(|near| format!("; did you mean {near:?}")).unwrap_or_default();
        return Err(format!("no target {name:?}{near}; there are {}", known.join(", ")).into());
    }
    Ok(if wanted.is_empty() { known.to_vec() } else { wanted.to_vec() })
}

impl Yard<'_> {
    fn cargo_fuzz(&self, arguments: &[&str]) -> Command {
        let mut command = self.context.program(&self.cargo_fuzz);
        let (subcommand, rest) = arguments.split_at(1);
        command.arg("fuzz").args(subcommand).args(["--fuzz-dir", CRATE]).args(rest);
        command
    }

    fn targets(&self) -> Result<Vec<String>, Failure> {
        let listed = output(&mut self.cargo_fuzz(&["list"]))?;
        Ok(listed.lines().map(str::to_owned).collect())
    }

    /// Writes the seeds, and has the fuzzed programs use the versions that the workspace uses.
    fn prepare(&self) -> Result<(), Failure> {
        let lock = (self.context.root.join("Cargo.lock"), self.context.root.join(CRATE).join("Cargo.lock"));
        fs::copy(&lock.0, &lock.1).map_err(|error| format!("{}: {error}", lock.1.display()))?;
        let cargo = ["run", "--quiet", "--package", "longshore-fuzz-targets", "--bin", "seeds", "--"];
        run("seeds", self.context.cargo(cargo).arg(self.folder.join("seeds")))
    }

    /// Builds all programs: what takes long they have in common.
    fn build(&self) -> Result<(), Failure> {
        let options = ["build", "--sanitizer", "none", "--no-cfg-fuzzing", "--codegen-units", "16"];
        run("build", self.cargo_fuzz(&options).arg("--target-dir").arg(&self.folder))
    }

    /// Runs a target; gives the input's file when something was found.
    fn fuzz(&self, target: &str, seconds: u64) -> Result<Option<PathBuf>, Failure> {
        eprintln!("==> fuzz {target} for {seconds} s");
        let folder = |name: &str| self.folder.join(name).join(target);
        let (corpus, findings) = (folder("corpus"), folder("findings"));
        for made in [&corpus, &findings] {
            fs::create_dir_all(made).map_err(|error| format!("{}: {error}", made.display()))?;
        }
        let regressions = self.context.root.join(REGRESSIONS).join(target);
        let folders = [corpus, folder("seeds"), regressions].into_iter().filter(|folder| folder.is_dir());
        let mut command = self.context.program(self.program(target)?);
        command.args([SLOW, LARGE, LONG, "-print_final_stats=1"]).arg(format!("-max_total_time={seconds}"));
        command.arg(format!("-artifact_prefix={}/", findings.display())).args(folders);
        // Folders of a moment are many: where there is one, they are made in memory.
        if Path::new("/dev/shm").is_dir() {
            command.env("TMPDIR", "/dev/shm");
        }
        self.watch(target, command)
    }

    /// Where cargo-fuzz built the program.
    fn program(&self, target: &str) -> Result<PathBuf, Failure> {
        let listed =
            fs::read_dir(&self.folder).map_err(|error| format!("{}: {error}", self.folder.display()))?;
        let platforms = listed.filter_map(|entry| Some(entry.ok()?.path().join("release").join(target)));
        platforms
            .into_iter()
            .find(|path| path.is_file())
            .ok_or_else(|| format!("{target} was not built").into())
    }

    /// Keeps what the fuzzer says in a file, and shows every so often the last of it.
    fn watch(&self, target: &str, mut command: Command) -> Result<Option<PathBuf>, Failure> {
        let log = self.folder.join(format!("{target}.log"));
        let failed = |error| format!("{}: {error}", log.display());
        let mut kept = fs::File::create(&log).map_err(failed)?;
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().map_err(failed)?;
        let mut said = Said::default();
        for line in BufReader::new(child.stderr.take().ok_or("no pipe")?).split(b'\n') {
            let line = String::from_utf8_lossy(&line.map_err(failed)?).into_owned();
            writeln!(kept, "{line}").map_err(failed)?;
            said.hear(&line);
        }
        let status = child.wait().map_err(failed)?;
        eprintln!("    {target}: {} runs; {}", said.runs, said.last);
        match (said.input, status.success()) {
            (Some(input), _) => {
                eprintln!("    {target}: FOUND: {}\n    {}", said.why, log.display());
                Ok(Some(input))
            }
            (None, true) => Ok(None),
            (None, false) => Err(format!("{target}: {status}; see {}", log.display()).into()),
        }
    }
}

/// What the fuzzer said so far.
#[derive(Default)]
struct Said {
    /// Its last line about coverage.
    last: String,
    runs: String,
    /// The first line of a panic, or of the fuzzer's complaint.
    why: String,
    input: Option<PathBuf>,
    shown: Option<Instant>,
}

impl Said {
    fn hear(&mut self, line: &str) {
        if line.starts_with('#') && line.contains('\t') {
            line.split_whitespace().skip(2).collect::<Vec<_>>().join(" ").clone_into(&mut self.last);
            if self.shown.get_or_insert_with(Instant::now).elapsed() > PULSE {
                eprintln!("    {}", line.replace('\t', " "));
                self.shown = Some(Instant::now());
            }
        } else if let Some(path) = line.split("Test unit written to ").nth(1) {
            self.input = Some(PathBuf::from(path.trim()));
        } else if let Some(runs) = line.strip_prefix("stat::number_of_executed_units:") {
            runs.trim().clone_into(&mut self.runs);
        } else if self.why.is_empty() && (line.contains("panicked at") || line.contains("ERROR: libFuzzer")) {
            line.clone_into(&mut self.why);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn targets_and_seconds_are_read_in_any_order() {
        assert_eq!(wanted(&[]).unwrap(), Wanted { seconds: 60, targets: Vec::new() });
        let two = Wanted { seconds: 5, targets: words("layer webhook") };
        assert_eq!(wanted(&words("layer --seconds 5 webhook")).unwrap(), two);
        for wrong in ["--seconds", "--seconds 0", "--seconds many", "--minutes 1"] {
            assert!(wanted(&words(wrong)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_unknown_target_is_named_with_those_that_there_are() {
        let known = words("layer webhook");
        assert_eq!(chosen(&[], &known).unwrap(), known);
        let Err(Failure::Message(message)) = chosen(&words("webhooks"), &known) else { panic!() };
        assert!(message.contains("mean \"webhook\"") && message.contains("layer, webhook"), "{message}");
    }

    #[test]
    fn what_libfuzzer_says_becomes_a_summary() {
        let mut said = Said::default();
        for line in [
            "#1024\tpulse  cov: 21 ft: 30 corp: 4/9b exec/s: 512 rss: 40Mb",
            "thread '<unnamed>' panicked at src/x.rs:1:1:",
            "==1== ERROR: libFuzzer: deadly signal",
            "artifact_prefix='f/'; Test unit written to f/crash-1",
            "stat::number_of_executed_units: 1024",
        ] {
            said.hear(line);
        }
        assert_eq!(
            (said.runs.as_str(), said.last.as_str()),
            ("1024", "cov: 21 ft: 30 corp: 4/9b exec/s: 512 rss: 40Mb")
        );
        assert!(said.why.contains("src/x.rs") && said.input.unwrap().ends_with("crash-1"));
    }
}
