//! Answers, good and bad, in the specification's form.

use std::{fmt::Display, io};

use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use longshore_events::Digest;

use super::StoreError;

pub(super) const API_VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");
pub(super) const DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
pub(super) const UPLOAD: HeaderName = HeaderName::from_static("docker-upload-uuid");
pub(super) const SUBJECT: HeaderName = HeaderName::from_static("oci-subject");
pub(super) const FILTERS: HeaderName = HeaderName::from_static("oci-filters-applied");

/// A refusal: an HTTP status, one of the specification's codes, and a sentence.
#[derive(Debug)]
pub(super) struct Fault {
    status: StatusCode,
    code: &'static str,
    message: String,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Fault {
    pub(super) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), headers: Vec::new() }
    }

    pub(super) fn bad(code: &'static str, message: &(impl Display + ?Sized)) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message.to_string())
    }

    pub(super) fn not_found(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, message)
    }

    pub(super) fn internal(what: &str, error: &dyn Display) -> Self {
        tracing::error!(error = %error, "{what}");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "UNKNOWN", format!("{what}: try again"))
    }

    /// The disk failed; a full one is told apart, since the client's user may be who can make room.
    pub(super) fn disk(what: &str, kind: io::ErrorKind, error: &dyn Display) -> Self {
        if !matches!(kind, io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
            return Self::internal(what, error);
        }
        tracing::error!(error = %error, "{what}");
        let message = format!("{what}: the registry's disk is full; make room, then try again");
        Self::new(StatusCode::INSUFFICIENT_STORAGE, "UNKNOWN", message)
    }

    pub(super) fn with(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.push((name, value));
        }
        self
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::disk("the registry's store failed", error.source.kind(), &error)
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let error = serde_json::json!({ "code": self.code, "message": self.message });
        let body = serde_json::json!({ "errors": [error] }).to_string();
        let mut response = (self.status, [(header::CONTENT_TYPE, "application/json")], body).into_response();
        response.headers_mut().extend(self.headers);
        response
    }
}

/// Builds a good answer.
pub(super) struct Answer(Response);

impl Answer {
    pub(super) fn new(status: StatusCode) -> Self {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = status;
        Self(response)
    }

    pub(super) fn with(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.0.headers_mut().insert(name, value);
        }
        self
    }

    pub(super) fn digest(self, digest: &Digest) -> Self {
        self.with(DIGEST, digest.as_str())
    }

    pub(super) fn body(mut self, media_type: &str, body: impl Into<Body>) -> Response {
        self = self.with(header::CONTENT_TYPE, media_type);
        *self.0.body_mut() = body.into();
        self.0
    }

    pub(super) fn empty(self) -> Response {
        self.0
    }
}
