//! Every script under `scripts/` runs under k6 and under the engine, against one server. Exit status, metrics with their
//! counts, checks, console output, the shape of the summary's export and the tags of every value must be the same.
//!
//! `k6` must be on the path: `cargo xtask peers` brings it.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where something is wrong")]

mod server;
#[path = "../common/written.rs"]
mod written;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use longshore_load::{Output, Settings, run};
use serde_json::Value;

use written::Written;

/// What one of the two says of a script.
#[derive(Debug)]
struct Said {
    exit: i32,
    /// Lines that the script wrote to the console, in order of the alphabet.
    console: Vec<String>,
    export: Value,
    /// Tags by metric, as far as values carried them.
    tags: BTreeMap<String, BTreeSet<String>>,
}

fn under_k6(script: &Path, folder: &Path, address: &str) -> Said {
    let (export, points) = (folder.join("k6.json"), folder.join("k6.points"));
    let output = Command::new("k6")
        .args(["run", "--address", "", "--no-usage-report", "--no-color", "--env"])
        .arg(format!("TARGET=http://{address}"))
        .arg(format!("--summary-export={}", export.display()))
        .arg(format!("--out=json={}", points.display()))
        .arg(script)
        .current_dir(folder)
        .env("HOME", folder)
        .output()
        .expect("k6 is not on the path: cargo xtask peers brings it");
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    said(output.status.code().unwrap_or(-1), &log, &export, &points)
}

fn under_longshore(script: &Path, folder: &Path, address: &str) -> (Said, String) {
    let (export, points) = (folder.join("ours.json"), folder.join("ours.points"));
    let (stdout, stderr) = (Written::default(), Written::default());
    #[expect(clippy::disallowed_methods, reason = "a run begins now")]
    let mut settings = Settings::new(script.to_owned(), std::time::SystemTime::now());
    settings.env = vec![("TARGET".to_owned(), format!("http://{address}"))];
    settings.outputs = vec![Output::Json(points.clone())];
    settings.summary_export = Some(export.clone());
    settings.loops = 2;
    // The machine of a test may be busy with other tests.
    settings.max_lag = std::time::Duration::from_secs(5);
    settings.stdout = Box::new(stdout.clone());
    settings.stderr = Box::new(stderr.clone());
    let exit = i32::from(run(settings).exit_code());
    (said(exit, &stderr.text(), &export, &points), format!("{}{}", stdout.text(), stderr.text()))
}

fn said(exit: i32, log: &str, export: &Path, points: &Path) -> Said {
    let mut console: Vec<String> = log
        .lines()
        .filter(|line| line.contains("source=console"))
        .filter_map(|line| Some(line.split_once(" level=")?.1.to_owned()))
        .collect();
    console.sort();
    let export = fs::read_to_string(export).ok().and_then(|text| serde_json::from_str(&text).ok());
    let mut tags: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in fs::read_to_string(points).unwrap_or_default().lines() {
        let value: Value = serde_json::from_str(line).expect("a line of JSON");
        if value["type"] == "Point" {
            let known = tags.entry(value["metric"].as_str().unwrap_or("").to_owned()).or_default();
            for (name, value) in value["data"]["tags"].as_object().into_iter().flatten() {
                // The text of an error is each one's own.
                let value = if name == "error" { "…" } else { value.as_str().unwrap_or("") };
                known.insert(format!("{name}={value}"));
            }
        }
    }
    Said { exit, console, export: export.unwrap_or(Value::Null), tags }
}

/// Figures that must be the same; others are times, or depend on them.
fn counts(export: &Value) -> BTreeMap<String, Vec<(String, Value)>> {
    let metrics = export["metrics"].as_object().cloned().unwrap_or_default();
    let timed = |name: &str| ["vus", "vus_max"].contains(&name);
    metrics
        .into_iter()
        .filter(|(name, _)| !timed(name))
        .map(|(name, figures)| {
            let figures = figures.as_object().cloned().unwrap_or_default().into_iter();
            let exact = figures.map(|(figure, value)| {
                let counted = ["count", "passes", "fails"].contains(&figure.as_str());
                let constant = name.starts_with("exact_");
                let value = match &value {
                    Value::Object(thresholds) => Value::Object(thresholds.clone()),
                    Value::Number(number) if counted || constant && figure != "rate" => {
                        Value::from((number.as_f64().unwrap_or(0.0) * 10.0).round() / 10.0)
                    }
                    _ => Value::Null,
                };
                (figure, value)
            });
            let mut exact: Vec<_> = exact.collect();
            exact.sort_by(|a, b| a.0.cmp(&b.0));
            (name, exact)
        })
        .collect()
}

/// Counts of each script that are allowed to differ, as `// differs: name, name` in it says.
fn allowed(script: &str) -> Vec<String> {
    let lines = script.lines().filter_map(|line| line.strip_prefix("// differs: "));
    lines.flat_map(|names| names.split(", ")).map(str::to_owned).collect()
}

fn compare(name: &str, text: &str, k6: &Said, ours: &Said, all: &str) -> Vec<String> {
    let (mut wrong, allowed) = (Vec::new(), allowed(text));
    let is_allowed = |what: &str| allowed.iter().any(|known| known == what);
    if k6.exit != ours.exit {
        wrong.push(format!("{name}: k6 exits with {}, longshore with {}", k6.exit, ours.exit));
    }
    if k6.console != ours.console && !is_allowed("console") {
        let only = |these: &[String], those: &[String]| {
            these.iter().filter(|line| !those.contains(line)).cloned().collect::<Vec<_>>()
        };
        let (theirs, own) = (only(&k6.console, &ours.console), only(&ours.console, &k6.console));
        wrong.push(format!("{name}: console\n  k6 alone:   {theirs:#?}\n  ours alone: {own:#?}"));
    }
    let (theirs, own) = (counts(&k6.export), counts(&ours.export));
    for metric in theirs.keys().chain(own.keys()).collect::<BTreeSet<_>>() {
        if theirs.get(metric) != own.get(metric) && !is_allowed(metric) {
            let (theirs, own) = (theirs.get(metric), own.get(metric));
            wrong.push(format!("{name}: {metric}\n  k6:   {theirs:?}\n  ours: {own:?}"));
        }
    }
    if k6.export["root_group"] != ours.export["root_group"] && !is_allowed("root_group") {
        let (theirs, own) = (&k6.export["root_group"], &ours.export["root_group"]);
        wrong.push(format!("{name}: root_group\n  k6:   {theirs}\n  ours: {own}"));
    }
    if k6.export["setup_data"] != ours.export["setup_data"] {
        wrong.push(format!("{name}: setup_data {} {}", k6.export["setup_data"], ours.export["setup_data"]));
    }
    for metric in k6.tags.keys().chain(ours.tags.keys()).collect::<BTreeSet<_>>() {
        if ["vus", "vus_max"].contains(&metric.as_str()) || is_allowed("tags") {
            continue;
        }
        let (theirs, own) = (k6.tags.get(metric), ours.tags.get(metric));
        if theirs != own {
            let none = BTreeSet::new();
            let (theirs, own) = (theirs.unwrap_or(&none), own.unwrap_or(&none));
            let (missing, more) = (theirs.difference(own), own.difference(theirs));
            wrong.push(format!(
                "{name}: tags of {metric}\n  k6 alone:   {:?}\n  ours alone: {:?}",
                missing.collect::<Vec<_>>(),
                more.collect::<Vec<_>>()
            ));
        }
    }
    if !wrong.is_empty() {
        wrong.push(all.to_owned());
    }
    wrong
}

fn scripts() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance/scripts");
    let entries = fs::read_dir(folder).expect("the corpus").flatten().map(|entry| entry.path());
    let only = option_env!("LONGSHORE_LOAD_SCRIPT");
    let wanted = |path: &PathBuf| {
        path.extension().is_some_and(|extension| extension == "js")
            && only.is_none_or(|only| path.file_stem().is_some_and(|stem| stem == only))
    };
    let mut all: Vec<PathBuf> = entries.filter(wanted).collect();
    all.sort();
    all
}

#[test]
fn every_script_of_the_corpus_says_the_same_under_k6_and_here() {
    let address = server::start().to_string();
    let mut wrong = Vec::new();
    for script in scripts() {
        let folder = tempfile::tempdir().expect("a folder");
        let name = script.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let text = fs::read_to_string(&script).expect("a script");
        let (k6, (ours, all)) = std::thread::scope(|scope| {
            let theirs = scope.spawn(|| under_k6(&script, folder.path(), &address));
            let own = under_longshore(&script, folder.path(), &address);
            (theirs.join().expect("k6 runs"), own)
        });
        wrong.extend(compare(&name, &text, &k6, &ours, &all));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
