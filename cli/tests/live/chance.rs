//! Chance that can be had again: all that a storm leaves to chance follows from one number.

use std::time::Duration;

/// `xorshift64*` (Vigna, 2016).
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(number).unwrap() % end
    }

    /// A time of less than so many milliseconds.
    pub(crate) fn ms(&mut self, end: usize) -> Duration {
        Duration::from_millis(self.below(end) as u64)
    }
}
