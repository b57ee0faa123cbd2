//! The runner as a process of its own, which is killed and started again, with real images and real processes.
#![expect(clippy::unwrap_used, reason = "the helpers of tests may fail as the tests do")]

mod crash;
mod measure;
mod orders;
mod process;
mod proxy;
mod registry;
mod rollout;
mod stage;
mod suite;
mod supervise;
mod traffic;
