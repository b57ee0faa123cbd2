//! The client and the server, over a real socket.
#![expect(clippy::unwrap_used, reason = "the helpers of tests may fail as the tests do")]

mod auth;
mod collect;
mod harness;
mod images;
mod manifests;
mod signatures;
mod spec;
mod through;
mod uploads;
