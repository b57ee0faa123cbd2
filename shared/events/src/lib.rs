//! The contract: every event that Longshore says or takes, its envelope, and the names of the domain.
//!
//! An event is an immutable fact in a [CloudEvents 1.0](https://cloudevents.io) envelope, never a command. Types are
//! named `dev.longshore.<subject>.<predicate>.v<N>`; each is one struct in [`types`].
//!
//! This crate depends on nothing else of the project, and does no I/O.

mod data;
mod event;
mod measure;
mod name;
mod number;
#[cfg(feature = "schema")]
mod schema;
pub mod types;

pub use data::{Data, Fact, Takes};
pub use event::{Event, EventError, Link};
pub use jiff::Timestamp;
pub use measure::{Measure, Percentile};
pub use name::{
    ChainId, CommitId, Digest, EnvironmentName, EventId, ImageName, ImageRef, InvalidName, RefName,
    RepositoryName, ServiceName,
};
pub use number::Number;
#[cfg(feature = "schema")]
pub use schema::schemas;
