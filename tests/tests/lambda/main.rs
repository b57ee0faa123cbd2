//! The functions as Lambda binaries, each in a sandbox with an emulated Runtime API, over a stack on moto.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "the platform's part: its environment and its clock")]

mod build;
mod console;
mod decide;
mod deploy;
mod eks;
mod http;
mod outside;
mod paths;
mod registry;
mod report;
mod runner;
mod sandbox;
mod scan;
mod stage;
mod url;
