//! When which unit is to be woken.

use std::collections::{BTreeSet, HashMap};

use jiff::Timestamp;

use super::job::Lane;

/// One time for each unit, the last that was said. Only a hint: what a crash forgets here, the sweep finds.
#[derive(Debug, Default)]
pub(super) struct Timers {
    by_time: BTreeSet<(Timestamp, Lane)>,
    by_unit: HashMap<Lane, Timestamp>,
}

impl Timers {
    /// Wakes `unit` at `at`, and at no other time that was said before.
    pub(super) fn set(&mut self, unit: Lane, at: Timestamp) {
        if let Some(before) = self.by_unit.insert(unit.clone(), at) {
            self.by_time.remove(&(before, unit.clone()));
        }
        self.by_time.insert((at, unit));
    }

    /// The next time.
    pub(super) fn next(&self) -> Option<Timestamp> {
        self.by_time.first().map(|(at, _)| *at)
    }

    /// A unit whose time has come; its timer is gone.
    pub(super) fn pop(&mut self, now: Timestamp) -> Option<Lane> {
        if self.next()? > now {
            return None;
        }
        let (_, unit) = self.by_time.pop_first()?;
        self.by_unit.remove(&unit);
        Some(unit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_unit_is_woken_at_the_last_time_that_was_said() {
        let mut timers = Timers::default();
        let unit = ("deploy", "live/shop".to_owned());
        timers.set(unit.clone(), at(5));
        timers.set(unit.clone(), at(9));
        assert_eq!(timers.pop(at(8)), None);
        assert_eq!(timers.pop(at(9)), Some(unit));
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn the_earliest_comes_first() {
        let mut timers = Timers::default();
        timers.set(("build", "b".into()), at(7));
        timers.set(("build", "a".into()), at(3));
        assert_eq!(timers.next(), Some(at(3)));
        assert_eq!(timers.pop(at(10)).unwrap().1, "a");
        assert_eq!(timers.pop(at(10)).unwrap().1, "b");
    }
}
