//! Asks a host over HTTP.

use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use reqwest::{Method, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::api::ApiError;

/// How long an answer may take: more than the longest wait for events.
const LIMIT: Duration = Duration::from_mins(1);

/// A client of one host.
pub(crate) struct Client {
    http: reqwest::Client,
    base: String,
    token: String,
    /// What to do when nobody answers.
    remedy: String,
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
        Ok(Self { http, base: base.trim_end_matches('/').to_owned(), token: token.to_owned(), remedy })
    }

    /// The same, as the console of a stack on AWS.
    #[must_use]
    pub(crate) fn of_stack(self, stack: &str) -> Self {
        let remedy = format!("look at the network, and at the function `console` of the stack {stack}");
        Self { remedy, ..self }
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

    /// POST bytes of a type to `path`.
    pub(crate) async fn post_bytes(
        &self,
        path: &str,
        kind: &str,
        body: Vec<u8>,
    ) -> Result<serde_json::Value> {
        Ok(self.send(Method::POST, path, kind, body).await?.json().await?)
    }

    async fn send(&self, method: Method, path: &str, kind: &str, body: Vec<u8>) -> Result<Response> {
        let request = self.http.request(method, format!("{}{path}", self.base)).bearer_auth(&self.token);
        let response = request.header("content-type", kind).body(body).send().await;
        let response = response.map_err(|error| {
            let (base, why, remedy) = (&self.base, root(&error), &self.remedy);
            anyhow!("the host at {base} does not answer ({why}); {remedy}")
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
