//! The journal in one DynamoDB table, with EventBridge as the bus and one SQS queue for wake-ups.
//!
//! A decision costs three calls: `open` is one consistent BatchGetItem, `commit` one TransactWriteItems, and what
//! `publish` sends goes out together. BatchGetItem reads each row by itself, so that what it brings need never have
//! been true at one moment; all of it that matters is a condition of the commit.

mod commit;
mod condition;
mod history;
pub(crate) mod item;
pub(crate) mod keys;
mod limits;
mod places;
mod plan;
mod publish;
mod read;
mod sweep;

use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use jiff::Timestamp;
use longshore_events::{Event, EventId};
use longshore_ports::{
    Clock, Facts, Journal, PortError,
    journal::{Commit, CommitError, Committed, Open, Opened, Owed, Routes},
};

pub use publish::WAKE;

use crate::{Aws, failure::Call};

/// An index of the table. Both hold keys alone, and only of rows that have both attributes: what is still to be done,
/// and, in partitions of their own, what people list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Index {
    /// Its name.
    pub name: &'static str,
    /// Its partition key, a string.
    pub partition: &'static str,
    /// Its sort key, a number: nanoseconds since 1970.
    pub sort: &'static str,
}

/// Deliveries that are owed: `new`, or put off until a time and so `again`. Beside them the events of each chain, the
/// units of each function, the leases and the switches that say stop.
const OWED: Index = Index { name: "owed", partition: "owed", sort: "since" };
/// Units that must be looked at, all under `unit`. Beside them all events, under `event`.
const DUE: Index = Index { name: "due", partition: "waits", sort: "wake" };

/// The table's indexes. Its own keys are the strings `pk` and `sk`.
pub const INDEXES: [Index; 2] = [OWED, DUE];
/// The attribute, in seconds since 1970, after which DynamoDB may remove a row.
pub const TTL: &str = "expires";

/// What the stack calls its parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// The table.
    pub table: String,
    /// The event bus.
    pub bus: String,
    /// The address of the queue that delays wake-ups.
    pub wakes: String,
}

/// The journal of a stack.
pub struct DynamoJournal {
    table: Client,
    bus: aws_sdk_eventbridge::Client,
    wakes: aws_sdk_sqs::Client,
    names: Names,
    routes: Arc<Routes>,
    clock: Arc<dyn Clock>,
    region: String,
    /// The table, as errors name it.
    place: String,
}

impl DynamoJournal {
    /// A journal over what the stack has. `clock` says how long a wake-up must be delayed and in which order people are
    /// shown what was written, and nothing else.
    pub fn new(aws: &Aws, names: Names, routes: Routes, clock: Arc<dyn Clock>) -> Self {
        Self {
            table: Client::new(&aws.config),
            bus: aws_sdk_eventbridge::Client::new(&aws.config),
            wakes: aws_sdk_sqs::Client::new(&aws.config),
            place: format!("the table {}", names.table),
            region: aws.account.region.clone(),
            routes: Arc::new(routes),
            names,
            clock,
        }
    }

    /// A call about the table.
    fn call(&self, operation: &'static str, action: &'static str) -> Call<'_> {
        Call { operation, action, resource: &self.place, region: &self.region }
    }
}

#[async_trait]
impl Journal for DynamoJournal {
    async fn open(&self, ask: &Open) -> Result<Opened, PortError> {
        self.read_all(ask).await
    }

    async fn commit(&self, commit: &Commit) -> Result<Committed, CommitError> {
        self.write(commit).await
    }

    async fn publish(&self, committed: &Committed) -> Result<(), PortError> {
        self.tell(committed).await
    }

    async fn event(&self, id: &EventId) -> Result<Option<Event>, PortError> {
        self.read_event("journal event", id.as_str()).await
    }

    async fn owed(&self, now: Timestamp, grace_ms: u64, limit: usize) -> Result<Owed, PortError> {
        // Four queries at once, each a large future.
        Box::pin(self.find_owed(now, grace_ms, limit)).await
    }
}

#[async_trait]
impl Facts for DynamoJournal {
    async fn latest(&self, kind: &str, subject: &str) -> Result<Option<Event>, PortError> {
        self.read_latest(kind, subject).await
    }
}
