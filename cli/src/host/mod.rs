//! The one-machine host: every function in one process, over the journal in SQLite.
//!
//! [`up`] holds the data folder's lock, listens on one address for webhooks, Git, the registry and the API, runs the
//! functions for what the journal owes, and keeps the runner alive. The runner ([`runner`]) is a process of its own:
//! it and what it runs outlive the host.

mod answers;
mod auth;
mod dispatch;
mod folder;
mod functions;
mod hook;
mod images;
mod options;
mod routes;
mod runner;
mod serve;
mod summary;
mod system;
mod up;

pub use hook::post_receive_hook;
pub use options::{HookOptions, LogOptions, RunnerOptions, UpOptions};
pub use runner::runner;
pub(crate) use system::MachineClock;
pub use up::up;

/// Logs to stderr: text for people, or one JSON object a line.
pub(crate) fn log_to_stderr(options: &LogOptions) {
    use tracing_subscriber::filter::LevelFilter;
    let level = options.level.as_deref().and_then(|level| level.parse().ok()).unwrap_or(LevelFilter::INFO);
    let builder =
        tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr).with_target(false);
    // A second subscriber in one process is a test's.
    let _ = if options.json { builder.json().try_init() } else { builder.with_ansi(false).try_init() };
}
