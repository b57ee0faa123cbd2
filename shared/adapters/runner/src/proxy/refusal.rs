//! Answers of the proxy itself, for requests that no release answered.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::{Response, StatusCode};

/// Why no release answered.
#[derive(Debug)]
pub(super) enum Refusal {
    /// None is ready.
    NotReady,
    /// No workload has the request's host; these are known.
    Unknown(Vec<String>),
    /// One was asked, and did not answer.
    Lost(String),
    /// One was asked, and did not begin its answer in time.
    Late(Duration),
    /// The one that the request names is not ready, or not there.
    NotNamed(String),
    /// The request asks for a tunnel through the proxy.
    NoTunnel,
}

impl Refusal {
    fn status(&self) -> (StatusCode, &'static str) {
        match self {
            Self::NotReady => (StatusCode::SERVICE_UNAVAILABLE, "LS0401"),
            Self::Unknown(_) => (StatusCode::NOT_FOUND, "LS0402"),
            Self::Lost(_) => (StatusCode::BAD_GATEWAY, "LS0403"),
            Self::Late(_) => (StatusCode::GATEWAY_TIMEOUT, "LS0404"),
            Self::NotNamed(_) => (StatusCode::SERVICE_UNAVAILABLE, "LS0405"),
            Self::NoTunnel => (StatusCode::METHOD_NOT_ALLOWED, "LS0406"),
        }
    }

    fn message(&self) -> String {
        match self {
            Self::NotReady => "no release of this service is ready".to_owned(),
            Self::Unknown(known) if known.is_empty() => {
                "no service has this host name; none is known yet".to_owned()
            }
            Self::Unknown(known) => {
                format!("no service has this host name; known are: {}", known.join(", "))
            }
            Self::Lost(why) => format!("the release did not answer: {why}"),
            Self::Late(limit) => {
                format!("the release did not begin to answer within {} ms", limit.as_millis())
            }
            Self::NotNamed(name) => {
                format!("no release {name:?} is ready; name one as `new`, `old`, or by number or digest")
            }
            Self::NoTunnel => "this proxy opens no tunnels: CONNECT is not served".to_owned(),
        }
    }

    /// What the client is told.
    pub(super) fn answer(&self) -> Response<Full<Bytes>> {
        let (status, code) = self.status();
        let body = serde_json::json!({ "code": code, "message": self.message() }).to_string();
        let mut response = Response::new(Full::from(body));
        *response.status_mut() = status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}
