//! Intake: bytes from outside become events, are committed, and only then answered with 2xx.
//!
//! [`Intake::receive`] verifies the signature over the raw body before anything of it is parsed, translates what the
//! provider says into [`push.received`](longshore_events::types::PushReceived) and its kin, and writes the events to
//! the journal. It knows no HTTP framework: the one-machine host and the Lambda function call it alike.
//!
//! What providers send may come twice, late, in any order, or never. Ids are deterministic, so a redelivery is the
//! same event; [`RefCheck`] finds the pushes whose webhook never came.

mod alarm;
mod alerts;
mod answer;
mod aws;
mod bitbucket;
mod change;
mod cloudevents;
mod cloudwatch;
mod falco;
mod few;
mod gitea;
mod github;
mod gitlab;
mod hear;
mod hubs;
mod oci;
mod paths;
mod percent;
mod protocol;
mod push;
mod receive;
mod refcheck;
mod refusal;
mod request;
pub mod sign;
mod signed;
mod tags;
mod verify;

pub use answer::Answer;
pub use receive::Intake;
pub use refcheck::RefCheck;
pub use refusal::Refusal;
pub use request::{Headers, Request};

/// The host's, or the stack's, own source of events: CloudEvents that are signed with a secret of its own.
pub const OWN_SOURCE: &str = "longshore";
