//! Showing credentials: Basic, or a Bearer token from the service that the registry names.
//!
//! After <https://distribution.github.io/distribution/spec/auth/token/>. Credentials go to the registry and to its
//! token service only, and never in clear text beyond this machine.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use reqwest::{
    Url,
    header::{HeaderMap, HeaderValue, WWW_AUTHENTICATE},
};
use serde::Deserialize;

use super::{ClientError, PATIENCE, is_loopback};

/// Who pushes and pulls. Its debug form hides the password.
#[derive(Clone)]
pub struct Credentials {
    /// The user's name.
    pub user: String,
    /// The password, or an access token in its place.
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

impl Credentials {
    fn basic(&self) -> Option<HeaderValue> {
        let pair = STANDARD.encode(format!("{}:{}", self.user, self.password));
        secret(&format!("Basic {pair}"))
    }
}

fn secret(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// The credentials, and the tokens that they got, by scope.
#[derive(Clone)]
pub(super) struct Tokens {
    credentials: Option<Credentials>,
    cached: Arc<Mutex<BTreeMap<String, HeaderValue>>>,
}

#[derive(Deserialize)]
struct Token {
    #[serde(default)]
    token: String,
    #[serde(default)]
    access_token: String,
}

impl Tokens {
    pub(super) fn new(credentials: Option<Credentials>) -> Self {
        Self { credentials, cached: Arc::default() }
    }

    pub(super) fn cached(&self, scope: &str) -> Option<HeaderValue> {
        self.cached.lock().unwrap_or_else(PoisonError::into_inner).get(scope).cloned()
    }

    /// What to show for the challenge in `headers`; `None` when nothing can be shown.
    pub(super) async fn answer(
        &self,
        http: &reqwest::Client,
        base: &Url,
        headers: &HeaderMap,
        scope: &str,
    ) -> Result<Option<HeaderValue>, ClientError> {
        let mut challenges = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
        let Some((kind, parameters)) = challenges.find_map(challenge) else { return Ok(None) };
        let value = match kind {
            Kind::Basic => self.credentials.as_ref().and_then(Credentials::basic),
            Kind::Bearer => self.fetch(http, base, &parameters, scope).await?,
        };
        if let Some(value) = &value {
            let mut cached = self.cached.lock().unwrap_or_else(PoisonError::into_inner);
            cached.insert(scope.to_owned(), value.clone());
        }
        Ok(value)
    }

    async fn fetch(
        &self,
        http: &reqwest::Client,
        base: &Url,
        parameters: &BTreeMap<String, String>,
        scope: &str,
    ) -> Result<Option<HeaderValue>, ClientError> {
        let operation = "get a token for the registry";
        let realm = parameters.get("realm").map(String::as_str).unwrap_or_default();
        let mut url = Url::parse(realm).map_err(|error| ClientError::invalid(operation, error))?;
        let loopback = url.host_str().is_some_and(is_loopback) && base.scheme() == "http";
        if url.scheme() != "https" && !loopback {
            return Err(ClientError::invalid(operation, "the registry wants the password in clear text"));
        }
        if let Some(service) = parameters.get("service") {
            url.query_pairs_mut().append_pair("service", service);
        }
        let scope = parameters.get("scope").map_or(scope, String::as_str);
        url.query_pairs_mut().append_pair("scope", scope);
        let mut request = http.get(url).timeout(PATIENCE);
        if let Some(basic) = self.credentials.as_ref().and_then(Credentials::basic) {
            request = request.header(reqwest::header::AUTHORIZATION, basic);
        }
        let response = request.send().await.map_err(|error| ClientError::unreachable(operation, error))?;
        let response = ClientError::check(operation, response).await?;
        let bytes = super::pull::bounded(operation, response).await?;
        let token: Token =
            serde_json::from_slice(&bytes).map_err(|error| ClientError::invalid(operation, error))?;
        let token = if token.token.is_empty() { token.access_token } else { token.token };
        Ok(secret(&format!("Bearer {token}")))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Basic,
    Bearer,
}

/// Reads `Bearer realm="…",service="…"`. Commas may stand within the quotes.
fn challenge(text: &str) -> Option<(Kind, BTreeMap<String, String>)> {
    let (kind, mut rest) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
    let kind = match kind.to_ascii_lowercase().as_str() {
        "basic" => Kind::Basic,
        "bearer" => Kind::Bearer,
        _ => return None,
    };
    let mut parameters = BTreeMap::new();
    while let Some((name, after)) = rest.split_once('=') {
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => after.split_at(after.find(',').unwrap_or(after.len())),
        };
        parameters.insert(name.trim_matches([' ', ',']).to_ascii_lowercase(), value.to_owned());
        rest = after;
    }
    Some((kind, parameters))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_is_read_with_commas_in_its_quotes() {
        let text = r#"Bearer realm="https://auth.example.org/token",service="registry",scope="repository:a/b:pull,push""#;
        let (kind, parameters) = challenge(text).unwrap();
        assert_eq!(kind, Kind::Bearer);
        assert_eq!(parameters["realm"], "https://auth.example.org/token");
        assert_eq!(parameters["service"], "registry");
        assert_eq!(parameters["scope"], "repository:a/b:pull,push");
        assert_eq!(challenge("Basic realm=x").unwrap().0, Kind::Basic);
        assert_eq!(challenge("Basic").unwrap().0, Kind::Basic);
        assert!(challenge("Negotiate").is_none());
        assert!(challenge(r#"Bearer realm="open"#).is_none());
    }

    #[test]
    fn credentials_do_not_show_their_password() {
        let credentials = Credentials { user: "me".to_owned(), password: "hush".to_owned() };
        assert!(!format!("{credentials:?}").contains("hush"));
        assert_eq!(credentials.basic().unwrap(), "Basic bWU6aHVzaA==");
    }
}
