//! Waiting for what seldom happens, beside what happens all the time.
//!
//! Timers and signals take a lock whenever they are polled. A connection is polled several times for each request, and
//! shall not pay for them each time.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

/// A future that is polled only after it was woken itself.
pub(super) struct Rarely<'a, T> {
    inner: Pin<Box<dyn Future<Output = T> + Send + 'a>>,
    bell: Arc<Bell>,
    waker: Waker,
}

struct Bell {
    rung: AtomicBool,
    task: Waker,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.rung.store(true, Ordering::Release);
        self.task.wake_by_ref();
    }
}

impl<'a, T> Rarely<'a, T> {
    /// Belongs to the task that `task` wakes, for as long as that lives.
    pub(super) fn new(task: Waker, inner: impl Future<Output = T> + Send + 'a) -> Self {
        let bell = Arc::new(Bell { rung: AtomicBool::new(true), task });
        Self { inner: Box::pin(inner), waker: Arc::clone(&bell).into(), bell }
    }

    /// Its outcome, once. Must not be called again after that.
    pub(super) fn poll(&mut self) -> Poll<T> {
        if self.bell.rung.swap(false, Ordering::AcqRel) {
            return self.inner.as_mut().poll(&mut Context::from_waker(&self.waker));
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::poll_fn;

    use super::*;

    #[tokio::test]
    async fn it_is_polled_when_it_was_woken_and_not_before() {
        let polls = std::sync::atomic::AtomicUsize::new(0);
        let (tell, told) = tokio::sync::oneshot::channel();
        let (mut told, tell) = (Box::pin(told), Cell::new(Some(tell)));
        let task = poll_fn(|cx| Poll::Ready(cx.waker().clone())).await;
        let counted = poll_fn(|cx| {
            polls.fetch_add(1, Ordering::Relaxed);
            told.as_mut().poll(cx)
        });
        let mut rarely = Rarely::new(task, counted);
        for _ in 0..10 {
            assert!(rarely.poll().is_pending());
        }
        assert_eq!(polls.load(Ordering::Relaxed), 1);
        tell.take().unwrap().send(7).unwrap();
        assert_eq!(poll_fn(|_| rarely.poll()).await, Ok(7));
        assert_eq!(polls.load(Ordering::Relaxed), 2);
    }
}
