//! What everything that runs releases must do.

use std::sync::{Mutex, PoisonError};

use crate::{
    Desired, DesiredRelease, ErrorKind, Observed, ObservedRelease, Phase, PortError, Progress, Workload,
    Workloads,
};

/// Where releases run, and what can run there. The releases' numbers and weights do not count: the suite gives them.
pub struct Bench<W> {
    /// Where they run; nothing was ever applied there.
    pub workloads: W,
    /// A workload, and another one.
    pub units: [Workload; 2],
    /// A release that becomes ready.
    pub good: DesiredRelease,
    /// Another one, of another image.
    pub other: DesiredRelease,
    /// One that runs, and never becomes ready.
    pub unready: DesiredRelease,
    /// One that can never run, where that is told apart from one that is not ready.
    pub unfit: Option<DesiredRelease>,
    /// What was applied last: it is applied again when the outside asks for that.
    pub last: Mutex<Option<Desired>>,
}

/// Runs every test of the suite, each on a bench of its own. `settle` waits until something has changed, or a while.
pub async fn run<W: Workloads>(make: impl AsyncFn() -> Bench<W>, settle: impl AsyncFn(&Bench<W>)) {
    what_was_never_applied_is_empty(&make().await).await;
    a_release_becomes_ready_and_has_the_traffic(&make().await, &settle).await;
    the_same_wish_again_changes_nothing(&make().await, &settle).await;
    an_older_or_another_wish_is_refused_and_changes_nothing(&make().await, &settle).await;
    each_workload_has_a_fence_of_its_own(&make().await, &settle).await;
    the_traffic_moves_from_one_release_to_the_next(&make().await, &settle).await;
    a_release_that_does_not_become_ready_is_taken_back(&make().await, &settle).await;
    nothing_named_is_nothing_left_and_the_fence_stays(&make().await, &settle).await;
    what_can_never_run_fails_with_a_reason(&make().await, &settle).await;
}

/// Looks are bounded, so that what never gets there fails the suite.
const LOOKS: usize = 2_000;
/// So many looks are a while.
const A_WHILE: usize = 20;

impl<W: Workloads> Bench<W> {
    async fn apply(&self, pair: (u64, u32), releases: &[DesiredRelease]) -> Result<(), PortError> {
        let (generation, step) = pair;
        let workload = self.units[0].clone();
        let desired = Desired { workload, generation, step, releases: releases.to_vec() };
        self.workloads.apply(&desired).await?;
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(desired);
        Ok(())
    }

    /// Applies what was applied last once more.
    async fn apply_again(&self) {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(last) = last {
            self.workloads.apply(&last).await.unwrap_or_else(|error| panic!("the same again: {error}"));
        }
    }

    async fn applied(&self, pair: (u64, u32), releases: &[DesiredRelease]) {
        self.apply(pair, releases).await.unwrap_or_else(|error| panic!("{pair:?} is newer: {error}"));
    }

    async fn observe(&self) -> Observed {
        self.workloads.observe(&self.units[0]).await.expect("it can be asked")
    }

    async fn until(
        &self,
        settle: &impl AsyncFn(&Self),
        what: &str,
        reached: impl Fn(&Observed) -> bool,
    ) -> Observed {
        let mut seen = self.observe().await;
        for _ in 0..LOOKS {
            if reached(&seen) {
                return seen;
            }
            if seen.progress == Progress::Again {
                self.apply_again().await;
            }
            settle(self).await;
            seen = self.observe().await;
        }
        panic!("never seen: {what}; but {seen:?}")
    }
}

fn release(like: &DesiredRelease, release: u64, weight: u8) -> DesiredRelease {
    DesiredRelease { release, weight, ..like.clone() }
}

fn pair(seen: &Observed) -> (u64, u32) {
    (seen.generation, seen.step)
}

fn is_ready(seen: &Observed, release: u64, weight: u8) -> bool {
    seen.release(release).is_some_and(|seen| seen.phase == Phase::Ready && seen.weight == weight)
}

fn numbers(seen: &Observed) -> Vec<u64> {
    let mut numbers: Vec<u64> = seen.releases.iter().map(|seen| seen.release).collect();
    numbers.sort_unstable();
    numbers
}

async fn what_was_never_applied_is_empty<W: Workloads>(bench: &Bench<W>) {
    assert_eq!(bench.observe().await, Observed::default());
}

async fn a_release_becomes_ready_and_has_the_traffic<W: Workloads>(
    bench: &Bench<W>,
    settle: &impl AsyncFn(&Bench<W>),
) {
    bench.applied((3, 1), &[release(&bench.good, 3, 100)]).await;
    let seen = bench.until(settle, "a ready release", |seen| is_ready(seen, 3, 100)).await;
    assert_eq!(pair(&seen), (3, 1));
    let [ObservedRelease { digest, restarts: 0, .. }] = seen.releases.as_slice() else {
        panic!("one release that was started once, not {seen:?}")
    };
    assert_eq!(*digest, bench.good.image.digest);
}

async fn the_same_wish_again_changes_nothing<W: Workloads>(
    bench: &Bench<W>,
    settle: &impl AsyncFn(&Bench<W>),
) {
    let wish = [release(&bench.good, 1, 100)];
    bench.applied((1, 0), &wish).await;
    bench.applied((1, 0), &wish).await;
    let before = bench.until(settle, "a ready release", |seen| is_ready(seen, 1, 100)).await;
    bench.applied((1, 0), &wish).await;
    bench.applied((1, 1), &wish).await;
    let seen = bench.until(settle, "the later step", |seen| pair(seen) == (1, 1)).await;
    assert_eq!(seen, Observed { step: 1, ..before }, "a later step that says the same starts nothing");
}

async fn an_older_or_another_wish_is_refused_and_changes_nothing<W: Workloads>(
    bench: &Bench<W>,
    settle: &impl AsyncFn(&Bench<W>),
) {
    bench.applied((5, 2), &[release(&bench.good, 5, 100)]).await;
    bench.until(settle, "a ready release", |seen| is_ready(seen, 5, 100)).await;
    let other = [release(&bench.other, 4, 100)];
    for (pair, wish) in [((4, 9), &other[..]), ((5, 1), &other), ((5, 2), &other), ((5, 2), &[])] {
        let error = bench.apply(pair, wish).await.expect_err("it is not newer");
        assert_eq!(error.kind, ErrorKind::Conflict, "{pair:?}: {error}");
    }
    for _ in 0..A_WHILE {
        settle(bench).await;
    }
    let seen = bench.until(settle, "the wish that holds", |seen| pair(seen) == (5, 2)).await;
    assert_eq!(numbers(&seen), [5]);
}

async fn each_workload_has_a_fence_of_its_own<W: Workloads>(
    bench: &Bench<W>,
    settle: &impl AsyncFn(&Bench<W>),
) {
    bench.applied((9, 9), &[release(&bench.good, 9, 100)]).await;
    let releases = vec![release(&bench.good, 1, 100)];
    let desired = Desired { workload: bench.units[1].clone(), generation: 1, step: 0, releases };
    bench.workloads.apply(&desired).await.expect("another workload has another fence");
    bench.until(settle, "a ready release", |seen| is_ready(seen, 9, 100)).await;
    for _ in 0..LOOKS {
        let seen = bench.workloads.observe(&bench.units[1]).await.expect("it can be asked");
        if pair(&seen) == (1, 0) && is_ready(&seen, 1, 100) {
            return;
        }
        settle(bench).await;
    }
    panic!("the other workload's release is never ready")
}

async fn the_traffic_moves_from_one_release_to_the_next<W: Workloads>(
    bench: &Bench<W>,
    settle: &impl AsyncFn(&Bench<W>),
) {
    let both = |old, new| [release(&bench.good, 1, old), release(&bench.other, 2, new)];
    bench.applied((1, 0), &both(100, 0)[..1]).await;
    bench.until(settle, "the first release", |seen| is_ready(seen, 1, 100)).await;
    bench.applied((2, 0), &both(100, 0)).await;
    let beside = |seen: &Observed| is_ready(seen, 1, 100) && is_ready(seen, 2, 0);
    bench.until(settle, "both, side by side", beside).await;
    bench.applied((2, 1), &both(0, 100)).await;
    let moved = |seen: &Observed| is_ready(seen, 1, 0) && is_ready(seen, 2, 100);
    let seen = bench.until(settle, "the traffic's move", moved).await;
    assert!(seen.releases.iter().all(|release| release.restarts == 0), "{seen:?}");
    bench.applied((2, 2), &both(0, 100)[1..]).await;
    let alone = |seen: &Observed| pair(seen) == (2, 2) && numbers(seen) == [2];
    let seen = bench.until(settle, "the end of the first release", alone).await;
    assert!(is_ready(&seen, 2, 100), "{seen:?}");
}

async fn a_release_that_does_not_become_ready_is_taken_back<W: Workloads>(
    bench: &Bench<W>,
    settle: &impl AsyncFn(&Bench<W>),
) {
    let good = release(&bench.good, 1, 100);
    bench.applied((1, 0), std::slice::from_ref(&good)).await;
    bench.until(settle, "the first release", |seen| is_ready(seen, 1, 100)).await;
    bench.applied((2, 0), &[good.clone(), release(&bench.unready, 2, 0)]).await;
    bench.until(settle, "the second release", |seen| seen.release(2).is_some()).await;
    for _ in 0..A_WHILE {
        settle(bench).await;
        let seen = bench.observe().await;
        assert!(is_ready(&seen, 1, 100), "the first release does not suffer: {seen:?}");
        assert!(!is_ready(&seen, 2, 0), "{seen:?}");
    }
    bench.applied((2, 1), &[good]).await;
    let alone = |seen: &Observed| pair(seen) == (2, 1) && numbers(seen) == [1];
    let seen = bench.until(settle, "the end of the second release", alone).await;
    assert!(is_ready(&seen, 1, 100), "{seen:?}");
}

async fn nothing_named_is_nothing_left_and_the_fence_stays<W: Workloads>(
    bench: &Bench<W>,
    settle: &impl AsyncFn(&Bench<W>),
) {
    let wish = [release(&bench.good, 1, 100)];
    bench.applied((1, 0), &wish).await;
    bench.until(settle, "a ready release", |seen| is_ready(seen, 1, 100)).await;
    bench.applied((2, 0), &[]).await;
    let empty = |seen: &Observed| pair(seen) == (2, 0) && seen.releases.is_empty();
    bench.until(settle, "the end of the release", empty).await;
    let error = bench.apply((1, 0), &wish).await.expect_err("it is older");
    assert_eq!(error.kind, ErrorKind::Conflict, "{error}");
    bench.applied((3, 0), &[release(&bench.other, 3, 100)]).await;
    bench.until(settle, "a later release", |seen| is_ready(seen, 3, 100)).await;
}

async fn what_can_never_run_fails_with_a_reason<W: Workloads>(
    bench: &Bench<W>,
    settle: &impl AsyncFn(&Bench<W>),
) {
    let Some(unfit) = &bench.unfit else { return };
    if let Err(error) = bench.apply((1, 0), &[release(unfit, 1, 100)]).await {
        assert_eq!(error.kind, ErrorKind::Invalid, "{error}");
        return;
    }
    let failed = |seen: &Observed| seen.release(1).is_some_and(|seen| seen.phase == Phase::Failed);
    let seen = bench.until(settle, "the failure", failed).await;
    let reason = seen.release(1).and_then(|seen| seen.reason.clone()).unwrap_or_default();
    assert!(!reason.is_empty(), "a failure says why");
    bench.applied((2, 0), &[]).await;
    bench.until(settle, "the end of what failed", |seen| seen.releases.is_empty()).await;
}
