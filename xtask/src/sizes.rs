//! `cargo xtask sizes`: how long functions and files are.
//!
//! Formatted code makes it simple: a function ends at the first closing brace at its own indentation.

use std::fs;

use crate::context::Context;
use crate::step::{Failure, output};

const LONG_FILE: usize = 400;
const SHOWN: usize = 5;

/// Prints the median and 90th percentile of the functions' lengths, the longest, and the long files.
pub(crate) fn task(context: &Context, _: &[String]) -> Result<(), Failure> {
    let list = ["ls-files", "--cached", "--others", "--exclude-standard", "*.rs"];
    let paths = output(context.program("git").args(list))?;
    let (mut functions, mut files) = (Vec::new(), Vec::new());
    for path in paths.lines() {
        // A file that was deleted but not yet committed is still listed.
        let Ok(text) = fs::read_to_string(context.root.join(path)) else { continue };
        files.push((text.lines().count(), path.to_owned()));
        functions.extend(lengths(&text).into_iter().map(|(length, line)| (length, format!("{path}:{line}"))));
    }
    functions.sort();
    print(&functions, &files);
    Ok(())
}

fn print(functions: &[(usize, String)], files: &[(usize, String)]) {
    let at =
        |part: usize| functions.get(functions.len().saturating_sub(1) * part / 10).map_or(0, |found| found.0);
    println!("{} functions: median {} lines, 90 % up to {}; the longest:", functions.len(), at(5), at(9));
    for (length, place) in functions.iter().rev().take(SHOWN) {
        println!("  {length:>5}  {place}");
    }
    let mut long: Vec<_> = files.iter().filter(|file| file.0 > LONG_FILE).collect();
    long.sort();
    println!("{} files, {} of them over {LONG_FILE} lines", files.len(), long.len());
    for (length, path) in long.iter().rev() {
        println!("  {length:>5}  {path}");
    }
}

/// The length of each function that has a body, with the line of its name (from 1).
fn lengths(text: &str) -> Vec<(usize, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let starts = lines.iter().enumerate().filter(|(_, line)| is_function(line));
    starts.filter_map(|(start, line)| Some((body(&lines[start..], indentation(line))?, start + 1))).collect()
}

fn indentation(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

fn is_function(line: &str) -> bool {
    const BEFORE: [&str; 6] = ["pub ", "pub(crate) ", "pub(super) ", "const ", "async ", "unsafe "];
    let mut rest = line.trim_start();
    while let Some(after) = BEFORE.iter().find_map(|word| rest.strip_prefix(word)) {
        rest = after;
    }
    rest.starts_with("fn ")
}

/// From the function's first line to its closing brace; `None` for a declaration without a body.
fn body(lines: &[&str], indentation_of_start: usize) -> Option<usize> {
    for (index, line) in lines.iter().enumerate() {
        let outermost = indentation(line) == indentation_of_start;
        if outermost && (index > 0 && line.trim_start().starts_with('}') && line.trim_end().ends_with('}')) {
            return Some(index + 1);
        }
        if outermost && index == 0 && line.ends_with('}') {
            return Some(1);
        }
        if outermost && line.ends_with(';') {
            return None;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::lengths;

    #[test]
    fn functions_are_measured_from_their_name_to_their_closing_brace() {
        let text = "\
trait T {
    fn declared(&self);
    fn wide(
        &self,
    ) -> u8;
}
pub(crate) async fn one() {}

impl X {
    fn two(
        a: u8,
    ) -> u8 {
        let closure = || {
            a
        };
        closure()
    }
}
";
        assert_eq!(lengths(text), [(1, 7), (8, 10)]);
    }
}
