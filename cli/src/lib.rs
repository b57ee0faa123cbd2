//! The `longshore` command: the one-machine host, the demo and the operator's tools.

pub mod api;
pub mod host;
