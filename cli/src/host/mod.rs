//! The one-machine host: every function in one process, over the journal in SQLite.
//!
//! [`up`] holds the data folder's lock, listens on one address for webhooks, Git, the registry and the API, runs the
//! functions for what the journal owes, and keeps the runner alive. The runner ([`runner`]) is a process of its own:
//! it and what it runs outlive the host.

mod announce;
mod assemble;
mod auth;
mod backup;
mod bases;
mod clusters;
mod dispatch;
mod folder;
mod functions;
mod garbage;
mod git;
mod hook;
mod images;
mod listen;
mod log;
mod logs;
mod metrics;
mod options;
mod placed;
mod places;
mod pushes;
mod routes;
mod runner;
mod scanner;
mod serve;
mod system;
mod up;
mod upkeep;

pub use backup::{Backup, BackupOptions, RestoreOptions, backup, restore};
#[cfg(test)]
pub(crate) use functions::routes;
pub use hook::post_receive_hook;
pub use options::{HookOptions, LogOptions, RunnerOptions, UpOptions};
pub use runner::runner;
pub(crate) use system::MachineClock;
pub use up::up;
