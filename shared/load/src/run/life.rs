//! What a VU does from its scenario's begin to its end.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::lane::{Lane, Progress};
use super::ramp::windows;
use crate::fiber::Wake;
use crate::options::{Executor, Scenario};
use crate::script::{Numbers, Phase, ScenarioPart, Script, Vu};

/// A VU's place in a scenario.
pub(crate) struct Seat {
    pub(crate) vu: Rc<Vu>,
    /// The scenario's place among all.
    pub(crate) scenario: usize,
    /// The VU's place in the scenario, from 0.
    pub(crate) place: u64,
    /// What an arrival-rate executor has for it to do.
    pub(crate) job: Cell<Option<Job>>,
    /// It has nothing more to do.
    pub(crate) over: Cell<bool>,
    iterations: Cell<u64>,
    /// Where it waits for jobs.
    pub(crate) pool: Option<Rc<Pool>>,
}

/// An iteration that has begun at its intended time, whether or not a VU has taken it yet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Job {
    pub(crate) number: u64,
    pub(crate) intended: Instant,
}

/// The VUs of an arrival-rate scenario on one loop that wait for work.
#[derive(Default)]
pub(crate) struct Pool {
    pub(crate) idle: RefCell<Vec<Rc<Seat>>>,
    pub(crate) closed: Cell<bool>,
}

impl Seat {
    pub(crate) fn new(vu: Rc<Vu>, scenario: usize, place: u64, pool: Option<Rc<Pool>>) -> Rc<Self> {
        let (job, over, iterations) = (Cell::new(None), Cell::new(false), Cell::new(0));
        Rc::new(Self { vu, scenario, place, job, over, iterations, pool })
    }

    fn lane(&self) -> &Lane {
        &self.vu.lane
    }

    fn progress(&self) -> &Progress {
        &self.lane().run.progress[self.scenario]
    }

    pub(crate) fn options(&self) -> &Scenario {
        &self.lane().run.options.scenarios[self.scenario]
    }
}

/// A VU's whole life, once its script is loaded and the run has begun.
pub(crate) fn live(seat: &Rc<Seat>, script: &Script<'_>) {
    let Some(begun) = seat.lane().run.begun.get().copied() else { return };
    let options = seat.options();
    let start = begun + options.start;
    seat.vu.phase.set(Phase::Iteration);
    seat.vu.scenario.replace(ScenarioPart {
        place: seat.scenario,
        name: options.name.clone(),
        executor: options.executor.name(),
        begun: Some(start),
        duration: options.executor.duration(),
    });
    for (name, value) in options.tags.iter() {
        seat.vu.set_tag(name, Some(value));
    }
    if seat.vu.system.has("scenario") {
        seat.vu.set_tag("scenario", Some(&options.name));
    }
    seat.vu.set_group("");
    script.set_env(&options.env);
    let data = seat.lane().run.data.get().and_then(|json| script.parse(json).ok());
    let work = Work { seat, script, data, end: start + options.executor.duration() };
    if seat.vu.sleep_until(start) {
        work.run(start);
    }
}

struct Work<'a, 'js> {
    seat: &'a Rc<Seat>,
    script: &'a Script<'js>,
    data: Option<rquickjs::Value<'js>>,
    /// No iteration begins later.
    end: Instant,
}

impl Work<'_, '_> {
    fn run(&self, start: Instant) {
        let options = self.seat.options();
        let kill = self.end + options.graceful_stop;
        match &options.executor {
            Executor::ConstantVus { .. } => {
                self.active(kill, || while self.goes_on(self.end) && self.next() {});
            }
            Executor::PerVuIterations { iterations, .. } => self.active(kill, || {
                for _ in 0..*iterations {
                    if !(self.goes_on(self.end) && self.next()) {
                        break;
                    }
                }
            }),
            Executor::SharedIterations { iterations, .. } => self.active(kill, || {
                let segment = &self.seat.lane().run.options.segment;
                let mine = segment.count(*iterations);
                while self.goes_on(self.end) {
                    let number = self.seat.progress().begun.fetch_add(1, Ordering::Relaxed);
                    if number >= mine || !self.iterate(segment.nth(number), Instant::now()) {
                        break;
                    }
                }
            }),
            Executor::RampingVus { start_vus, stages, graceful_ramp_down } => {
                for (from, until) in windows(*start_vus, stages, self.seat.place) {
                    self.seat.vu.kill_at(None);
                    if !self.seat.vu.sleep_until(start + from) {
                        return;
                    }
                    let until = start + until;
                    let grace = if until < self.end { *graceful_ramp_down } else { options.graceful_stop };
                    self.active((until + grace).min(kill), || while self.goes_on(until) && self.next() {});
                    if self.seat.lane().run.is_stopping() {
                        return;
                    }
                }
            }
            Executor::ConstantArrivalRate { .. } | Executor::RampingArrivalRate { .. } => self.serve(kill),
        }
    }

    /// Takes jobs until the pool is closed.
    fn serve(&self, kill: Instant) {
        let Some(pool) = &self.seat.pool else { return };
        self.seat.vu.kill_at(Some(kill));
        loop {
            let Some(job) = self.seat.job.take() else {
                if pool.closed.get() || self.seat.vu.is_killed() {
                    return;
                }
                pool.idle.borrow_mut().push(Rc::clone(self.seat));
                if self.seat.lane().reactor.park(None) == Wake::Stop {
                    return;
                }
                continue;
            };
            self.active(kill, || {
                self.iterate(job.number, job.intended);
            });
        }
    }

    fn goes_on(&self, until: Instant) -> bool {
        Instant::now() < until && !self.seat.lane().run.is_stopping()
    }

    /// Counts the VU as active meanwhile. What is under way when the time comes is interrupted.
    fn active(&self, kill: Instant, act: impl FnOnce()) {
        self.seat.vu.kill_at(Some(kill));
        if self.seat.lane().run.is_stopping() {
            return;
        }
        let active = &self.seat.progress().active;
        active.fetch_add(1, Ordering::Relaxed);
        act();
        active.fetch_sub(1, Ordering::Relaxed);
    }

    fn next(&self) -> bool {
        let number = self.seat.progress().begun.fetch_add(1, Ordering::Relaxed);
        self.iterate(number, Instant::now())
    }

    /// One iteration; `false` when it was interrupted.
    fn iterate(&self, in_scenario: u64, begun: Instant) -> bool {
        let (seat, vu) = (self.seat, &self.seat.vu);
        let in_vu = seat.iterations.get();
        seat.iterations.set(in_vu + 1);
        vu.reset();
        vu.numbers.set(Numbers { in_vu, in_scenario });
        self.script.set_iteration(in_vu);
        let arguments = self.data.as_slice();
        let result = self.script.call(&seat.options().exec, arguments);
        let ended = Instant::now();
        vu.set_group("");
        let progress = seat.progress();
        // As in k6, the iteration that ends the run is complete.
        let killed = vu.is_killed() || result.as_ref().is_err_and(|thrown| thrown.interrupted);
        if killed && !vu.ended.get() {
            progress.interrupted.fetch_add(1, Ordering::Relaxed);
            if let Err(thrown) = &result
                && thrown.busy
            {
                self.say(
                    "warning",
                    &format!("an iteration was interrupted while it computed: {}", thrown.message),
                );
            }
            vu.emit_end(None);
            return false;
        }
        if let Err(thrown) = &result
            && !killed
        {
            self.say("error", &format!("{}\n", thrown.message));
        }
        vu.emit_end(Some((ended - begun).as_secs_f64() * 1_000.0));
        progress.complete.fetch_add(1, Ordering::Relaxed);
        self.rest(begun)
    }

    /// The option `minIterationDuration`.
    fn rest(&self, begun: Instant) -> bool {
        let least: Duration = self.seat.lane().run.options.min_iteration;
        least.is_zero() || self.seat.vu.sleep_until(begun + least)
    }

    fn say(&self, level: &str, message: &str) {
        let options = self.seat.options();
        let fields =
            [("executor", options.executor.name()), ("scenario", &options.name), ("source", "stacktrace")];
        self.seat.lane().run.log.say(level, message, &fields);
    }
}
