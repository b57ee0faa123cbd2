//! `longshore findings`

use anyhow::Result;
use longshore_events::types::{ScanStatus, Severity, SeverityCounts};

use super::Client;
use super::print::{self, Table, ago, count, line};
use super::style::{BAD, BUSY, FAINT, GOOD, NAME, PLAIN, STRONG, Style, paint};
use crate::api::{FindingsOfImages, ImageFindings, KnownFinding, LastScan};
use crate::args::{FindingsArgs, Output};

/// Prints what was found in what runs.
pub(super) async fn run(client: &Client, args: FindingsArgs, output: Output) -> Result<()> {
    let FindingsArgs { service, env, severity, limit } = args;
    let (env, service) = super::find::place(service, env)?;
    let severity = severity.and_then(|severity| clap::ValueEnum::to_possible_value(&severity));
    let severity = severity.map(|severity| ("severity", severity.get_name().to_owned()));
    let env = env.map(|env| ("environment", env));
    let asked: Vec<_> =
        env.into_iter().chain(service.map(|service| ("service", service))).chain(severity).collect();
    let found: FindingsOfImages = client.get("/api/findings", &asked).await?;
    if output == Output::Json {
        return print::json(&found);
    }
    if found.images.is_empty() {
        return line("nothing runs that could have been looked into");
    }
    for (number, image) in found.images.iter().enumerate() {
        if number > 0 {
            line("")?;
        }
        line(format!("{}  {}", paint(STRONG, image.runs_in.join(", ")), paint(FAINT, &image.image)))?;
        line(format!("  {}", scanned(image.scan.as_ref(), &found)))?;
        list(image, limit)?;
    }
    Ok(())
}

fn scanned(scan: Option<&LastScan>, found: &FindingsOfImages) -> String {
    let Some(scan) = scan else { return paint(BUSY, "not scanned: nothing is known of it") };
    let when = ago(scan.at, found.at);
    let by = scan.database.as_ref().map(|database| format!(" ({database})")).unwrap_or_default();
    if scan.status == ScanStatus::Complete {
        return format!(
            "{}  {}",
            counted(scan.counts),
            paint(FAINT, format!("{}{by}, {when}", scan.scanner))
        );
    }
    let why = scan.reason.as_deref().unwrap_or("it does not say why");
    paint(
        BAD,
        format!("unknown, which is not clean: {} could not look through it {when}: {why}", scan.scanner),
    )
}

fn counted(counts: SeverityCounts) -> String {
    let SeverityCounts { critical, high, medium, low, unknown } = counts;
    let all = [
        (critical, "critical"),
        (high, "high"),
        (medium, "medium"),
        (low, "low"),
        (unknown, "of unknown severity"),
    ];
    let some: Vec<_> = all.iter().filter(|(n, _)| *n > 0).map(|(n, name)| format!("{n} {name}")).collect();
    let style = if critical + high > 0 { BAD } else { PLAIN };
    if some.is_empty() { paint(GOOD, "nothing was found") } else { paint(style, some.join(", ")) }
}

fn list(image: &ImageFindings, limit: usize) -> Result<()> {
    if image.findings.is_empty() {
        return Ok(());
    }
    let mut table = Table::new(&["  severity", "finding", "package", "mended in", "where", "what"]);
    for known in image.findings.iter().take(limit) {
        row(&mut table, known);
    }
    line(table)?;
    let shown = image.findings.len().min(limit);
    if shown < image.total {
        line(paint(FAINT, format!("  {} more: --limit, or --output json", image.total - shown)))?;
    }
    if image.mended > 0 {
        let are = count(image.mended, "is", "are");
        line(format!("  {are} mended in newer versions: {}", paint(NAME, "take them up, and push")))?;
    }
    Ok(())
}

fn row(table: &mut Table, known: &KnownFinding) {
    let finding = &known.finding;
    let package = finding.package.as_ref().map(|package| {
        let version = finding.version.as_deref().unwrap_or_default();
        format!("{package} {version}")
    });
    let waived = known.waived_until.map(|until| format!("(accepted until {}) ", until.strftime("%Y-%m-%d")));
    table.row(vec![
        style_of(finding.severity),
        (PLAIN, finding.id.clone()),
        (PLAIN, package.unwrap_or_else(|| "-".into())),
        (GOOD, finding.fixed.clone().unwrap_or_else(|| "-".into())),
        (FAINT, finding.place.clone().unwrap_or_else(|| "-".into())),
        (PLAIN, format!("{}{}", waived.unwrap_or_default(), finding.title)),
    ]);
}

fn style_of(severity: Severity) -> (Style, String) {
    let (style, name) = match severity {
        Severity::Critical => (BAD, "critical"),
        Severity::High => (BAD, "high"),
        Severity::Medium => (BUSY, "medium"),
        Severity::Low => (PLAIN, "low"),
        Severity::Unknown => (FAINT, "unknown"),
    };
    (style, format!("  {name}"))
}
