//! "Did you mean …": the known word nearest to one that was mistyped.

/// The nearest of `known`, if at most a third of `word` differs.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let (distance, nearest) = known.into_iter().map(|known| (distance(word, known), known)).min()?;
    (distance <= word.chars().count().div_ceil(3)).then_some(nearest)
}

/// Levenshtein's distance, row by row.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, &y) in b.iter().enumerate() {
            let changed = diagonal + usize::from(x != y);
            let cheapest = changed.min(row[j] + 1).min(row[j + 1] + 1);
            diagonal = std::mem::replace(&mut row[j + 1], cheapest);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::nearest;

    const TASKS: [&str; 4] = ["test", "peers", "lint", "schemas"];

    #[test]
    fn a_slip_of_the_finger_is_understood() {
        assert_eq!(nearest("tset", TASKS), Some("test"));
        assert_eq!(nearest("schema", TASKS), Some("schemas"));
        assert_eq!(nearest("peer", TASKS), Some("peers"));
    }

    #[test]
    fn something_else_is_not_guessed_at() {
        assert_eq!(nearest("deploy", TASKS), None);
        assert_eq!(nearest("", TASKS), None);
    }
}
