//! A seeded, simulated world: every function runs in it, unchanged, in one thread.
//!
//! Each call of a port has two points at which its future gives way: before it acts, and before its answer arrives. A
//! seeded [`Scheduler`] decides who goes on; a crash is dropping the future. Replies are lost, messages dropped,
//! doubled and reordered, reads are stale, invocations outlive their claims. Time jumps to what is due next.
//!
//! What went wrong is counted in the world's own terms (what was built, what ran, who got traffic), never by the keys
//! under which it was asked for.

mod air;
mod journal;
mod rng;
mod scheduler;
pub mod stored;
pub mod world;

pub use air::{Air, Faults};
pub use journal::MemoryJournal;
pub use rng::Rng;
pub use scheduler::{Invoke, Outcome, Scheduler, Settings};
