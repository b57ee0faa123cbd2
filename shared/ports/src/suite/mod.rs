//! Contract suites: what every fake and every real adapter of a port must do.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a suite fails by panicking, as every test does")]

pub mod blobs;
pub mod builder;
pub mod forge;
pub mod git;
pub mod history;
pub mod journal;
pub mod metrics;
pub mod notify;
pub mod scanner;
pub mod secrets;
pub mod signatures;
pub mod workloads;
