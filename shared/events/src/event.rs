//! The envelope: CloudEvents 1.0, structured JSON, with Longshore's extension attributes.
//!
//! Source: CloudEvents specification 1.0.2, and its JSON event format.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{ChainId, Data, EventId};

/// An immutable fact.
///
/// ```
/// use longshore_events::{ChainId, Data, Event, EventId, Link, types::RequestKind, types::RequestMade};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let stop = RequestMade { what: RequestKind::Stop, who: "mona".into(), target: "all".into(), to: None, why: None };
/// let event = Event {
///     id: EventId::new("request/1")?,
///     source: "longshore/cli".into(),
///     subject: stop.target.clone(),
///     time: "2026-11-24T10:00:00Z".parse()?,
///     link: Link { chain: ChainId::new("request/1")?, cause: None },
///     traceparent: None,
///     dryrun: false,
///     data: Data::from(stop),
/// };
/// assert_eq!(event.kind(), "dev.longshore.request.made.v1");
/// assert_eq!(Event::from_json(&event.to_json())?, event);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Unique and deterministic: the same fact said twice has the same id.
    pub id: EventId,
    /// Who says it, e.g. `longshore/build` or `github/acme/shop`.
    pub source: String,
    /// What it is about: `<environment>/<service>`, a repository or a service.
    pub subject: String,
    /// When it happened, or was first heard of.
    pub time: Timestamp,
    /// Where it stands in the causal order.
    pub link: Link,
    /// W3C trace context, where the sender gave one.
    pub traceparent: Option<String>,
    /// True for what a dry run would have said; no function acts on it.
    pub dryrun: bool,
    /// The fact itself.
    pub data: Data,
}

/// An event's place in the causal order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// The chain that it belongs to.
    pub chain: ChainId,
    /// The event that completed the decision which said it; `None` for what came from outside.
    pub cause: Option<EventId>,
}

/// Why a text is no event for us.
#[derive(Debug, thiserror::Error)]
pub enum EventError {
    /// Not JSON, or not the shape of a CloudEvent.
    #[error("not a CloudEvent 1.0: {0}")]
    Envelope(String),
    /// A type that is none of ours. Permanent.
    #[error("unknown event type {0:?}; `longshore events schema` lists the known ones")]
    UnknownType(String),
    /// A newer version of a type we know: an upgrade is under way. Temporary.
    #[error("event type {0:?} is newer than this build; it is kept until a newer build takes it")]
    Newer(String),
    /// The data does not fit the type.
    #[error("data of {kind}: {reason}")]
    Data {
        /// The event's type.
        kind: String,
        /// What does not fit.
        reason: String,
    },
}

impl EventError {
    /// Whether a later build may understand the event.
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::Newer(_))
    }
}

/// The JSON form; attribute names as the specification writes them.
#[derive(Serialize, Deserialize)]
struct Wire<D> {
    specversion: String,
    id: String,
    source: String,
    #[serde(rename = "type")]
    kind: String,
    subject: String,
    time: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    datacontenttype: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dataschema: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    chainid: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    causeid: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    traceparent: Option<String>,
    #[serde(default, skip_serializing_if = "is_false")]
    dryrun: bool,
    data: D,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde asks for")]
fn is_false(value: &bool) -> bool {
    !value
}

/// Attributes that people are shown must be there, and must not write to a terminal or forge a line of a log.
fn shown(attribute: &str, value: &str) -> Result<(), EventError> {
    if value.is_empty() || value.chars().any(char::is_control) {
        return Err(EventError::Envelope(format!("{attribute} is empty or has control characters")));
    }
    Ok(())
}

impl Event {
    /// The CloudEvents `type`, e.g. `dev.longshore.push.received.v1`.
    pub fn kind(&self) -> &'static str {
        self.data.kind()
    }

    /// The event as structured CloudEvents JSON.
    pub fn to_json(&self) -> String {
        let wire = Wire {
            specversion: "1.0".into(),
            id: self.id.to_string(),
            source: self.source.clone(),
            kind: self.kind().into(),
            subject: self.subject.clone(),
            time: self.time,
            datacontenttype: Some("application/json".into()),
            dataschema: Some(format!("https://longshore.dev/schemas/{}.json", self.kind())),
            chainid: Some(self.link.chain.to_string()),
            causeid: self.link.cause.as_ref().map(ToString::to_string),
            traceparent: self.traceparent.clone(),
            dryrun: self.dryrun,
            data: &self.data,
        };
        serde_json::to_string(&wire).unwrap_or_default()
    }

    /// Reads structured CloudEvents JSON. Unknown attributes and fields are ignored; an event without `chainid`
    /// starts a chain of its own.
    ///
    /// # Errors
    /// [`EventError`] says whether a later build may understand it.
    pub fn from_json(text: &str) -> Result<Self, EventError> {
        let wire: Wire<Value> =
            serde_json::from_str(text).map_err(|error| EventError::Envelope(error.to_string()))?;
        if wire.specversion != "1.0" {
            return Err(EventError::Envelope(format!("specversion {:?}, not \"1.0\"", wire.specversion)));
        }
        shown("source", &wire.source)?;
        shown("subject", &wire.subject)?;
        let id = EventId::new(&wire.id).map_err(|error| EventError::Envelope(error.to_string()))?;
        let chain = ChainId::new(wire.chainid.as_deref().unwrap_or(&wire.id))
            .map_err(|error| EventError::Envelope(error.to_string()))?;
        let cause = wire.causeid.map(EventId::new).transpose();
        Ok(Self {
            id,
            source: wire.source,
            subject: wire.subject,
            time: wire.time,
            link: Link { chain, cause: cause.map_err(|error| EventError::Envelope(error.to_string()))? },
            traceparent: wire.traceparent,
            dryrun: wire.dryrun,
            data: Data::parse(&wire.kind, wire.data)?,
        })
    }

    /// The link of what follows from this event.
    pub fn then(&self) -> Link {
        Link { chain: self.link.chain.clone(), cause: Some(self.id.clone()) }
    }
}
