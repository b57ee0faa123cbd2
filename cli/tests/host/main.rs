//! The one-machine host as a process: what it takes, what it refuses, how it starts and stops.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "the helpers of tests fail as tests do")]

#[path = "../common/mod.rs"]
mod common;

mod api;
mod backup;
mod full;
mod hooks;
mod life;
mod pushes;
mod slow;
mod torn;
mod world;
