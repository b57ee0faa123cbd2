//! What a release did: its requests, how long they took, and the processors' time that its process took.
//!
//! Counted in slots of a quarter of a second. The oldest are put together, eight into one, again and again, so that what is
//! remembered of a release is bounded: about six days. A meter begins with its runner, and a window that begins before it
//! is unknown.

mod histogram;
mod slots;

use std::sync::Mutex;
use std::time::Duration;

use longshore_events::{Measure, Timestamp};
use longshore_ports::{Measured, Window};

use self::slots::{Slot, Slots};
use super::cell::locked;
use crate::error::Refused;

/// Between two looks at a process, in milliseconds.
const LOOK_MS: i64 = 1_000;

/// The meter of a release. All times are the clock's, in milliseconds since 1970.
#[derive(Debug)]
pub(crate) struct Meter(Mutex<State>);

#[derive(Debug)]
struct State {
    /// Nothing is known of what was before.
    since: i64,
    slots: Slots,
    last: Option<Look>,
}

/// What a process had taken when it was looked at.
#[derive(Debug, Clone, Copy)]
struct Look {
    at: i64,
    pid: u32,
    cpu_ms: u64,
}

impl Meter {
    /// One that begins now.
    pub(crate) fn new(now: i64) -> Self {
        Self(Mutex::new(State { since: now, slots: Slots::default(), last: None }))
    }

    /// Counts a request that came to its end, or to the head of its answer, after so long.
    pub(crate) fn request(&self, now: i64, took: Duration, failed: bool) {
        let mut state = locked(&self.0);
        let slot = state.slots.at(now);
        slot.requests += 1;
        slot.errors += u64::from(failed);
        slot.took.add(took);
    }

    /// Whether it is time to look at the process.
    pub(crate) fn is_due(&self, now: i64) -> bool {
        locked(&self.0).last.is_none_or(|last| now < last.at || now - last.at >= LOOK_MS)
    }

    /// Notes how much time of the processors a process has taken since its start.
    pub(crate) fn look(&self, now: i64, pid: u32, cpu_ms: u64) {
        let mut state = locked(&self.0);
        let last = state.last.replace(Look { at: now, pid, cpu_ms });
        // One that was not looked at for long may have done anything meanwhile.
        let Some(last) = last.filter(|last| last.pid == pid && (1..10 * LOOK_MS).contains(&(now - last.at)))
        else {
            return;
        };
        let slot = state.slots.at(now);
        slot.looks += 1;
        slot.cpu_ms += cpu_ms.saturating_sub(last.cpu_ms);
        slot.span_ms += (now - last.at).unsigned_abs();
    }

    /// What was measured in a window; `processors` are how many there are to take.
    pub(crate) fn measure(
        &self,
        measure: &Measure,
        window: Window,
        processors: usize,
    ) -> Result<Measured, Refused> {
        let state = locked(&self.0);
        let (from, until) = (window.from.as_millisecond(), window.until.as_millisecond());
        if let Measure::Expression(_) = measure {
            let why =
                "the runner knows no expressions: name another measure, or another source under [metrics]";
            return Err(Refused::Invalid(why.into()));
        }
        let since = state.since.max(state.slots.forgotten());
        if from < since {
            let why = "it is measured only since a moment within the window".into();
            return Ok(Measured::Unknown { why, since: Timestamp::from_millisecond(since).ok() });
        }
        Ok(value(measure, &state.slots.between(from, until), processors))
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of some days are far below 2^52")]
fn value(measure: &Measure, all: &Slot, processors: usize) -> Measured {
    let requests = all.requests;
    match measure {
        Measure::Requests => Measured::of(requests as f64, requests),
        Measure::ErrorRate => Measured::of(100.0 * all.errors as f64 / requests.max(1) as f64, requests),
        Measure::Latency(percentile) => {
            Measured::of(all.took.at(percentile.share()).unwrap_or_default(), requests)
        }
        Measure::Saturation if all.looks == 0 => Measured::unknown("its process was not looked at"),
        Measure::Saturation => {
            let most = all.span_ms.max(1) as f64 * processors.max(1) as f64;
            Measured::of(100.0 * all.cpu_ms as f64 / most, all.looks)
        }
        Measure::Expression(_) => Measured::unknown("the runner knows no expressions"),
    }
}

#[cfg(test)]
mod tests {
    use longshore_events::Percentile;

    use super::*;

    fn window(from: i64, until: i64) -> Window {
        let at = |ms| Timestamp::from_millisecond(ms).unwrap();
        Window { from: at(from), until: at(until) }
    }

    fn measured(meter: &Meter, measure: &Measure, from: i64, until: i64) -> Option<(f64, u64)> {
        match meter.measure(measure, window(from, until), 2).unwrap() {
            Measured::Value { value, samples } => Some((value.get(), samples)),
            Measured::Unknown { .. } => None,
        }
    }

    #[test]
    fn requests_are_counted_in_their_window_and_none_is_unknown() {
        let meter = Meter::new(1_000);
        for n in 0..100_u64 {
            meter.request(10_000 + i64::try_from(n).unwrap() * 10, Duration::from_millis(n + 1), n % 4 == 0);
        }
        assert_eq!(measured(&meter, &Measure::Requests, 10_000, 11_000), Some((100.0, 100)));
        assert_eq!(measured(&meter, &Measure::ErrorRate, 10_000, 60_000), Some((25.0, 100)));
        assert_eq!(measured(&meter, &Measure::Requests, 10_500, 11_000), Some((50.0, 50)));
        assert_eq!(measured(&meter, &Measure::Requests, 2_000, 10_000), None);
        assert_eq!(measured(&meter, &Measure::ErrorRate, 20_000, 30_000), None);
        let p90 = Measure::Latency(Percentile::new(9_000).unwrap());
        let (value, _) = measured(&meter, &p90, 10_000, 11_000).unwrap();
        assert!((value - 90.0).abs() <= 90.0 / 16.0, "{value}");
    }

    #[test]
    fn what_was_before_the_meter_is_unknown_and_it_says_since_when() {
        let meter = Meter::new(5_000);
        meter.request(6_000, Duration::ZERO, false);
        let answer = meter.measure(&Measure::Requests, window(4_000, 8_000), 1).unwrap();
        let Measured::Unknown { since, .. } = answer else { panic!("{answer:?}") };
        assert_eq!(since, Timestamp::from_millisecond(5_000).ok());
    }

    #[test]
    fn saturation_is_the_processors_time_of_the_looks_and_another_process_begins_anew() {
        let meter = Meter::new(0);
        assert_eq!(measured(&meter, &Measure::Saturation, 0, 9_000), None);
        assert!(meter.is_due(0));
        meter.look(0, 7, 500);
        assert!(!meter.is_due(999) && meter.is_due(1_000));
        meter.look(1_000, 7, 1_000);
        meter.look(2_000, 8, 0);
        meter.look(3_000, 8, 1_500);
        assert_eq!(measured(&meter, &Measure::Saturation, 0, 9_000), Some((50.0, 2)));
    }

    #[test]
    fn an_expression_is_refused_by_name() {
        let error = Meter::new(0).measure(&Measure::Expression("up".into()), window(0, 1), 1).unwrap_err();
        assert!(matches!(error, Refused::Invalid(why) if why.contains("[metrics]")));
    }
}
