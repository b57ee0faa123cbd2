//! Git by the git command: what a repository knows, clean checkouts, and pushes over smart HTTP.
//!
//! A repository lies in a bare folder of its own. One that the host keeps is pushed to; one with a URL is asked over
//! the network, and its commits are fetched into a mirror when they are needed. Nothing that a pushed tree says is
//! ever run: hooks are off but for the host's own, filters do not exist, and neither the user's nor the machine's
//! configuration is read.

mod backend;
mod checkout;
mod command;
mod group;
mod hosted;
mod repository;

pub use backend::{CgiAnswer, CgiRequest, http_backend};
pub use command::GitError;
pub use repository::{GitCommand, Source};
