//! `longshore timeline`

use anyhow::Result;

use super::Client;
use super::print::{self, line, span};
use super::style::{FAINT, STRONG, paint};
use crate::api::{Timeline, TimelineEntry};
use crate::args::{Output, TimelineArgs};

/// Prints what happened to a change.
pub(super) async fn run(client: &Client, args: TimelineArgs, output: Output) -> Result<()> {
    let query = match (args.chain, args.what) {
        (Some(chain), _) => ("chain", chain),
        (None, Some(what)) if is_commit(&what) => ("commit", what),
        (None, what) => ("service", what.unwrap_or_default()),
    };
    let timeline: Timeline = client.get("/api/timeline", &[query]).await?;
    match output {
        Output::Json => print::json(&timeline),
        Output::Table => {
            line(format!(
                "{} {}  {}",
                paint(FAINT, "chain"),
                timeline.chain,
                paint(FAINT, "(times in UTC)")
            ))?;
            line(tree(&timeline))
        }
    }
}

/// 7 digits or more are a commit; a service's name can hardly be that.
pub(super) fn is_commit(what: &str) -> bool {
    what.len() >= 7 && what.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

/// Every event on a line: when, how long after the one before, and what; below the event that it follows from, which is
/// named where the tree does not show it.
pub(crate) fn tree(timeline: &Timeline) -> String {
    let mut entries: Vec<&TimelineEntry> = timeline.entries.iter().collect();
    // Of what was said at once, that which has consequences comes last: they stand right below it.
    let leads_on =
        |entry: &TimelineEntry| timeline.entries.iter().any(|e| e.cause.as_ref() == Some(&entry.id));
    entries.sort_by_key(|entry| (entry.ms, entry.depth, leads_on(entry)));
    let mut lines = Vec::new();
    for (number, entry) in entries.iter().enumerate() {
        let (before, rest) = entries.split_at(number);
        let delta = entry.ms - before.last().map_or(entry.ms, |last| last.ms);
        lines.push(format!(
            "{} {}  {}{}  {}{}",
            entry.time.strftime("%H:%M:%S%.3f"),
            paint(FAINT, format!("{:>9}", format!("+{}", span(delta)))),
            paint(FAINT, branches(rest)),
            paint(STRONG, short_kind(&entry.kind)),
            entry.summary,
            paint(FAINT, because(entry, before)),
        ));
    }
    lines.join("\n")
}

/// The lines of the tree before the first of `entries`: a branch goes on where an entry of that depth is still to come
/// before a shallower one.
fn branches(entries: &[&TimelineEntry]) -> String {
    let Some((entry, rest)) = entries.split_first() else { return String::new() };
    let goes_on =
        |depth: usize| rest.iter().take_while(|later| later.depth >= depth).any(|later| later.depth == depth);
    let column = |depth: usize| match (depth == entry.depth, goes_on(depth)) {
        (true, true) => "├ ",
        (true, false) => "└ ",
        (false, true) => "│ ",
        (false, false) => "  ",
    };
    (1..=entry.depth).map(column).collect()
}

/// The cause, where it is not the nearest entry above that is less deep.
fn because(entry: &TimelineEntry, before: &[&TimelineEntry]) -> String {
    let Some(cause) = &entry.cause else { return String::new() };
    let above = before.iter().rev().find(|above| above.depth + 1 == entry.depth);
    if above.is_some_and(|above| above.id == *cause) {
        return String::new();
    }
    let known = before.iter().find(|known| known.id == *cause);
    format!("  after {}", known.map_or(cause.as_str(), |known| short_kind(&known.kind)))
}

/// `push.received` for `dev.longshore.push.received.v1`.
pub(crate) fn short_kind(kind: &str) -> &str {
    let name = kind.strip_prefix("dev.longshore.").unwrap_or(kind);
    name.rsplit_once(".v").map_or(name, |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(id: &str, ms: i64, cause: Option<&str>, depth: usize) -> TimelineEntry {
        let time = jiff::Timestamp::from_millisecond(ms).unwrap();
        let (kind, cause) = (format!("dev.longshore.{id}.v1"), cause.map(Into::into));
        let (id, subject, summary) = (id.to_owned(), String::new(), "it happened".to_owned());
        TimelineEntry { id, seq: 1, time, ms, kind, subject, summary, cause, depth }
    }

    #[test]
    fn each_event_stands_below_its_cause() {
        let entries = vec![
            entry("push.received", 0, None, 0),
            entry("build.started", 30, Some("push.received"), 1),
            entry("image.pushed", 1_030, Some("push.received"), 1),
            entry("build.finished", 1_030, Some("push.received"), 1),
            entry("deployment.started", 1_040, Some("image.pushed"), 2),
            entry("digest.quarantined", 1_050, Some("elsewhere"), 0),
        ];
        let text = tree(&Timeline { chain: "c".into(), entries });
        insta::assert_snapshot!(anstream::adapter::strip_str(&text), @r"
        00:00:00.000     +0 ms  push.received  it happened
        00:00:00.030    +30 ms  ├ build.started  it happened
        00:00:01.030    +1.0 s  ├ build.finished  it happened
        00:00:01.030     +0 ms  └ image.pushed  it happened
        00:00:01.040    +10 ms    └ deployment.started  it happened
        00:00:01.050    +10 ms  digest.quarantined  it happened  after elsewhere
        ");
    }
}
