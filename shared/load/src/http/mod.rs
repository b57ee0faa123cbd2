//! HTTP/1.1 as a VU speaks it: its own connections, kept; every phase timed as k6 times it.

mod body;
mod client;
mod connect;
mod error;
mod exchange;
mod head;
mod names;
mod stream;
mod tls;
mod url;

pub(crate) use client::{Answer, Client, Network, Request, Timings};
pub(crate) use connect::contains;
pub(crate) use error::HttpError;
pub(crate) use head::canonical;
pub(crate) use url::Url;

#[cfg(test)]
mod properties;
