//! The summary for people, laid out as k6's.

use std::fmt::Write as _;

use super::Report;
use super::data::{has_http, judged, shown};
use super::format::{bytes, clock, percent, plain, time};
use crate::metrics::{Contains, Counted, Kind, Sink};
use crate::options::{Options, duration};
use crate::run::Tree;

/// What the banner says of scenarios.
pub(super) fn scenarios(options: &Options) -> String {
    let vus = options.max_vus();
    let end = options.scenarios.iter().map(crate::options::Scenario::end).max().unwrap_or_default();
    let count = options.scenarios.len();
    let plural = if count == 1 { "" } else { "s" };
    let mut made = format!(
        "     scenarios: (100.00%) {count} scenario{plural}, {vus} max VUs, {} max duration (incl. graceful stop):\n",
        duration::show(end)
    );
    for scenario in &options.scenarios {
        let mut more = Vec::new();
        let (first, most) = (scenario.executor.first_vus(), scenario.executor.max_vus());
        if scenario.executor.name().ends_with("arrival-rate") {
            more.push(if first == most {
                format!("maxVUs: {most}")
            } else {
                format!("maxVUs: {first}-{most}")
            });
        }
        if scenario.exec != "default" {
            more.push(format!("exec: {}", scenario.exec));
        }
        if !scenario.start.is_zero() {
            more.push(format!("startTime: {}", duration::show(scenario.start)));
        }
        more.push(format!("gracefulStop: {}", duration::show(scenario.graceful_stop)));
        let (what, more) = (scenario.executor.describe(), more.join(", "));
        let what = match what.strip_suffix(')') {
            Some(open) => format!("{open}, {more})"),
            None => format!("{what} ({more})"),
        };
        let _ = writeln!(made, "              * {}: {what}", scenario.name);
    }
    made
}

/// The summary.
pub(super) fn summary(report: &Report) -> String {
    let mut made = String::from("\n");
    thresholds(&mut made, report);
    made.push_str("\n  █ TOTAL RESULTS\n\n");
    checks(&mut made, report);
    let all = shown(report);
    let width = all.iter().map(|counted| label(counted).chars().count()).max().unwrap_or(0) + 2;
    for title in ["CUSTOM", "HTTP", "EXECUTION", "NETWORK"] {
        let mut rows: Vec<&Counted<'_>> =
            all.iter().filter(|counted| section(&counted.definition.name) == title).collect();
        if title == "HTTP" && !has_http(report) || rows.is_empty() {
            continue;
        }
        rows.sort_by(|a, b| {
            a.definition.name.cmp(&b.definition.name).then(a.part.is_some().cmp(&b.part.is_some()))
        });
        let _ = writeln!(made, "    {title}");
        for row in rows {
            let label = label(row);
            let dots = ".".repeat(width.saturating_sub(label.chars().count()));
            let _ = writeln!(made, "    {label}{dots}: {}", values(report, row));
        }
        made.push('\n');
    }
    let lag = &report.lag.0;
    let _ = writeln!(
        made,
        "    GENERATOR\n    lag (late wake-ups): p(99)={} max={}\n",
        time(report.lag_ms(), None),
        time(lag.max, None)
    );
    made
}

/// Where a metric stands; those that only say where a request's time went are left to the JSON.
fn section(name: &str) -> &'static str {
    match name {
        "http_req_duration" | "http_req_failed" | "http_reqs" => "HTTP",
        "iteration_duration" | "iterations" | "dropped_iterations" | "vus" | "vus_max" => "EXECUTION",
        "data_sent" | "data_received" => "NETWORK",
        "checks" | "group_duration" => "",
        other if other.starts_with("http_req_") => "",
        _ => "CUSTOM",
    }
}

fn label(counted: &Counted<'_>) -> String {
    match counted.part {
        Some(part) => {
            let tags: Vec<String> = part.tags.iter().map(|(name, value)| format!("{name}:{value}")).collect();
            format!("  {{ {} }}", tags.join(","))
        }
        None => counted.name.clone(),
    }
}

fn thresholds(made: &mut String, report: &Report) {
    if report.options.thresholds.is_empty() {
        return;
    }
    made.push_str("\n  █ THRESHOLDS\n");
    for of in &report.options.thresholds {
        let _ = writeln!(made, "\n    {}", of.metric);
        let sink = report.store.find(&of.metric);
        let unit = report.options.time_unit.as_deref();
        let all = report.store.all();
        let contains =
            all.iter().find(|counted| counted.name == of.metric).map(|counted| counted.definition.contains);
        for (threshold, holds) in judged(report, &of.metric) {
            let mark = if holds { '✓' } else { '✗' };
            let value = match sink {
                Some(sink) if !sink.is_empty() || matches!(sink, Sink::Counter { .. }) => {
                    let value = threshold.value(sink, report.seconds());
                    let shown = match (sink, threshold.figure(), contains) {
                        (Sink::Rate { .. }, _, _) => percent(value),
                        (Sink::Trend(_), _, Some(Contains::Time)) => time(value, unit),
                        _ => plain(value),
                    };
                    format!("{}={shown}", threshold.figure())
                }
                _ => "no values".to_owned(),
            };
            let _ = writeln!(made, "    {mark} '{}' {value}", threshold.source);
        }
    }
    made.push('\n');
}

fn checks(made: &mut String, report: &Report) {
    let (passes, fails) = report.checks.total();
    let total = passes + fails;
    if total == 0 {
        return;
    }
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let share = |count: u64| count as f64 / total as f64;
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let rate = total as f64 / report.seconds();
    let _ = writeln!(made, "    checks_total.......: {total} {}/s", plain(rate));
    let _ = writeln!(made, "    checks_succeeded...: {} {passes} out of {total}", percent(share(passes)));
    let _ = writeln!(made, "    checks_failed......: {} {fails} out of {total}\n", percent(share(fails)));
    tree(made, &report.checks.tree(), 4);
    made.push('\n');
}

fn tree(made: &mut String, node: &Tree, indent: usize) {
    let space = " ".repeat(indent);
    for check in &node.checks {
        let (passes, fails) = (check.passes, check.fails);
        if fails == 0 {
            let _ = writeln!(made, "{space}✓ {}", check.name);
        } else {
            let share = passes * 100 / (passes + fails);
            let _ = writeln!(made, "{space}✗ {}\n{space}  ↳  {share}% — ✓ {passes} / ✗ {fails}", check.name);
        }
    }
    for group in &node.groups {
        let _ = writeln!(made, "\n{space}█ {}\n", group.name);
        tree(made, group, indent + 2);
    }
}

fn values(report: &Report, counted: &Counted<'_>) -> String {
    let (sink, contains) = (counted.sink, counted.definition.contains);
    let unit = report.options.time_unit.as_deref();
    let show = |value: f64| match contains {
        Contains::Time => time(value, unit),
        Contains::Data => bytes(value),
        Contains::Default => plain(value),
    };
    let figure = |name: &str| sink.figure(name, report.seconds()).unwrap_or(0.0);
    match counted.definition.kind {
        Kind::Counter => format!("{} {}/s", show(figure("count")), show(figure("rate"))),
        Kind::Gauge => {
            format!("{} min={} max={}", show(figure("value")), show(figure("min")), show(figure("max")))
        }
        Kind::Rate => {
            let (passes, fails) = (figure("passes"), figure("fails"));
            format!("{} {passes} out of {}", percent(figure("rate")), passes + fails)
        }
        Kind::Trend => {
            let stats = report.options.trend_stats.iter();
            let each = stats.map(|name| {
                let value = figure(name);
                format!("{name}={}", if name == "count" { plain(value) } else { show(value) })
            });
            each.collect::<Vec<_>>().join(" ")
        }
    }
}

/// What k6 leaves on the screen when all is over.
pub(super) fn last_lines(report: &Report) -> String {
    let vus = report.options.max_vus();
    let (complete, interrupted) = (report.complete, report.interrupted);
    format!(
        "\nrunning ({}), 0/{vus} VUs, {complete} complete and {interrupted} interrupted iterations\n",
        clock(report.duration)
    )
}
