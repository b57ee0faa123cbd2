//! An event loop in a thread of its own, with its share of the VUs.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use super::arrivals::{Dispatcher, arrivals};
use super::checks::Checks;
use super::lane::{Lane, Run, Stop};
use super::life::{Pool, Seat, live};
use crate::fiber::{Lag, Reactor, Wake};
use crate::metrics::{Store, Submetric};
use crate::output::{Samples, Sink};
use crate::script::{Vu, with_script};

/// What a loop tells the one who waits for it.
pub(crate) enum News {
    /// All of its VUs are made.
    Ready,
    /// What it has counted so far.
    SoFar { loop_: usize, store: Box<Store>, lag: Box<Lag> },
    /// It is done.
    Done { store: Box<Store>, checks: Checks, lag: Box<Lag> },
}

/// A loop's share of one scenario.
#[derive(Debug, Clone)]
pub(crate) struct Share {
    pub(crate) scenario: usize,
    /// This loop has every `of`-th VU, from `nth` on.
    pub(crate) nth: u64,
    pub(crate) of: u64,
    /// The id of the scenario's first VU.
    pub(crate) first_id: u64,
}

/// What a loop is made of.
pub(crate) struct Worker {
    pub(crate) number: usize,
    pub(crate) run: Arc<Run>,
    pub(crate) wanted: Arc<Vec<Submetric>>,
    pub(crate) sinks: Vec<Arc<Sink>>,
    pub(crate) shares: Vec<Share>,
    pub(crate) news: Sender<News>,
    /// Whether somebody wants to know what is counted while the run goes on.
    pub(crate) watched: bool,
}

/// Between two looks whether the run has begun, or is over.
const LOOK: Duration = Duration::from_millis(5);
/// Between two reports.
const REPORT: Duration = Duration::from_secs(1);

impl Worker {
    /// Runs to its end.
    pub(crate) fn run(self) {
        let failed = |error: std::io::Error| {
            self.run.stop(Stop::Failed(format!("an event loop failed: {error}")));
        };
        let result = Reactor::new().and_then(|reactor| {
            let store = Store::new(Arc::clone(&self.run.names), Arc::clone(&self.wanted));
            let lane = Rc::new(Lane {
                run: Arc::clone(&self.run),
                reactor: Rc::clone(&reactor),
                store: RefCell::new(store),
                checks: RefCell::default(),
                samples: Samples::new(&self.sinks).map(RefCell::new),
            });
            let crew = Rc::new(Crew {
                lane: Rc::clone(&lane),
                seats: RefCell::default(),
                loading: Cell::new(0),
                lag: RefCell::default(),
            });
            self.spawn_all(&crew)?;
            reactor.run()?;
            if let Some(samples) = &lane.samples {
                samples.borrow_mut().flush();
            }
            let (store, checks) = (lane.store.borrow().clone(), lane.checks.borrow().clone());
            let lag = crew.lag.take().unwrap_or_default();
            let news = News::Done { store: Box::new(store), checks, lag: Box::new(lag) };
            // Who does not listen any more does not want to know.
            let _ = self.news.send(news);
            Ok(())
        });
        if let Err(error) = result {
            failed(error);
        }
    }

    fn spawn_all(&self, crew: &Rc<Crew>) -> std::io::Result<()> {
        for share in &self.shares {
            let options = &self.run.options.scenarios[share.scenario];
            let executor = &options.executor;
            let segment = &self.run.options.segment;
            let mine = |total: u64| segment.count(total).saturating_sub(share.nth).div_ceil(share.of);
            let pool = arrivals(executor).map(|_| Rc::new(Pool::default()));
            let (first, most) = (mine(executor.first_vus()), mine(executor.max_vus()));
            for turn in 0..first {
                crew.hire(share, turn, pool.as_ref())?;
            }
            if let Some(pool) = pool {
                let dispatcher = Dispatcher {
                    lane: Rc::clone(&crew.lane),
                    scenario: share.scenario,
                    pool: Rc::clone(&pool),
                    nth: share.nth,
                    of: share.of,
                    made: first,
                    most,
                };
                let (crew, share) = (Rc::clone(crew), share.clone());
                let lane = Rc::clone(&crew.lane);
                lane.reactor.spawn(move || {
                    if !crew.await_begin() {
                        return;
                    }
                    let mut turn = first;
                    dispatcher.run(|| {
                        // Without memory for one more VU the others go on.
                        let _ = crew.hire(&share, turn, Some(&pool));
                        turn += 1;
                    });
                })?;
            }
        }
        let (crew, news, number, watched) = (Rc::clone(crew), self.news.clone(), self.number, self.watched);
        let lane = Rc::clone(&crew.lane);
        lane.reactor.spawn(move || crew.watch(&news, number, watched)).map(drop)
    }
}

/// The VUs of a loop.
struct Crew {
    lane: Rc<Lane>,
    seats: RefCell<Vec<Rc<Seat>>>,
    /// VUs whose script is not loaded yet.
    loading: Cell<usize>,
    /// How late the loop was until all VUs had done their work.
    lag: RefCell<Option<Lag>>,
}

impl Crew {
    /// Makes a VU, which loads its script, waits for the run's begin, and lives.
    fn hire(self: &Rc<Self>, share: &Share, turn: u64, pool: Option<&Rc<Pool>>) -> std::io::Result<()> {
        let place = self.lane.run.options.segment.nth(share.nth + turn * share.of);
        let vu = Vu::new(share.first_id + place, &self.lane);
        let seat = Seat::new(Rc::clone(&vu), share.scenario, place, pool.cloned());
        self.seats.borrow_mut().push(Rc::clone(&seat));
        self.loading.set(self.loading.get() + 1);
        let crew = Rc::clone(self);
        let fiber = self.lane.reactor.spawn(move || crew.employ(&seat))?;
        vu.fiber.set(Some(fiber));
        Ok(())
    }

    fn employ(&self, seat: &Rc<Seat>) {
        let run = &self.lane.run;
        let loading = Cell::new(true);
        let loaded = |crew: &Self| {
            if loading.replace(false) {
                crew.loading.set(crew.loading.get() - 1);
            }
        };
        // Init code that does not end is no script.
        seat.vu.kill_at(Some(Instant::now() + run.options.setup_timeout.max(Duration::from_mins(1))));
        let result = with_script(&seat.vu, |script| {
            seat.vu.kill_at(None);
            run.progress[seat.scenario].made.fetch_add(1, Ordering::Relaxed);
            loaded(self);
            if self.await_begin() {
                live(seat, script);
            }
            seat.over.set(true);
            self.await_end();
        });
        loaded(self);
        seat.over.set(true);
        seat.vu.fiber.set(None);
        if let Err(thrown) = result {
            run.stop(Stop::Failed(thrown.message));
        }
    }

    /// Waits until the run has begun; `false` when it never will.
    fn await_begin(&self) -> bool {
        loop {
            if self.lane.run.is_stopping() {
                return false;
            }
            if self.lane.run.begun.get().is_some() {
                return true;
            }
            // Whoever watches the run wakes all once it begins.
            let later = Instant::now() + Duration::from_millis(500);
            let _ = self.lane.reactor.park(Some(later));
        }
    }

    /// Waits until nobody has anything to do: to take a runtime apart takes time that others would miss.
    fn await_end(&self) {
        while self.lag.borrow().is_none() {
            let _ = self.lane.reactor.park(None);
        }
    }

    /// Reports once VUs are made, each second, and ends all when the run is stopped.
    fn watch(&self, news: &Sender<News>, number: usize, watched: bool) {
        let (mut ready, mut begun, mut reported) = (false, false, Instant::now());
        loop {
            let now = Instant::now();
            if !ready && self.loading.get() == 0 {
                ready = true;
                let _ = news.send(News::Ready);
            }
            if !begun && self.lane.run.begun.get().is_some() {
                begun = true;
                reported = now;
                // What came before was making VUs, which nobody waits for.
                drop(self.lane.reactor.take_lag());
                self.wake_all(Wake::Told);
            }
            let over = self.seats.borrow().iter().all(|seat| seat.over.get());
            if ready && over && (begun || self.lane.run.is_stopping()) {
                *self.lag.borrow_mut() = Some(self.lane.reactor.take_lag());
                self.wake_all(Wake::Told);
                return;
            }
            if self.lane.run.is_stopping() {
                self.seats.borrow().iter().filter(|seat| !seat.over.get()).for_each(|seat| seat.vu.kill());
            }
            if begun && watched && now.duration_since(reported) >= REPORT {
                reported = now;
                let store = Box::new(self.lane.store.borrow().clone());
                let _ =
                    news.send(News::SoFar { loop_: number, store, lag: Box::new(self.lane.reactor.lag()) });
            }
            self.lane.reactor.park(Some(now + LOOK));
        }
    }

    fn wake_all(&self, wake: Wake) {
        for seat in self.seats.borrow().iter() {
            if let Some(fiber) = seat.vu.fiber.get() {
                self.lane.reactor.wake(fiber, wake);
            }
        }
    }
}
