//! Lost and twice, counted from what witnesses outside the host wrote down.

use std::collections::{BTreeMap, BTreeSet};

/// What a witness wrote: one line for each run of `prepare` and each start of the service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Witness {
    /// `prepare` ran for a commit.
    Prepare { commit: String },
    /// The service started: for a release, for the first time or again.
    Start { commit: String, release: u64, restart: u64 },
}

/// Reads the witnesses' file; lines that are none of theirs do not count.
pub(super) fn witnesses(text: &str) -> Vec<Witness> {
    let parse = |line: &str| {
        let mut words = line.split_whitespace();
        let (who, commit) = (words.next()?, words.next()?.to_owned());
        let mut number = |name: &str| words.find_map(|word| word.strip_prefix(name)?.parse::<u64>().ok());
        Some(match who {
            "prepare" => Witness::Prepare { commit },
            "service" => {
                Witness::Start { commit, release: number("release=")?, restart: number("restart=")? }
            }
            _ => return None,
        })
    };
    text.lines().filter_map(parse).collect()
}

/// All that is counted from.
#[derive(Debug, Clone, Default)]
pub(super) struct History {
    /// What the witnesses wrote.
    pub(super) witnesses: Vec<Witness>,
    /// The commits that answered, in order, each as long as it lasted.
    pub(super) answered: Vec<String>,
    /// Digests accepted for the service, by commit.
    pub(super) digests: BTreeMap<String, BTreeSet<String>>,
    /// Commits that were tips when a scene was over, each with whether it ran or was refused with a reason.
    pub(super) tips: Vec<(String, bool)>,
    /// How often the traffic went back because a release was rolled back.
    pub(super) roll_backs: usize,
}

/// What was counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Count {
    /// Tips that neither ran nor were refused with a reason.
    pub(super) lost: Vec<String>,
    /// Things that happened twice.
    pub(super) twice: Vec<String>,
    /// Runs of `prepare` beyond the first of a commit: allowed when the host was killed.
    pub(super) prepared_again: usize,
}

/// Counts.
pub(super) fn count(history: &History) -> Count {
    let mut count = Count::default();
    count.lost.extend(history.tips.iter().filter(|(_, ended)| !ended).map(|(commit, _)| commit.clone()));
    let mut firsts: BTreeMap<u64, usize> = BTreeMap::new();
    let mut prepared: BTreeMap<&str, usize> = BTreeMap::new();
    for witness in &history.witnesses {
        match witness {
            Witness::Start { release, restart: 0, .. } => *firsts.entry(*release).or_default() += 1,
            Witness::Start { .. } => {}
            Witness::Prepare { commit } => *prepared.entry(commit).or_default() += 1,
        }
    }
    let doubled = firsts.iter().filter(|(_, starts)| **starts > 1);
    count.twice.extend(
        doubled.map(|(release, starts)| format!("release {release} was first started {starts} times")),
    );
    let doubled = history.digests.iter().filter(|(_, digests)| digests.len() > 1);
    count.twice.extend(doubled.map(|(commit, digests)| format!("{commit} has {} digests", digests.len())));
    let returns = returns(&history.answered);
    if returns > history.roll_backs {
        count
            .twice
            .push(format!("the traffic went back {returns} times, with {} roll-backs", history.roll_backs));
    }
    count.prepared_again = prepared.values().map(|runs| runs - 1).sum();
    count
}

/// How often a commit answered again after another one had.
fn returns(answered: &[String]) -> usize {
    let mut seen = BTreeSet::new();
    let mut before: Option<&String> = None;
    let mut returns = 0;
    for commit in answered {
        if before != Some(commit) && !seen.insert(commit) {
            returns += 1;
        }
        before = Some(commit);
    }
    returns
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(release: u64, restart: u64) -> Witness {
        Witness::Start { commit: "c".into(), release, restart }
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_witnesses_lines_are_read() {
        let text =
            "prepare abc 12\nservice abc 34 release=2 restart=0\nnoise\nservice abc 35 release=2 restart=1\n";
        let read = witnesses(text);
        assert_eq!(read.len(), 3);
        assert_eq!(read[2], Witness::Start { commit: "abc".into(), release: 2, restart: 1 });
    }

    #[test]
    fn two_first_starts_of_one_release_are_twice_and_a_restart_is_not() {
        let history =
            History { witnesses: vec![start(1, 0), start(2, 0), start(2, 1)], ..History::default() };
        assert_eq!(count(&history).twice.len(), 0);
        let history = History { witnesses: vec![start(1, 0), start(1, 0)], ..History::default() };
        assert_eq!(count(&history).twice, ["release 1 was first started 2 times"]);
    }

    #[test]
    fn two_digests_for_one_commit_are_twice() {
        let digests = BTreeMap::from([("abc".to_owned(), BTreeSet::from(["x".to_owned(), "y".to_owned()]))]);
        assert_eq!(count(&History { digests, ..History::default() }).twice.len(), 1);
    }

    #[test]
    fn traffic_that_returns_without_a_roll_back_is_twice() {
        let answered = names(&["a", "a", "b", "b", "a"]);
        let history = History { answered: answered.clone(), ..History::default() };
        assert_eq!(count(&history).twice.len(), 1);
        assert_eq!(count(&History { answered, roll_backs: 1, ..History::default() }).twice.len(), 0);
    }

    #[test]
    fn a_tip_that_neither_runs_nor_is_refused_is_lost() {
        let history = History { tips: vec![("a".into(), true), ("b".into(), false)], ..History::default() };
        assert_eq!(count(&history).lost, ["b"]);
    }

    #[test]
    fn a_prepare_run_again_is_printed_and_not_counted() {
        let twice = vec![Witness::Prepare { commit: "a".into() }, Witness::Prepare { commit: "a".into() }];
        let count = count(&History { witnesses: twice, ..History::default() });
        assert_eq!((count.prepared_again, count.twice.len()), (1, 0));
    }
}
