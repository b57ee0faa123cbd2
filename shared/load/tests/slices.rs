//! A run in slices, put together, comes to what the whole run comes to.
#![expect(clippy::unwrap_used, reason = "a test ends where something is wrong")]

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use longshore_load::{Settings, Verdict, merge, run};
use serde_json::Value;

const SCRIPT: &str = "import { check, group, sleep } from 'k6';\n\
    import { Counter, Trend, Rate, Gauge } from 'k6/metrics';\n\
    import exec from 'k6/execution';\n\
    const seen = new Counter('seen'), value = new Trend('value'), odd = new Rate('odd'), last = new Gauge('last');\n\
    export const options = {\n\
      scenarios: {\n\
        shared: { executor: 'shared-iterations', vus: 5, iterations: 101 },\n\
        each: { executor: 'per-vu-iterations', vus: 7, iterations: 3, exec: 'quick' },\n\
        even: { executor: 'constant-arrival-rate', rate: 50, duration: '1s', preAllocatedVUs: 8, exec: 'quick' },\n\
        ramp: { executor: 'ramping-vus', startVUs: 0, exec: 'slow', gracefulRampDown: '5s',\n\
                gracefulStop: '0s', stages: [{ duration: '200ms', target: 9 }, { duration: '300ms', target: 9 }] },\n\
      },\n\
      thresholds: { seen: ['count==101'], 'value{kind:shared}': ['max==100', 'min==0', 'avg==50', 'p(90)<91', 'p(90)>89'] },\n\
    };\n\
    export default function () {\n\
      const number = exec.scenario.iterationInTest;\n\
      seen.add(1);\n\
      value.add(number, { kind: 'shared' });\n\
      odd.add(number % 2);\n\
      last.add(number);\n\
      group('all', () => check(number, { 'below 50': (n) => n < 50 }));\n\
    }\n\
    export function quick() {}\n\
    export function slow() { sleep(10); }\n";

fn settings(script: &Path) -> Settings {
    #[expect(clippy::disallowed_methods, reason = "a run begins now")]
    let mut settings = Settings::new(script.to_owned(), SystemTime::now());
    settings.max_lag = Duration::from_secs(5);
    settings
}

/// The verdict on a part of the run, written to a file.
fn slice(script: &Path, segment: &str, folder: &Path) -> (Verdict, PathBuf) {
    let path = folder.join(segment.replace(['/', ':'], "-"));
    let mut settings = settings(script);
    settings.overrides.segment = Some(segment.to_owned());
    settings.slice = Some(path.clone());
    (run(settings), path)
}

fn judged(script: &Path, files: &[PathBuf], export: &Path) -> (Verdict, Value) {
    let mut settings = settings(script);
    settings.summary_export = Some(export.to_owned());
    let verdict = merge(files, &mut settings);
    let text = std::fs::read_to_string(export).unwrap_or_else(|_| "null".to_owned());
    (verdict, serde_json::from_str(&text).unwrap())
}

#[test]
fn slices_come_to_what_the_whole_comes_to() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("script.js");
    std::fs::write(&script, SCRIPT).unwrap();
    let export = folder.path().join("whole.json");
    let mut whole = settings(&script);
    whole.summary_export = Some(export.clone());
    assert_eq!(run(whole), Verdict::Passed);
    let whole: Value = serde_json::from_str(&std::fs::read_to_string(&export).unwrap()).unwrap();
    let parts = ["0:1/3", "1/3:1/2", "1/2:1"].map(|segment| slice(&script, segment, folder.path()));
    for (verdict, path) in &parts {
        // Its thresholds are those of the whole, and not its own.
        assert_eq!(*verdict, Verdict::Passed, "{}", path.display());
    }
    let files = parts.map(|(_, path)| path);
    let (verdict, merged) = judged(&script, &files, &folder.path().join("merged.json"));
    assert_eq!(verdict, Verdict::Passed, "{merged:#}");
    assert_eq!(merged["root_group"], whole["root_group"]);
    for (metric, figures) in [
        ("seen", &["count"][..]),
        ("value{kind:shared}", &["avg", "min", "med", "max", "p(90)", "p(95)"]),
        ("odd", &["passes", "fails", "value"]),
        ("checks", &["passes", "fails"]),
        ("last", &["min", "max"]),
    ] {
        for figure in figures {
            assert_eq!(
                merged["metrics"][metric][figure], whole["metrics"][metric][figure],
                "{metric} {figure}"
            );
        }
    }
    // On a busy machine nobody may be free for an arrival, which is counted, too.
    let due = |export: &Value| {
        let count = |metric: &str| export["metrics"][metric]["count"].as_f64().unwrap_or_default();
        count("iterations") + count("dropped_iterations")
    };
    assert!((due(&merged) - due(&whole)).abs() < 0.5, "{} {}", due(&merged), due(&whole));
    let (verdict, _) = judged(&script, &files[1..], &folder.path().join("missing.json"));
    assert_eq!(verdict, Verdict::Configuration("the slice 0:1/3 is missing".to_owned()));
    let twice = [&files[..], &files[..1]].concat();
    assert_eq!(judged(&script, &twice, &folder.path().join("twice.json")).0.exit_code(), 104);
}
