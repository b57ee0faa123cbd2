//! Which release takes a request of a workload: by weight among those that are ready.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use crate::release::cell::{Cell, Open};

/// A release as its workload's traffic sees it.
#[derive(Debug, Clone)]
pub(crate) struct Lane {
    /// The release.
    pub(crate) cell: Arc<Cell>,
    /// Its share of the traffic, in percent.
    pub(crate) share: u8,
    /// Its share once one of those that are to have one is ready.
    pub(crate) ordered: u8,
    /// Whether it had a share before, so that it may stand in.
    pub(crate) trusted: bool,
}

/// The traffic of one workload.
#[derive(Debug, Default)]
pub(crate) struct Route {
    /// The oldest release first.
    lanes: RwLock<Vec<Lane>>,
    turn: AtomicUsize,
}

impl Route {
    /// Sets who gets traffic from now on; the oldest release first.
    pub(crate) fn set(&self, lanes: Vec<Lane>) {
        *self.lanes.write().unwrap_or_else(PoisonError::into_inner) = lanes;
    }

    /// Opens a request on a release: by weight among those that are to have traffic and are ready; while none is, by
    /// weight among those that had it before; else on the newest that ever had. One that is to be avoided is taken
    /// only when its equals cannot.
    pub(crate) fn enter(&self, avoid: Option<u64>) -> Option<Open> {
        let lanes = self.lanes.read().unwrap_or_else(PoisonError::into_inner);
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        // Whoever has seen that a release is ready can rely on the traffic's move.
        let ordered = |lane: &Lane| lane.ordered;
        by_weight(&lanes, ordered, avoid, turn)
            .or_else(|| by_weight(&lanes, |lane| lane.share, avoid, turn))
            .or_else(|| lanes.iter().rev().filter(|lane| lane.trusted).find_map(|lane| lane.cell.enter()))
    }

    /// Opens a request on the release that a tester names: `new`, `old`, a number or a digest, whatever its weight.
    pub(crate) fn enter_named(&self, name: &str) -> Option<Open> {
        let lanes = self.lanes.read().unwrap_or_else(PoisonError::into_inner);
        let is_named = |cell: &Cell| {
            name.parse() == Ok(cell.release) || (name.len() > 18 && cell.digest.as_str().starts_with(name))
        };
        let lane = match name {
            "new" => lanes.last(),
            "old" => lanes.first(),
            _ => lanes.iter().rev().find(|lane| is_named(&lane.cell)),
        };
        lane?.cell.enter()
    }
}

fn by_weight(lanes: &[Lane], weight: fn(&Lane) -> u8, avoid: Option<u64>, turn: usize) -> Option<Open> {
    let ready = || lanes.iter().filter(|lane| weight(lane) > 0 && lane.cell.is_ready());
    let others = || ready().filter(|lane| Some(lane.cell.release) != avoid);
    let chosen = choose(others(), weight, turn).or_else(|| choose(ready(), weight, turn));
    // It may have become unready since; then any other takes it.
    chosen.and_then(|lane| lane.cell.enter()).or_else(|| ready().find_map(|lane| lane.cell.enter()))
}

fn choose<'a>(
    lanes: impl Iterator<Item = &'a Lane> + Clone,
    weight: fn(&Lane) -> u8,
    turn: usize,
) -> Option<&'a Lane> {
    let total = lanes.clone().map(|lane| usize::from(weight(lane))).sum();
    let mut at = spread(turn, total);
    lanes.into_iter().find(|lane| {
        let weight = usize::from(weight(lane));
        let here = at < weight;
        at = at.saturating_sub(weight);
        here
    })
}

/// Mixes turns, so that shares are exact over each `total` of them and not in blocks: a step that has no factor in
/// common with `total` visits each number below it once.
fn spread(turn: usize, total: usize) -> usize {
    if total < 2 {
        return 0;
    }
    let mut step = total * 5 / 8 + 1;
    while common(step, total) != 1 {
        step += 1;
    }
    turn % total * step % total
}

fn common(a: usize, b: usize) -> usize {
    if b == 0 { a } else { common(b, a % b) }
}

#[cfg(test)]
mod tests {
    use longshore_ports::Phase;
    use proptest::prelude::*;

    use super::*;
    use crate::testing::cell;

    fn lane(release: u64, share: u8, phase: Phase) -> Lane {
        let cell = cell(release);
        cell.update(|status| (status.phase, status.port) = (phase, Some(1)));
        Lane { cell, share, ordered: share, trusted: share > 0 }
    }

    fn route(lanes: Vec<Lane>) -> Route {
        let route = Route::default();
        route.set(lanes);
        route
    }

    fn taken(route: &Route, avoid: Option<u64>) -> Option<u64> {
        route.enter(avoid).map(|open| open.cell.release)
    }

    #[test]
    fn only_releases_that_are_ready_take_traffic() {
        let route = route(vec![lane(1, 50, Phase::Ready), lane(2, 50, Phase::Starting)]);
        assert!((0..10).all(|_| taken(&route, None) == Some(1)));
    }

    #[test]
    fn who_had_traffic_before_stands_in_and_who_never_had_does_not() {
        let was = Lane { share: 0, ordered: 0, trusted: true, ..lane(1, 0, Phase::Ready) };
        let new = lane(2, 100, Phase::Backoff);
        assert_eq!(taken(&route(vec![was.clone(), new.clone()]), None), Some(1));
        assert_eq!(taken(&route(vec![Lane { trusted: false, ..was }, new]), None), None);
    }

    #[test]
    fn the_traffic_moves_with_the_first_receiver_that_is_ready() {
        let (old, new) = (lane(1, 100, Phase::Ready), lane(2, 0, Phase::Starting));
        let route = route(vec![Lane { ordered: 0, ..old }, Lane { ordered: 100, ..new.clone() }]);
        assert_eq!(taken(&route, None), Some(1));
        new.cell.stand(Phase::Ready, None);
        assert!((0..10).all(|_| taken(&route, None) == Some(2)));
    }

    #[test]
    fn a_second_try_goes_to_an_equal_and_never_back_to_a_release_that_lost_its_traffic() {
        let equal = route(vec![lane(1, 99, Phase::Ready), lane(2, 1, Phase::Ready)]);
        assert!((0..10).all(|_| taken(&equal, Some(1)) == Some(2)));
        let old = Lane { trusted: true, ..lane(1, 0, Phase::Ready) };
        assert_eq!(taken(&route(vec![old, lane(2, 100, Phase::Ready)]), Some(2)), Some(2));
    }

    #[test]
    fn a_tester_names_a_release_whatever_its_weight() {
        let (one, two) = (lane(1, 100, Phase::Ready), lane(2, 0, Phase::Ready));
        let digest = two.cell.digest.to_string();
        let route = route(vec![one, two.clone()]);
        let named = |name: &str| route.enter_named(name).map(|open| open.cell.release);
        assert_eq!([named("old"), named("new"), named("1"), named("3")], [Some(1), Some(2), Some(1), None]);
        assert_eq!([named(&digest), named("sha256:"), named("")], [Some(2), None, None]);
        two.cell.stand(Phase::Unready, None);
        assert_eq!(named("new"), None);
    }

    proptest! {
        #[test]
        fn shares_are_exact_over_each_round(weights in prop::collection::vec(1u8..60, 1..5), from in 0usize..1000) {
            let lanes: Vec<Lane> = (0..).zip(&weights).map(|(n, weight)| lane(n, *weight, Phase::Ready)).collect();
            let route = route(lanes);
            route.turn.store(from, Ordering::Relaxed);
            let total: usize = weights.iter().map(|weight| usize::from(*weight)).sum();
            let taken: Vec<u64> = (0..total).filter_map(|_| taken(&route, None)).collect();
            for (n, weight) in (0..).zip(&weights) {
                prop_assert_eq!(taken.iter().filter(|taken| **taken == n).count(), usize::from(*weight));
            }
        }
    }
}
