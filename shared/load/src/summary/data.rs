//! Summaries for programs: what `handleSummary` is given, and `--summary-export`. Names and shapes are k6's.

use serde_json::{Map, Value, json};

use super::Report;
use crate::md5::{hex, md5};
use crate::metrics::{Builtin, Counted, Kind, Sink};
use crate::options::Thresholds;
use crate::output::number;
use crate::run::{Check, Tree};

/// Those that are in every summary; the others only once they have values.
const ALWAYS: [&str; 2] = ["data_sent", "data_received"];

/// Metrics with something to say, those with thresholds among them.
pub(super) fn shown(report: &Report) -> Vec<Counted<'_>> {
    let judged = |name: &str| report.options.thresholds.iter().any(|of| of.metric == name);
    let mut all = report.store.all();
    all.retain(|counted| {
        !counted.sink.is_empty() || judged(&counted.name) || ALWAYS.contains(&counted.name.as_str())
    });
    all
}

/// The thresholds of a metric, each with whether it holds.
pub(super) fn judged<'a>(
    report: &'a Report,
    name: &str,
) -> impl Iterator<Item = (&'a crate::options::Threshold, bool)> {
    let of: Option<&Thresholds> = report.options.thresholds.iter().find(|of| of.metric == name);
    let sink = report.store.find(name);
    let seconds = report.seconds();
    of.into_iter().flat_map(|of| &of.all).map(move |threshold| (threshold, threshold.holds(sink, seconds)))
}

fn figures(report: &Report, sink: &Sink) -> Map<String, Value> {
    let named = sink.figures(&report.options.trend_stats).into_iter();
    named.filter_map(|name| Some((name.to_owned(), number(sink.figure(name, report.seconds())?)))).collect()
}

/// What `handleSummary` is given.
pub(super) fn data(report: &Report) -> Value {
    let mut metrics = Map::new();
    for counted in shown(report) {
        let mut one = json!({
            "type": counted.definition.kind,
            "contains": counted.definition.contains,
            "values": figures(report, counted.sink),
        });
        let thresholds: Map<String, Value> = judged(report, &counted.name)
            .map(|(threshold, holds)| (threshold.source.clone(), json!({"ok": holds})))
            .collect();
        if !thresholds.is_empty() {
            one["thresholds"] = Value::Object(thresholds);
        }
        metrics.insert(counted.name, one);
    }
    let mut made = json!({
        "root_group": group(&report.checks.tree()),
        "options": {
            "summaryTrendStats": report.options.trend_stats,
            "summaryTimeUnit": report.options.time_unit.clone().unwrap_or_default(),
            "noColor": true,
        },
        "state": {
            "isStdOutTTY": false,
            "isStdErrTTY": false,
            "testRunDurationMs": report.seconds() * 1_000.0,
        },
        "metrics": metrics,
    });
    if let Some(data) = setup_data(report) {
        made["setup_data"] = data;
    }
    made
}

fn setup_data(report: &Report) -> Option<Value> {
    report
        .setup_data
        .as_ref()
        .and_then(|json| serde_json::from_str(json).ok())
        .filter(|data: &Value| !data.is_null())
}

fn check(check: &Check, path: &str) -> Value {
    let path = format!("{path}::{}", check.name);
    json!({"name": check.name, "path": path, "id": id(&path), "passes": check.passes, "fails": check.fails})
}

fn group(tree: &Tree) -> Value {
    json!({
        "name": tree.name,
        "path": tree.path,
        "id": id(&tree.path),
        "groups": tree.groups.iter().map(group).collect::<Vec<_>>(),
        "checks": tree.checks.iter().map(|one| check(one, &tree.path)).collect::<Vec<_>>(),
    })
}

/// `--summary-export`: flat figures, and `true` for a threshold that does **not** hold, as k6 has it.
pub(super) fn export(report: &Report) -> Value {
    let mut metrics = Map::new();
    for counted in shown(report) {
        let mut one = figures(report, counted.sink);
        if counted.definition.kind == Kind::Rate
            && let Some(rate) = one.remove("rate")
        {
            one.insert("value".to_owned(), rate);
        }
        let thresholds: Map<String, Value> = judged(report, &counted.name)
            .map(|(threshold, holds)| (threshold.source.clone(), Value::Bool(!holds)))
            .collect();
        if !thresholds.is_empty() {
            one.insert("thresholds".to_owned(), Value::Object(thresholds));
        }
        metrics.insert(counted.name, Value::Object(one));
    }
    let mut made = json!({"root_group": flat_group(&report.checks.tree()), "metrics": metrics});
    if let Some(data) = setup_data(report) {
        made["setup_data"] = data;
    }
    made
}

fn flat_group(tree: &Tree) -> Value {
    let groups: Map<String, Value> =
        tree.groups.iter().map(|child| (child.name.clone(), flat_group(child))).collect();
    let checks: Map<String, Value> =
        tree.checks.iter().map(|one| (one.name.clone(), check(one, &tree.path))).collect();
    json!({"name": tree.name, "path": tree.path, "id": id(&tree.path), "groups": groups, "checks": checks})
}

/// k6 names groups and checks by the MD5 of their path.
fn id(path: &str) -> String {
    hex(&md5(path.as_bytes()))
}

/// Whether the run made requests.
pub(super) fn has_http(report: &Report) -> bool {
    report.store.sink(Builtin::HttpReqs.id()).is_some_and(|sink| !sink.is_empty())
}
