//! `longshore events`

use std::io::Read as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::Client;
use super::client::encoded;
use super::print::{self, line};
use super::style::{FAINT, GOOD, STRONG, paint};
use super::timeline::short_kind;
use crate::api::{EventEntry, Events, MAX_WAIT_MS, Redrive, Redriven};
use crate::args::{EventsFilter, Output};

/// Between two looks for new events, at least.
const BETWEEN: Duration = Duration::from_secs(1);

/// Prints one event.
pub(super) async fn show(client: &Client, id: &str) -> Result<()> {
    let event: serde_json::Value = client.get(&format!("/api/events/{}", encoded(id)), &[]).await?;
    print::json(&event)
}

/// Sends the event in `file`, or on stdin.
pub(super) async fn send(client: &Client, file: &Path) -> Result<()> {
    let mut body = Vec::new();
    if file.as_os_str() == "-" {
        std::io::stdin().read_to_end(&mut body)?;
    } else {
        body = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    }
    print::json(&client.send_event(body).await?)
}

/// Sends again what a function gave up.
pub(super) async fn redrive(client: &Client, id: String, output: Output) -> Result<()> {
    let done: Redriven = client.post("/api/redrives", &Redrive { id }).await?;
    if output == Output::Json {
        return print::json(&done);
    }
    let sent = if done.new { "sent again" } else { "was sent again before" };
    let (original, function) = (&done.original, &done.function);
    line(format!("{} {original} {sent}, as {}; {function} had given it up", paint(GOOD, "ok"), done.id))
}

fn query(filter: &EventsFilter) -> Vec<(&'static str, String)> {
    let mut query = Vec::new();
    query.extend(filter.kind.clone().map(|kind| ("kind", kind)));
    query.extend(filter.subject.clone().map(|subject| ("subject", subject)));
    query.extend(filter.after.map(|after| ("after", after.to_string())));
    query.extend(filter.limit.map(|limit| ("limit", limit.to_string())));
    query
}

/// Prints the last events, or those after a number.
pub(super) async fn list(client: &Client, filter: &EventsFilter, output: Output) -> Result<()> {
    let events: Events = client.get("/api/events", &query(filter)).await?;
    if output == Output::Json {
        return print::json(&events);
    }
    events.events.iter().try_for_each(|entry| one(entry, output))
}

/// Prints the last events, then each new one.
pub(super) async fn tail(client: &Client, filter: &EventsFilter, output: Output) -> Result<()> {
    let mut filter = filter.clone();
    filter.limit = filter.limit.or(Some(10));
    loop {
        let mut asked = query(&filter);
        asked.push(("wait_ms", MAX_WAIT_MS.to_string()));
        let begun = Instant::now();
        let events: Events = client.get("/api/events", &asked).await?;
        events.events.iter().try_for_each(|entry| one(entry, output))?;
        if events.events.is_empty() {
            // On AWS nobody waits for news: whoever asks does.
            tokio::time::sleep(BETWEEN.saturating_sub(begun.elapsed())).await;
        }
        (filter.after, filter.limit) = (Some(events.next), Some(1_000));
    }
}

fn one(entry: &EventEntry, output: Output) -> Result<()> {
    if output == Output::Json {
        return line(serde_json::to_string(entry)?);
    }
    let text = |name: &str| entry.event.get(name).and_then(|value| value.as_str()).unwrap_or_default();
    let kind = short_kind(text("type"));
    let time = text("time").get(11..19).unwrap_or_default();
    line(format!(
        "{} {time} {}  {}",
        paint(FAINT, format!("{:>6}", entry.seq)),
        paint(STRONG, format!("{kind:<20}")),
        entry.summary
    ))
}

/// Lists the types, or prints the schema of one.
pub(super) fn schema(kind: Option<&str>, output: Output) -> Result<()> {
    let schemas = longshore_events::schemas();
    let Some(kind) = kind else {
        let kinds: Vec<&str> = schemas.iter().map(|(kind, _)| *kind).collect();
        return match output {
            Output::Json => print::json(&kinds),
            Output::Table => kinds.iter().try_for_each(line),
        };
    };
    let found = schemas.iter().find(|(known, _)| *known == kind || known.contains(&format!(".{kind}.v")));
    match found {
        Some((_, schema)) => print::json(schema),
        None => bail!("there is no event type {kind:?}; `longshore events schema` lists them"),
    }
}
