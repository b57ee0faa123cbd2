//! What lies between a function and the outside: the points at which calls give way, and the faults on their way.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use jiff::{SignedDuration, Timestamp};
use longshore_ports::{Clock, PortError};

use crate::Rng;

/// How often things go wrong, each in a thousand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Faults {
    /// A poll is a crash instead.
    pub crash: u32,
    /// A call fails before it acts.
    pub refuse: u32,
    /// A call acts, and its reply is lost.
    pub lose: u32,
    /// A look sees an older state.
    pub stale: u32,
    /// A message on the bus is dropped.
    pub drop: u32,
    /// A message on the bus is doubled.
    pub double: u32,
    /// An invocation is held up, at times so long that it outlives its claim.
    pub outlive: u32,
    /// A hint is dropped.
    pub unhint: u32,
}

impl Faults {
    /// The storm of the random seeds.
    pub const STORM: Self =
        Self { crash: 25, refuse: 10, lose: 12, stale: 60, drop: 100, double: 100, outlive: 6, unhint: 500 };
}

/// The air: seeded, and shared by everything in one simulation.
pub struct Air(Mutex<State>);

struct State {
    rng: Rng,
    faults: Faults,
    now: Timestamp,
    points: u64,
    calls: u64,
    history: Option<Vec<String>>,
}

impl Air {
    /// Air of its own for each seed.
    pub fn new(seed: u64, faults: Faults) -> Self {
        let now = Timestamp::constant(1_790_000_000, 0);
        Self(Mutex::new(State { rng: Rng::new(seed), faults, now, points: 0, calls: 0, history: None }))
    }

    /// Remembers every call, to be printed.
    pub fn record(&self) {
        self.lock().history = Some(Vec::new());
    }

    /// What was remembered.
    pub fn history(&self) -> Vec<String> {
        self.lock().history.clone().unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes a line of the history.
    pub fn note(&self, line: impl FnOnce() -> String) {
        let mut state = self.lock();
        let now = state.now;
        if let Some(history) = &mut state.history {
            history.push(format!("{} {}", now.strftime("%H:%M:%S%.3f"), line()));
        }
    }

    /// One call: gives way, acts, gives way, answers. `act` happens at one moment.
    ///
    /// # Errors
    /// Those of `act`, and those of the air.
    pub async fn call<T>(
        &self,
        name: &str,
        act: impl FnOnce() -> Result<T, PortError> + Send,
    ) -> Result<T, PortError> {
        self.lock().calls += 1;
        self.give_way().await;
        if self.chance(|faults| faults.refuse) {
            self.note(|| format!("{name}: refused by the air"));
            return Err(PortError::unavailable(name, "the air refused it"));
        }
        let answer = act();
        self.note(|| format!("{name}{}", if answer.is_err() { ": error" } else { "" }));
        self.give_way().await;
        if self.chance(|faults| faults.lose) {
            self.note(|| format!("{name}: reply lost"));
            return Err(PortError::unavailable(name, "the reply was lost"));
        }
        answer
    }

    fn give_way(&self) -> impl Future<Output = ()> + Send + use<> {
        self.lock().points += 1;
        Way(false)
    }

    /// True as often as the fault happens.
    pub fn chance(&self, fault: impl FnOnce(&Faults) -> u32) -> bool {
        let mut state = self.lock();
        let permille = fault(&state.faults);
        permille > 0 && state.rng.chance(permille)
    }

    /// A number below `bound`.
    pub fn below(&self, bound: usize) -> usize {
        self.lock().rng.below(bound)
    }

    /// No fault from now on.
    pub fn calm(&self) {
        self.lock().faults = Faults::default();
    }

    /// Points passed so far: two for each call.
    pub fn points(&self) -> u64 {
        self.lock().points
    }

    /// Calls begun so far.
    pub fn calls(&self) -> u64 {
        self.lock().calls
    }

    /// Lets time pass, up to `to`.
    pub fn pass(&self, to: Timestamp) {
        let mut state = self.lock();
        state.now = state.now.max(to);
    }

    /// `ms` from now.
    pub fn after(&self, ms: usize) -> Timestamp {
        self.now() + SignedDuration::from_millis(i64::try_from(ms).unwrap_or(0))
    }
}

impl Clock for Air {
    fn now(&self) -> Timestamp {
        self.lock().now
    }
}

struct Way(bool);

impl Future for Way {
    type Output = ();
    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if self.0 {
            return Poll::Ready(());
        }
        self.0 = true;
        Poll::Pending
    }
}
