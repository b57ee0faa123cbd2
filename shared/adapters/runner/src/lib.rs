//! The process runner: releases as supervised processes of this machine, behind a weighted proxy.
//!
//! It unpacks an image into a folder and runs its entrypoint with `PORT`, without isolation. It is a process of its
//! own, spoken to over HTTP on a Unix socket ([`RunnerClient`]): it and what it runs outlive the host. It may be
//! killed, too: the processes go on, and the next runner finds them by pid and start time.
//!
//! A *workload* (one service in one environment) has releases. An order names those that shall run, and their shares
//! of the traffic. [`serve`] keeps, for each workload, what was ordered, and one supervisor for each release; the proxy
//! sends requests to releases that are ready. The traffic moves when its receiver is ready; a release that no order
//! names stays until then.

mod changes;
mod client;
mod clock;
mod config;
mod error;
mod fleet;
mod image;
mod process;
mod proxy;
mod release;
mod serve;
mod state;
#[cfg(test)]
mod testing;
mod wire;

pub use client::RunnerClient;
pub use config::{Config, PullAccess};
pub use error::RunnerError;
pub use serve::serve;
pub use wire::{Changed, Info, Listed, ListedRelease};
