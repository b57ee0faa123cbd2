//! How long to wait before trying again: exponential, capped, with full jitter.
//!
//! Source: Marc Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015 ("full jitter").

use std::hash::{DefaultHasher, Hash, Hasher};

use jiff::{SignedDuration, Timestamp};

/// Effects are given up after so many attempts in vain.
pub(crate) const EFFECT_ATTEMPTS: u32 = 10;
/// An event whose unit cannot even be looked at is given up after so many attempts: about half an hour.
pub(crate) const DELIVERY_ATTEMPTS: u32 = 40;

const BASE_MS: u64 = 100;
const CAP_MS: u64 = 60_000;

/// When to try again after `attempts` in vain. The jitter comes from `salt`, so that a run can be repeated.
pub(crate) fn next(now: Timestamp, attempts: u32, salt: impl Hash) -> Timestamp {
    let bound = CAP_MS.min(BASE_MS << attempts.min(16));
    let mut hasher = DefaultHasher::new();
    (salt, attempts).hash(&mut hasher);
    let wait = hasher.finish() % bound + 1;
    after(now, wait)
}

/// `now` plus milliseconds.
pub(crate) fn after(now: Timestamp, ms: u64) -> Timestamp {
    now.saturating_add(SignedDuration::from_millis(i64::try_from(ms).unwrap_or(i64::MAX)))
        .unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_stay_under_the_cap_and_spread() {
        let now = Timestamp::UNIX_EPOCH;
        let waits: Vec<_> = (0..200).map(|salt| next(now, 30, salt).as_millisecond()).collect();
        assert!(waits.iter().all(|&wait| wait > 0 && wait <= 60_000));
        let (low, high) = (waits.iter().min().unwrap(), waits.iter().max().unwrap());
        assert!(high - low > 30_000, "full jitter spreads over the whole range: {low}..{high}");
    }
}
