//! Asks a host over HTTP.

use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use longshore_intake::{OWN_SOURCE, sign};
use longshore_ports::{Clock as _, Secret};
use reqwest::{Method, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::api::ApiError;
use crate::host::MachineClock;

/// How long an answer may take: more than the longest wait for events.
const LIMIT: Duration = Duration::from_mins(1);

/// A client of one host.
pub(crate) struct Client {
    http: reqwest::Client,
    base: String,
    token: String,
    /// What to do when nobody answers.
    remedy: String,
    /// The stack that is spoken to.
    stack: Option<Stack>,
}

/// A stack on AWS.
struct Stack {
    name: String,
    /// Where its `intake` answers, when the stack says so.
    intake: Option<String>,
}

impl Client {
    /// The host at `base`.
    pub(crate) fn new(base: &str, token: &str) -> Result<Self> {
        let scheme = base.split_once("://").map(|(scheme, _)| scheme);
        if !matches!(scheme, Some("http" | "https")) || reqwest::Url::parse(base).is_err() {
            bail!("{base:?} is not the URL of a host, such as http://127.0.0.1:7070, nor aws:STACK");
        }
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(LIMIT)
            .build()
            .context("cannot make an HTTP client")?;
        let remedy = "start it with `longshore up`, or name another with `--host`".to_owned();
        let base = base.trim_end_matches('/').to_owned();
        Ok(Self { http, base, token: token.to_owned(), remedy, stack: None })
    }

    /// The same, as the console of a stack on AWS, whose `intake` is at this address.
    #[must_use]
    pub(crate) fn of_stack(self, stack: &str, intake: Option<String>) -> Self {
        let remedy =
            format!("look at the network, and at the functions `console` and `intake` of the stack {stack}");
        Self { remedy, stack: Some(Stack { name: stack.to_owned(), intake }), ..self }
    }

    /// GET `path` with a query.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str, query: &[(&str, String)]) -> Result<T> {
        Ok(self.text(path, query).await?.json().await?)
    }

    /// GET `path` with a query, as it is.
    pub(crate) async fn text(&self, path: &str, query: &[(&str, String)]) -> Result<Response> {
        let words: Vec<String> =
            query.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        let path = if words.is_empty() { path.to_owned() } else { format!("{path}?{}", words.join("&")) };
        self.send(Method::GET, &path, "application/json", Vec::new()).await
    }

    /// POST a value to `path`.
    pub(crate) async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T> {
        let body = serde_json::to_vec(body)?;
        Ok(self.send(Method::POST, path, "application/json", body).await?.json().await?)
    }

    /// Sends an event, as CloudEvents JSON. A stack's `intake` knows it by a signature made with the token.
    pub(crate) async fn send_event(&self, body: Vec<u8>) -> Result<serde_json::Value> {
        const KIND: &str = "application/cloudevents+json";
        let Some(stack) = &self.stack else {
            return Ok(self.send(Method::POST, "/events", KIND, body).await?.json().await?);
        };
        let intake = stack.intake.as_deref().with_context(|| {
            let name = &stack.name;
            format!("the stack {name} has no output IntakeUrl; deploy it anew with this version's template [LS0503]")
        })?;
        let now = MachineClock.now();
        let id = format!("command-{}", now.as_nanosecond());
        let signed = sign::standard(&Secret::new(self.token.as_str()), &id, now.as_second(), &body);
        let signed = signed.context("the token begins with `whsec_`, and no base64 follows")?;
        let url = format!("{}/hooks/{OWN_SOURCE}", intake.trim_end_matches('/'));
        let request = self.http.post(&url).header("content-type", KIND).body(body);
        let request = signed.into_iter().fold(request, |request, (name, value)| request.header(name, value));
        Ok(self.answer(intake, request.send().await).await?.json().await?)
    }

    async fn send(&self, method: Method, path: &str, kind: &str, body: Vec<u8>) -> Result<Response> {
        let request = self.http.request(method, format!("{}{path}", self.base)).bearer_auth(&self.token);
        let response = request.header("content-type", kind).body(body).send().await;
        self.answer(&self.base, response).await
    }

    /// What was answered there, when it is good.
    async fn answer(&self, at: &str, response: reqwest::Result<Response>) -> Result<Response> {
        let response = response.map_err(|error| {
            let (why, remedy) = (root(&error), &self.remedy);
            anyhow!("the host at {at} does not answer ({why}); {remedy}")
        })?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let text = response.text().await.unwrap_or_default();
        match serde_json::from_str::<ApiError>(&text) {
            Ok(ApiError { code: Some(code), message }) => bail!("{message} [{code}]"),
            Ok(error) => bail!(error.message),
            Err(_) => bail!("the host answered {status}: {}", text.trim()),
        }
    }
}

/// The innermost reason: what is around it only says that there was a request.
fn root(error: &reqwest::Error) -> String {
    let mut reason: &dyn std::error::Error = error;
    while let Some(source) = reason.source() {
        reason = source;
    }
    reason.to_string()
}

/// Percent-encodes what may not stand in a query.
pub(super) fn encoded(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/@:".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}
