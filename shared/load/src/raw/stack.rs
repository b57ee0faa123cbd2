//! Suspending and resuming: the only place where a fiber's stack is spoken of.

use std::cell::Cell;
use std::ptr;

use corosensei::stack::DefaultStack;
use corosensei::{Coroutine, CoroutineResult, Yielder};

use crate::fiber::Wake;

/// Of a stack, in bytes. Only touched pages take memory.
pub(crate) const STACK: usize = 512 * 1024;

thread_local! {
    /// The yielder of the fiber that runs on this thread; null between fibers.
    static RUNNING: Cell<*const Yielder<Wake, ()>> = const { Cell::new(ptr::null()) };
}

/// A fiber, suspended.
pub(crate) struct Fiber(Coroutine<Wake, (), ()>);

impl Fiber {
    /// One that runs `body` when it is first resumed.
    pub(crate) fn new(stack: DefaultStack, body: Box<dyn FnOnce()>) -> Self {
        Self(Coroutine::with_stack(stack, move |yielder: &Yielder<Wake, ()>, _first: Wake| {
            RUNNING.set(yielder);
            body();
        }))
    }

    /// Runs it until it is suspended again; `Err` with its stack when it has ended.
    pub(crate) fn resume(mut self, wake: Wake) -> Result<Self, DefaultStack> {
        // A fiber may not run within another: the outer one would be suspended in the inner one's place.
        debug_assert!(RUNNING.get().is_null(), "fibers do not nest");
        let result = self.0.resume(wake);
        RUNNING.set(ptr::null());
        match result {
            CoroutineResult::Yield(()) => Ok(self),
            CoroutineResult::Return(()) => Err(self.0.into_stack()),
        }
    }

    /// Leaves a fiber as it is, for ever. Dropping it would unwind through QuickJS's frames, which cannot be unwound.
    pub(crate) fn abandon(self) {
        std::mem::forget(self);
    }
}

/// Suspends the fiber that runs, until it is resumed. `None` when none runs.
pub(crate) fn suspend() -> Option<Wake> {
    let yielder = RUNNING.get();
    if yielder.is_null() {
        return None;
    }
    // SAFETY: `RUNNING` is set by a fiber's body to its own yielder, which lives as long as that body runs; it is set to
    // null whenever the body is suspended or has ended (`Fiber::resume`, which nothing else calls into a coroutine), and
    // set back below when the body goes on. It is thread-local, and a `Coroutine` cannot change threads. So it points to
    // the yielder of the body that is running now, and calling `suspend` on it is done from within that body.
    let wake = unsafe { &*yielder }.suspend(());
    RUNNING.set(yielder);
    Some(wake)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::rc::Rc;

    #[test]
    fn a_fiber_goes_on_where_it_was_suspended() {
        let seen = Rc::new(Cell::new(0));
        let inner = Rc::clone(&seen);
        let fiber = Fiber::new(
            DefaultStack::new(STACK).unwrap(),
            Box::new(move || {
                inner.set(1);
                assert_eq!(suspend(), Some(Wake::Due));
                inner.set(2);
            }),
        );
        let fiber = fiber.resume(Wake::Told).ok().unwrap();
        assert_eq!(seen.get(), 1);
        let stack = fiber.resume(Wake::Due).err().unwrap();
        assert_eq!(seen.get(), 2);
        assert_eq!(suspend(), None);
        let again = Fiber::new(stack, Box::new(|| {}));
        assert!(again.resume(Wake::Told).is_err());
    }
}
