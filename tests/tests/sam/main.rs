//! The template for AWS: that it fits the code, that the tools for templates find nothing in it, and that what it deploys
//! on moto is what the functions expect.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod blocks;
mod deployed;
mod docs;
mod roles;
mod rules;
mod stack;
mod tools;
