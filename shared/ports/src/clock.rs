//! The time.

use jiff::Timestamp;

/// The time now. Code that decides is given the time and never asks for it.
pub trait Clock: Send + Sync {
    /// The time now.
    fn now(&self) -> Timestamp;
}
