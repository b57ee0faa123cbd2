//! HTTP as Lambda brings it: payload format 2.0 of function URLs and of API Gateway's HTTP APIs.
//!
//! Source: "Create Lambda proxy integrations for HTTP APIs in API Gateway", AWS documentation.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Error;

/// A request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpRequest {
    /// Its method.
    pub method: String,
    /// Its path, percent-encoded; before it may stand the name of the API's stage.
    pub path: String,
    /// What stands behind the `?`; empty when nothing does.
    pub query: String,
    /// The headers; their names come in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body; `None` when it should be base64 and is not.
    pub body: Option<Vec<u8>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HttpEvent {
    version: String,
    raw_path: String,
    #[serde(default)]
    raw_query_string: String,
    request_context: RequestContext,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    body: String,
    #[serde(default)]
    is_base64_encoded: bool,
}

#[derive(Deserialize)]
struct RequestContext {
    http: Http,
}

#[derive(Deserialize)]
struct Http {
    method: String,
}

/// The HTTP request that an invocation brings; `None` when it brings something else.
///
/// # Errors
/// When it is one in another format than 2.0.
pub fn http_request(payload: &Value) -> Result<Option<HttpRequest>, Error> {
    if payload.get("requestContext").is_none() {
        return Ok(None);
    }
    let event = HttpEvent::deserialize(payload)
        .map_err(|error| format!("not an HTTP request in payload format 2.0: {error}"))?;
    if event.version != "2.0" {
        return Err(format!("payload format {:?}; choose 2.0 at the integration", event.version).into());
    }
    let body = if event.is_base64_encoded {
        STANDARD.decode(event.body).ok()
    } else {
        Some(event.body.into_bytes())
    };
    Ok(Some(HttpRequest {
        method: event.request_context.http.method,
        path: event.raw_path,
        query: event.raw_query_string,
        headers: event.headers,
        body,
    }))
}

/// The answer to an HTTP request.
pub fn http_response(status: u16, headers: &[(&str, String)], body: &[u8]) -> Value {
    let headers: BTreeMap<_, _> = headers.iter().map(|(name, value)| (*name, value)).collect();
    let (body, encoded) = match std::str::from_utf8(body) {
        Ok(text) => (text.to_owned(), false),
        Err(_) => (STANDARD.encode(body), true),
    };
    json!({ "statusCode": status, "headers": headers, "body": body, "isBase64Encoded": encoded })
}
