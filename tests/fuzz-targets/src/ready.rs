//! Futures that have nothing to wait for: everything around them is in memory.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

/// What the future gives at its first poll.
pub(crate) fn ready<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("it waits for something, but nothing here is slow"),
    }
}
