//! "Did you mean …?": the nearest known word, and the nearest valid name.

use std::fmt::Write as _;

/// The word of `known` nearest to `word`, if it is near enough to be a slip of the hand.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word: Vec<char> = word.chars().flat_map(char::to_lowercase).take(100).collect();
    let near = |candidate: &str| {
        let candidate: Vec<char> = candidate.chars().collect();
        let limit = (candidate.len().max(word.len()) / 3).max(1);
        let near_enough = candidate.len().abs_diff(word.len()) <= limit;
        Some(distance(&word, &candidate)).filter(|distance| near_enough && *distance <= limit)
    };
    known
        .into_iter()
        .filter_map(|candidate| Some((near(candidate)?, candidate)))
        .min()
        .map(|(_, found)| found)
}

/// How many insertions, deletions, replacements and swaps of neighbours lead from `a` to `b` (optimal string
/// alignment, Damerau 1964).
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 0..a.len() {
        let mut row = vec![i + 1];
        for j in 0..b.len() {
            let replaced = last[j] + usize::from(a[i] != b[j]);
            let mut best = replaced.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j] {
                best = best.min(before[j - 1] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

/// A DNS label of at most 40 characters made from `text`, if anything of it can stay.
pub(crate) fn label(text: &str) -> Option<String> {
    let mut label = String::new();
    for character in text.chars() {
        match character.to_ascii_lowercase() {
            digit @ '0'..='9' if label.is_empty() => _ = write!(label, "s{digit}"),
            kept @ ('a'..='z' | '0'..='9') => label.push(kept),
            _ if label.is_empty() || label.ends_with('-') => {}
            _ => label.push('-'),
        }
        if label.len() >= 40 {
            break;
        }
    }
    label.truncate(40);
    let label = label.trim_end_matches('-');
    (!label.is_empty()).then(|| label.to_owned())
}

/// A repository's name made from `text`, if anything of it can stay.
pub(crate) fn repository(text: &str) -> Option<String> {
    let segments: Vec<String> = text.split('/').filter_map(segment).collect();
    let name: String = segments.join("/").chars().take(200).collect();
    let name = name.trim_end_matches(['.', '_', '-', '/']);
    (!name.is_empty()).then(|| name.to_owned())
}

fn segment(text: &str) -> Option<String> {
    let kept = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' };
    let mut segment: String = text.chars().map(kept).collect();
    while segment.contains("..") {
        segment = segment.replace("..", ".");
    }
    let segment = segment.trim_matches(['.', '_', '-']);
    (!segment.is_empty()).then(|| segment.to_owned())
}

/// `text` as a message quotes it: escaped, and cut when it is long.
pub(crate) fn quoted(text: &str) -> String {
    let start: String = text.chars().take(60).collect();
    let more = if start.len() < text.len() { "…" } else { "" };
    format!("{start:?}{more}")
}

/// `text` with its control characters escaped: a message is one line, and does nothing to a terminal.
pub(crate) fn one_line(text: &str) -> String {
    text.chars().fold(String::new(), |mut line, c| {
        if c.is_control() {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
        line
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn distance_of(a: &str, b: &str) -> usize {
        distance(&a.chars().collect::<Vec<_>>(), &b.chars().collect::<Vec<_>>())
    }

    #[test]
    fn the_distance_counts_edits_and_swaps() {
        for (a, b, expected) in [
            ("", "", 0),
            ("", "abc", 3),
            ("branch", "branch", 0),
            ("brnach", "branch", 1),
            ("watc", "watch", 1),
        ] {
            assert_eq!(distance_of(a, b), expected, "{a} {b}");
            assert_eq!(distance_of(b, a), expected, "{b} {a}");
        }
    }

    #[test]
    fn only_a_slip_of_the_hand_is_suggested() {
        let known = ["repository", "service", "environment", "host"];
        assert_eq!(nearest("enviroment", known), Some("environment"));
        assert_eq!(nearest("Services", known), Some("service"));
        assert_eq!(nearest("hots", known), Some("host"));
        assert_eq!(nearest("banana", known), None);
        assert_eq!(nearest(&"x".repeat(100_000), known), None);
    }

    #[test]
    fn control_characters_are_shown_not_obeyed() {
        assert_eq!(one_line("a \u{1b}[2J\n\u{e9}"), "a \\u{1b}[2J\\n\u{e9}");
    }

    #[test]
    fn labels_are_made_from_anything_with_a_letter_or_digit() {
        assert_eq!(label("My Shop!").as_deref(), Some("my-shop"));
        assert_eq!(label("2048").as_deref(), Some("s2048"));
        assert_eq!(label("--").as_deref(), None);
        assert_eq!(repository("../Acme Inc/shop.git/").as_deref(), Some("Acme-Inc/shop.git"));
    }
}
