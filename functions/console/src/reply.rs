//! Requests and their answers, without any framework's types.

use longshore_ports::{ErrorKind, PortError};
use percent_encoding::percent_decode_str;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Console;
use crate::api::{ApiError, MAY_GROW, NEXT_OFFSET, NewApproval, NewRelease, NewRequest};

const JSON: &str = "application/json";

/// A request whose token was looked at.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// `GET` or `POST`.
    pub method: &'a str,
    /// The path, from `/api/` on, percent-encoded as it came.
    pub path: &'a str,
    /// What stands behind the `?`; empty when nothing does.
    pub query: &'a str,
    /// The body.
    pub body: &'a [u8],
    /// Whose token came with it; `None` for the host's own, and then the request says who asks.
    pub person: Option<&'a str>,
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The body's type, and other headers that matter.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Reply {
    fn of_type(status: u16, kind: &str, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: vec![("content-type", kind.to_owned())], body: body.into() }
    }
}

/// Why a request was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The HTTP status.
    pub status: u16,
    /// A stable code, where `docs/errors.md` has one.
    pub code: Option<&'static str>,
    /// What is wrong and what to do.
    pub message: String,
}

impl Refused {
    /// What was asked for is not there.
    pub fn missing(what: impl Into<String>) -> Self {
        Self { status: 404, code: None, message: what.into() }
    }

    /// The request makes no sense here.
    pub(crate) fn unusable(code: &'static str, why: impl Into<String>) -> Self {
        Self { status: 422, code: Some(code), message: why.into() }
    }

    /// The request lacks the token.
    pub fn without_token() -> Self {
        let message = "this needs the token: send it as `Authorization: Bearer`, or as a password; it lies in the file \
                       `token` of the data folder, and on AWS as `token` in the stack's secret";
        Self { status: 401, code: Some("LS0301"), message: message.into() }
    }
}

impl From<PortError> for Refused {
    fn from(error: PortError) -> Self {
        let status = match error.kind {
            ErrorKind::NotFound => 404,
            ErrorKind::Invalid | ErrorKind::Conflict | ErrorKind::Denied => 422,
            ErrorKind::Unavailable => 503,
        };
        Self { status, code: None, message: error.to_string() }
    }
}

impl From<Refused> for Reply {
    fn from(refused: Refused) -> Self {
        let error = ApiError { code: refused.code.map(ToOwned::to_owned), message: refused.message };
        Self::of_type(refused.status, JSON, json(&error))
    }
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

fn query<T: DeserializeOwned>(text: &str) -> Result<T, Refused> {
    let bad = |error| Refused { status: 400, code: None, message: format!("the query: {error}") };
    serde_urlencoded::from_str(text).map_err(bad)
}

fn body<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Refused> {
    let bad = |error| Refused { status: 400, code: None, message: format!("the body: {error}") };
    serde_json::from_slice(bytes).map_err(bad)
}

fn good(value: &impl Serialize) -> Reply {
    Reply::of_type(200, JSON, json(value))
}

impl Console {
    /// Answers a request.
    pub async fn reply(&self, ask: &Ask<'_>) -> Reply {
        self.answer(ask).await.unwrap_or_else(Reply::from)
    }

    async fn answer(&self, ask: &Ask<'_>) -> Result<Reply, Refused> {
        let reads = ask.method == "GET";
        let path = ask.path.strip_prefix("/api/").unwrap_or_default();
        Ok(match (path, reads) {
            ("status", true) => good(&self.status().await?),
            ("timeline", true) => good(&self.timeline(&query(ask.query)?).await?),
            ("decisions", true) => good(&self.decisions(&query(ask.query)?).await?),
            ("findings", true) => good(&self.findings(&query(ask.query)?).await?),
            ("dora", true) => good(&self.dora(&query(ask.query)?).await?),
            ("events", true) => good(&self.events(&query(ask.query)?).await?),
            ("units", true) => good(&self.units().await?),
            ("requests", false) => {
                let asked: NewRequest = body(ask.body)?;
                good(&self.request(&asked, ask.person.unwrap_or(&asked.who)).await?)
            }
            ("approvals", true) => good(&self.waiting().await?),
            ("approvals", false) => {
                let asked: NewApproval = body(ask.body)?;
                good(&self.approve(&asked, ask.person.unwrap_or(&asked.who)).await?)
            }
            ("releases", false) => {
                let asked: NewRelease = body(ask.body)?;
                good(&self.release(&asked, ask.person.unwrap_or(&asked.who)).await?)
            }
            ("redrives", false) => good(&self.redrive(&body(ask.body)?).await?),
            (path, true) if path.starts_with("events/") => {
                let id = percent_decode_str(&path["events/".len()..]).decode_utf8_lossy();
                Reply::of_type(200, "application/cloudevents+json", self.event(&id).await?.to_json())
            }
            (path, true) if path.starts_with("logs/") => {
                let piece = self.log(&path["logs/".len()..], &query(ask.query)?).await?;
                let mut reply = Reply::of_type(200, "text/plain; charset=utf-8", piece.text);
                reply.headers.push((NEXT_OFFSET, piece.next.to_string()));
                reply.headers.push((MAY_GROW, piece.grows.to_string()));
                reply
            }
            (
                "status" | "timeline" | "decisions" | "dora" | "findings" | "events" | "units" | "requests"
                | "releases" | "redrives",
                _,
            ) => {
                let message = format!("{} {} is not how this is asked", ask.method, ask.path);
                return Err(Refused { status: 405, code: None, message });
            }
            _ => return Err(Refused::missing(format!("there is nothing at {}", ask.path))),
        })
    }
}
