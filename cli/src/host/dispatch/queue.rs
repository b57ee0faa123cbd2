//! What waits to be run: each thing once, and nothing beside other work on the same unit.

use std::collections::{HashSet, VecDeque};

use super::job::{Job, JobKey, Lane};

/// What waits, and which units are worked on.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: VecDeque<Job>,
    known: HashSet<JobKey>,
    busy: HashSet<Lane>,
    running: HashSet<JobKey>,
}

impl Queue {
    /// Adds work, unless the same is waiting. An event that is being told now is not told again; a unit that is
    /// looked at now is looked at once more, since what the wake-up is about may have come after that look.
    pub(super) fn push(&mut self, job: Job) {
        let key = job.key();
        let told_now = matches!(key, JobKey::Event(..)) && self.running.contains(&key);
        if !told_now && self.known.insert(key) {
            self.waiting.push_back(job);
        }
    }

    /// The oldest work whose units are free; they are busy from now on.
    pub(super) fn take(&mut self) -> Option<Job> {
        let free = |job: &Job| job.lanes.iter().all(|lane| !self.busy.contains(lane));
        let place = self.waiting.iter().position(free)?;
        let job = self.waiting.remove(place)?;
        let key = job.key();
        self.known.remove(&key);
        self.running.insert(key);
        self.busy.extend(job.lanes.iter().cloned());
        Some(job)
    }

    /// The work has ended, well or not.
    pub(super) fn done(&mut self, job: &Job) {
        self.running.remove(&job.key());
        for lane in &job.lanes {
            self.busy.remove(lane);
        }
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
        let stop = RequestMade { what: RequestKind::Stop, who: "m".into(), target: "all".into(), why: None };
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
