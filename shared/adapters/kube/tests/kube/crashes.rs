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

/// Wishes, one after another.
#[derive(Clone, Copy)]
struct Story {
    name: &'static str,
    wishes: &'static [Wish],
    /// Whether a route shares the traffic.
    routed: bool,
    /// The writers of the wishes before are killed in another story, which begins in the same way.
    from: usize,
    /// Of so many writes one is the last.
    every: usize,
}

/// Release 2 wins.
const WINS: Story = Story {
    name: "wins",
    wishes: &[&[(1, 100)], &[(1, 100), (2, 0)], &[(1, 50), (2, 50)], &[(1, 0), (2, 100)], &[(2, 100)]],
    routed: false,
    from: 0,
    every: 1,
};

/// It is taken back.
const TAKEN_BACK: Story = Story {
    name: "back",
    wishes: &[&[(1, 100)], &[(1, 100), (2, 0)], &[(1, 50), (2, 50)], &[(1, 100)]],
    routed: false,
    from: 3,
    every: 1,
};

/// All of it goes, and another release comes.
const ENDS: Story =
    Story { name: "ends", wishes: &[&[(1, 100)], &[], &[(2, 100)]], routed: false, from: 1, every: 1 };

/// Release 2 wins by the weights of a route.
const ROUTED: Story = Story { name: "routed", routed: true, from: 1, every: 6, ..WINS };

/// A third release takes the place of the second beside the first, and wins.
const THIRD: Story = Story {
    name: "third",
    wishes: &[&[(1, 100)], &[(1, 50), (2, 50)], &[(1, 50), (3, 50)], &[(3, 100)]],
    routed: false,
    from: 2,
    every: 6,
};

/// Every so many writes one writer is killed before it, besides the one that is killed after the write before it: the cluster is
/// the same for both.
const BEFORE: usize = 8;

impl Story {
    /// Tells it in the unit's namespace, to its end.
    async fn tell(self, unit: &Unit) {
        for (generation, wish) in (1..).zip(self.wishes) {
            let releases = unit.shops(wish).await;
            unit.reach((generation, 1), &releases).await;
        }
        let last = self.wishes[self.wishes.len() - 1][0].0;
        unit.only(last, (u64::try_from(self.wishes.len()).unwrap(), 1)).await;
    }

    /// The numbers of the writes at which it is worth ending, when nothing goes wrong.
    async fn writes(self, ground: Arc<Ground>) -> (Self, Vec<usize>) {
        let unit = Unit { routed: self.routed, ..ground.unit(self.name).await };
        let (mut from, mut to) = (0, 0);
        for (at, wish) in self.wishes.iter().enumerate() {
            if at == self.from {
                from = to;
            }
            let releases = unit.shops(wish).await;
            unit.reach((u64::try_from(at).unwrap() + 1, 1), &releases).await;
            to += ground.proxy.asked_in(self.name).iter().filter(|asked| asked.is_write()).count();
        }
        assert!(to > from + 5, "{}: {from} to {to}", self.name);
        (self, (from + 1..=to).step_by(self.every).collect())
    }

    /// Whether it had so many writes that it met its fault.
    async fn killed(self, ground: Arc<Ground>, namespace: String, number: usize, fault: Fault) -> bool {
        let _room = ground.room.acquire().await.unwrap();
        let unit = Unit { routed: self.routed, ..ground.unit(&namespace).await };
        ground.proxy.nth_write(&namespace, number, fault);
        self.tell(&unit).await;
        ground.proxy.has_come(&namespace)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_may_be_killed_at_any_write_and_one_that_was_overtaken_changes_nothing() {
    let Some(ground) = Ground::start(12).await else { return };
    ground.know_routes().await;
    tokio::join!(
        what_a_killed_writer_leaves_the_next_one_mends(&ground),
        foul_weather_delays_and_changes_nothing(&ground),
        a_writer_that_was_overtaken_is_refused_at_each_write(&ground),
    );
}

async fn what_a_killed_writer_leaves_the_next_one_mends(ground: &Arc<Ground>) {
    let stories = [WINS, TAKEN_BACK, ENDS, ROUTED, THIRD];
    let clean = stories.into_iter().map(|story| story.writes(ground.clone())).collect::<JoinSet<_>>();
    let mut all = JoinSet::new();
    for (story, numbers) in clean.join_all().await {
        for number in numbers {
            let name = format!("{}-after-{number}", story.name);
            all.spawn(story.killed(ground.clone(), name, number, Fault::CutAfter));
            if number % BEFORE == 1 {
                let name = format!("{}-before-{number}", story.name);
                all.spawn(story.killed(ground.clone(), name, number, Fault::Cut));
            }
        }
    }
    let came = all.join_all().await;
    let count = came.iter().filter(|came| **came).count();
    // One that has to apply a wish less often than the first did has fewer writes.
    assert!(count * 10 >= came.len() * 9, "{count} of {}", came.len());
}

async fn foul_weather_delays_and_changes_nothing(ground: &Arc<Ground>) {
    let proxy = FaultProxy::start(&ground.cluster).await;
    let mut all = Vec::new();
    for story in [WINS, TAKEN_BACK, ENDS] {
        let namespace = format!("{}-weather", story.name);
        let unit = ground.unit_by(&namespace, proxy.kubeconfig(), proxy.kubeconfig()).await;
        all.push((unit, story));
    }
    proxy.weather(7);
    let mut told = JoinSet::new();
    for (unit, story) in all {
        told.spawn(async move { story.tell(&unit).await });
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
    let _room = ground.room.acquire().await.unwrap();
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
            routed: false,
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
