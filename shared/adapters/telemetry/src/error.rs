//! Why Prometheus gave no answer that can be used.

use longshore_ports::{ErrorKind, PortError};

/// Prometheus gave no answer that can be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TelemetryError {
    /// The address of the configuration cannot be asked.
    #[error("the url of [metrics], {url:?}, cannot be asked: {why}")]
    Address {
        /// As the configuration has it.
        url: String,
        /// What is wrong with it.
        why: String,
    },
    /// It does not understand the question, or its answer is no single value.
    #[error(
        "{host} cannot answer {query:?}: {why}; correct the query under [metrics], or the check's expression"
    )]
    Query {
        /// Who was asked.
        host: String,
        /// The question.
        query: String,
        /// What it said.
        why: String,
    },
    /// It wants another token.
    #[error("{host} refuses ({status}): {login}")]
    Denied {
        /// Who was asked.
        host: String,
        /// The HTTP status.
        status: u16,
        /// With which token it was asked, and what to do.
        login: String,
    },
    /// It is down, slow, or cannot be reached.
    #[error("{host} does not answer: {why}")]
    Unreachable {
        /// Who was asked.
        host: String,
        /// Why.
        why: String,
    },
}

impl TelemetryError {
    pub(crate) fn into_port(self, operation: &str) -> PortError {
        let kind = match &self {
            Self::Address { .. } | Self::Query { .. } => ErrorKind::Invalid,
            Self::Denied { .. } => ErrorKind::Denied,
            Self::Unreachable { .. } => ErrorKind::Unavailable,
        };
        PortError::new(kind, operation, self)
    }
}
