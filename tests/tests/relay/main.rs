//! All functions at once, as AWS runs them: the template's stack on moto, and a relay that plays what moto does not. It
//! invokes the functions' binaries for what the stack's own rules bring to whom, late, in any order, some of it twice and
//! some never; it kills them in the middle; and it plays CodeBuild, whose builds it packs and pushes itself.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "the platform's part: its environment and its clock")]
#![expect(clippy::print_stderr, reason = "what a storm was like is of use when it fails")]

mod builds;
mod bus;
#[path = "../../../cli/tests/live/chance.rs"]
mod chance;
#[path = "../../../cli/tests/live/client.rs"]
#[allow(dead_code, reason = "shared with the storm on one machine")]
mod client;
mod cluster;
#[allow(dead_code, reason = "shared with the storm on one machine")]
mod common;
#[expect(clippy::cast_precision_loss, reason = "what is counted is little")]
mod cost;
#[path = "../../../cli/tests/live/forge.rs"]
mod forge;
#[path = "../../../cli/tests/live/given.rs"]
mod given;
#[path = "../lambda/outside.rs"]
mod outside;
mod people;
mod platform;
#[path = "../sam/queues.rs"]
mod queues;
mod rights;
#[path = "../lambda/sandbox.rs"]
#[allow(dead_code, reason = "shared with the tests of single functions")]
mod sandbox;
#[path = "../sam/stack.rs"]
#[allow(dead_code, reason = "shared with the tests of the template")]
mod stack;
mod stage;
mod storm;
#[path = "../lambda/url.rs"]
mod url;
