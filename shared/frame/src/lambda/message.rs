//! What an invocation may bring: a batch from SQS, an envelope of EventBridge, an event of ours, a hint.
//!
//! Sources: "Using Lambda with Amazon SQS" and "EventBridge event structure reference", AWS documentation.

use longshore_events::{Event, EventError};
use serde::Deserialize;
use serde_json::Value;

use crate::Call;

/// What an invocation brought.
#[derive(Debug)]
pub(super) enum Message {
    /// One message.
    One(Call),
    /// A batch from a queue: each message by its id.
    Batch(Vec<(String, Result<Call, Unreadable>)>),
}

/// Why a message cannot be taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unreadable {
    /// The text is no JSON, or the batch has not SQS's shape.
    #[error("not to be read: {0}")]
    Json(#[from] serde_json::Error),
    /// The event is none of ours, or of a newer build.
    #[error(transparent)]
    Event(#[from] EventError),
    /// Some other service's batch.
    #[error("records come from {0:?}; only aws:sqs is known")]
    Source(String),
    /// A hint that went the wrong way.
    #[error("the hint is for the function {0:?}, and this is {1}; look at the queue's rule")]
    OtherFunction(String, &'static str),
    /// Nothing that is known.
    #[error("the message is neither an SQS batch nor an EventBridge envelope, a CloudEvent or a hint")]
    Unknown,
}

#[derive(Deserialize)]
struct Batch {
    #[serde(rename = "Records")]
    records: Vec<Record>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    message_id: String,
    event_source: String,
    body: String,
}

#[derive(Deserialize)]
struct Hint {
    function: String,
    unit: String,
}

/// Reads a payload for `function`. The messages of a batch are read each by itself.
pub(super) fn read(function: &'static str, payload: &Value) -> Result<Message, Unreadable> {
    if payload.get("Records").is_none() {
        return call(function, payload).map(Message::One);
    }
    let batch = Batch::deserialize(payload)?;
    if let Some(other) = batch.records.iter().find(|record| record.event_source != "aws:sqs") {
        return Err(Unreadable::Source(other.event_source.clone()));
    }
    let read = |record: Record| {
        let message = serde_json::from_str(&record.body).map_err(Unreadable::Json);
        (record.message_id, message.and_then(|message| call(function, &message)))
    };
    Ok(Message::Batch(batch.records.into_iter().map(read).collect()))
}

/// Reads one message: an event or a hint, bare or as the detail of an EventBridge envelope.
fn call(function: &'static str, message: &Value) -> Result<Call, Unreadable> {
    let message = match (message.get("detail-type"), message.get("detail")) {
        (Some(_), Some(detail)) => detail,
        _ => message,
    };
    if message.get("specversion").is_some() {
        return Ok(Call::Event(Box::new(Event::from_json(&message.to_string())?)));
    }
    let hint = Hint::deserialize(message).map_err(|_| Unreadable::Unknown)?;
    if hint.function != function {
        return Err(Unreadable::OtherFunction(hint.function, function));
    }
    Ok(Call::Wake(hint.unit))
}
