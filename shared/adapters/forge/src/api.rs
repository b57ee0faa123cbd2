//! One question to a forge: the request, its time, its size, and what the status says.

use std::net::IpAddr;
use std::time::Duration;

use longshore_policy::Forge;
use longshore_ports::Secret;
use reqwest::{Client, Response, StatusCode, Url, header};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::ForgeError;
use crate::error::innermost;

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How long one answer may take, from its request to its last byte.
const PATIENCE: Duration = Duration::from_secs(20);
/// The longest answer that is read, in bytes. A comparison carries its patches.
pub(crate) const MAX_ANSWER: usize = 32 << 20;
/// A renamed repository is one redirect away; more are a circle.
const MAX_REDIRECTS: usize = 5;
/// GitHub answers as it did then; GitLab does not read it.
const VERSION: (&str, &str) = ("x-github-api-version", "2022-11-28");
/// Of what a forge says about an error so many characters are shown.
const MAX_SAID: usize = 200;

/// A forge's API, and with which tokens it is asked.
pub(crate) struct Api {
    http: Client,
    base: Url,
    host: String,
    /// The name of the token's secret.
    secret: Option<String>,
}

/// A good answer.
pub(crate) struct Answer {
    pub(crate) bytes: Vec<u8>,
    /// Where the next page is.
    pub(crate) next: Option<Url>,
}

impl Api {
    /// The API that the configuration names.
    pub(crate) fn new(forge: &Forge) -> Result<Self, ForgeError> {
        Self::patient(forge, PATIENCE)
    }

    fn patient(forge: &Forge, patience: Duration) -> Result<Self, ForgeError> {
        let strange = |why: String| ForgeError::Strange { host: forge.api.clone(), why };
        let base = Url::parse(&forge.api).map_err(|error| strange(error.to_string()))?;
        let host = base.host_str().unwrap_or_default().to_owned();
        // Another part of the process may have installed it: either way one is there.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = Client::builder()
            .user_agent(concat!("longshore/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT)
            .timeout(patience)
            .redirect(same_origin());
        // Plain HTTP needs no certificates, and no proxy stands before this machine's own loopback.
        let builder = if is_loopback(&base) { builder.no_proxy().tls_certs_only([]) } else { builder };
        let http = builder.build().map_err(|error| strange(innermost(&error)))?;
        Ok(Self { http, base, host, secret: forge.token.clone() })
    }

    /// The name of the secret that holds its tokens.
    pub(crate) fn secret(&self) -> Option<&str> {
        self.secret.as_deref()
    }

    /// An address of the API: each part is encoded by itself.
    pub(crate) fn url(&self, parts: &[&str], query: &[(&str, &str)]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(parts);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    /// Asks with each token in turn until one is taken: two may be valid while one takes the other's place.
    pub(crate) async fn get(&self, url: Url, tokens: &[Secret]) -> Result<Answer, ForgeError> {
        self.send(url, tokens, None).await
    }

    /// Sends JSON, with tokens as [`Api::get`].
    pub(crate) async fn post(&self, url: Url, tokens: &[Secret], body: &Value) -> Result<Answer, ForgeError> {
        self.send(url, tokens, Some(body)).await
    }

    async fn send(&self, url: Url, tokens: &[Secret], body: Option<&Value>) -> Result<Answer, ForgeError> {
        let (last, earlier) = match tokens.split_last() {
            Some((last, earlier)) => (Some(last), earlier),
            None => (None, tokens),
        };
        for token in earlier {
            match self.ask(url.clone(), Some(token), body).await {
                Err(ForgeError::Denied { status: 401, .. }) => {}
                other => return other,
            }
        }
        self.ask(url, last, body).await
    }

    /// As [`Api::get`], for an answer in JSON.
    pub(crate) async fn json<T: DeserializeOwned>(
        &self,
        url: Url,
        tokens: &[Secret],
    ) -> Result<T, ForgeError> {
        self.parse(&self.get(url, tokens).await?.bytes)
    }

    pub(crate) fn parse<T: DeserializeOwned>(&self, bytes: &[u8]) -> Result<T, ForgeError> {
        serde_json::from_slice(bytes).map_err(|error| self.strange(error.to_string()))
    }

    pub(crate) fn strange(&self, why: String) -> ForgeError {
        ForgeError::Strange { host: self.host.clone(), why }
    }

    pub(crate) fn missing(&self, said: String) -> ForgeError {
        ForgeError::NotFound {
            host: self.host.clone(),
            said,
            login: self.login("does it see the repository?"),
        }
    }

    pub(crate) fn too_long(&self, limit: usize, unit: &'static str) -> ForgeError {
        ForgeError::TooLong { host: self.host.clone(), limit, unit }
    }

    async fn ask(
        &self,
        url: Url,
        token: Option<&Secret>,
        body: Option<&Value>,
    ) -> Result<Answer, ForgeError> {
        let request = match body {
            Some(body) => self.http.post(url).json(body),
            None => self.http.get(url),
        };
        let mut request = request.header(header::ACCEPT, "application/json").header(VERSION.0, VERSION.1);
        if let Some(token) = token {
            request = request.bearer_auth(String::from_utf8_lossy(token.expose()).trim());
        }
        let response = request.send().await.map_err(|error| self.unreachable(&error))?;
        if !response.status().is_success() {
            return Err(self.refusal(response).await);
        }
        let next = response.headers().get(header::LINK).and_then(|link| next(link.to_str().ok()?));
        // The token goes nowhere else.
        let next = next.filter(|next| next.origin() == self.base.origin());
        Ok(Answer { bytes: self.body(response, MAX_ANSWER).await?, next })
    }

    async fn body(&self, mut response: Response, limit: usize) -> Result<Vec<u8>, ForgeError> {
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.unreachable(&error))? {
            if bytes.len() + chunk.len() > limit {
                return Err(self.too_long(limit, "bytes"));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }

    /// What a status that is no success means.
    async fn refusal(&self, response: Response) -> ForgeError {
        let (status, host) = (response.status(), self.host.clone());
        let limit = Limit::of(&response);
        if status.is_redirection() {
            let to = response.headers().get(header::LOCATION).and_then(|to| to.to_str().ok());
            return ForgeError::Elsewhere {
                host,
                to: to.unwrap_or("nowhere").chars().take(MAX_SAID).collect(),
            };
        }
        let said = said(&self.body(response, 64 << 10).await.unwrap_or_default(), status);
        let limited = limit.spent || said.to_lowercase().contains("rate limit");
        let number = status.as_u16();
        match number {
            429 => ForgeError::Limited { host, status: number, said, until: limit.until },
            403 if limited => ForgeError::Limited { host, status: number, said, until: limit.until },
            401 | 403 => ForgeError::Denied {
                host,
                status: number,
                said,
                login: self.login("renew it, or let it read the repository"),
            },
            404 | 410 => self.missing(said),
            // GitHub of a repository without any commit.
            409 if said.contains("empty") => self.missing(said),
            408 | 500..=599 => ForgeError::Unreachable { host, why: format!("{number}: {said}") },
            _ => self.strange(format!("{number}: {said}")),
        }
    }

    fn login(&self, what: &str) -> String {
        match &self.secret {
            Some(secret) => format!("the token in the secret {secret:?} was used: {what}"),
            None => "no token was used: name one's secret as the repository's `token`".to_owned(),
        }
    }

    /// A failure below HTTP; its address may be long, and is in the operation's name in a better form.
    fn unreachable(&self, error: &reqwest::Error) -> ForgeError {
        let why = if error.is_timeout() { "it took too long".to_owned() } else { innermost(error) };
        ForgeError::Unreachable { host: self.host.clone(), why }
    }
}

/// What an answer says of how often one may ask.
struct Limit {
    spent: bool,
    until: String,
}

impl Limit {
    fn of(response: &Response) -> Self {
        let number = |name: &str| response.headers().get(name)?.to_str().ok()?.trim().parse::<u64>().ok();
        let after = number("retry-after").map(|seconds| format!("it says again in {seconds} s"));
        let reset = ["x-ratelimit-reset", "ratelimit-reset"].into_iter().find_map(number);
        let reset = reset.map(|at| format!("it says again at {at} s since 1970"));
        let left = ["x-ratelimit-remaining", "ratelimit-remaining"].into_iter().find_map(number);
        Self {
            spent: left == Some(0) || after.is_some(),
            until: after.or(reset).unwrap_or_else(|| "it does not say until when".to_owned()),
        }
    }
}

/// What a forge says about an error, in one line.
fn said(body: &[u8], status: StatusCode) -> String {
    let value: Value = serde_json::from_slice(body).unwrap_or_default();
    let message = value.get("message").or_else(|| value.get("error")).map(|message| match message.as_str() {
        Some(text) => text.to_owned(),
        None => message.to_string(),
    });
    let message = message.unwrap_or_else(|| status.canonical_reason().unwrap_or_default().to_owned());
    message.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_SAID).collect()
}

/// The address of the next page in a `Link` header, after RFC 8288.
fn next(link: &str) -> Option<Url> {
    link.split(',').find_map(|one| {
        let (address, parameters) = one.trim().strip_prefix('<')?.split_once('>')?;
        let is_next =
            parameters.split(';').any(|parameter| matches!(parameter.trim(), "rel=\"next\"" | "rel=next"));
        is_next.then(|| Url::parse(address).ok()).flatten()
    })
}

/// A renamed repository is found where the forge says, but only there: a token is for one forge.
fn same_origin() -> reqwest::redirect::Policy {
    reqwest::redirect::Policy::custom(|attempt| {
        let stays = attempt.previous().first().is_some_and(|first| first.origin() == attempt.url().origin());
        match attempt.previous().len() {
            hops if stays && hops <= MAX_REDIRECTS => attempt.follow(),
            _ => attempt.stop(),
        }
    })
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_the_one_that_is_said_to_be() {
        let link = "<https://a.example/x?page=1>; rel=\"prev\", <https://a.example/x?page=3>; rel=\"next\"";
        assert_eq!(next(link).unwrap().as_str(), "https://a.example/x?page=3");
        for none in [
            "",
            "<https://a.example/x>; rel=\"last\"",
            "https://a.example/x; rel=\"next\"",
            "<nowhere>; rel=next",
        ] {
            assert_eq!(next(none), None, "{none}");
        }
    }

    #[test]
    fn what_a_forge_says_is_one_short_line() {
        let say = |body: &str| said(body.as_bytes(), StatusCode::NOT_FOUND);
        assert_eq!(say("{\"message\":\"404 Project\\nNot Found\"}"), "404 Project Not Found");
        assert_eq!(say("{\"message\":{\"ref\":[\"is bad\"]}}"), "{\"ref\":[\"is bad\"]}");
        assert_eq!(say("{\"error\":\"insufficient_scope\"}"), "insufficient_scope");
        assert_eq!(say("<html>"), "Not Found");
        assert_eq!(say(&format!("{{\"message\":\"{}\"}}", "x".repeat(9_000))).len(), MAX_SAID);
    }

    #[tokio::test]
    async fn a_forge_that_never_answers_is_given_up_in_time() {
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", silent.local_addr().unwrap());
        let forge = Forge { kind: longshore_policy::ForgeKind::Github, api: address, token: None };
        let api = Api::patient(&forge, Duration::from_millis(50)).unwrap();
        let error = api.get(api.url(&[], &[]), &[]).await.err().unwrap();
        assert!(matches!(&error, ForgeError::Unreachable { why, .. } if why.contains("too long")), "{error}");
    }

    #[test]
    fn parts_of_an_address_are_encoded_each_by_itself() {
        let forge = Forge {
            kind: longshore_policy::ForgeKind::Gitlab,
            api: "https://a.example/api/v4/".into(),
            token: None,
        };
        let url = Api::new(&forge).unwrap().url(&["projects", "acme/sh op", "x#y"], &[("per_page", "100")]);
        assert_eq!(url.as_str(), "https://a.example/api/v4/projects/acme%2Fsh%20op/x%23y?per_page=100");
    }
}
