//! When what ramps happens, in pure arithmetic: VUs by stages, and arrivals by rates.

use std::time::Duration;

use crate::options::Stage;

/// When a VU of a ramping scenario works: from, until.
pub(crate) type Window = (Duration, Duration);

/// The windows of the VU of this place (from 0), among VUs that rise and fall by stages. The last to begin is the first to
/// end. As in k6, the n-th VU of a rise begins when the line has reached it.
pub(crate) fn windows(start: u64, stages: &[Stage], place: u64) -> Vec<Window> {
    let mut all: Vec<Window> = Vec::new();
    let mut since = (place < start).then_some(Duration::ZERO);
    let (mut from, mut begun) = (start, Duration::ZERO);
    for stage in stages {
        let (to, rises) = (stage.target, stage.target > from);
        let crosses = (from <= place) != (to <= place);
        if crosses {
            // Of so many steps, this VU's is the n-th.
            let (steps, nth) = if rises { (to - from, place + 1 - from) } else { (from - to, from - place) };
            #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
            let at = begun + stage.duration.mul_f64(nth as f64 / steps as f64);
            match since.take() {
                Some(since) => all.push((since, at)),
                None => since = Some(at),
            }
        }
        from = to;
        begun += stage.duration;
    }
    all.extend(since.map(|since| (since, begun)));
    all.retain(|(from, until)| from < until);
    all
}

/// The times at which iterations begin, in order.
#[derive(Debug, Clone)]
pub(crate) enum Arrivals {
    /// Every so many seconds, from 0 on.
    Even { every: f64, end: f64 },
    /// By rates that change in proportion. Begin, length, rate at the begin and at the end (each a second), iterations before.
    Ramp(Vec<(f64, f64, f64, f64, f64)>),
}

impl Arrivals {
    /// So many in each unit, for so long.
    pub(crate) fn even(rate: u64, unit: Duration, duration: Duration) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "rates are small")]
        let every = unit.as_secs_f64() / rate.max(1) as f64;
        Self::Even { every, end: duration.as_secs_f64() }
    }

    /// Rates by stages, each in a unit.
    #[expect(clippy::cast_precision_loss, reason = "rates are small")]
    pub(crate) fn ramp(start: u64, unit: Duration, stages: &[Stage]) -> Self {
        let (mut from, mut begun, mut before) = (start as f64 / unit.as_secs_f64(), 0.0, 0.0);
        let part = |stage: &Stage| {
            let (to, length) = (stage.target as f64 / unit.as_secs_f64(), stage.duration.as_secs_f64());
            let part = (begun, length, from, to, before);
            before += length * f64::midpoint(from, to);
            begun += length;
            from = to;
            part
        };
        Self::Ramp(stages.iter().map(part).collect())
    }

    /// When the iteration of this number (from 0) begins; `None` when there is none.
    pub(crate) fn at(&self, number: u64) -> Option<Duration> {
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        let number = number as f64;
        let seconds = match self {
            Self::Even { every, end } => Some(number * every).filter(|at| *at < *end - 1e-9),
            Self::Ramp(parts) => {
                // As in k6, the first iteration begins when the area below the line has reached one.
                let wanted = number + 1.0;
                let holds = |(_, length, from, to, before): &&(f64, f64, f64, f64, f64)| {
                    wanted <= before + length * f64::midpoint(*from, *to) + 1e-9
                };
                let (begun, length, from, to, before) = parts.iter().find(holds)?;
                let rest = wanted - before;
                let slope = (to - from) / length;
                let after = if slope.abs() < 1e-12 {
                    rest / from
                } else {
                    (-from + (from * from + 2.0 * slope * rest).max(0.0).sqrt()) / slope
                };
                Some(begun + after.clamp(0.0, *length))
            }
        };
        seconds.map(Duration::from_secs_f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stage(seconds: u64, target: u64) -> Stage {
        Stage { duration: Duration::from_secs(seconds), target }
    }

    fn seconds(window: &Window) -> (f64, f64) {
        (window.0.as_secs_f64(), window.1.as_secs_f64())
    }

    #[test]
    fn vus_rise_and_fall_with_the_line() {
        let stages = [stage(10, 10), stage(5, 10), stage(10, 0)];
        let of = |place| windows(0, &stages, place).iter().map(seconds).collect::<Vec<_>>();
        assert_eq!(of(0), [(1.0, 25.0)]);
        assert_eq!(of(9), [(10.0, 16.0)]);
        assert_eq!(of(10), []);
        let again = [stage(2, 2), stage(2, 0), stage(2, 2)];
        let windows: Vec<_> = windows(1, &again, 1).iter().map(seconds).collect();
        assert_eq!(windows, [(2.0, 3.0), (6.0, 6.0)].into_iter().filter(|(a, b)| a < b).collect::<Vec<_>>());
    }

    #[test]
    fn a_jump_is_a_stage_of_no_time() {
        let stages = [stage(0, 3), stage(5, 3)];
        assert_eq!(windows(0, &stages, 2).iter().map(seconds).collect::<Vec<_>>(), [(0.0, 5.0)]);
    }

    #[test]
    fn even_arrivals_are_as_many_as_the_rate_says() {
        let arrivals = Arrivals::even(10, Duration::from_secs(1), Duration::from_secs(2));
        assert_eq!((0..).map_while(|n| arrivals.at(n)).count(), 20);
        assert_eq!(arrivals.at(0), Some(Duration::ZERO));
    }

    #[test]
    fn ramping_arrivals_are_the_area_below_the_line() {
        let arrivals = Arrivals::ramp(
            0,
            Duration::from_secs(1),
            &[stage(10, 20), stage(10, 20), stage(0, 0), stage(5, 2)],
        );
        let times: Vec<f64> = (0..).map_while(|n| arrivals.at(n)).map(|time| time.as_secs_f64()).collect();
        assert_eq!(times.len(), 100 + 200 + 5);
        assert!(times.is_sorted());
        assert!((times[99] - 10.0).abs() < 1e-6 && (times[24] - 5.0).abs() < 1e-6);
        assert!((times[104] - 10.25).abs() < 1e-6);
    }
}
