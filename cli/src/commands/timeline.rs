//! `longshore timeline`

use anyhow::Result;

use super::Client;
use super::print::{self, FAINT, STRONG, line, paint, span};
use crate::api::Timeline;
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
        Output::Table => line(tree(&timeline)),
    }
}

/// 7 digits or more are a commit; a service's name can hardly be that.
fn is_commit(what: &str) -> bool {
    what.len() >= 7 && what.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

/// Every event on a line: when, how long after the one before, what; indented below what it follows from.
pub(crate) fn tree(timeline: &Timeline) -> String {
    let mut lines = vec![format!("{} {}", paint(FAINT, "chain"), timeline.chain)];
    let mut before = 0;
    for entry in &timeline.entries {
        let name = entry.kind.trim_start_matches("dev.longshore.");
        let name = name.rsplit_once(".v").map_or(name, |(name, _)| name);
        let time = entry.time.strftime("%H:%M:%S%.3f");
        let indent = "  ".repeat(entry.depth);
        let after = paint(FAINT, format!("{:>9}", format!("+{}", span(entry.ms - before))));
        before = entry.ms;
        lines.push(format!("{time} {after}  {indent}{}  {}", paint(STRONG, name), entry.summary));
    }
    lines.join("\n")
}
