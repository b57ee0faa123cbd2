//! The template for AWS: that it fits the code, that the tools for templates find nothing in it, and that what it deploys
//! on moto is what the functions expect.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "the platform's part: its environment and its clock")]

mod blocks;
mod deployed;
mod docs;
mod makefile;
mod queues;
mod roles;
mod rules;
#[path = "../lambda/sandbox.rs"]
#[expect(dead_code, reason = "what the tests of the functions alone do with it")]
mod sandbox;
mod stack;
mod started;
mod tools;
