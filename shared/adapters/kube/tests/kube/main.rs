//! The cluster that tests start, and the proxy before it: they do what other tests rely on.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod calls;
mod crashes;
mod fake;
mod faults;
mod ground;
mod ownership;
mod real;
mod registry;
mod rights;
mod trouble;
mod workloads;
