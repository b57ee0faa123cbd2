//! The one-machine host: every function in one process, over the journal in SQLite.
//!
//! [`up`] holds the data folder's lock, listens on one address for webhooks, Git, the registry and the API, runs the
//! functions for what the journal owes, and keeps the runner alive. The runner ([`runner`]) is a process of its own:
//! it and what it runs outlive the host.

mod options;

pub use options::{HookOptions, LogOptions, RunnerOptions, UpOptions};
