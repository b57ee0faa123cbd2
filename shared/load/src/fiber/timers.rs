//! When fibers are due. A deadline is rarely reached: it stays in the heap until its time, and is looked at again then.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

use super::FiberId;

/// Two kinds, so that the long deadlines of requests do not pile up under the short ones of sleeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    Sleep,
    Request,
}

/// One fiber's entries in the heap.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Entries {
    sleep: Option<Instant>,
    request: Option<Instant>,
}

impl Entries {
    fn of(&mut self, class: Class) -> &mut Option<Instant> {
        match class {
            Class::Sleep => &mut self.sleep,
            Class::Request => &mut self.request,
        }
    }
}

/// All deadlines of a reactor.
#[derive(Debug, Default)]
pub(super) struct Timers(BinaryHeap<Reverse<(Instant, Class, FiberId)>>);

impl Timers {
    /// Makes sure that the fiber is looked at no later than at `due`.
    pub(super) fn set(&mut self, fiber: FiberId, entries: &mut Entries, class: Class, due: Instant) {
        let entry = entries.of(class);
        if entry.is_none_or(|known| known > due) {
            *entry = Some(due);
            self.0.push(Reverse((due, class, fiber)));
        }
    }

    /// The earliest time at which a fiber is to be looked at.
    pub(super) fn next(&self) -> Option<Instant> {
        self.0.peek().map(|Reverse((due, _, _))| *due)
    }

    /// A fiber to be looked at now, with the class and time of its entry.
    pub(super) fn pop(&mut self, now: Instant) -> Option<(FiberId, Class, Instant)> {
        let Reverse((due, class, fiber)) = *self.0.peek()?;
        if due > now {
            return None;
        }
        self.0.pop();
        Some((fiber, class, due))
    }
}

/// Whether this entry is the fiber's, and not one that an earlier took the place of; it is no longer.
pub(super) fn settle(entries: &mut Entries, class: Class, due: Instant) -> bool {
    let entry = entries.of(class);
    let own = *entry == Some(due);
    if own {
        *entry = None;
    }
    own
}
