//! The `longshore` command: the one-machine host, the demo and the operator's tools.

pub use longshore_console::api;
pub mod args;
pub mod commands;
pub mod demo;
pub mod host;
