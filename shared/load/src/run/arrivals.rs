//! Arrival-rate executors: iterations begin when they are due, whether or not the last ones have ended.

use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::lane::Lane;
use super::life::{Job, Pool, Seat};
use super::ramp::Arrivals;
use crate::fiber::Wake;
use crate::metrics::{Builtin, TagList};
use crate::options::{Executor, Scenario};

/// One loop's share of an arrival-rate scenario.
pub(crate) struct Dispatcher {
    pub(crate) lane: Rc<Lane>,
    pub(crate) scenario: usize,
    pub(crate) pool: Rc<Pool>,
    /// This loop begins every `of`-th iteration, from `nth` on.
    pub(crate) nth: u64,
    pub(crate) of: u64,
    /// VUs of this loop, and at most.
    pub(crate) made: u64,
    pub(crate) most: u64,
}

/// The times of an executor's iterations, if it is one that knows them.
pub(crate) fn arrivals(executor: &Executor) -> Option<Arrivals> {
    match executor {
        Executor::ConstantArrivalRate { rate, time_unit, duration, .. } => {
            Some(Arrivals::even(*rate, *time_unit, *duration))
        }
        Executor::RampingArrivalRate { start_rate, time_unit, stages, .. } => {
            Some(Arrivals::ramp(*start_rate, *time_unit, stages))
        }
        _ => None,
    }
}

impl Dispatcher {
    /// Hands out iterations until the last; `grow` makes one more VU. Runs in a fiber of its own.
    pub(crate) fn run(mut self, mut grow: impl FnMut()) {
        let run = Rc::clone(&self.lane).run.clone();
        let options = &run.options.scenarios[self.scenario];
        let (Some(begun), Some(arrivals)) = (run.begun.get(), arrivals(&options.executor)) else { return };
        let start = *begun + options.start;
        let mut tags = run.options.tags.clone();
        tags.set("scenario", &options.name);
        let (mut number, mut warned) = (self.nth, false);
        let segment = &run.options.segment;
        while let Some(offset) = arrivals.at(segment.nth(number)) {
            let due = start + offset;
            if !self.wait(due) {
                break;
            }
            run.progress[self.scenario].begun.fetch_add(1, Ordering::Relaxed);
            if let Some(seat) = self.idle() {
                self.hand(&seat, Job { number: segment.nth(number), intended: due });
            } else {
                self.drop_one(&tags);
                if self.made < self.most {
                    self.made += 1;
                    grow();
                } else if !std::mem::replace(&mut warned, true) {
                    self.warn(options);
                }
            }
            number += self.of;
        }
        self.wait(start + options.executor.duration());
        self.pool.closed.set(true);
        for seat in self.pool.idle.borrow_mut().drain(..) {
            self.tell(&seat);
        }
    }

    /// `false` when the run is over.
    fn wait(&self, due: Instant) -> bool {
        loop {
            if self.lane.run.is_stopping() {
                return false;
            }
            let now = Instant::now();
            if now >= due {
                return true;
            }
            // Looks up now and then whether the run still goes on.
            let next = due.min(now + std::time::Duration::from_millis(100));
            if self.lane.reactor.park(Some(next)) == Wake::Stop {
                return false;
            }
        }
    }

    fn warn(&self, options: &Scenario) {
        let message =
            format!("Insufficient VUs, reached {} active VUs and cannot initialize more", self.made);
        let fields = [("executor", options.executor.name()), ("scenario", options.name.as_str())];
        self.lane.run.log.say("warning", &message, &fields);
    }

    fn idle(&self) -> Option<Rc<Seat>> {
        self.pool.idle.borrow_mut().pop()
    }

    fn hand(&self, seat: &Rc<Seat>, job: Job) {
        seat.job.set(Some(job));
        self.tell(seat);
    }

    fn tell(&self, seat: &Seat) {
        if let Some(fiber) = seat.vu.fiber.get() {
            self.lane.reactor.wake(fiber, Wake::Told);
        }
    }

    fn drop_one(&self, tags: &TagList) {
        self.lane.run.progress[self.scenario].dropped.fetch_add(1, Ordering::Relaxed);
        self.lane.emit(Builtin::DroppedIterations.id(), 1.0, tags);
    }
}
