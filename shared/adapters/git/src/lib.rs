//! Git by the git command: what a repository knows, clean checkouts, and pushes over smart HTTP.
//!
//! A repository is kept in a folder of its own, bare: one that the host keeps is pushed to; one with a URL is a mirror
//! that is fetched before it is asked. Nothing that a pushed tree says is ever run: hooks are off, the user's and the
//! machine's configuration is not read.

mod backend;
mod command;
mod repository;

pub use backend::{CgiAnswer, CgiRequest, http_backend};
pub use command::GitError;
pub use repository::{GitCommand, Source};
