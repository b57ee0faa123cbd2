//! Whole stories on built programs: real Git, real builds, real processes, and a real client of the registry.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "the helpers of tests fail as tests do")]
#![allow(clippy::print_stderr, reason = "what a long test measured is for whoever looks on")]

#[path = "../common/mod.rs"]
mod common;

mod buildah;
mod canary;
mod chance;
mod client;
mod crane;
mod findings;
mod forge;
mod full;
mod given;
mod host;
mod images;
mod past;
mod promotion;
mod providers;
mod registry;
mod replay;
mod scan;
mod signatures;
mod stage;
mod stop;
mod storm;
mod truncated;
mod windows;
