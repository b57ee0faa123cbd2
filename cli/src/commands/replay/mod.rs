//! `longshore replay`

mod decide;
mod differ;
mod silent;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use jiff::Timestamp;
use longshore_policy::Policy;
use serde::Serialize;
use serde_json::Value;

use super::Client;
use super::print::{self, count, line, note, span};
use super::style::{BAD, BUSY, FAINT, GOOD, STRONG, paint};
use super::timeline::short_kind;
use crate::api::Decisions;
use crate::args::{Output, ReplayArgs};
use decide::Deciders;

/// One decision, then and now.
#[derive(Debug, Serialize)]
struct Replayed {
    at: Timestamp,
    function: String,
    unit: String,
    version: u64,
    cause: String,
    #[serde(flatten)]
    result: Outcome,
}

/// What came of deciding once more.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Outcome {
    /// It was possible.
    Twice { differs: bool, then: Value, now: Value },
    /// It was not, for this reason.
    Not { not_replayable: String },
}

/// The answer for programs.
#[derive(Debug, Serialize)]
struct Report {
    decisions: Vec<Replayed>,
    replayed: usize,
    different: usize,
    not_replayable: usize,
}

/// Decides once more what was decided, and prints it; the exit status is 1 when something differs.
pub(super) async fn run(client: &Client, args: &ReplayArgs, output: Output) -> Result<ExitCode> {
    let policy = policy(args.config.as_deref())?;
    let mut query = vec![("of", args.what.clone())];
    query.extend(args.limit.map(|limit| ("limit", limit.to_string())));
    let found: Decisions = client.get("/api/decisions", &query).await?;
    let deciders = Deciders::new(policy, found.poll_ms, &found.builder);
    let mut decisions: Vec<Replayed> = found.trails.iter().flat_map(|trail| deciders.replay(trail)).collect();
    decisions.sort_by_key(|decision| decision.at);
    let differs = |decision: &&Replayed| matches!(decision.result, Outcome::Twice { differs: true, .. });
    let replayed = |decision: &&Replayed| matches!(decision.result, Outcome::Twice { .. });
    let (different, replayed) =
        (decisions.iter().filter(differs).count(), decisions.iter().filter(replayed).count());
    let report = Report { not_replayable: decisions.len() - replayed, replayed, different, decisions };
    match output {
        Output::Json => print::json(&report)?,
        Output::Table => show(&report, found.chain.as_deref())?,
    }
    if found.cut {
        note("there were more decisions, older ones, than one answer takes");
    }
    if report.decisions.is_empty() {
        bail!("no decision about {:?} is kept: they are kept for 30 days", args.what);
    }
    let same = report.different == 0 && report.replayed > 0;
    Ok(if same { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The configuration to decide by: the file that is named, or the nearest one.
fn policy(file: Option<&Path>) -> Result<Policy> {
    let path = match file {
        Some(file) => file.to_owned(),
        None => nearest()?,
    };
    let text = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    longshore_policy::check_file(&text, &path).map_err(|faults| {
        let list: Vec<String> = faults.iter().map(ToString::to_string).collect();
        anyhow::anyhow!(
            "{} in the configuration:\n{}",
            count(faults.len(), "fault", "faults"),
            list.join("\n")
        )
    })
}

fn nearest() -> Result<PathBuf> {
    let here = std::env::current_dir().context("cannot tell the working folder")?;
    let mut files = here.ancestors().map(|folder| folder.join("longshore.toml"));
    let found = files.find(|file| file.exists());
    found.context(
        "there is no longshore.toml here or in a folder above: name the configuration with `--config`",
    )
}

fn show(report: &Report, chain: Option<&str>) -> Result<()> {
    if let Some(chain) = chain {
        line(format!("{} {chain}  {}", paint(FAINT, "chain"), paint(FAINT, "(times in UTC)")))?;
    }
    let mut waits = 0;
    for decision in &report.decisions {
        if decision.only_waits() {
            waits += 1;
            continue;
        }
        one(decision)?;
    }
    if waits > 0 {
        let looks = count(waits, "look that changed nothing is", "looks that changed nothing are");
        line(paint(FAINT, format!("{looks} left out")))?;
    }
    let Report { replayed, different, not_replayable, .. } = report;
    let all = count(*replayed, "decision was made once more", "decisions were made once more");
    let (style, how) = match different {
        0 => (GOOD, "none differs".to_owned()),
        n => (BAD, count(*n, "differs", "differ")),
    };
    line(format!("{all}: {}", paint(style, how)))?;
    if *not_replayable > 0 {
        line(paint(BUSY, count(*not_replayable, "cannot be replayed", "cannot be replayed")))?;
    }
    Ok(())
}

fn one(decision: &Replayed) -> Result<()> {
    let Replayed { at, function, unit, version, cause, .. } = decision;
    let head = format!(
        "{} {} {}  {cause}",
        at.strftime("%H:%M:%S%.3f"),
        paint(STRONG, format!("{function}/{unit}")),
        paint(FAINT, version)
    );
    match &decision.result {
        Outcome::Not { not_replayable } => {
            line(format!("{head}\n  {} {not_replayable}", paint(BUSY, "not replayable:")))
        }
        Outcome::Twice { differs: false, then, .. } => {
            line(format!("{head}\n  {} {}", paint(GOOD, "same:"), said(then, *at)))
        }
        Outcome::Twice { then, now, .. } => {
            line(format!("{head}\n  {} {}", paint(BAD, "then:"), said(then, *at)))?;
            line(format!("  {} {}", paint(BAD, "now:"), said(now, *at)))?;
            for (place, then, now) in differ::differences(then, now) {
                line(format!("    {}: {then} {} {now}", paint(BAD, place), paint(FAINT, "is now")))?;
            }
            Ok(())
        }
    }
}

impl Replayed {
    /// It was a look that led to nothing but the next one, and still does.
    fn only_waits(&self) -> bool {
        let Outcome::Twice { differs: false, then, .. } = &self.result else { return false };
        let none = |name: &str| then[name].as_array().is_none_or(Vec::is_empty);
        self.cause == "woken" && none("effects") && none("facts") && then["again"] == false
    }
}

/// A decision in one line.
fn said(decision: &Value, at: Timestamp) -> String {
    let list = |name: &str| decision[name].as_array().cloned().unwrap_or_default();
    let mut words = Vec::new();
    let kinds: Vec<String> = list("facts")
        .iter()
        .map(|fact| short_kind(fact["type"].as_str().unwrap_or_default()).to_owned())
        .collect();
    if !kinds.is_empty() {
        words.push(format!("says {}", kinds.join(", ")));
    }
    match list("effects").len() {
        0 => {}
        n => words.push(count(n, "effect", "effects")),
    }
    if decision["hold_lease"] == true {
        words.push("holds the lease".into());
    }
    if decision["again"] == true {
        words.push("looks again at once".into());
    }
    let wake = decision["wake"].as_str().and_then(|wake| wake.parse::<Timestamp>().ok());
    if let Some(wake) = wake {
        words.push(format!("looks again in {}", span(wake.as_millisecond() - at.as_millisecond())));
    }
    if words.is_empty() { "rests".into() } else { words.join("; ") }
}
