//! A registry's client: the OCI distribution specification 1.1, streaming.
//!
//! One [`Client`] speaks to one registry: over plain HTTP on this machine's loopback, over TLS everywhere else.
//! Blobs stream between files and sockets; what was pulled is visible only after its digest matched.

mod auth;
mod error;
mod port;
mod pull;
mod push;
mod signatures;
mod upload;

use std::{net::IpAddr, time::Duration};

pub use auth::Credentials;
pub use error::ClientError;
pub use port::Registries;
pub use pull::Fetched;
use reqwest::{RequestBuilder, Response, StatusCode, Url, header};

use self::auth::Tokens;
use crate::names::Repository;

/// How long a small request may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A client of one registry. Clones share connections and tokens.
///
/// ```no_run
/// # use longshore_oci::{client::{Client, ClientError}, Reference, Repository};
/// # async fn resolve() -> Result<(), Box<dyn std::error::Error>> {
/// let client = Client::new("127.0.0.1:5000", None)?;
/// let found = client.resolve(&"shop/api".parse()?, &"main".parse()?).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
    tokens: Tokens,
    chunk: Option<u64>,
}

impl Client {
    /// A client of `registry`, a host with an optional port: `127.0.0.1:5000`, `ghcr.io`, `docker.io`.
    ///
    /// # Errors
    /// [`ClientError::Invalid`] when that is no host, or this machine has no certificate authorities to trust.
    pub fn new(registry: &str, credentials: Option<Credentials>) -> Result<Self, ClientError> {
        let host = if registry == "docker.io" { "registry-1.docker.io" } else { registry };
        Self::open(registry, host, is_loopback(host), credentials)
    }

    /// As [`Self::new`], over plain HTTP wherever the registry is: it is this process's own.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn own(registry: &str, credentials: Option<Credentials>) -> Result<Self, ClientError> {
        Self::open(registry, registry, true, credentials)
    }

    fn open(
        registry: &str,
        host: &str,
        plain: bool,
        credentials: Option<Credentials>,
    ) -> Result<Self, ClientError> {
        let wrong = |error: &dyn std::error::Error| ClientError::Invalid {
            operation: format!("use the registry {registry}"),
            message: error.to_string(),
        };
        let scheme = if plain { "http" } else { "https" };
        let base = Url::parse(&format!("{scheme}://{host}/v2/")).map_err(|error| wrong(&error))?;
        // Another part of the process may have installed it: either way one is there.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = reqwest::Client::builder().connect_timeout(Duration::from_secs(10));
        // Plain HTTP needs no certificates, and no proxy stands before this machine's own loopback.
        let builder = if plain { builder.no_proxy().tls_certs_only([]) } else { builder };
        let http = builder.build().map_err(|error| wrong(&error))?;
        Ok(Self { http, base, tokens: Tokens::new(credentials), chunk: None })
    }

    /// Uploads blobs in chunks of `bytes`, and goes on where a broken chunk ended, rather than in one request each.
    #[must_use]
    pub fn in_chunks_of(mut self, bytes: u64) -> Self {
        self.chunk = Some(bytes.max(1));
        self
    }

    fn url(&self, repository: &Repository, rest: &str) -> Result<Url, ClientError> {
        let path = format!("{repository}/{rest}");
        self.base.join(&path).map_err(|error| ClientError::invalid(&path, error))
    }

    /// Sends what `make` makes, again with a token when the registry wants one; gives any answer.
    async fn send(
        &self,
        operation: &str,
        scope: &str,
        make: impl Fn() -> Result<RequestBuilder, ClientError>,
    ) -> Result<Response, ClientError> {
        let unreachable = |error| ClientError::unreachable(operation, error);
        let mut request = make()?;
        if let Some(token) = self.tokens.cached(scope) {
            request = request.header(header::AUTHORIZATION, token);
        }
        let response = request.send().await.map_err(unreachable)?;
        if response.status() != StatusCode::UNAUTHORIZED {
            return Ok(response);
        }
        let Some(token) = self.tokens.answer(&self.http, &self.base, response.headers(), scope).await? else {
            return Ok(response);
        };
        make()?.header(header::AUTHORIZATION, token).send().await.map_err(unreachable)
    }
}

/// Whether `host`, with or without a port, is this machine's loopback.
fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::is_loopback;

    #[test]
    fn only_the_loopback_is_spoken_to_without_tls() {
        for yes in ["localhost", "localhost:5000", "127.0.0.1:5000", "127.9.9.9", "[::1]:5000"] {
            assert!(is_loopback(yes), "{yes}");
        }
        for no in ["ghcr.io", "10.0.0.1:5000", "localhost.example.org", "127.0.0.1.example.org", "[::2]", ""]
        {
            assert!(!is_loopback(no), "{no}");
        }
    }
}
