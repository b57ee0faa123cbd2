//! Faults put in on purpose: the simulator must find each of them.

/// One fault in the frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutant {
    /// State is committed first, and the facts in a second write.
    TwoWrites,
    /// Every attempt performs under a key of its own.
    KeysPerAttempt,
    /// The receipt is not written, so that an event is told again.
    NoReceipt,
}

use longshore_ports::journal::Commit;

/// The writes that a mutant makes of one commit.
pub(crate) fn split(mutant: Option<Mutant>, commit: &Commit) -> Option<Vec<Commit>> {
    match mutant? {
        Mutant::TwoWrites if !commit.events.is_empty() && commit.unit.is_some() => {
            let facts = Commit { at: commit.at, events: commit.events.clone(), ..Commit::default() };
            Some(vec![Commit { events: Vec::new(), ..commit.clone() }, facts])
        }
        Mutant::NoReceipt => Some(vec![Commit { receipt: None, ..commit.clone() }]),
        _ => None,
    }
}
