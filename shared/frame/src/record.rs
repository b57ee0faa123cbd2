//! What a decision row holds besides what was seen: all that deciding once more needs, and what was decided.
//!
//! A unit that looks each minute would fill the journal with copies of its state. So the state before a decision is
//! held whole only where it is short, or now and then; else as the piece that must be put back into the state after
//! it, which is the state before the next decision.

use jiff::Timestamp;
use longshore_events::EventId;
use longshore_ports::journal::Relied;
use serde::{Deserialize, Serialize};

use crate::{At, Cause, Decision, Failure, Lease};

/// The state before is held whole at versions that this divides, so that one row that is lost costs few others.
const WHOLE_EACH: u64 = 16;
/// A piece is held in place of the whole when it is so much shorter, in bytes.
const WORTH: usize = 256;

/// What was decided, and under what. Stored: rows of every release load as long as they are kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record<E> {
    before: Before,
    /// The sum over the state after.
    after: u64,
    pub(crate) cause: Why,
    pub(crate) lease: Lease,
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) stopped: bool,
    #[serde(default = "Vec::new", skip_serializing_if = "Vec::is_empty")]
    pub(crate) effects: Vec<E>,
    /// How many facts: they are events.
    #[serde(default)]
    pub(crate) facts: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) wake: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) hold_lease: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) relied_on: Vec<Relied>,
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) again: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde asks for")]
fn is_false(value: &bool) -> bool {
    !value
}

/// A cause, without the event that was told: that is in the journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Why {
    Told(EventId),
    Woken,
    Done,
    Failed(Failure),
}

impl Why {
    pub(crate) fn of<I>(cause: &Cause<I>) -> Self {
        match cause {
            Cause::Told(told) => Self::Told(told.id.clone()),
            Cause::Woken => Self::Woken,
            Cause::Done => Self::Done,
            Cause::Failed(failure) => Self::Failed(failure.clone()),
        }
    }
}

impl<'a, E> Record<&'a E> {
    /// Of a decision that leads from one stored state to another, at this version.
    pub(crate) fn of<S, I>(
        decision: &'a Decision<S, E>,
        cause: &Cause<I>,
        at: &At,
        version: u64,
        (before, after): (&str, &str),
    ) -> Self {
        Self {
            before: Before::of(version, before, after),
            after: sum(after),
            cause: Why::of(cause),
            lease: at.lease,
            stopped: at.stopped,
            effects: decision.effects.iter().collect(),
            facts: decision.facts.len(),
            wake: decision.wake,
            hold_lease: decision.hold_lease,
            relied_on: decision.relied_on.clone(),
            again: decision.again,
        }
    }
}

impl<E> Record<E> {
    /// The states before and after, where they are known, out of a state that may be the one after.
    pub(crate) fn states(&self, after: Option<String>) -> (Option<String>, Option<String>) {
        let after = after.filter(|after| sum(after) == self.after);
        (self.before.put_back(after.as_deref()), after)
    }
}

/// The state before a decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Before {
    /// As it was stored.
    Whole(String),
    /// What stood between the first `head` and the last `tail` bytes that it has in common with the state after.
    Piece { head: usize, tail: usize, was: String },
}

impl Before {
    fn of(version: u64, before: &str, after: &str) -> Self {
        if before.len() < WORTH || version.is_multiple_of(WHOLE_EACH) {
            return Self::Whole(before.to_owned());
        }
        let (head, tail) = common(before, after);
        let was = before.get(head..before.len() - tail).unwrap_or(before);
        if was.len() + WORTH > before.len() {
            return Self::Whole(before.to_owned());
        }
        Self::Piece { head, tail, was: was.to_owned() }
    }

    /// The state before, out of the state after where it takes that.
    fn put_back(&self, after: Option<&str>) -> Option<String> {
        match self {
            Self::Whole(text) => Some(text.clone()),
            Self::Piece { head, tail, was } => {
                let after = after?;
                let tail = after.len().checked_sub(*tail)?;
                Some([after.get(..*head)?, was, after.get(tail..)?].concat())
            }
        }
    }
}

/// How many bytes two texts have in common at the beginning, and, in what is left, at the end: whole characters.
fn common(a: &str, b: &str) -> (usize, usize) {
    let same = |(a, b): &(&u8, &u8)| a == b;
    let head = a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count();
    let head = a.floor_char_boundary(head);
    let (rest_a, rest_b) = (&a.as_bytes()[head..], &b.as_bytes()[head..]);
    let tail = rest_a.iter().rev().zip(rest_b.iter().rev()).take_while(same).count();
    (head, a.len() - a.ceil_char_boundary(a.len() - tail))
}

/// A sum over a text: shows that it is the one it was, and is no protection against anybody.
///
/// Source: Fowler, Noll and Vo, "FNV-1a", with 64 bits; here over words of 8 bytes, the last one filled up with zeros.
fn sum(text: &str) -> u64 {
    let (words, rest) = text.as_bytes().as_chunks::<8>();
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    let begin = 0xcbf2_9ce4_8422_2325 ^ text.len() as u64;
    let add = |sum: u64, word: &[u8; 8]| (sum ^ u64::from_le_bytes(*word)).wrapping_mul(0x100_0000_01b3);
    words.iter().chain([&last]).fold(begin, add)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: &str = "ein langer Zustand, der sich von Mal zu Mal kaum ändert; ";

    fn state(n: u32, end: &str) -> String {
        format!("{{\"refs\":\"{}\",\"next\":\"{n}ü{end}\"}}", LONG.repeat(20))
    }

    #[test]
    fn a_long_state_that_hardly_changed_is_held_as_a_piece() {
        let (before, after) = (state(1, "ö"), state(2, "ä"));
        let piece = Before::of(3, &before, &after);
        assert!(serde_json::to_string(&piece).unwrap().len() < 100, "{piece:?}");
        assert_eq!(piece.put_back(Some(&after)), Some(before.clone()));
        assert_eq!((piece.put_back(None), piece.put_back(Some(""))), (None, None));
        assert_eq!(Before::of(32, &before, &after), Before::Whole(before), "now and then it is whole");
    }

    #[test]
    fn whatever_changed_the_state_before_comes_back() {
        let texts = [
            "",
            "a",
            "ä",
            "aä",
            "äa",
            "ü",
            "äöä",
            "aaa",
            "aa",
            &state(1, ""),
            &state(12, "x"),
            &state(2, ""),
        ];
        for before in texts {
            for after in texts {
                let (head, tail) = common(before, after);
                assert_eq!(before[..head], after[..head]);
                assert_eq!(before[before.len() - tail..], after[after.len() - tail..]);
                assert!(head + tail <= before.len().min(after.len()), "{before:?} {after:?}");
                assert_eq!(Before::of(1, before, after).put_back(Some(after)).as_deref(), Some(before));
            }
        }
    }

    #[test]
    fn sums_differ_where_a_byte_does() {
        let mut sums: Vec<_> = (0..40).map(|n| sum(&"x".repeat(n))).collect();
        sums.extend((0..20).map(|n| sum(&format!("{}y{}", "x".repeat(n), "x".repeat(19 - n)))));
        sums.push(sum(&"\0".repeat(8)));
        let all = sums.len();
        sums.sort_unstable();
        sums.dedup();
        assert_eq!(sums.len(), all);
    }
}
