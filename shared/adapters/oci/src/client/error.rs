//! What can go wrong with a registry, and whether trying again helps.

use longshore_events::Digest;
use longshore_ports::{ErrorKind, PortError};
use reqwest::{Response, StatusCode};

/// The longest error message that is read from a registry, in bytes.
const MESSAGE: usize = 4 << 10;

/// A request to a registry failed. [`ClientError::is_temporary`] says whether it may be repeated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The registry does not answer, or its answer broke off. Temporary.
    #[error("{operation}: the registry does not answer: {source}")]
    Unreachable {
        /// What was tried.
        operation: String,
        /// Why it failed.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The registry wants other credentials. Permanent.
    #[error("{operation}: the registry denies it ({status}): check the credentials")]
    Denied {
        /// What was tried.
        operation: String,
        /// 401 or 403.
        status: u16,
    },
    /// The registry refuses. Temporary when it is busy or broken (408, 429, 5xx), else permanent.
    #[error("{operation}: the registry refuses ({status}): {message}")]
    Refused {
        /// What was tried.
        operation: String,
        /// The HTTP status.
        status: u16,
        /// What it says.
        message: String,
    },
    /// What came is not what was asked for. Temporary: it was damaged under way.
    #[error("{operation}: the content is {found}, not {expected}")]
    Mismatch {
        /// What was tried.
        operation: String,
        /// The digest that was asked for.
        expected: Digest,
        /// The digest of what came.
        found: Digest,
    },
    /// The request or the answer makes no sense. Permanent.
    #[error("{operation}: {message}")]
    Invalid {
        /// What was tried.
        operation: String,
        /// What is wrong.
        message: String,
    },
    /// A file of this machine cannot be read or written. Temporary.
    #[error("{operation}: {source}")]
    File {
        /// What was tried.
        operation: String,
        /// Why it failed.
        source: std::io::Error,
    },
}

impl ClientError {
    /// Whether the same call may succeed later.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Mismatch { .. } | Self::File { .. } => true,
            Self::Refused { status, .. } => matches!(status, 408 | 429 | 500..),
            Self::Denied { .. } | Self::Invalid { .. } => false,
        }
    }

    pub(super) fn unreachable(operation: &str, error: reqwest::Error) -> Self {
        // A redirect's address may hold a signature.
        Self::Unreachable { operation: operation.to_owned(), source: error.without_url().into() }
    }

    pub(super) fn invalid(operation: &str, message: impl std::fmt::Display) -> Self {
        Self::Invalid { operation: operation.to_owned(), message: message.to_string() }
    }

    pub(super) fn file(operation: &str) -> impl Fn(std::io::Error) -> Self {
        let operation = operation.to_owned();
        move |source| Self::File { operation: operation.clone(), source }
    }

    /// Gives a good answer back, and what a bad one says as an error.
    pub(super) async fn check(operation: &str, response: Response) -> Result<Response, Self> {
        let status = response.status();
        let operation = operation.to_owned();
        if status.is_success() {
            return Ok(response);
        }
        if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            return Err(Self::Denied { operation, status: status.as_u16() });
        }
        Err(Self::Refused { operation, status: status.as_u16(), message: message(response).await })
    }
}

/// What the registry says is wrong: the specification's JSON, or else the start of the body.
async fn message(mut response: Response) -> String {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        body.extend_from_slice(&chunk);
        if body.len() > MESSAGE {
            body.truncate(MESSAGE);
            break;
        }
    }
    let parsed: Option<serde_json::Value> = serde_json::from_slice(&body).ok();
    let said = parsed.as_ref().and_then(|body| body.pointer("/errors/0")).map(|error| {
        let text = |key: &str| error.get(key).and_then(|value| value.as_str()).unwrap_or_default().to_owned();
        format!("{} {}", text("code"), text("message"))
    });
    said.unwrap_or_else(|| String::from_utf8_lossy(&body).chars().take(200).collect())
}

impl From<ClientError> for PortError {
    fn from(error: ClientError) -> Self {
        let kind = match &error {
            ClientError::Denied { .. } => ErrorKind::Denied,
            ClientError::Refused { status: 404, .. } => ErrorKind::NotFound,
            error if error.is_temporary() => ErrorKind::Unavailable,
            _ => ErrorKind::Invalid,
        };
        Self::new(kind, "ask the registry", error)
    }
}
