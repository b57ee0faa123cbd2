//! The load engine: runs k6 scripts, unmodified, for a fraction of what k6 takes.
//!
//! Each virtual user is a fiber (a stackful coroutine) with a QuickJS runtime of its own. A script's `http.get` suspends
//! its fiber in the midst of JavaScript; an event loop, one to each thread, resumes it when the answer is there. Values
//! are counted in the loop that they arise in, and put together at the end: histograms, never percentiles.
//!
//! - [`run`] takes [`Settings`] to a [`Verdict`]; `run/` plans, begins, watches and ends.
//! - `options/` reads what a script exports: executors, thresholds, how requests are made. What is not known is refused.
//! - `script/` is JavaScript and k6's API, `http/` the client, `fiber/` the loop, `metrics/` what is counted.
//! - `raw/` has all `unsafe` of the crate.
//!
//! Unlike k6: the engine measures how late it is itself, and a run above the bound is invalid; a threshold without values
//! does not hold; arrival-rate executors measure from the intended start; unknown options are errors.

mod fiber;
mod http;
mod limits;
mod log;
mod md5;
mod metrics;
mod options;
mod output;
mod raw;
mod run;
mod script;
mod slice;
mod summary;

pub use limits::Ceiling;
pub use options::Overrides;
pub use output::Output;
pub use run::{Settings, Status, Verdict, Watcher, run};
pub use slice::merge;
