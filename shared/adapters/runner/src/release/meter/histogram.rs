//! How long requests took, in buckets whose width grows with the time: each is at most a sixteenth of its lower bound wide,
//! as in HdrHistogram with four bits (Tene, 2012). Only buckets with something in them take room.

use std::time::Duration;

/// Bits of the time that a bucket keeps, below the highest.
const BITS: u32 = 4;
/// What takes longer counts as this: about 18 minutes, in microseconds.
const LONGEST: u64 = (1 << 30) - 1;

/// Counts by bucket, the shortest time first.
#[derive(Debug, Clone, Default)]
pub(super) struct Histogram(Vec<(u16, u32)>);

impl Histogram {
    /// Counts one.
    pub(super) fn add(&mut self, took: Duration) {
        self.add_to(bucket(u64::try_from(took.as_micros()).unwrap_or(LONGEST)), 1);
    }

    fn add_to(&mut self, bucket: u16, count: u32) {
        match self.0.binary_search_by_key(&bucket, |(known, _)| *known) {
            Ok(at) => self.0[at].1 = self.0[at].1.saturating_add(count),
            Err(at) => self.0.insert(at, (bucket, count)),
        }
    }

    /// Counts what another has counted.
    pub(super) fn merge(&mut self, other: &Self) {
        for (bucket, count) in &other.0 {
            self.add_to(*bucket, *count);
        }
    }

    /// The time, in milliseconds, that this share of all took at most; `None` of nothing.
    pub(super) fn at(&self, share: f64) -> Option<f64> {
        let total: u64 = self.0.iter().map(|(_, count)| u64::from(*count)).sum();
        #[expect(clippy::cast_precision_loss, reason = "counts of some days are far below 2^52")]
        let wanted = (share * total as f64).max(1.0);
        let mut seen = 0_u64;
        let found = self.0.iter().find(|(_, count)| {
            seen += u64::from(*count);
            #[expect(clippy::cast_precision_loss, reason = "counts of some days are far below 2^52")]
            let reached = seen as f64 >= wanted;
            reached
        });
        found.or(self.0.last()).map(|(bucket, _)| middle(*bucket) / 1_000.0)
    }
}

/// The bucket of a time in microseconds: the place of its highest bit, and the bits below that.
fn bucket(us: u64) -> u16 {
    let us = us.min(LONGEST);
    let shift = (u64::BITS - us.leading_zeros()).saturating_sub(BITS + 1);
    u16::try_from((u64::from(shift) << BITS) + (us >> shift)).unwrap_or(u16::MAX)
}

/// The middle of a bucket, in microseconds.
fn middle(bucket: u16) -> f64 {
    let (bucket, ones) = (u32::from(bucket), 1_u32 << BITS);
    // The first 32 buckets are a microsecond wide.
    let shift = (bucket >> BITS).saturating_sub(1);
    let top = f64::from(bucket - (shift << BITS));
    debug_assert!(shift == 0 || top >= f64::from(ones), "a bucket has its highest bit");
    (top + if shift == 0 { 0.0 } else { 0.5 }) * f64::from(1_u32 << shift)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_middle_of_a_bucket_is_near_every_time_in_it(us in 1..LONGEST) {
            #[expect(clippy::cast_precision_loss, reason = "below 2^30")]
            let truth = us as f64;
            let middle = middle(bucket(us));
            prop_assert!((middle - truth).abs() <= truth / 32.0, "{us} is in the bucket of {middle}");
        }

        #[test]
        fn buckets_are_in_the_order_of_times(a in 0..LONGEST, b in 0..LONGEST) {
            prop_assert_eq!(a.cmp(&b), bucket(a).cmp(&bucket(b)).then(a.cmp(&b)));
        }
    }

    #[test]
    fn a_percentile_is_the_time_that_its_share_took_at_most() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.at(0.5), None);
        for ms in 1..=100 {
            histogram.add(Duration::from_millis(ms));
        }
        for (share, truth) in [(0.01, 1.0), (0.5, 50.0), (0.99, 99.0), (0.9999, 100.0)] {
            let value = histogram.at(share).unwrap();
            assert!((value - truth).abs() <= truth / 32.0, "{share}: {value}");
        }
        let mut both = histogram.clone();
        both.merge(&histogram);
        assert_eq!(both.at(0.9), histogram.at(0.9));
        assert!(bucket(u64::MAX) == bucket(LONGEST));
    }
}
