//! Execution segments: the part of a run that one of several generators executes. As k6's, `0:1/3`, `1/3:2/3`, `2/3:1`.

use std::fmt;
use std::sync::Arc;

/// A part of a run, from a share to a share. VUs and iterations are dealt out by their numbers, so that the parts of a
/// whole have each of them once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Segment {
    from: Share,
    to: Share,
    /// Its numbers of each [`PERIOD`], in order; `None` of the whole.
    own: Option<Arc<[u64]>>,
}

/// After so many numbers they are dealt out as before. It has many divisors, so that usual shares are exact.
const PERIOD: u64 = 55_440;
/// Has no divisor with the period, and is near the golden section of it: any few numbers in a row are dealt out evenly.
const STRIDE: u64 = 34_261;

/// A fraction between 0 and 1.
#[derive(Debug, Clone, Copy)]
struct Share {
    above: u64,
    below: u64,
}

impl PartialEq for Share {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Share {}

impl Share {
    const NONE: Self = Self { above: 0, below: 1 };
    const ALL: Self = Self { above: 1, below: 1 };

    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let product = |a: u64, b: u64| u128::from(a) * u128::from(b);
        product(self.above, other.below).cmp(&product(other.above, self.below))
    }

    /// The whole part of this share of a count.
    fn of(self, count: u64) -> u64 {
        u64::try_from(u128::from(count) * u128::from(self.above) / u128::from(self.below)).unwrap_or(u64::MAX)
    }

    fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if let Some(percent) = text.strip_suffix('%') {
            let (whole, rest) = percent.split_once('.').unwrap_or((percent, ""));
            let below = 100 * 10_u64.checked_pow(u32::try_from(rest.len()).ok()?)?;
            return Self::made(format!("{whole}{rest}").parse().ok()?, below);
        }
        match text.split_once('/') {
            Some((above, below)) => Self::made(above.trim().parse().ok()?, below.trim().parse().ok()?),
            None if text.contains('.') => {
                let (whole, rest) = text.split_once('.')?;
                Self::made(
                    format!("{whole}{rest}").parse().ok()?,
                    10_u64.checked_pow(u32::try_from(rest.len()).ok()?)?,
                )
            }
            None => Self::made(text.parse().ok()?, 1),
        }
    }

    fn made(above: u64, below: u64) -> Option<Self> {
        (below > 0 && above <= below && below <= 1 << 32).then_some(Self { above, below })
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.below == 1 { write!(f, "{}", self.above) } else { write!(f, "{}/{}", self.above, self.below) }
    }
}

impl fmt::Display for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.from, self.to)
    }
}

impl Default for Segment {
    fn default() -> Self {
        Self { from: Share::NONE, to: Share::ALL, own: None }
    }
}

impl Segment {
    /// From k6's notation; a single share is one from 0.
    ///
    /// # Errors
    /// It is no segment.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not an execution segment: write for example 0:1/2, or 25%:50%");
        let (from, to) = text.split_once(':').unwrap_or(("0", text));
        let (from, to) = Share::parse(from).zip(Share::parse(to)).ok_or_else(wrong)?;
        if from == Share::NONE && to == Share::ALL {
            return Ok(Self::default());
        }
        let place = |number: &u64| number * STRIDE % PERIOD;
        let own = |number: &u64| (from.of(PERIOD)..to.of(PERIOD)).contains(&place(number));
        let own: Arc<[u64]> = (0..PERIOD).filter(own).collect();
        if own.is_empty() { Err(wrong()) } else { Ok(Self { from, to, own: Some(own) }) }
    }

    /// How many of so many belong to it.
    pub(crate) fn count(&self, of: u64) -> u64 {
        let Some(own) = &self.own else { return of };
        let rest = own.partition_point(|number| *number < of % PERIOD);
        of / PERIOD * own.len() as u64 + rest as u64
    }

    /// The number (from 0) of the n-th (from 0) that belongs to it.
    pub(crate) fn nth(&self, n: u64) -> u64 {
        let Some(own) = &self.own else { return n };
        let length = own.len() as u64;
        let within = usize::try_from(n % length).ok().and_then(|place| own.get(place)).copied();
        n / length * PERIOD + within.unwrap_or_default()
    }

    /// # Errors
    /// These are not each part of a whole once; the message names what is missing or doubled.
    pub(crate) fn are_whole(mut all: Vec<Self>) -> Result<(), String> {
        all.sort_by(|a, b| a.from.cmp(&b.from));
        let mut until = Share::NONE;
        for segment in &all {
            match segment.from.cmp(&until) {
                std::cmp::Ordering::Greater => {
                    return Err(format!("the slice {until}:{} is missing", segment.from));
                }
                std::cmp::Ordering::Less => {
                    return Err(format!("the slice {segment} is there twice, or in part"));
                }
                std::cmp::Ordering::Equal => until = segment.to,
            }
        }
        if until == Share::ALL { Ok(()) } else { Err(format!("the slice {until}:1 is missing")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(text: &str) -> Segment {
        Segment::parse(text).unwrap()
    }

    #[test]
    fn the_parts_of_a_whole_have_everything_once() {
        for parts in
            [&["0:1/2", "1/2:1"][..], &["0:1/3", "1/3:2/3", "2/3:1"], &["0:20%", "0.2:7/10", "70%:1"]]
        {
            let parts: Vec<Segment> = parts.iter().map(|text| segment(text)).collect();
            assert_eq!(Segment::are_whole(parts.clone()), Ok(()));
            for count in [0, 1, 2, 7, 100, 101, 200_000] {
                assert_eq!(parts.iter().map(|part| part.count(count)).sum::<u64>(), count);
                let mut numbers: Vec<u64> =
                    parts.iter().flat_map(|part| (0..part.count(count)).map(|n| part.nth(n))).collect();
                numbers.sort_unstable();
                assert_eq!(numbers, (0..count).collect::<Vec<_>>());
            }
        }
        assert_eq!(Segment::default().nth(1 << 60), 1 << 60);
        // Each has about its share of few, too.
        assert_eq!(["0:1/2", "1/2:1"].map(|text| segment(text).count(10)), [5, 5]);
    }

    #[test]
    fn what_is_missing_is_named() {
        let missing =
            |all: &[&str]| Segment::are_whole(all.iter().map(|text| segment(text)).collect()).unwrap_err();
        assert!(missing(&["0:1/2"]).contains("1/2:1 is missing"));
        assert!(missing(&["1/3:2/3", "2/3:1"]).contains("0:1/3 is missing"));
        assert!(missing(&["0:1/2", "1/3:1"]).contains("twice"));
        for wrong in ["", "1:0", "0:2", "x:1", "0:1/0", "1/2:1/2", "0:1/2:1"] {
            assert!(Segment::parse(wrong).is_err(), "{wrong}");
        }
    }
}
