//! What changed, for those who wait for it.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Mutex;
use std::time::Duration;

use longshore_ports::Workload;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::release::cell::locked;
use crate::wire::Changed;

/// How many changes are remembered; who asks for older ones is told of every workload.
const REMEMBERED: usize = 1024;

/// The latest changes.
#[derive(Debug)]
pub(crate) struct Changes {
    first: u64,
    log: Mutex<VecDeque<Workload>>,
    next: watch::Sender<u64>,
}

impl Changes {
    /// No changes yet. Their numbers begin at `first`, which a later runner chooses higher.
    pub(crate) fn new(first: u64) -> Self {
        Self { first, log: Mutex::default(), next: watch::Sender::new(first) }
    }

    /// Something of `workload` changed.
    pub(crate) fn say(&self, workload: &Workload) {
        let mut log = locked(&self.log);
        log.push_back(workload.clone());
        if log.len() > REMEMBERED {
            log.pop_front();
        }
        self.next.send_modify(|next| *next += 1);
    }

    /// What changed since number `since`, once something did or `wait` is over. `None` for the workloads means that
    /// any may have changed.
    pub(crate) async fn since(&self, since: u64, wait: Duration) -> Changed {
        let mut next = self.next.subscribe();
        let known = self.first <= since && since <= *next.borrow();
        if known {
            // Whether it changed or the time is up, the answer is what is there now.
            let _ = timeout(wait, next.wait_for(|next| *next > since)).await;
        }
        let log = locked(&self.log);
        let next = *self.next.borrow();
        let new = usize::try_from(next.saturating_sub(since)).unwrap_or(usize::MAX);
        let workloads = (known && new <= log.len()).then(|| {
            log.iter().skip(log.len() - new).cloned().collect::<BTreeSet<_>>().into_iter().collect()
        });
        Changed { next, workloads }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{workload, workload_of};

    const NOW: Duration = Duration::ZERO;

    #[tokio::test]
    async fn each_change_is_told_once_and_each_workload_once() {
        let changes = Changes::new(10);
        assert_eq!(changes.since(10, NOW).await, Changed { next: 10, workloads: Some(vec![]) });
        changes.say(&workload());
        changes.say(&workload());
        changes.say(&workload_of("prod", "cart"));
        let all = vec![workload_of("prod", "cart"), workload()];
        assert_eq!(changes.since(10, NOW).await, Changed { next: 13, workloads: Some(all) });
        assert_eq!(changes.since(12, NOW).await.workloads, Some(vec![workload_of("prod", "cart")]));
    }

    #[tokio::test]
    async fn who_knows_only_an_earlier_runner_or_too_little_looks_at_everything() {
        let changes = Changes::new(10);
        assert_eq!(changes.since(3, NOW).await, Changed { next: 10, workloads: None });
        assert_eq!(changes.since(11, NOW).await, Changed { next: 10, workloads: None });
        for _ in 0..=REMEMBERED {
            changes.say(&workload());
        }
        assert_eq!(changes.since(10, NOW).await.workloads, None);
    }

    #[tokio::test]
    async fn a_change_ends_the_wait() {
        let changes = Changes::new(0);
        let (changed, ()) = tokio::join!(changes.since(0, Duration::from_mins(1)), async {
            changes.say(&workload());
        });
        assert_eq!(changed.workloads, Some(vec![workload()]));
    }
}
