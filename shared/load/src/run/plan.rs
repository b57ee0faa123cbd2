//! Which loop has which VUs.

use super::worker::Share;
use crate::options::{Executor, Options, Scenario, Segment};

/// VUs of an arrival-rate scenario that one loop has at least: loops cannot lend each other idle ones.
const CREW: u64 = 50;

/// The shares of so many loops.
pub(crate) fn shares(all_options: &Options, loops: usize) -> Vec<Vec<Share>> {
    let mut all = vec![Vec::new(); loops];
    let mut first_id = 1;
    for (scenario, options) in all_options.scenarios.iter().enumerate() {
        let of = loops_for(options, &all_options.segment, loops as u64);
        for nth in 0..of {
            if let Some(share) = usize::try_from(nth).ok().and_then(|nth| all.get_mut(nth)) {
                share.push(Share { scenario, nth, of, first_id });
            }
        }
        first_id += options.executor.max_vus();
    }
    all.retain(|shares| !shares.is_empty());
    all
}

fn loops_for(scenario: &Scenario, segment: &Segment, loops: u64) -> u64 {
    let executor = &scenario.executor;
    match executor {
        Executor::ConstantArrivalRate { .. } | Executor::RampingArrivalRate { .. } => {
            (segment.count(executor.first_vus()) / CREW).clamp(1, loops)
        }
        _ => segment.count(executor.max_vus()).clamp(1, loops),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Overrides;

    #[test]
    fn every_vu_belongs_to_one_loop() {
        let options = serde_json::json!({"scenarios": {
            "a": {"executor": "constant-vus", "vus": 5, "duration": "1s"},
            "b": {"executor": "constant-arrival-rate", "rate": 1, "duration": "1s", "preAllocatedVUs": 9, "maxVUs": 99},
        }});
        let options = Options::read(&options, &Overrides::default()).unwrap();
        let shares = shares(&options, 2);
        let of = |scenario| shares.iter().flatten().filter(|share| share.scenario == scenario).count();
        assert_eq!((of(0), of(1)), (2, 1));
        assert_eq!(shares[0][1].first_id, 6);
    }
}
