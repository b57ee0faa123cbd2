//! Faults put in on purpose: the simulator must find each of them.

use longshore_ports::journal::Commit;

use crate::{At, Lease};

/// One fault in the frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutant {
    /// State is committed first, and the facts in a second write.
    TwoWrites,
    /// Every attempt performs under a key of its own.
    KeysPerAttempt,
    /// The receipt is not written, so that an event is told again.
    NoReceipt,
    /// A lease that another unit holds is taken.
    NoLease,
    /// Nothing heeds the stop switches.
    NoSwitch,
}

/// The writes that a mutant makes of one commit.
pub(crate) fn split(mutant: Option<Mutant>, commit: &Commit) -> Option<Vec<Commit>> {
    match mutant? {
        Mutant::TwoWrites if !commit.events.is_empty() && commit.unit.is_some() => {
            let facts = Commit { at: commit.at, events: commit.events.clone(), ..Commit::default() };
            Some(vec![Commit { events: Vec::new(), ..commit.clone() }, facts])
        }
        Mutant::NoReceipt => Some(vec![Commit { receipt: None, ..commit.clone() }]),
        Mutant::NoSwitch => Some(vec![Commit { running: Vec::new(), ..commit.clone() }]),
        _ => None,
    }
}

/// How a mutant sees what a decision is made under.
pub(crate) fn blind(mutant: Option<Mutant>, at: At, generation: u64) -> At {
    match (mutant, at.lease) {
        (Some(Mutant::NoLease), Lease::Theirs) => At { lease: Lease::Free(generation + 1), ..at },
        (Some(Mutant::NoSwitch), _) => At { stopped: false, ..at },
        _ => at,
    }
}
