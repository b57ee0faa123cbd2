//! What the proxy answers: words of its own, or what the API server said.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::response::Parts;
use http::{HeaderMap, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use serde_json::json;

/// The connection ends.
#[derive(Debug)]
pub(super) struct Cut;

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cut")
    }
}

impl std::error::Error for Cut {}

/// The body of an answer.
pub(super) enum Answer {
    Whole(Full<Bytes>),
    /// It goes on for as long as somebody reads.
    Streamed(Incoming),
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        match self.get_mut() {
            Self::Whole(body) => Pin::new(body).poll_frame(context).map_err(|never| match never {}),
            Self::Streamed(body) => Pin::new(body).poll_frame(context).map_err(|_| Cut),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(body) => body.is_end_stream(),
            Self::Streamed(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(body) => body.size_hint(),
            Self::Streamed(body) => body.size_hint(),
        }
    }
}

/// The size of an answer in bytes; 0 of one that goes on.
pub(super) fn size(answer: &Response<Answer>) -> usize {
    match answer.body() {
        Answer::Whole(body) => body.size_hint().exact().and_then(|size| size.try_into().ok()).unwrap_or(0),
        Answer::Streamed(_) => 0,
    }
}

/// What the API server said, whole, to be said again.
#[derive(Clone)]
pub(super) struct Kept {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Kept {
    pub(super) async fn read(answer: Response<Incoming>) -> Result<Self, Cut> {
        let (Parts { status, mut headers, .. }, body) = answer.into_parts();
        // Both are of the connection that it came by.
        headers.remove(header::CONTENT_LENGTH);
        headers.remove(header::TRANSFER_ENCODING);
        let body = body.collect().await.map_err(|_| Cut)?.to_bytes();
        Ok(Self { status, headers, body })
    }

    pub(super) fn is_good(&self) -> bool {
        self.status.is_success()
    }
}

impl From<Kept> for Response<Answer> {
    fn from(kept: Kept) -> Self {
        let mut answer = Self::new(Answer::Whole(Full::new(kept.body)));
        (*answer.status_mut(), *answer.headers_mut()) = (kept.status, kept.headers);
        answer
    }
}

/// A refusal, as API servers word them.
pub(super) fn refusal(status: u16, retry_after: Option<u32>) -> Response<Answer> {
    let (reason, message) = match status {
        401 => ("Unauthorized", "Unauthorized"),
        409 => ("Conflict", "the object has been modified; please apply your changes to the latest version"),
        410 => ("Expired", "The provided continue parameter is too old"),
        429 => ("TooManyRequests", "too many requests, please try again later"),
        503 => ("ServiceUnavailable", "apiserver is shutting down"),
        _ => ("InternalError", "Internal error occurred: etcdserver: request timed out"),
    };
    let mut body = json!({
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reason,
        "code": status,
    });
    let mut answer = Response::builder().status(status).header(header::CONTENT_TYPE, "application/json");
    if let Some(seconds) = retry_after {
        body["details"] = json!({ "retryAfterSeconds": seconds });
        answer = answer.header(header::RETRY_AFTER, seconds);
    }
    answer.body(Answer::Whole(Full::from(body.to_string()))).unwrap()
}
