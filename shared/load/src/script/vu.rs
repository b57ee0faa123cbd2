//! A virtual user: what it is doing, and what belongs to it alone.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::api::{Expected, Jar, Outcome};
use super::tags::SystemTags;
use crate::fiber::{FiberId, Wake};
use crate::http::{Client, Url};
use crate::metrics::{Builtin, MetricId, TagList};
use crate::run::Lane;

/// What a VU may do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Files may be opened and metrics declared; nothing may be waited for.
    Init,
    Setup,
    Iteration,
    Teardown,
    Summary,
}

/// The part of a VU's work that belongs to a scenario.
#[derive(Debug, Clone, Default)]
pub(crate) struct ScenarioPart {
    /// Its place among the scenarios.
    pub(crate) place: usize,
    pub(crate) name: String,
    pub(crate) executor: &'static str,
    /// When it began.
    pub(crate) begun: Option<Instant>,
    pub(crate) duration: Duration,
}

/// An iteration's numbers, all from 0.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Numbers {
    /// Of this VU.
    pub(crate) in_vu: u64,
    /// Of the scenario.
    pub(crate) in_scenario: u64,
}

/// A virtual user.
pub(crate) struct Vu {
    /// From 1; 0 is the one that runs setup.
    pub(crate) id: u64,
    pub(crate) lane: Rc<Lane>,
    pub(crate) client: Client,
    pub(crate) phase: Cell<Phase>,
    pub(crate) fiber: Cell<Option<FiberId>>,
    /// Nothing goes on after this.
    kill_at: Cell<Option<Instant>>,
    pub(crate) group: RefCell<String>,
    pub(crate) tags: RefCell<Rc<TagList>>,
    pub(crate) system: SystemTags,
    pub(crate) scenario: RefCell<ScenarioPart>,
    pub(crate) numbers: Cell<Numbers>,
    pub(crate) expected: RefCell<Expected>,
    pub(crate) jars: RefCell<Vec<Rc<RefCell<Jar>>>>,
    pub(crate) timers: RefCell<BTreeMap<(Instant, u32), Timer>>,
    pub(crate) next_task: Cell<u32>,
    /// Requests that are under way beside the script, and those that are done.
    pub(crate) open: Cell<usize>,
    pub(crate) done: RefCell<VecDeque<(u32, Outcome)>>,
    /// The fibers that they run in.
    pub(crate) helpers: RefCell<Vec<FiberId>>,
    /// URLs that it has asked for lately.
    urls: RefCell<VecDeque<(String, Rc<Url>)>>,
    /// It has ended the run.
    pub(crate) ended: Cell<bool>,
    /// It was interrupted while it computed.
    pub(crate) busy: Cell<bool>,
    /// What `randomSeed` was given.
    pub(crate) random: Cell<Option<u64>>,
}

/// A callback's time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timer {
    pub(crate) every: Option<Duration>,
}

/// How many URLs a VU remembers.
const KNOWN_URLS: usize = 4;

/// JavaScript that runs for so long lets the others run in between.
const SLICE: Duration = Duration::from_millis(2);

impl Vu {
    pub(crate) fn new(id: u64, lane: &Rc<Lane>) -> Rc<Self> {
        let run = &lane.run;
        Rc::new(Self {
            id,
            lane: Rc::clone(lane),
            client: Client::new(Rc::clone(&lane.reactor), std::sync::Arc::clone(&run.network)),
            phase: Cell::new(Phase::Init),
            fiber: Cell::new(None),
            kill_at: Cell::new(None),
            group: RefCell::default(),
            tags: RefCell::new(Rc::new(run.options.tags.clone())),
            system: SystemTags::new(&run.options.system_tags),
            scenario: RefCell::default(),
            numbers: Cell::default(),
            expected: RefCell::default(),
            jars: RefCell::new(vec![Rc::default()]),
            timers: RefCell::default(),
            next_task: Cell::new(1),
            open: Cell::new(0),
            done: RefCell::default(),
            helpers: RefCell::default(),
            urls: RefCell::default(),
            ended: Cell::new(false),
            busy: Cell::new(false),
            random: Cell::new(None),
        })
    }

    /// Sets when this VU is interrupted, whatever it does.
    pub(crate) fn kill_at(&self, at: Option<Instant>) {
        self.kill_at.set(at);
    }

    /// Interrupts it now.
    pub(crate) fn kill(&self) {
        self.kill_at.set(Some(self.lane.reactor.now()));
        for fiber in self.helpers.borrow().iter().copied().chain(self.fiber.get()) {
            self.lane.reactor.wake(fiber, Wake::Stop);
        }
    }

    /// Does something in a fiber of its own, beside the script, which is told when it is done.
    ///
    /// # Errors
    /// There is no memory for it.
    pub(crate) fn beside(self: &Rc<Self>, act: impl FnOnce(&Self) + 'static) -> std::io::Result<()> {
        let own = Rc::clone(self);
        let fiber = self.lane.reactor.spawn(move || {
            act(&own);
            let this = own.lane.reactor.current();
            own.helpers.borrow_mut().retain(|known| Some(*known) != this);
            if let Some(fiber) = own.fiber.get() {
                own.lane.reactor.wake(fiber, Wake::Told);
            }
        })?;
        self.helpers.borrow_mut().push(fiber);
        Ok(())
    }

    /// Whether it was interrupted before it last went on.
    pub(crate) fn is_killed(&self) -> bool {
        self.is_killed_at(self.lane.reactor.now())
    }

    fn is_killed_at(&self, now: Instant) -> bool {
        self.kill_at.get().is_some_and(|at| at <= now)
    }

    /// The earlier of this time and the one at which it is interrupted.
    pub(crate) fn until(&self, deadline: Option<Instant>) -> Option<Instant> {
        match (deadline, self.kill_at.get()) {
            (Some(deadline), Some(kill)) => Some(deadline.min(kill)),
            (deadline, kill) => deadline.or(kill),
        }
    }

    /// Waits until then; `false` when it was interrupted.
    pub(crate) fn sleep_until(&self, due: Instant) -> bool {
        loop {
            let wake = self.lane.reactor.park(self.until(Some(due)));
            if self.is_killed() || wake == Wake::Stop {
                return false;
            }
            if Instant::now() >= due {
                return true;
            }
        }
    }

    /// Called again and again while JavaScript runs: whether it shall stop.
    pub(crate) fn interrupt(&self) -> bool {
        if self.is_killed_at(Instant::now()) {
            // So that everybody sees it, whenever they last went on.
            self.kill_at.set(Some(self.lane.reactor.now()));
            self.busy.set(true);
            return true;
        }
        let reactor = &self.lane.reactor;
        // Who computes for long would starve the others.
        if reactor.current().is_some() && reactor.now().elapsed() > SLICE {
            reactor.pause();
        }
        if self.is_killed() {
            self.busy.set(true);
        }
        self.is_killed()
    }

    /// Sets a tag of all that this VU counts, or takes it away.
    pub(crate) fn set_tag(&self, name: &str, value: Option<&str>) {
        let mut tags = self.tags.borrow_mut();
        let tags = Rc::make_mut(&mut tags);
        match value {
            Some(value) => tags.set(name, value),
            None => tags.remove(name),
        }
    }

    /// Enters a group, or leaves it for the one that it was in.
    pub(crate) fn set_group(&self, path: &str) {
        if *self.group.borrow() == path && self.tags.borrow().get("group").is_some() {
            return;
        }
        path.clone_into(&mut self.group.borrow_mut());
        if self.system.has("group") {
            self.set_tag("group", Some(path));
        }
    }

    /// The VU's tags as they are now.
    pub(crate) fn tags_now(&self) -> Rc<TagList> {
        Rc::clone(&self.tags.borrow())
    }

    /// Counts a value with the VU's tags.
    pub(crate) fn emit(&self, id: MetricId, value: f64) {
        let tags = self.tags_now();
        self.lane.emit(id, value, &*tags);
    }

    /// Counts the bytes that went over the wire since the last time, and an iteration that took so many milliseconds.
    pub(crate) fn emit_end(&self, iteration: Option<f64>) {
        let (sent, received) = self.client.take_traffic();
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        let values = [
            (Builtin::DataSent.id(), sent as f64),
            (Builtin::DataReceived.id(), received as f64),
            (Builtin::IterationDuration.id(), iteration.unwrap_or_default()),
            (Builtin::Iterations.id(), 1.0),
        ];
        let counted = if iteration.is_some() { &values[..] } else { &values[..2] };
        self.lane.emit_all(counted, &*self.tags_now());
    }

    /// A URL, which may be one that it has asked for lately.
    ///
    /// # Errors
    /// It is none.
    pub(crate) fn url(&self, text: &str) -> Result<Rc<Url>, String> {
        let mut known = self.urls.borrow_mut();
        if let Some((_, url)) = known.iter().find(|(known, _)| known == text) {
            return Ok(Rc::clone(url));
        }
        let url = Rc::new(Url::parse(text)?);
        known.truncate(KNOWN_URLS - 1);
        known.push_front((text.to_owned(), Rc::clone(&url)));
        Ok(url)
    }

    /// A number for a callback.
    pub(crate) fn task(&self) -> u32 {
        let id = self.next_task.get();
        self.next_task.set(id.wrapping_add(1).max(1));
        id
    }

    /// Begins anew, as each iteration does.
    pub(crate) fn reset(&self) {
        let options = &self.lane.run.options.http;
        if !options.no_cookies_reset
            && let Some(jar) = self.jars.borrow().first()
        {
            jar.borrow_mut().clear();
        }
        if options.no_vu_reuse {
            self.client.close_idle();
        }
        self.timers.borrow_mut().clear();
        self.done.borrow_mut().clear();
    }
}
