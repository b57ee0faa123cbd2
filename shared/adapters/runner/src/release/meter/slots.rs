//! Counts by time: fine for what was just now, coarser the older it is.

use std::collections::VecDeque;

use super::histogram::Histogram;

/// The width of the finest slots, in milliseconds.
const FINEST_MS: i64 = 250;
/// So many slots become one of the next level.
const FACTOR: i64 = 8;
/// Slots with something in them, at each level.
const SLOTS: usize = 64;
/// Levels: the last one's slots are 2.3 hours wide.
const LEVELS: usize = 6;

/// What was counted in a span of time.
#[derive(Debug, Clone, Default)]
pub(super) struct Slot {
    /// When it begins, in milliseconds since 1970.
    begin: i64,
    pub(super) requests: u64,
    pub(super) errors: u64,
    pub(super) took: Histogram,
    /// Looks at the process.
    pub(super) looks: u64,
    /// The processors' time that it took between them, in milliseconds.
    pub(super) cpu_ms: u64,
    /// The time between them, in milliseconds.
    pub(super) span_ms: u64,
}

impl Slot {
    fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.errors += other.errors;
        self.took.merge(&other.took);
        self.looks += other.looks;
        self.cpu_ms += other.cpu_ms;
        self.span_ms += other.span_ms;
    }
}

/// The slots of a release, the oldest of each level first.
#[derive(Debug, Default)]
pub(super) struct Slots {
    levels: [VecDeque<Slot>; LEVELS],
    /// Until then, in milliseconds since 1970, slots were thrown away.
    forgotten: i64,
}

impl Slots {
    /// The slot of a moment. A clock that went back counts into the newest one.
    pub(super) fn at(&mut self, now: i64) -> &mut Slot {
        self.slot(0, now - now.rem_euclid(FINEST_MS))
    }

    fn slot(&mut self, level: usize, begin: i64) -> &mut Slot {
        if self.levels[level].back().is_none_or(|last| last.begin < begin) {
            if self.levels[level].len() >= SLOTS
                && let Some(oldest) = self.levels[level].pop_front()
            {
                self.put_together(level + 1, &oldest);
            }
            self.levels[level].push_back(Slot { begin, ..Slot::default() });
        }
        let last = self.levels[level].len() - 1;
        &mut self.levels[level][last]
    }

    fn put_together(&mut self, level: usize, slot: &Slot) {
        if level >= LEVELS {
            self.forgotten = slot.begin + width(LEVELS - 1);
            return;
        }
        self.slot(level, slot.begin - slot.begin.rem_euclid(width(level))).add(slot);
    }

    /// Until when slots were thrown away, in milliseconds since 1970.
    pub(super) fn forgotten(&self) -> i64 {
        self.forgotten
    }

    /// What was counted in the slots that begin within a window: of a coarse one that began before it, nothing.
    pub(super) fn between(&self, from: i64, until: i64) -> Slot {
        let mut all = Slot::default();
        for slot in self.levels.iter().flatten().filter(|slot| (from..until).contains(&slot.begin)) {
            all.add(slot);
        }
        all
    }
}

fn width(level: usize) -> i64 {
    (0..level).fold(FINEST_MS, |width, _| width * FACTOR)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn nothing_is_counted_twice_or_lost_and_memory_is_bounded(
            steps in prop::collection::vec(1..5_000_i64, 1..2_000)
        ) {
            let (mut slots, mut now) = (Slots::default(), 1_000_000);
            let begin = now;
            for step in &steps {
                now += step;
                slots.at(now).requests += 1;
            }
            let all = slots.between(0, i64::MAX).requests;
            prop_assert_eq!(all, steps.len() as u64);
            prop_assert_eq!(slots.forgotten(), 0);
            prop_assert!(slots.levels.iter().all(|level| level.len() <= SLOTS));
            let half = begin + (now - begin) / 2;
            let truth = {
                let mut at = begin;
                steps.iter().filter(|step| { at += **step; at >= half }).count() as u64
            };
            let counted = slots.between(half, i64::MAX).requests;
            prop_assert!(counted <= truth, "{} of {}: what was before the window is never counted", counted, truth);
        }
    }

    #[test]
    fn what_is_too_old_is_forgotten_and_that_is_known() {
        let mut slots = Slots::default();
        let widest = width(LEVELS - 1);
        for n in 0..100_000 {
            slots.at(n * widest).requests += 1;
            if slots.forgotten() > 0 {
                let left = slots.between(slots.forgotten(), i64::MAX).requests;
                assert_eq!(left, u64::try_from(SLOTS * LEVELS).unwrap());
                return;
            }
        }
        panic!("nothing was ever forgotten");
    }
}
