//! Why a request is not taken, each with its stable code and HTTP status.

use longshore_events::{EventError, InvalidName};
use longshore_ports::PortError;
use serde_json::error::Category;

/// Why a request is not taken. Nothing of a refused request is committed, except that an [`Refusal::Journal`] may
/// come after a first lot of events was; the redelivery completes it.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// No such source.
    #[error("no source is named {0:?}; the path is /hooks/<name of a source in the configuration>")]
    UnknownSource(String),
    /// The body, or one event in it, is too large.
    #[error("{what} has {size} bytes; at most {limit} are taken")]
    TooLarge {
        /// What is too large.
        what: String,
        /// Its size in bytes.
        size: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// A list with more than is worked through at once.
    #[error("the body has {count} {what}; at most {limit} are taken at once")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// How many there are.
        count: usize,
        /// The limit.
        limit: usize,
    },
    /// No signature, or one that none of the source's secrets makes.
    #[error("{0}")]
    Signature(String),
    /// A signature that was right, too long ago or too far ahead.
    #[error(
        "webhook-timestamp {0} is more than 5 minutes from this machine's time; sign anew, and check both clocks"
    )]
    Stale(String),
    /// The body is no text.
    #[error("the body is not UTF-8; send JSON")]
    NotUtf8,
    /// The body is not JSON, is cut off, or is nested too deeply.
    #[error("the body is not JSON: {0}")]
    NotJson(String),
    /// JSON of another shape.
    #[error("the body is JSON, but not what this source sends: {0}")]
    Shape(String),
    /// A media type that this source does not send.
    #[error("content-type {given:?} is not taken here; send {wanted}")]
    ContentType {
        /// What came.
        given: String,
        /// What is taken.
        wanted: &'static str,
    },
    /// A header that is needed is missing or malformed.
    #[error("header {name}: {reason}")]
    Header {
        /// Its name.
        name: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A value that is well-formed, and cannot be worked with.
    #[error("{0}")]
    Unusable(String),
    /// An event type that nobody knows.
    #[error("{0}")]
    UnknownType(String),
    /// An event type that only Longshore's functions say.
    #[error("events of type {0:?} are not taken from outside; outsiders may say {1}")]
    NotForOutsiders(&'static str, String),
    /// The id stands for another event.
    #[error("the id {0:?} already stands for another event; give each event an id of its own")]
    IdTaken(String),
    /// The secrets cannot be read.
    #[error("the secret of this source cannot be read now; send again later")]
    Secrets(#[source] PortError),
    /// The secret is there, and useless.
    #[error("the secret of this source is unusable: {0}")]
    UnusableSecret(&'static str),
    /// The journal does not take the events.
    #[error("the events cannot be kept now; send again later")]
    Journal(#[source] PortError),
    /// The registry does not say what a tag names.
    #[error("the registry cannot be asked now what was pushed; send again later")]
    Registry(#[source] PortError),
    /// A newer version of a known event type.
    #[error("{0}")]
    Newer(String),
}

impl Refusal {
    /// The HTTP status. 503 asks the sender to try again, the others not to.
    pub fn status(&self) -> u16 {
        match self {
            Self::NotUtf8 | Self::NotJson(_) | Self::Shape(_) | Self::Header { .. } => 400,
            Self::Signature(_) | Self::Stale(_) => 401,
            Self::NotForOutsiders(..) => 403,
            Self::UnknownSource(_) => 404,
            Self::IdTaken(_) => 409,
            Self::TooLarge { .. } | Self::TooMany { .. } => 413,
            Self::ContentType { .. } => 415,
            Self::Unusable(_) | Self::UnknownType(_) => 422,
            Self::Secrets(_)
            | Self::UnusableSecret(_)
            | Self::Journal(_)
            | Self::Registry(_)
            | Self::Newer(_) => 503,
        }
    }

    /// The stable code, explained in `docs/errors.md`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnknownSource(_) => "LS0201",
            Self::TooLarge { .. } => "LS0202",
            Self::Signature(_) => "LS0203",
            Self::Stale(_) => "LS0204",
            Self::NotUtf8 => "LS0205",
            Self::NotJson(_) => "LS0206",
            Self::Shape(_) => "LS0207",
            Self::ContentType { .. } => "LS0208",
            Self::Header { .. } => "LS0209",
            Self::Unusable(_) => "LS0210",
            Self::UnknownType(_) => "LS0211",
            Self::NotForOutsiders(..) => "LS0212",
            Self::IdTaken(_) => "LS0213",
            Self::Secrets(_) | Self::UnusableSecret(_) => "LS0214",
            Self::Journal(_) => "LS0215",
            Self::Newer(_) => "LS0216",
            Self::TooMany { .. } => "LS0217",
            Self::Registry(_) => "LS0218",
        }
    }

    /// A name that breaks its rule.
    #[expect(clippy::needless_pass_by_value, reason = "it stands where an error is mapped")]
    pub(crate) fn unusable(error: InvalidName) -> Self {
        Self::Unusable(error.to_string())
    }

    pub(crate) fn header(name: &'static str, reason: impl Into<String>) -> Self {
        Self::Header { name, reason: reason.into() }
    }
}

impl From<serde_json::Error> for Refusal {
    fn from(error: serde_json::Error) -> Self {
        match error.classify() {
            Category::Data => Self::Shape(error.to_string()),
            Category::Io | Category::Syntax | Category::Eof => Self::NotJson(error.to_string()),
        }
    }
}

impl From<EventError> for Refusal {
    fn from(error: EventError) -> Self {
        match error {
            EventError::Envelope(_) => Self::Shape(error.to_string()),
            EventError::UnknownType(_) => Self::UnknownType(error.to_string()),
            EventError::Newer(_) => Self::Newer(error.to_string()),
            EventError::Data { .. } => Self::Unusable(error.to_string()),
        }
    }
}
