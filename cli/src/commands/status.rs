//! `longshore status`

use anyhow::Result;
use longshore_ports::Phase;

use super::Client;
use super::print::{self, Table, ago, line, short, short_digest};
use super::style::{BAD, BUSY, FAINT, GOOD, NAME, PLAIN, STRONG, Style, paint};
use crate::api::{ServiceStatus, Status};
use crate::args::Output;

/// Prints how everything stands.
pub(super) async fn run(client: &Client, output: Output) -> Result<()> {
    let status: Status = client.get("/api/status", &[]).await?;
    if output == Output::Json {
        return print::json(&status);
    }
    for environment in &status.environments {
        line(paint(STRONG, &environment.name))?;
        let mut table =
            Table::new(&["  service", "runs", "commit", "digest", "traffic", "restarts", "address"]);
        for service in &environment.services {
            row(&mut table, service);
        }
        line(table)?;
        for service in &environment.services {
            notes(service, &status)?;
        }
    }
    for build in &status.builds {
        let style = match build.outcome.as_str() {
            "succeeded" | "unchanged" => GOOD,
            "running" => BUSY,
            _ => BAD,
        };
        let why = build.reason.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
        let when = ago(build.at, status.at);
        line(format!(
            "build {} of {} {}{why}, {when}",
            short(&build.commit),
            build.service,
            paint(style, &build.outcome)
        ))?;
    }
    for stopped in &status.stopped {
        line(paint(BAD, format!("stopped: {stopped}; go on with `longshore resume`")))?;
    }
    if let Some(error) = &status.runner_error {
        line(paint(BAD, format!("the runner does not answer: {error}")))?;
    }
    if status.work.deliveries + status.work.busy > 0 {
        let (owed, busy) = (status.work.deliveries, status.work.busy);
        line(paint(FAINT, format!("{owed} events owed, {busy} units at work")))?;
    }
    Ok(())
}

fn row(table: &mut Table, service: &ServiceStatus) {
    let Some(running) = service.running() else {
        table.row(vec![(PLAIN, format!("  {}", service.name)), (FAINT, "nothing".into())]);
        return;
    };
    table.row(vec![
        (PLAIN, format!("  {}", service.name)),
        (phase_style(running.phase), phase(running.phase)),
        (PLAIN, running.commit.as_deref().map_or("-", short).to_owned()),
        (FAINT, short_digest(&running.digest).to_owned()),
        (PLAIN, format!("{} %", running.weight)),
        (PLAIN, running.restarts.to_string()),
        (NAME, service.url.clone().unwrap_or_default()),
    ]);
}

fn notes(service: &ServiceStatus, status: &Status) -> Result<()> {
    if let Some(held) = &service.held {
        let commit = held.commit.as_deref().map_or_else(|| short_digest(&held.digest), short);
        let until = held.until.map_or("for good".to_owned(), |until| format!("until {until}"));
        line(format!("  {} {}: {commit} waits {until}: {}", paint(BUSY, "…"), service.name, held.why))?;
    }
    if let Some(rollout) = &service.rollout {
        let commit = rollout.commit.as_deref().map_or("an image from outside", short);
        let since = ago(rollout.since, status.at);
        let (what, why) = match &rollout.goes_back {
            Some(why) => ("takes back", format!(": {why}")),
            None => ("rolls out", String::new()),
        };
        let word = rollout.overrides.as_ref().map(|word| format!(", outside of its windows by {word}"));
        let word = word.unwrap_or_default();
        line(format!("  {} {} {what} {commit}, begun {since}{word}{why}", paint(BUSY, "…"), service.name))?;
    } else if let Some(last) = service.last.as_ref().filter(|last| last.failure.is_some()) {
        let commit = last.commit.as_deref().map_or_else(|| short_digest(&last.to), short);
        let why = last.failure.as_deref().unwrap_or_default();
        let when = ago(last.at, status.at);
        let outcome = last.outcome.replace('_', " ");
        line(format!("  {} {}: {commit} {outcome} {when}: {why}", paint(BAD, "!"), service.name))?;
    }
    Ok(())
}

fn phase(phase: Phase) -> String {
    serde_json::to_value(phase)
        .ok()
        .and_then(|value| value.as_str().map(ToOwned::to_owned))
        .unwrap_or_default()
}

fn phase_style(phase: Phase) -> Style {
    match phase {
        Phase::Ready => GOOD,
        Phase::Pulling | Phase::Starting | Phase::Stopping => BUSY,
        Phase::Unready | Phase::Backoff | Phase::Failed => BAD,
    }
}
