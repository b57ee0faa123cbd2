//! Who goes on next: polls one future after the other, drops some, delivers messages, lets time pass.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use jiff::{SignedDuration, Timestamp};
use longshore_events::Event;
use longshore_frame::Call;
use longshore_ports::{Clock, Journal, PortError};

use crate::{Air, MemoryJournal};

type Task = Pin<Box<dyn Future<Output = Result<(), PortError>> + Send>>;

/// Runs a function by its name.
pub trait Invoke {
    /// The function's future for one call.
    fn invoke(&self, function: &str, invocation: String, call: Call) -> Task;
    /// Lets the world move on: what happens at `now` without anybody's doing. Returns calls that come of it.
    fn move_on(&self, now: Timestamp) -> Vec<(String, Call)>;
    /// What the sweep wakes besides what is owed and due.
    fn also_swept(&self) -> Vec<(String, Call)>;
    /// When the world moves on next by itself.
    fn next_move(&self) -> Option<Timestamp>;
}

/// How a run goes.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Crash at this point, and at no other, instead of at random.
    pub crash_at: Option<u64>,
    /// How often the sweep runs, in milliseconds; `None` is a mutant.
    pub sweep_ms: Option<i64>,
    /// The claim of an invocation, in milliseconds.
    pub claim_ms: i64,
    /// It is at rest when nothing was owed, due or held for so long, in milliseconds.
    pub linger_ms: i64,
    /// When the run must have come to rest, in milliseconds.
    pub horizon_ms: i64,
    /// Functions whose units may be due for ever.
    pub periodic: &'static [&'static str],
}

/// How a run went.
#[derive(Debug, Clone, Copy, Default)]
pub struct Outcome {
    /// Calls of ports.
    pub calls: u64,
    /// Points passed.
    pub points: u64,
    /// Invocations that were dropped.
    pub crashes: u64,
    /// It came to rest before the horizon.
    pub rested: bool,
}

/// A message on its way, or a wake-up to come.
struct Message {
    at: Timestamp,
    function: String,
    call: Call,
}

/// An invocation under way.
struct Running {
    number: u64,
    task: Task,
    /// Until then nobody gives it the processor: long enough, and it outlives its claim.
    awake: Timestamp,
}

/// One simulated run.
pub struct Scheduler<'a> {
    air: Arc<Air>,
    journal: Arc<MemoryJournal>,
    functions: &'a dyn Invoke,
    settings: Settings,
    tasks: Vec<Running>,
    bus: Vec<Message>,
    next_sweep: Timestamp,
    quiet_since: Option<Timestamp>,
    started: u64,
    outcome: Outcome,
}

impl<'a> Scheduler<'a> {
    /// A run over `functions`, whose journal is `journal`.
    pub fn new(
        air: Arc<Air>,
        journal: Arc<MemoryJournal>,
        functions: &'a dyn Invoke,
        settings: Settings,
    ) -> Self {
        let next_sweep = air.now();
        Self {
            air,
            journal,
            functions,
            settings,
            tasks: Vec::new(),
            bus: Vec::new(),
            next_sweep,
            quiet_since: None,
            started: 0,
            outcome: Outcome::default(),
        }
    }

    /// Runs until nothing is left to do, or until the horizon.
    pub fn run(mut self) -> Outcome {
        let begin = self.air.now();
        let horizon = begin + SignedDuration::from_millis(self.settings.horizon_ms);
        let calm = begin + SignedDuration::from_millis(self.settings.horizon_ms / 2);
        while self.air.now() < horizon {
            if self.air.now() > calm {
                self.air.calm();
            }
            self.deliver();
            let now = self.air.now();
            if self.tasks.iter().all(|task| task.awake > now) {
                if !self.pass(horizon) {
                    self.outcome.rested = true;
                    break;
                }
            } else {
                self.poll_one();
            }
        }
        Outcome { calls: self.air.calls(), points: self.air.points(), ..self.outcome }
    }

    fn start(&mut self, function: &str, call: Call) {
        self.started += 1;
        let number = self.started;
        self.air.note(|| format!("#{number} {function}: {}", describe(&call)));
        let task = self.functions.invoke(function, format!("i{number}"), call);
        let awake = self.air.now();
        self.tasks.push(Running { number, task, awake });
    }

    /// Takes what was published onto the bus, and starts what has arrived.
    fn deliver(&mut self) {
        let now = self.air.now();
        for committed in self.journal.published() {
            if committed.resumed {
                let woken = self.journal.due().into_iter().map(|(function, unit)| Message {
                    at: now,
                    function,
                    call: Call::Wake(unit),
                });
                self.bus.extend(woken);
            }
            for (function, event) in committed.owed {
                self.send(now, &function, &event);
            }
            self.bus.extend(committed.wake.map(|(function, unit, at)| Message {
                at,
                function,
                call: Call::Wake(unit),
            }));
        }
        for (function, call) in self.functions.move_on(now) {
            self.bus.push(Message { at: now, function, call });
        }
        let mut index = 0;
        while index < self.bus.len() {
            if self.bus[index].at <= now {
                let message = self.bus.swap_remove(index);
                self.start(&message.function, message.call);
            } else {
                index += 1;
            }
        }
    }

    /// Puts an event on the bus: once, never or twice, sooner or later.
    fn send(&mut self, now: Timestamp, function: &str, event: &Event) {
        let times = if self.air.chance(|faults| faults.drop) {
            0
        } else {
            1 + usize::from(self.air.chance(|faults| faults.double))
        };
        for _ in 0..times {
            let at = now + SignedDuration::from_millis(i64::try_from(self.air.below(20)).unwrap_or(0));
            let call = Call::Event(Box::new(event.clone()));
            self.bus.push(Message { at, function: function.to_owned(), call });
        }
    }

    fn poll_one(&mut self) {
        let now = self.air.now();
        let awake = || (0..self.tasks.len()).filter(|index| self.tasks[*index].awake <= now);
        let Some(index) = awake().nth(self.air.below(awake().count())) else { return };
        let Running { number, task, awake } = &mut self.tasks[index];
        let number = *number;
        if self.air.chance(|faults| faults.outlive) {
            let sleeps = usize::try_from(self.settings.claim_ms).unwrap_or(0) * 2;
            *awake = self.air.after(self.air.below(sleeps));
            self.air.note(|| format!("#{number} is held up"));
            return;
        }
        let before = self.air.points();
        let polled = task.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        let crashes = match self.settings.crash_at {
            Some(point) => (before..self.air.points()).contains(&point),
            None => polled.is_pending() && self.air.chance(|faults| faults.crash),
        };
        if crashes {
            self.outcome.crashes += 1;
            self.air.note(|| format!("#{number} crashes"));
        }
        if let Poll::Ready(Err(error)) = &polled {
            self.air.note(|| format!("#{number} fails: {error}"));
        }
        if crashes || polled.is_ready() {
            drop(self.tasks.swap_remove(index));
        }
    }

    /// Lets time pass to what comes next; false when nothing comes.
    fn pass(&mut self, horizon: Timestamp) -> bool {
        let quiet = self.tasks.is_empty()
            && self.bus.iter().all(|message| self.is_periodic(&message.function))
            && self.functions.next_move().is_none()
            && self.journal.unrest(self.settings.periodic).is_empty();
        let now = self.air.now();
        let since = self.quiet_since.filter(|_| quiet).unwrap_or(now);
        self.quiet_since = quiet.then_some(since);
        if quiet && now >= since + SignedDuration::from_millis(self.settings.linger_ms) {
            return false;
        }
        let messages = self.bus.iter().map(|message| message.at);
        let sweep = self.settings.sweep_ms.map(|_| self.next_sweep);
        let asleep = self.tasks.iter().map(|task| task.awake);
        let next =
            messages.chain(asleep).chain(self.functions.next_move()).chain(sweep).min().unwrap_or(horizon);
        self.air.pass(next);
        if sweep.is_some_and(|sweep| sweep <= self.air.now()) {
            self.sweep();
        }
        true
    }

    fn is_periodic(&self, function: &str) -> bool {
        self.settings.periodic.contains(&function)
    }

    /// What the function `sweep` does, with its own crashes left out: it writes nothing.
    fn sweep(&mut self) {
        let now = self.air.now();
        self.next_sweep = now + SignedDuration::from_millis(self.settings.sweep_ms.unwrap_or(60_000));
        let mut owed = Box::pin(self.journal.owed(now, 5_000, 1_000));
        let mut context = Context::from_waker(Waker::noop());
        let answer = loop {
            if let Poll::Ready(answer) = owed.as_mut().poll(&mut context) {
                break answer;
            }
        };
        drop(owed);
        for (function, call) in self.functions.also_swept() {
            self.start(&function, call);
        }
        let Ok(owed) = answer else { return };
        for (function, event) in owed.deliveries {
            self.start(&function, Call::Event(Box::new(event)));
        }
        for (function, unit) in owed.units {
            self.start(&function, Call::Wake(unit));
        }
    }
}

fn describe(call: &Call) -> String {
    match call {
        Call::Event(event) => format!("told {} ({})", event.id, event.kind()),
        Call::Wake(unit) => format!("woken {unit}"),
    }
}
