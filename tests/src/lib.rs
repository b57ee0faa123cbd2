//! The simulated spine: every function of the spine assembled over the simulator's world, and what must hold at rest.

mod drill;
mod early;
mod invariants;
mod once;
mod replay;
mod script;
mod spine;

pub use replay::replay;
pub use spine::{Mutation, Report, Run, enumerate_crashes, run};
