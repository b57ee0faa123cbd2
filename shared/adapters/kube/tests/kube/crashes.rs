//! A writer that is killed at any of its writes, and one that wakes up when a newer one has been there.
//!
//! A write that was done and whose answer is lost leaves what a writer leaves that is killed after it; one that is cut off, what is
//! left by one that is killed before it, or at any of the reads between.

use std::sync::Arc;
use std::time::Duration;

use longshore_kube::testing::{Fault, FaultProxy};
use longshore_ports::ErrorKind;
use tokio::task::JoinSet;

use crate::ground::{Ground, Unit};

/// Releases with their weights.
type Wish = &'static [(u64, u8)];

/// One wish after another: release 2 wins.
const WINS: &[Wish] =
    &[&[(1, 100)], &[(1, 100), (2, 0)], &[(1, 50), (2, 50)], &[(1, 0), (2, 100)], &[(2, 100)]];
/// The same, and it is taken back.
const TAKEN_BACK: &[Wish] = &[&[(1, 100)], &[(1, 100), (2, 0)], &[(1, 50), (2, 50)], &[(1, 100)]];

/// Tells the story in the unit's namespace, to its end.
async fn tell(unit: &Unit, story: &[Wish]) {
    for (generation, wish) in (1..).zip(story) {
        let releases = unit.shops(wish).await;
        unit.reach((generation, 1), &releases).await;
    }
    let last = story[story.len() - 1][0].0;
    let generation = u64::try_from(story.len()).unwrap();
    unit.only(last, (generation, 1)).await;
}

/// How many writes each wish of a story takes when nothing goes wrong.
async fn writes_of(ground: &Arc<Ground>, name: &str, story: &[Wish]) -> Vec<usize> {
    let unit = ground.unit(name).await;
    let mut writes = Vec::new();
    for (generation, wish) in (1..).zip(story) {
        let releases = unit.shops(wish).await;
        unit.reach((generation, 1), &releases).await;
        writes.push(ground.proxy.asked_in(name).iter().filter(|asked| asked.is_write()).count());
    }
    writes
}

/// Every so many writes one writer is killed before it, besides the one that is killed after the write before it: the cluster is
/// the same for both.
const BEFORE: usize = 4;

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_may_be_killed_at_any_write_and_one_that_was_overtaken_changes_nothing() {
    let Some(ground) = Ground::start(10).await else { return };
    tokio::join!(
        what_a_killed_writer_leaves_the_next_one_mends(&ground),
        foul_weather_delays_and_changes_nothing(&ground),
        a_writer_that_was_overtaken_is_refused_at_each_write(&ground),
    );
}

async fn what_a_killed_writer_leaves_the_next_one_mends(ground: &Arc<Ground>) {
    let (wins, back) = tokio::join!(writes_of(ground, "wins", WINS), writes_of(ground, "back", TAKEN_BACK));
    let mut all = JoinSet::new();
    // How the second story begins is the first one's beginning.
    let begins = wins[..3].iter().sum::<usize>();
    let stories = [("wins", WINS, 0, wins.iter().sum()), ("back", TAKEN_BACK, begins, begins + back[3])];
    for (name, story, from, to) in stories {
        assert!(to > from + 5, "{name}: {wins:?} {back:?}");
        for number in from + 1..=to {
            all.spawn(killed(
                ground.clone(),
                format!("{name}-after-{number}"),
                story,
                number,
                Fault::CutAfter,
            ));
            if number % BEFORE == 1 {
                all.spawn(killed(
                    ground.clone(),
                    format!("{name}-before-{number}"),
                    story,
                    number,
                    Fault::Cut,
                ));
            }
        }
    }
    let came = all.join_all().await;
    let count = came.iter().filter(|came| **came).count();
    // One that has to apply a wish less often than the first did has fewer writes.
    assert!(count * 10 >= came.len() * 9, "{count} of {}", came.len());
}

/// Whether the story had so many writes that it met its fault.
async fn killed(ground: Arc<Ground>, namespace: String, story: &[Wish], number: usize, fault: Fault) -> bool {
    let unit = ground.unit(&namespace).await;
    ground.proxy.nth_write(&namespace, number, fault);
    tell(&unit, story).await;
    ground.proxy.has_come(&namespace)
}

async fn foul_weather_delays_and_changes_nothing(ground: &Arc<Ground>) {
    let proxy = FaultProxy::start(&ground.cluster).await;
    let mut all = Vec::new();
    for number in 1..=4 {
        for (name, story) in [("wins", WINS), ("back", TAKEN_BACK)] {
            let namespace = format!("{name}-weather-{number}");
            all.push((ground.unit_by(&namespace, proxy.kubeconfig(), proxy.kubeconfig()).await, story));
        }
    }
    proxy.weather(7);
    let mut told = JoinSet::new();
    for (unit, story) in all {
        told.spawn(async move { tell(&unit, story).await });
    }
    told.join_all().await;
    let asked = proxy.asked();
    let failed = asked.iter().filter(|asked| !matches!(asked.status, 200 | 201 | 404 | 409)).count();
    assert!(failed * 10 > asked.len(), "{failed} of {} failed: that is no weather", asked.len());
}

/// What an older writer wants that sleeps before one of its writes, and what a newer one does meanwhile.
const OVERTAKEN: &[(&str, Wish, Wish)] = &[
    ("in-place", &[(2, 100)], &[(3, 100)]),
    ("beside", &[(1, 100), (2, 0)], &[(1, 100)]),
    ("two-beside", &[(1, 50), (2, 50)], &[(3, 100)]),
    ("nothing", &[], &[(3, 100)]),
];

async fn a_writer_that_was_overtaken_is_refused_at_each_write(ground: &Arc<Ground>) {
    let mut all = JoinSet::new();
    let mut first = JoinSet::new();
    for (name, older, newer) in OVERTAKEN.iter().copied() {
        let ground = ground.clone();
        first.spawn(async move {
            let namespace = format!("{name}-first");
            let unit = ground.unit(&namespace).await;
            unit.reach((1, 1), &unit.shops(&[(1, 100)]).await).await;
            ground.proxy.asked_in(&namespace);
            unit.apply((2, 1), &unit.shops(older).await).await.unwrap();
            let asked = ground.proxy.asked_in(&namespace);
            (name, older, newer, asked.iter().filter(|asked| asked.is_write()).count())
        });
    }
    for (name, older, newer, writes) in first.join_all().await {
        assert!(writes > 0, "{name}");
        for number in 1..=writes {
            all.spawn(overtaken(ground.clone(), format!("{name}-{number}"), number, older, newer));
        }
    }
    all.join_all().await;
}

async fn overtaken(ground: Arc<Ground>, namespace: String, number: usize, older: Wish, newer: Wish) {
    let unit = ground.unit(&namespace).await;
    unit.reach((1, 1), &unit.shops(&[(1, 100)]).await).await;
    let (older, last) = (unit.shops(older).await, newer[0].0);
    ground.proxy.nth_write(&namespace, number, Fault::Held);
    let newer = unit.shops(newer).await;
    let overtakes = async {
        while !ground.proxy.has_come(&namespace) {
            tokio::task::yield_now().await;
        }
        let direct = ground.cluster.kubeconfig();
        let other = Unit {
            ground: ground.clone(),
            namespace: namespace.clone(),
            writes: ground.workloads(&direct, &namespace).await,
            looks: ground.workloads(&direct, &namespace).await,
        };
        // The older one waits no longer than that for an answer.
        soon(other.reach((3, 1), &newer)).await;
        ground.proxy.let_go(&namespace);
        other
    };
    let (refused, other) = tokio::join!(unit.apply((2, 1), &older), overtakes);
    let refused = refused.expect_err("a newer one has been there");
    assert_eq!(refused.kind, ErrorKind::Conflict, "{namespace}: {refused}");
    other.reach((3, 1), &newer).await;
    unit.only(last, (3, 1)).await;
}

async fn soon(done: impl Future<Output = ()>) {
    let _ = tokio::time::timeout(Duration::from_secs(12), done).await;
}
