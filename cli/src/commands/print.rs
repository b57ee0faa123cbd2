//! Printing: lines and tables on stdout, errors on stderr; colours only where a terminal wants them.

use std::fmt::{self, Display};
use std::io::{self, Write as _};

use anyhow::Result;
use jiff::Timestamp;
use serde::Serialize;

use super::style::{BAD, FAINT, Style, paint};

/// Prints one line to stdout.
pub(crate) fn line(text: impl Display) -> Result<()> {
    let mut out = anstream::stdout().lock();
    writeln!(out, "{text}")?;
    Ok(())
}

/// Prints text to stdout as it is.
pub(crate) fn raw(bytes: &[u8]) -> Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()?;
    Ok(())
}

/// Prints one line for people to stderr.
pub(crate) fn note(text: impl Display) {
    let _ = writeln!(anstream::stderr().lock(), "{text}");
}

/// Prints `value` as indented JSON.
pub(crate) fn json(value: &impl Serialize) -> Result<()> {
    line(serde_json::to_string_pretty(value)?)
}

/// Prints an error and what led to it.
pub(crate) fn error(error: &anyhow::Error) {
    let bad = BAD.effects(anstyle::Effects::BOLD);
    note(format!("{} {error:#}", paint(bad, "error:")));
}

/// `1 fault`, `2 faults`.
pub(crate) fn count(n: usize, one: &str, several: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { several })
}

/// The first 7 digits of a commit.
pub(crate) fn short(commit: &str) -> &str {
    commit.get(..7).unwrap_or(commit)
}

/// The first 12 digits of a digest.
pub(crate) fn short_digest(digest: &str) -> &str {
    let digits = digest.strip_prefix("sha256:").unwrap_or(digest);
    digits.get(..12).unwrap_or(digits)
}

/// A span of time in the largest unit that fits: `320 ms`, `4.2 s`, `3 min`, `5 h`, `2 d`.
pub(crate) fn span(ms: i64) -> String {
    let tenths = |unit: i64| format!("{}.{}", ms / unit, ms % unit * 10 / unit);
    match ms {
        ..0 => format!("-{}", span(-ms)),
        0..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{} s", tenths(1_000)),
        60_000..3_600_000 => format!("{} min", ms / 60_000),
        3_600_000..86_400_000 => format!("{} h", ms / 3_600_000),
        _ => format!("{} d", ms / 86_400_000),
    }
}

/// How long before `now` something was.
pub(crate) fn ago(then: Timestamp, now: Timestamp) -> String {
    format!("{} ago", span((now.as_millisecond() - then.as_millisecond()).max(0)))
}

/// A table without lines: each column as wide as its widest cell, the last one as long as it likes.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<Vec<(Style, String)>>,
}

impl Table {
    /// A table with these headings.
    pub(crate) fn new(headings: &[&str]) -> Self {
        Self { rows: vec![headings.iter().map(|&heading| (FAINT, heading.to_owned())).collect()] }
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, cells: Vec<(Style, String)>) {
        self.rows.push(cells);
    }
}

impl Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or_default();
        let wide = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.1.chars().count()).max().unwrap_or_default()
        };
        let widths: Vec<usize> = (0..columns).map(wide).collect();
        for (number, row) in self.rows.iter().enumerate() {
            if number > 0 {
                writeln!(f)?;
            }
            for (column, (style, text)) in row.iter().enumerate() {
                let last = column + 1 == row.len();
                let pad = if last { 0 } else { widths[column] + 2 - text.chars().count() };
                write!(f, "{style}{text}{style:#}{:pad$}", "")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::style::PLAIN;
    use super::*;

    #[test]
    fn spans_are_in_the_largest_unit_that_fits() {
        let said: Vec<String> =
            [0, 999, 1_000, 4_260, 59_999, 60_000, 7_200_000, 172_800_000].map(span).to_vec();
        assert_eq!(said, ["0 ms", "999 ms", "1.0 s", "4.2 s", "59.9 s", "1 min", "2 h", "2 d"]);
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(&["a", "long heading", "c"]);
        table.row(vec![(PLAIN, "longer".into()), (PLAIN, "x".into()), (PLAIN, "the end".into())]);
        let text = anstream::adapter::strip_str(&table.to_string()).to_string();
        assert_eq!(text, "a       long heading  c\nlonger  x             the end");
    }
}
