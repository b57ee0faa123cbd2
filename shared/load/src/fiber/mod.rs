//! Fibers: code that waits as if it had a thread, many of them in one. Each is a stackful coroutine; what it waits for is
//! a reactor's business.
//!
//! A script calls `http.get` in the midst of JavaScript, on QuickJS's own C stack, and wants its answer as the returned
//! value: only a coroutine with a stack of its own can be suspended there.

mod reactor;
#[cfg(test)]
mod tests;
mod timers;

pub(crate) use reactor::{FiberId, Lag, Reactor, SourceId};

/// Why a fiber goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wake {
    /// Another fiber says so, or it has just begun.
    Told,
    /// What it waits for is ready.
    Ready,
    /// Its time has come.
    Due,
    /// It shall end.
    Stop,
}
