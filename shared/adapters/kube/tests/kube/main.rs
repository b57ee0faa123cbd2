//! The cluster that tests start, and the proxy before it: they do what other tests rely on.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod fake;
mod faults;
mod real;
mod registry;
mod workloads;
