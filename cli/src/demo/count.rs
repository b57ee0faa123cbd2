//! Lost and twice, counted from what witnesses outside the host wrote down; the end-to-end tests count by it too.
//!
//! - *lost*: tips of the branch that neither ran nor were refused with a reason.
//! - *twice*: more than one first start of one release (a restart after an exit does not count), more than one image
//!   for one commit, or traffic that returned to a commit although nothing was rolled back.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What a witness wrote: one line for each run of `prepare` and each start of the service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Witness {
    /// `prepare` ran for a commit.
    Prepare {
        /// Which.
        commit: String,
    },
    /// The service started: for a release, for the first time or again, from a program of this checksum.
    Start {
        /// The commit that it was built from.
        commit: String,
        /// The release's number.
        release: u64,
        /// How often it was started before.
        restart: u64,
        /// The checksum.
        program: String,
    },
}

impl Witness {
    fn prepared(&self) -> Option<&String> {
        match self {
            Self::Prepare { commit } => Some(commit),
            Self::Start { .. } => None,
        }
    }
}

/// Reads the witnesses' file; lines that are none of theirs do not count.
pub fn witnesses(text: &str) -> Vec<Witness> {
    text.lines().filter_map(witness).collect()
}

fn witness(line: &str) -> Option<Witness> {
    let mut words = line.split(' ');
    let (who, commit, _pid) = (words.next()?, words.next()?.to_owned(), words.next()?);
    let mut named = |name: &str| words.next()?.strip_prefix(name);
    match who {
        "prepare" => Some(Witness::Prepare { commit }),
        "service" => Some(Witness::Start {
            commit,
            release: named("release=")?.parse().ok()?,
            restart: named("restart=")?.parse().ok()?,
            program: named("program=")?.to_owned(),
        }),
        _ => None,
    }
}

/// An answer of the service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The commit that answered.
    pub commit: String,
    /// When the request was sent.
    pub sent: Duration,
    /// When the answer was there.
    pub answered: Duration,
}

/// All that is counted from.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// What the witnesses wrote.
    pub witnesses: Vec<Witness>,
    /// What the client wrote.
    pub answers: Vec<Answer>,
    /// The digests that were accepted for a commit.
    pub digests: BTreeMap<String, BTreeSet<String>>,
    /// Commits that the branch pointed to when a scene was over, and whether each ran or was refused with a reason.
    pub tips: Vec<(String, bool)>,
    /// Commits whose release was rolled back: from these the traffic may return.
    pub rolled_back: BTreeSet<String>,
    /// Commits that got the traffic by steps, and when they had all of it, by the client's clock. One that is not among
    /// them took over with its first answer.
    pub by_steps: BTreeMap<String, Duration>,
}

/// What was counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Count {
    /// Each thing that was lost, in one line.
    pub lost: Vec<String>,
    /// Each thing that happened twice, in one line.
    pub twice: Vec<String>,
    /// Runs of `prepare` beyond the first of a commit: allowed, as the host was killed.
    pub prepared_again: usize,
}

/// Counts.
pub fn count(history: &History) -> Count {
    let lost = history.tips.iter().filter(|(_, settled)| !settled);
    let mut twice = first_starts(&history.witnesses);
    twice.extend(images(history));
    twice.extend(returns(history));
    Count {
        lost: lost.map(|(tip, _)| format!("{tip} neither runs nor was refused with a reason")).collect(),
        twice,
        prepared_again: prepared_again(&history.witnesses),
    }
}

fn first_starts(witnesses: &[Witness]) -> Vec<String> {
    let mut starts: BTreeMap<u64, usize> = BTreeMap::new();
    for witness in witnesses {
        if let Witness::Start { release, restart: 0, .. } = witness {
            *starts.entry(*release).or_default() += 1;
        }
    }
    starts.retain(|_, starts| *starts > 1);
    starts.iter().map(|(release, n)| format!("release {release} was first started {n} times")).collect()
}

/// Images as the registry named them, and as their programs testified: either alone would show a second one.
fn images(history: &History) -> Vec<String> {
    let mut programs: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for witness in &history.witnesses {
        if let Witness::Start { commit, program, .. } = witness {
            programs.entry(commit.clone()).or_default().insert(program.clone());
        }
    }
    let commits: BTreeSet<&String> = programs.keys().chain(history.digests.keys()).collect();
    let of = |map: &BTreeMap<String, BTreeSet<String>>, commit| map.get(commit).map_or(0, BTreeSet::len);
    let images = commits.into_iter().map(|c| (c, of(&programs, c).max(of(&history.digests, c))));
    images.filter(|(_, n)| *n > 1).map(|(commit, n)| format!("{commit} has {n} images")).collect()
}

/// Commits that answered a request sent after a newer commit had taken over, unless that one was rolled back.
fn returns(history: &History) -> Vec<String> {
    let mut first: BTreeMap<&str, Duration> = BTreeMap::new();
    for answer in &history.answers {
        let at = first.entry(&answer.commit).or_insert(answer.answered);
        *at = (*at).min(answer.answered);
    }
    let took_over = |commit: &str, first: Duration| history.by_steps.get(commit).copied().unwrap_or(first);
    let mut returned: BTreeMap<&str, usize> = BTreeMap::new();
    for answer in &history.answers {
        let began = first.get(answer.commit.as_str()).copied().unwrap_or_default();
        let newer = |(commit, at): (&&str, &Duration)| {
            *at > began && took_over(commit, *at) < answer.sent && !history.rolled_back.contains(*commit)
        };
        if first.iter().any(newer) {
            *returned.entry(&answer.commit).or_default() += 1;
        }
    }
    let line = |(commit, n)| format!("{commit} answered {n} requests after a newer commit had taken over");
    returned.into_iter().map(line).collect()
}

fn prepared_again(witnesses: &[Witness]) -> usize {
    let prepared: Vec<&String> = witnesses.iter().filter_map(Witness::prepared).collect();
    prepared.len() - prepared.iter().collect::<BTreeSet<_>>().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(commit: &str, release: u64, restart: u64, program: &str) -> Witness {
        Witness::Start { commit: commit.into(), release, restart, program: program.into() }
    }

    fn witnessed(witnesses: &[Witness]) -> Count {
        count(&History { witnesses: witnesses.to_vec(), ..History::default() })
    }

    fn answer(commit: &str, sent: u64, answered: u64) -> Answer {
        let (sent, answered) = (Duration::from_millis(sent), Duration::from_millis(answered));
        Answer { commit: commit.into(), sent, answered }
    }

    fn answered(answers: &[Answer], rolled_back: &[&str]) -> Count {
        let rolled_back = rolled_back.iter().map(ToString::to_string).collect();
        count(&History { answers: answers.to_vec(), rolled_back, ..History::default() })
    }

    #[test]
    fn the_witnesses_lines_are_read_and_others_are_not() {
        let text = "prepare abc 12\nservice abc 34 release=2 restart=0 program=ff\nnoise\nservice abc 35 release=x\n";
        let expected = [Witness::Prepare { commit: "abc".into() }, start("abc", 2, 0, "ff")];
        assert_eq!(witnesses(text), expected);
    }

    #[test]
    fn nothing_is_lost_or_twice_in_a_history_without_faults() {
        let history = History {
            witnesses: vec![start("a", 1, 0, "p"), start("b", 2, 0, "q")],
            answers: vec![answer("a", 0, 1), answer("a", 10, 30), answer("b", 15, 20), answer("b", 40, 41)],
            digests: BTreeMap::from([("a".into(), BTreeSet::from(["x".into()]))]),
            tips: vec![("a".into(), true), ("b".into(), true)],
            ..History::default()
        };
        assert_eq!(count(&history), Count::default());
    }

    #[test]
    fn two_first_starts_of_one_release_are_twice() {
        let count = witnessed(&[start("a", 1, 0, "p"), start("a", 1, 0, "p"), start("b", 2, 0, "q")]);
        assert_eq!(count.twice, ["release 1 was first started 2 times"]);
    }

    #[test]
    fn a_restart_after_an_exit_is_not_twice() {
        assert_eq!(witnessed(&[start("a", 1, 0, "p"), start("a", 1, 1, "p")]).twice.len(), 0);
    }

    #[test]
    fn one_commit_in_two_releases_is_not_twice() {
        assert_eq!(witnessed(&[start("a", 1, 0, "p"), start("a", 3, 0, "p")]).twice.len(), 0);
    }

    #[test]
    fn two_programs_of_one_commit_are_twice() {
        assert_eq!(witnessed(&[start("a", 1, 0, "p"), start("a", 2, 0, "q")]).twice, ["a has 2 images"]);
    }

    #[test]
    fn two_digests_of_one_commit_are_twice() {
        let digests = BTreeMap::from([("a".to_owned(), BTreeSet::from(["x".to_owned(), "y".to_owned()]))]);
        let count = count(&History { digests, ..History::default() });
        assert_eq!(count.twice, ["a has 2 images"]);
    }

    #[test]
    fn traffic_that_returns_is_twice_unless_the_newer_commit_was_rolled_back() {
        let there_and_back =
            [answer("a", 0, 1), answer("b", 10, 11), answer("a", 20, 21), answer("a", 30, 31)];
        let twice = ["a answered 2 requests after a newer commit had taken over"];
        assert_eq!(answered(&there_and_back, &[]).twice, twice);
        assert_eq!(answered(&there_and_back, &["b"]).twice.len(), 0);
    }

    #[test]
    fn traffic_that_is_shared_by_steps_is_not_twice_until_the_newer_commit_has_all_of_it() {
        let shared = [answer("a", 0, 1), answer("b", 10, 11), answer("a", 20, 21), answer("a", 40, 41)];
        let all_at = |ms| BTreeMap::from([("b".to_owned(), Duration::from_millis(ms))]);
        let of = |by_steps| count(&History { answers: shared.to_vec(), by_steps, ..History::default() });
        assert_eq!(of(all_at(50)).twice.len(), 0);
        assert_eq!(of(all_at(30)).twice, ["a answered 1 requests after a newer commit had taken over"]);
    }

    #[test]
    fn a_request_already_on_its_way_at_the_switch_may_be_answered_by_the_old_commit() {
        let late = [answer("a", 0, 1), answer("a", 10, 50), answer("b", 12, 14)];
        assert_eq!(answered(&late, &[]).twice.len(), 0);
    }

    #[test]
    fn a_tip_that_neither_runs_nor_was_refused_is_lost() {
        let tips = vec![("a".into(), true), ("b".into(), false)];
        let count = count(&History { tips, ..History::default() });
        assert_eq!(count.lost, ["b neither runs nor was refused with a reason"]);
    }

    #[test]
    fn a_prepare_run_again_is_noted_and_not_counted() {
        let again = Witness::Prepare { commit: "a".into() };
        let count = witnessed(&[again.clone(), again.clone(), again]);
        assert_eq!((count.prepared_again, count.twice.len()), (2, 0));
    }
}
