//! The event loop of a thread: it resumes fibers when what they wait for is ready, or their time has come.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use corosensei::stack::DefaultStack;
use mio::event::Source;
use mio::{Events, Interest, Poll, Token};

use super::Wake;
use super::timers::{Class, Entries, Timers, settle};
use crate::metrics::Distribution;
use crate::raw::{Fiber, STACK, suspend};

/// A fiber of a reactor. The second part tells it from earlier ones in the same place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FiberId(u32, u32);

/// A socket of a reactor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SourceId(usize);

/// How late fibers went on after their time had come, in milliseconds.
pub(crate) type Lag = Distribution;

/// What a suspended fiber waits for.
#[derive(Debug, Clone, Copy)]
struct Waiting {
    deadline: Option<Instant>,
    class: Class,
}

#[derive(Default)]
struct Slot {
    generation: u32,
    /// Absent while it runs, and when the place is free.
    fiber: Option<Fiber>,
    waiting: Option<Waiting>,
    entries: Entries,
    used: bool,
}

#[derive(Debug, Clone, Copy, Default)]
struct Socket {
    used: bool,
    readable: bool,
    writable: bool,
    waiter: Option<FiberId>,
}

/// An event loop. Not for other threads.
pub(crate) struct Reactor {
    poll: RefCell<Poll>,
    slots: RefCell<Vec<Slot>>,
    free: RefCell<Vec<u32>>,
    stacks: RefCell<Vec<DefaultStack>>,
    ready: RefCell<VecDeque<(FiberId, Wake, Instant)>>,
    timers: RefCell<Timers>,
    sockets: RefCell<Vec<Socket>>,
    free_sockets: RefCell<Vec<usize>>,
    current: Cell<Option<FiberId>>,
    now: Cell<Instant>,
    alive: Cell<usize>,
    lag: RefCell<Lag>,
}

/// Stacks that are kept for the next fiber.
const KEPT_STACKS: usize = 64;

impl Reactor {
    /// # Errors
    /// The system gives no event queue.
    pub(crate) fn new() -> io::Result<Rc<Self>> {
        Ok(Rc::new(Self {
            poll: RefCell::new(Poll::new()?),
            slots: RefCell::default(),
            free: RefCell::default(),
            stacks: RefCell::default(),
            ready: RefCell::default(),
            timers: RefCell::default(),
            sockets: RefCell::default(),
            free_sockets: RefCell::default(),
            current: Cell::new(None),
            now: Cell::new(Instant::now()),
            alive: Cell::new(0),
            lag: RefCell::default(),
        }))
    }

    /// Begins a fiber, which runs when the loop comes to it.
    ///
    /// # Errors
    /// There is no memory for its stack.
    pub(crate) fn spawn(&self, body: impl FnOnce() + 'static) -> io::Result<FiberId> {
        let kept = self.stacks.borrow_mut().pop();
        let stack = kept.map_or_else(|| DefaultStack::new(STACK), Ok)?;
        let fiber = Fiber::new(stack, Box::new(body));
        let mut slots = self.slots.borrow_mut();
        let place = self.free.borrow_mut().pop().unwrap_or_else(|| {
            slots.push(Slot::default());
            u32::try_from(slots.len() - 1).unwrap_or(u32::MAX)
        });
        let slot = &mut slots[place as usize];
        let id = FiberId(place, slot.generation);
        let waiting = Some(Waiting { deadline: None, class: Class::Sleep });
        *slot =
            Slot { generation: slot.generation, fiber: Some(fiber), waiting, used: true, ..Slot::default() };
        drop(slots);
        self.alive.set(self.alive.get() + 1);
        self.wake(id, Wake::Told);
        Ok(id)
    }

    /// The time when the running fiber went on.
    pub(crate) fn now(&self) -> Instant {
        self.now.get()
    }

    /// The fiber that runs.
    pub(crate) fn current(&self) -> Option<FiberId> {
        self.current.get()
    }

    /// Resumes a fiber that waits, whatever it waits for. One that does not wait is left alone.
    pub(crate) fn wake(&self, id: FiberId, wake: Wake) {
        self.wake_late(id, wake, Instant::now());
    }

    /// As [`wake`](Self::wake), of something that was so since `due`.
    fn wake_late(&self, id: FiberId, wake: Wake, due: Instant) {
        let mut slots = self.slots.borrow_mut();
        if let Some(slot) = slots.get_mut(id.0 as usize)
            && slot.used
            && slot.generation == id.1
            && slot.waiting.take().is_some()
        {
            self.ready.borrow_mut().push_back((id, wake, due));
        }
    }

    /// Suspends the running fiber until somebody wakes it, or until the deadline.
    pub(crate) fn park(&self, deadline: Option<Instant>) -> Wake {
        self.suspend(Waiting { deadline, class: Class::Sleep })
    }

    /// Lets the others run first.
    pub(crate) fn pause(&self) -> Wake {
        let now = Instant::now();
        self.suspend(Waiting { deadline: Some(now), class: Class::Sleep })
    }

    fn suspend(&self, waiting: Waiting) -> Wake {
        let Some(id) = self.current.get() else { return Wake::Stop };
        {
            let mut slots = self.slots.borrow_mut();
            let slot = &mut slots[id.0 as usize];
            slot.waiting = Some(waiting);
            if let Some(due) = waiting.deadline {
                self.timers.borrow_mut().set(id, &mut slot.entries, waiting.class, due);
            }
        }
        suspend().unwrap_or(Wake::Stop)
    }

    /// Watches a socket.
    ///
    /// # Errors
    /// The system cannot watch it.
    pub(crate) fn watch(&self, source: &mut impl Source) -> io::Result<SourceId> {
        let mut sockets = self.sockets.borrow_mut();
        let place = self.free_sockets.borrow_mut().pop().unwrap_or_else(|| {
            sockets.push(Socket::default());
            sockets.len() - 1
        });
        let interest = Interest::READABLE | Interest::WRITABLE;
        let watched = self.poll.borrow().registry().register(source, Token(place), interest);
        match watched {
            Ok(()) => {
                sockets[place] = Socket { used: true, ..Socket::default() };
                Ok(SourceId(place))
            }
            Err(error) => {
                self.free_sockets.borrow_mut().push(place);
                Err(error)
            }
        }
    }

    /// Watches a socket no longer.
    pub(crate) fn forget(&self, id: SourceId, source: &mut impl Source) {
        // It is closed next: the system forgets it in any case.
        let _ = self.poll.borrow().registry().deregister(source);
        self.sockets.borrow_mut()[id.0] = Socket::default();
        self.free_sockets.borrow_mut().push(id.0);
    }

    /// Whether something has arrived since it was last read empty.
    pub(crate) fn is_readable(&self, id: SourceId) -> bool {
        self.sockets.borrow()[id.0].readable
    }

    /// Says that the socket was read empty.
    pub(crate) fn drained(&self, id: SourceId) {
        self.sockets.borrow_mut()[id.0].readable = false;
    }

    /// Says that the socket took no more.
    pub(crate) fn filled(&self, id: SourceId) {
        self.sockets.borrow_mut()[id.0].writable = false;
    }

    /// Waits until there is something to read.
    pub(crate) fn readable(&self, id: SourceId, deadline: Option<Instant>) -> Wake {
        self.await_socket(id, deadline, |socket| socket.readable)
    }

    /// Waits until there is room to write.
    pub(crate) fn writable(&self, id: SourceId, deadline: Option<Instant>) -> Wake {
        self.await_socket(id, deadline, |socket| socket.writable)
    }

    fn await_socket(&self, id: SourceId, deadline: Option<Instant>, is_ready: fn(&Socket) -> bool) -> Wake {
        loop {
            {
                let mut sockets = self.sockets.borrow_mut();
                let socket = &mut sockets[id.0];
                if is_ready(socket) {
                    return Wake::Ready;
                }
                socket.waiter = self.current.get();
            }
            let wake = self.suspend(Waiting { deadline, class: Class::Request });
            if let Some(socket) = self.sockets.borrow_mut().get_mut(id.0) {
                socket.waiter = None;
            }
            if matches!(wake, Wake::Due | Wake::Stop) {
                return wake;
            }
        }
    }

    /// Runs until no fiber is left.
    ///
    /// # Errors
    /// The system's event queue fails.
    pub(crate) fn run(&self) -> io::Result<()> {
        let mut events = Events::with_capacity(1_024);
        while self.alive.get() > 0 {
            self.run_ready();
            if self.alive.get() == 0 {
                break;
            }
            let timeout = if self.ready.borrow().is_empty() {
                let next = self.timers.borrow().next();
                next.map(|due| due.saturating_duration_since(Instant::now()))
            } else {
                Some(Duration::ZERO)
            };
            match self.poll.borrow_mut().poll(&mut events, timeout) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
            let now = Instant::now();
            self.take_events(&events, now);
            self.take_timers(now);
        }
        Ok(())
    }

    fn take_events(&self, events: &Events, now: Instant) {
        for event in events {
            let waiter = {
                let mut sockets = self.sockets.borrow_mut();
                let Some(socket) = sockets.get_mut(event.token().0).filter(|socket| socket.used) else {
                    continue;
                };
                let broken = event.is_error();
                socket.readable |= event.is_readable() || event.is_read_closed() || broken;
                socket.writable |= event.is_writable() || event.is_write_closed() || broken;
                socket.waiter
            };
            if let Some(waiter) = waiter {
                self.wake_late(waiter, Wake::Ready, now);
            }
        }
    }

    fn take_timers(&self, now: Instant) {
        loop {
            let Some((id, class, due)) = self.timers.borrow_mut().pop(now) else { return };
            let mut slots = self.slots.borrow_mut();
            let Some(slot) = slots.get_mut(id.0 as usize).filter(|slot| slot.used && slot.generation == id.1)
            else {
                continue;
            };
            if !settle(&mut slot.entries, class, due) {
                continue;
            }
            let Some(deadline) =
                slot.waiting.filter(|waiting| waiting.class == class).and_then(|w| w.deadline)
            else {
                continue;
            };
            if deadline > now {
                self.timers.borrow_mut().set(id, &mut slot.entries, class, deadline);
                continue;
            }
            drop(slots);
            self.wake_late(id, Wake::Due, deadline);
        }
    }

    /// Resumes those that were ready when the turn began: who is made ready meanwhile waits for the next.
    fn run_ready(&self) {
        let turn = self.ready.borrow().len();
        for _ in 0..turn {
            let Some((id, wake, due)) = self.ready.borrow_mut().pop_front() else { return };
            let Some(fiber) = self.slots.borrow_mut()[id.0 as usize].fiber.take() else { continue };
            let now = Instant::now();
            self.now.set(now);
            self.lag.borrow_mut().0.add(now.saturating_duration_since(due).as_secs_f64() * 1_000.0);
            self.current.set(Some(id));
            let result = fiber.resume(wake);
            self.current.set(None);
            match result {
                Ok(fiber) => self.slots.borrow_mut()[id.0 as usize].fiber = Some(fiber),
                Err(stack) => self.free_slot(id, stack),
            }
        }
    }

    fn free_slot(&self, id: FiberId, stack: DefaultStack) {
        let mut slots = self.slots.borrow_mut();
        let slot = &mut slots[id.0 as usize];
        *slot = Slot { generation: slot.generation.wrapping_add(1), ..Slot::default() };
        self.free.borrow_mut().push(id.0);
        self.alive.set(self.alive.get() - 1);
        let mut stacks = self.stacks.borrow_mut();
        if stacks.len() < KEPT_STACKS {
            stacks.push(stack);
        }
    }

    /// How late fibers went on, so far.
    pub(crate) fn lag(&self) -> Lag {
        self.lag.borrow().clone()
    }

    /// How late fibers went on, so far; counting begins anew.
    pub(crate) fn take_lag(&self) -> Lag {
        std::mem::take(&mut *self.lag.borrow_mut())
    }
}

impl Drop for Reactor {
    fn drop(&mut self) {
        for slot in self.slots.borrow_mut().drain(..) {
            if let Some(fiber) = slot.fiber {
                fiber.abandon();
            }
        }
    }
}
