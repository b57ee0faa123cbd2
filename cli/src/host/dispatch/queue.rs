//! What waits to be run: each thing once, and nothing beside other work on the same unit.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};

use super::job::{Job, JobKey, Lane};

/// What waits, and which units are worked on. Every step costs the same however much waits.
#[derive(Debug, Default)]
pub(super) struct Queue {
    pushed: u64,
    waiting: HashMap<u64, Waiting>,
    /// Who wants a unit, in order; the first has it, or is next to have it.
    lanes: HashMap<Lane, VecDeque<u64>>,
    /// Those that are first in all their lanes.
    ready: BTreeSet<u64>,
    known: HashSet<JobKey>,
    running: HashSet<JobKey>,
}

#[derive(Debug)]
struct Waiting {
    job: Job,
    /// In so many of its lanes others are before it.
    blocked: usize,
}

impl Queue {
    /// Adds work, unless the same is waiting. An event that is being told now is not told again; a unit that is
    /// looked at now is looked at once more, since what the wake-up is about may have come after that look.
    pub(super) fn push(&mut self, job: Job) {
        let key = job.key();
        let told_now = matches!(key, JobKey::Event(..)) && self.running.contains(&key);
        if told_now || !self.known.insert(key) {
            return;
        }
        self.pushed += 1;
        let mut blocked = 0;
        for lane in &job.lanes {
            let lane = self.lanes.entry(lane.clone()).or_default();
            blocked += usize::from(!lane.is_empty());
            lane.push_back(self.pushed);
        }
        if blocked == 0 {
            self.ready.insert(self.pushed);
        }
        self.waiting.insert(self.pushed, Waiting { job, blocked });
    }

    /// The oldest work whose units are free; they are busy from now on.
    pub(super) fn take(&mut self) -> Option<Job> {
        let Waiting { job, .. } = self.waiting.remove(&self.ready.pop_first()?)?;
        let key = job.key();
        self.known.remove(&key);
        self.running.insert(key);
        Some(job)
    }

    /// The work has ended, well or not.
    pub(super) fn done(&mut self, job: &Job) {
        self.running.remove(&job.key());
        for name in &job.lanes {
            let Some(lane) = self.lanes.get_mut(name) else { continue };
            lane.pop_front();
            let Some(next) = lane.front().copied() else {
                self.lanes.remove(name);
                continue;
            };
            if let Some(next_one) = self.waiting.get_mut(&next) {
                next_one.blocked -= 1;
                if next_one.blocked == 0 {
                    self.ready.insert(next);
                }
            }
        }
    }

    /// How much waits.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }
}

#[cfg(test)]
mod tests {
    use longshore_events::{
        ChainId, Event, EventId, Link, Timestamp,
        types::{RequestKind, RequestMade},
    };

    use super::*;

    fn event(id: &str) -> Event {
        let stop = RequestMade {
            what: RequestKind::Stop,
            who: "m".into(),
            target: "all".into(),
            to: None,
            why: None,
        };
        Event {
            id: EventId::new(id).unwrap(),
            source: "test".into(),
            subject: "all".into(),
            time: Timestamp::UNIX_EPOCH,
            link: Link { chain: ChainId::new(id).unwrap(), cause: None },
            traceparent: None,
            dryrun: false,
            data: stop.into(),
        }
    }

    fn units(names: &[&str]) -> Vec<String> {
        names.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn wake_ups_of_one_unit_are_one_while_they_wait() {
        let mut queue = Queue::default();
        queue.push(Job::wake("deploy", "live/shop".into()));
        queue.push(Job::wake("deploy", "live/shop".into()));
        assert!(queue.take().is_some());
        assert!(queue.take().is_none());
    }

    #[test]
    fn a_wake_up_during_a_look_makes_one_more_look_afterwards() {
        let mut queue = Queue::default();
        queue.push(Job::wake("deploy", "live/shop".into()));
        let first = queue.take().unwrap();
        queue.push(Job::wake("deploy", "live/shop".into()));
        assert!(queue.take().is_none(), "not beside the first");
        queue.done(&first);
        assert!(queue.take().is_some());
    }

    #[test]
    fn an_event_that_is_told_now_is_not_told_twice() {
        let mut queue = Queue::default();
        queue.push(Job::event("build", units(&["shop"]), event("e1")));
        let first = queue.take().unwrap();
        queue.push(Job::event("build", units(&["shop"]), event("e1")));
        queue.done(&first);
        assert!(queue.take().is_none());
    }

    #[test]
    fn work_on_several_units_waits_for_all_of_them_and_others_pass_it() {
        let mut queue = Queue::default();
        queue.push(Job::wake("build", "a".into()));
        queue.push(Job::event("build", units(&["a", "b"]), event("e1")));
        queue.push(Job::wake("build", "c".into()));
        queue.push(Job::wake("other", "a".into()));
        let first = queue.take().unwrap();
        assert_eq!(queue.take().unwrap().lanes, [("build", "c".to_owned())]);
        assert_eq!(queue.take().unwrap().function, "other");
        assert!(queue.take().is_none());
        queue.done(&first);
        assert_eq!(queue.take().unwrap().lanes.len(), 2);
    }
}
