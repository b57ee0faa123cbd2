//! The loop that every function runs in.
//!
//! A [`Function`] decides in pure code. [`handle`] runs it: observe → decide → commit → perform what was committed →
//! observe → decide → commit, until nothing is left to do. What happened is learned by looking, so that recovery after
//! a crash is the normal path. AWS Lambda, the one-machine host and the simulator all call the same [`handle`].
//!
//! Invariants, each found broken by the simulator when a mutant breaks it:
//! - a decision's state, facts, effects, lease and receipt are committed together or not at all;
//! - an effect is performed only after it was committed, under a key that does not depend on the attempt;
//! - at most one invocation performs the effects of a unit at a time, until its claim ends;
//! - an event is owed until every unit that it concerns has a receipt for it.
//!
//! Each commit keeps what its decision was made of, so that [`replay`] can decide once more.

mod commit;
mod decision;
mod effects;
mod function;
mod handle;
#[cfg(feature = "lambda")]
pub mod lambda;
#[cfg(feature = "mutants")]
mod mutant;
mod record;
pub mod replay;
mod retry;

pub use decision::{At, Cause, Decision, Failure, Lease, Said, Told, span};
pub use function::Function;
pub use handle::{Call, Frame, handle};
#[cfg(feature = "mutants")]
pub use mutant::Mutant;
