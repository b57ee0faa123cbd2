//! The contract's tests, in one binary: golden and invalid samples, the names, and generated events.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod events;
mod generate;
mod golden;
mod invalid;
mod names;
mod samples;
