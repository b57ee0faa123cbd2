//! A distribution, in bounded memory: exact count, sum and ends; percentiles from an HDR histogram of three digits.

use hdrhistogram::Histogram;

/// Values are kept as whole thousandths: of milliseconds, these are microseconds.
const SCALE: f64 = 1_000.0;
/// The longest time that is expected, 60 s in microseconds. Higher values make the histogram grow.
const HIGHEST: u64 = 60_000_000;
/// Above, values count as this for percentiles: a billion.
const CEILING: f64 = 1e12;

/// The values of a trend. The buckets of all trends have the same bounds, so that those of many loops and slices add up.
#[derive(Debug, Clone)]
pub(crate) struct Trend {
    pub(crate) count: u64,
    pub(crate) sum: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
    values: Histogram<u64>,
    /// Of values below zero, without their sign.
    below: Option<Histogram<u64>>,
}

fn histogram() -> Option<Histogram<u64>> {
    let mut made = Histogram::new_with_bounds(1, HIGHEST, 3).ok()?;
    made.auto(true);
    Some(made)
}

impl Default for Trend {
    fn default() -> Self {
        #[expect(clippy::expect_used, reason = "the bounds are constants, and valid")]
        let values = histogram().expect("valid bounds");
        Self { count: 0, sum: 0.0, min: 0.0, max: 0.0, values, below: None }
    }
}

impl Trend {
    /// One that was written out: sum, least and most, how many, and the histograms.
    pub(crate) fn of(
        [sum, min, max]: [f64; 3],
        count: u64,
        mut values: Histogram<u64>,
        mut below: Option<Histogram<u64>>,
    ) -> Self {
        values.auto(true);
        if let Some(below) = &mut below {
            below.auto(true);
        }
        Self { count, sum, min, max, values, below }
    }

    /// The histogram of its values, and of those below zero, without their sign.
    pub(crate) fn histograms(&self) -> (&Histogram<u64>, Option<&Histogram<u64>>) {
        (&self.values, self.below.as_ref())
    }

    /// Counts a value.
    #[inline]
    pub(crate) fn add(&mut self, value: f64) {
        if self.count == 0 {
            (self.min, self.max) = (value, value);
        } else {
            self.min = self.min.min(value);
            self.max = self.max.max(value);
        }
        self.count += 1;
        self.sum += value;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "not negative, and below 1e12"
        )]
        let scaled = (value.abs() * SCALE + 0.5).min(CEILING) as u64;
        let part = if value < 0.0 { self.below.get_or_insert_with(Self::more) } else { &mut self.values };
        // It grows as it needs to: nothing is left out.
        let _ = part.record(scaled);
    }

    fn more() -> Histogram<u64> {
        Self::default().values
    }

    /// Counts what another has counted.
    pub(crate) fn merge(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        (self.min, self.max) = if self.count == 0 {
            (other.min, other.max)
        } else {
            (self.min.min(other.min), self.max.max(other.max))
        };
        self.count += other.count;
        self.sum += other.sum;
        // Both grow as they need to: nothing is left out.
        let _ = self.values.add(&other.values);
        if let Some(below) = &other.below {
            let _ = self.below.get_or_insert_with(Self::more).add(below);
        }
    }

    /// The mean; 0 of nothing, as k6 says.
    pub(crate) fn mean(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
        let count = self.count.max(1) as f64;
        self.sum / count
    }

    /// The value that this share (0 to 1) of all are at most, between two neighbours in proportion, as k6 computes it.
    pub(crate) fn quantile(&self, share: f64) -> f64 {
        let Some(last) = self.count.checked_sub(1) else { return 0.0 };
        #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
        let rank = share.clamp(0.0, 1.0) * last as f64;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 0 and the count"
        )]
        let (low, high) = (rank.floor() as u64, rank.ceil() as u64);
        let below = self.at(low);
        let above = if high == low { below } else { self.at(high) };
        (below + (above - below) * rank.fract()).clamp(self.min, self.max)
    }

    /// The value of this rank, the lowest being 0.
    fn at(&self, rank: u64) -> f64 {
        if rank == 0 {
            return self.min;
        }
        if rank + 1 >= self.count {
            return self.max;
        }
        let negatives = self.below.as_ref().map_or(0, Histogram::len);
        if rank < negatives {
            let below = self.below.as_ref().map_or(0.0, |part| ranked(part, negatives - 1 - rank));
            return (-below).clamp(self.min, self.max);
        }
        ranked(&self.values, rank - negatives).clamp(self.min, self.max)
    }
}

fn ranked(part: &Histogram<u64>, rank: u64) -> f64 {
    let mut seen = 0;
    for step in part.iter_recorded() {
        seen += step.count_since_last_iteration();
        if seen > rank {
            return unscaled(part.median_equivalent(step.value_iterated_to()));
        }
    }
    unscaled(part.max())
}

#[expect(clippy::cast_precision_loss, reason = "at most 1e12")]
fn unscaled(value: u64) -> f64 {
    value as f64 / SCALE
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[f64]) -> Trend {
        let mut trend = Trend::default();
        for value in values {
            trend.add(*value);
        }
        trend
    }

    #[test]
    fn percentiles_lie_between_neighbours_as_k6_has_them() {
        let trend = of(&[3.0, 100.0]);
        assert!((trend.quantile(0.5) - 51.5).abs() < 1e-9);
        assert!((of(&[1.0, 2.0, 3.0]).quantile(0.9) - 2.8).abs() < 0.002);
        assert!((trend.mean() - 51.5).abs() < 1e-9);
        assert!(Trend::default().quantile(0.9).abs() < f64::EPSILON);
    }

    #[test]
    fn percentiles_keep_three_digits_at_any_size_and_sign() {
        for scale in [0.01, 1.0, 5e5] {
            let values: Vec<f64> = (1..=1000).map(|n| f64::from(n) * scale).collect();
            let trend = of(&values);
            let truth = 900.1 * scale;
            assert!((trend.quantile(0.9) - truth).abs() <= truth * 0.002 + 0.001, "{scale}");
        }
        let negative = of(&[-5.0, -4.0, -3.0, 2.0, 9.0]);
        assert!((negative.quantile(0.25) + 4.0).abs() < 0.01);
        assert!((negative.quantile(0.5) + 3.0).abs() < 0.01);
    }

    #[test]
    fn merged_is_as_counted_together() {
        let (low, high) = (of(&[1.0, 2.0, 3.0]), of(&[70_000.0, 80_000.0]));
        let mut merged = low.clone();
        merged.merge(&high);
        let together = of(&[1.0, 2.0, 3.0, 70_000.0, 80_000.0]);
        assert_eq!((merged.count, merged.max), (together.count, together.max));
        assert!((merged.quantile(0.7) - together.quantile(0.7)).abs() < 1e-9);
    }
}
