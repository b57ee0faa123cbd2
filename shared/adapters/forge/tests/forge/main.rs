//! The adapter against servers that answer as GitHub and GitLab do.
#![allow(clippy::unwrap_used, reason = "the helpers of tests fail as tests do")]

mod answers;
mod limits;
mod stage;
mod status;
mod suite;
mod tokens;
