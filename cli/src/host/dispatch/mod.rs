//! The host's bus: runs functions for what was committed, hinted, due or swept.
//!
//! One task owns all of it. Nothing here is durable: whatever a crash forgets is still owed in the journal.

mod job;
mod load;
mod queue;
#[cfg(test)]
mod tests;
mod timers;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use longshore_events::Event;
use longshore_frame::Call;
use longshore_ports::{Clock, Hints, PortError, journal::Committed};
use longshore_sweep::Dispatch;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{sleep, timeout};

use super::functions::Runs;
use job::Job;
use load::Load;
use queue::Queue;
use timers::Timers;

/// Invocations at a time; they mostly wait for others.
const AT_ONCE: usize = 32;
/// Invocations at a time while webhooks wait for their answers: who sends must not wait for what it leads to.
const WHILE_ASKED: usize = 2;
/// So much is kept in mind; what is more stays owed in the journal, and the sweep brings it.
const BACKLOG: usize = 1_000;
/// When so little is left, the sweep may bring more.
const LITTLE: usize = 100;
/// How long an invocation may live before it is dropped, as a platform would kill it.
const LIFE: Duration = Duration::from_mins(2);
/// What the frame is told of [`LIFE`], with a margin, in milliseconds.
pub(crate) const CLAIM_MS: u64 = 150_000;
/// How long to wait for a timer at a stretch, so that a clock set back harms no longer.
const NAP: Duration = Duration::from_mins(1);
/// How long running invocations have to end when the host stops; then they are dropped, which is as good as a crash.
const GRACE: Duration = Duration::from_secs(4);

/// What the bus is told.
enum Message {
    Deliver(String, Box<Event>),
    Wake(String, String),
    Timer(String, String, Timestamp),
    /// The journal owes more than was told before this.
    Owed,
    Stop(oneshot::Sender<()>),
}

/// A way to tell the bus.
#[derive(Clone)]
pub(crate) struct Bus {
    inbox: UnboundedSender<Message>,
    pub(crate) load: Arc<Load>,
}

/// The bus before it runs.
pub(crate) struct Inbox {
    messages: UnboundedReceiver<Message>,
    load: Arc<Load>,
}

impl Bus {
    /// A bus, and what [`run`] needs of it.
    pub(crate) fn new() -> (Self, Inbox) {
        let ((inbox, messages), load) = (unbounded_channel(), Arc::<Load>::default());
        (Self { inbox, load: load.clone() }, Inbox { messages, load })
    }

    /// Wakes a unit at a time.
    pub(crate) fn wake_at(&self, function: &str, unit: &str, at: Timestamp) {
        self.tell(Message::Timer(function.to_owned(), unit.to_owned(), at));
    }

    /// The sweep could not bring all that is owed.
    pub(crate) fn more_is_owed(&self) {
        self.tell(Message::Owed);
    }

    /// Begins nothing any more, and returns when what runs has ended or was dropped.
    pub(crate) async fn stop(&self) {
        let (done, ended) = oneshot::channel();
        self.tell(Message::Stop(done));
        let _ = ended.await;
    }

    /// A bus that has ended needs no telling: the journal keeps what is owed.
    fn tell(&self, message: Message) {
        let _ = self.inbox.send(message);
    }

    /// Passes on what was committed.
    pub(crate) fn committed(&self, committed: Committed) {
        for (function, event) in committed.owed {
            self.tell(Message::Deliver(function, Box::new(event)));
        }
        if let Some((function, unit, at)) = committed.wake {
            self.tell(Message::Timer(function, unit, at));
        }
    }
}

impl Hints for Bus {
    fn hint(&self, function: &str, unit: &str) {
        self.tell(Message::Wake(function.to_owned(), unit.to_owned()));
    }
}

impl Dispatch for Bus {
    fn deliver(&self, function: String, event: Event) {
        self.tell(Message::Deliver(function, Box::new(event)));
    }

    fn wake(&self, function: String, unit: String) {
        self.tell(Message::Wake(function, unit));
    }
}

/// Runs functions until it is told to stop.
pub(crate) async fn run(inbox: Inbox, functions: Vec<Arc<dyn Runs>>, clock: Arc<dyn Clock>, life: String) {
    let functions = functions.into_iter().map(|function| (function.name(), function)).collect();
    let runner = Runner {
        functions,
        clock,
        load: inbox.load,
        behind: false,
        life,
        begun: 0,
        queue: Queue::default(),
        timers: Timers::default(),
        tasks: JoinSet::new(),
        jobs: HashMap::new(),
    };
    runner.run(inbox.messages).await;
}

type Ended = Result<(Id, Result<(), PortError>), JoinError>;

struct Runner {
    functions: HashMap<&'static str, Arc<dyn Runs>>,
    clock: Arc<dyn Clock>,
    load: Arc<Load>,
    /// The journal owes more than is in the queue.
    behind: bool,
    /// Names this life of the host in the names of invocations.
    life: String,
    begun: u64,
    queue: Queue,
    timers: Timers,
    tasks: JoinSet<Result<(), PortError>>,
    jobs: HashMap<Id, Job>,
}

impl Runner {
    async fn run(mut self, mut inbox: UnboundedReceiver<Message>) {
        loop {
            self.begin();
            let due = self.until_due();
            tokio::select! {
                message = inbox.recv() => match message {
                    Some(Message::Stop(done)) => {
                        self.end().await;
                        let _ = done.send(());
                        return;
                    }
                    Some(message) => self.take(message),
                    None => return self.end().await,
                },
                Some(ended) = self.tasks.join_next_with_id() => self.ended(ended),
                () = sleep(due) => {}
            }
            let now = self.clock.now();
            while let Some((function, unit)) = self.timers.pop(now) {
                self.queue.push(Job::wake(function, unit));
            }
        }
    }

    fn until_due(&self) -> Duration {
        let Some(next) = self.timers.next() else { return NAP };
        let wait = Duration::try_from(next.duration_since(self.clock.now())).unwrap_or_default();
        // Rounded up: a timer that fires a little early would spin.
        (wait + Duration::from_millis(1)).min(NAP)
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Deliver(..) if self.queue.len() >= BACKLOG => self.behind = true,
            Message::Deliver(function, event) => {
                if let Some(known) = self.known(&function) {
                    self.queue.push(Job::event(known.name(), known.units(&event), *event));
                }
            }
            Message::Wake(function, unit) => {
                if let Some(known) = self.known(&function) {
                    self.queue.push(Job::wake(known.name(), unit));
                }
            }
            Message::Timer(function, unit, at) => {
                if let Some(known) = self.known(&function) {
                    self.timers.set((known.name(), unit), at);
                }
            }
            Message::Owed => self.behind = true,
            Message::Stop(_) => {}
        }
    }

    fn known(&self, function: &str) -> Option<Arc<dyn Runs>> {
        let known = self.functions.get(function).cloned();
        if known.is_none() {
            tracing::warn!(
                function,
                "the journal owes something to a function that this build does not have"
            );
        }
        known
    }

    fn begin(&mut self) {
        let at_once = if self.load.is_asked() { WHILE_ASKED } else { AT_ONCE };
        while self.tasks.len() < at_once
            && let Some(job) = self.queue.take()
        {
            let Some(function) = self.functions.get(job.function).cloned() else { continue };
            self.begun += 1;
            let invocation = format!("{}/{}", self.life, self.begun);
            let call = job.call.clone();
            let task = self.tasks.spawn(async move {
                let late =
                    |_| PortError::unavailable("run", format!("it took longer than {} s", LIFE.as_secs()));
                timeout(LIFE, function.run(&invocation, call)).await.map_err(late)?
            });
            self.jobs.insert(task.id(), job);
        }
        if self.behind && self.queue.len() < LITTLE {
            self.behind = false;
            self.load.drains();
        }
    }

    fn ended(&mut self, ended: Ended) {
        let (id, result) = match ended {
            Ok((id, result)) => (id, result.map_err(|error| error.to_string())),
            Err(error) => (error.id(), Err(error.to_string())),
        };
        let Some(job) = self.jobs.remove(&id) else { return };
        self.queue.done(&job);
        if let Err(error) = result {
            let what = match &job.call {
                Call::Event(event) => event.id.as_str(),
                Call::Wake(unit) => unit,
            };
            tracing::error!(function = job.function, what, error, "failed; the sweep tries again");
        }
    }

    async fn end(&mut self) {
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if timeout(GRACE, all).await.is_err() {
            tracing::warn!(
                left = self.tasks.len(),
                "dropped what was running; the next host goes on with it"
            );
            self.tasks.shutdown().await;
        }
    }
}
