//! The process runner: releases as supervised processes of this machine, behind a weighted proxy.
//!
//! It unpacks an image into a folder and runs its entrypoint with `PORT`, without isolation. It is a process of its
//! own, spoken to over HTTP on a Unix socket ([`RunnerClient`]): it and what it runs outlive the host. It may be
//! killed, too: the processes go on, and the next runner finds them by pid and start time.

mod cell;
mod changes;
mod client;
mod config;
mod error;
mod fence;
mod fleet;
mod images;
mod platform;
mod ports;
mod probe;
mod process;
mod program;
mod proxy;
mod pull;
mod serve;
mod state;
mod supervise;
#[cfg(test)]
mod testing;
mod wire;

pub use client::RunnerClient;
pub use config::{Config, PullAccess};
pub use error::RunnerError;
pub use serve::serve;
pub use wire::{Changed, Info, Listed, ListedRelease};
