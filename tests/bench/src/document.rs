//! `docs/performance.md`: a table whose rows are replaced by name.

use std::fs;
use std::io;
use std::path::Path;

use crate::row::Row;

const HEAD: &str = "\
# Performance

Written by `cargo xtask bench`, which rewrites only the rows that it measured. A ratio is to the peer of the same run:
both get the same work by turns, and the median turn counts. What it measures, and how, stands at the head of each file
in `tests/bench/src`.

| what | goal | measured | ratio to the peer | met | date | machine | command |
| --- | --- | --- | --- | --- | --- | --- | --- |
";

/// Writes the rows of one bench: those of the same names are replaced, others stay.
pub(crate) fn write(path: &Path, rows: &[Row], circumstances: &[String; 3]) -> io::Result<()> {
    let before = match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        read => read?,
    };
    fs::write(path, merge(&before, rows, circumstances))
}

fn merge(before: &str, rows: &[Row], circumstances: &[String; 3]) -> String {
    let mut lines: Vec<String> =
        before.lines().skip_while(|line| !line.starts_with("| ---")).skip(1).map(str::to_owned).collect();
    lines.retain(|line| line.starts_with("| "));
    for row in rows {
        let begin = format!("| {} |", row.name);
        let line = line(row, circumstances);
        match lines.iter_mut().find(|line| line.starts_with(&begin)) {
            Some(old) => *old = line,
            None => lines.push(line),
        }
    }
    format!("{HEAD}{}\n", lines.join("\n"))
}

fn line(row: &Row, [date, machine, command]: &[String; 3]) -> String {
    let Row { name, goal, measured, ratio, met } = row;
    let ratio = ratio.map_or_else(|| "–".to_owned(), |ratio| format!("{ratio:.2}"));
    let met = if *met { "yes" } else { "**no**" };
    format!("| {name} | {goal} | {measured} | {ratio} | {met} | {date} | {machine} | {command} |")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &'static str, measured: &str) -> Row {
        Row { name, goal: "1".into(), measured: measured.into(), ratio: Some(0.5), met: true }
    }

    #[test]
    fn only_the_rows_of_the_same_name_are_replaced() {
        let circumstances = ["d", "m", "c"].map(str::to_owned);
        let first = merge("", &[row("a", "old"), row("b", "stays")], &circumstances);
        let second = merge(&first, &[row("a", "new"), row("c", "added")], &circumstances);
        let measured: Vec<_> = second
            .lines()
            .filter(|line| line.contains("0.50"))
            .map(|line| line.split(" | ").nth(2))
            .collect();
        assert_eq!(measured, [Some("new"), Some("stays"), Some("added")]);
        assert!(second.starts_with(HEAD));
    }
}
