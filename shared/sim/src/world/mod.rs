//! The simulated outside: Git, a builder, a registry, what runs. Each counts what happened in its own terms.

mod blobs;
mod builder;
mod forge;
mod git;
mod metrics;
mod scanner;
mod signatures;
mod workloads;

pub use blobs::FakeBlobs;
pub use builder::FakeBuilder;
pub use forge::FakeForge;
pub use git::{FakeGit, Tree};
pub use metrics::{FakeMetrics, Under};
pub use scanner::{FakeScanner, Inside};
pub use signatures::{FakeSignatures, Unsigned, signer, stranger};
pub use workloads::FakeWorkloads;

/// Faults put into the outside on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hole {
    /// Nothing outside refuses an older generation or step.
    NoFence,
    /// Nothing outside knows a name: starting the same thing twice makes two.
    NoNames,
    /// What nothing was measured of counts as measured, and good.
    NothingIsGood,
    /// A signature counts whatever image it is of, as one does that is looked for under a tag.
    AnySignature,
}
