//! A small client of the API server: what the tests' own machinery asks it, and by what the proxy passes on.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::{Client, Error, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use tokio::time::{sleep, timeout};

/// After so long without an answer it is asked again.
const ANSWER: Duration = Duration::from_secs(5);

/// Whom it speaks to.
#[derive(Clone)]
pub(super) struct Api {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    /// `https://host:port`.
    pub(super) server: String,
}

impl Api {
    /// A client of `server`, which proves itself by the authority whose certificate, as PEM, this is.
    pub(super) fn new(server: String, authority: &str) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(authority.as_bytes()).unwrap()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()));
        let config = config.with_safe_default_protocol_versions().unwrap();
        let config = config.with_root_certificates(roots).with_no_client_auth();
        let https = HttpsConnectorBuilder::new().with_tls_config(config).https_only().enable_http1().build();
        Self { client: Client::builder(TokioExecutor::new()).build(https), server }
    }

    /// Sends a request on, whose address has a path alone.
    pub(super) async fn send(&self, mut request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Error> {
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        *request.uri_mut() = format!("{}{path}", self.server).parse().unwrap();
        self.client.request(request).await
    }

    /// Asks as `token`.
    ///
    /// # Errors
    ///
    /// Why there is no answer, or which one it is that says no.
    pub(super) async fn ask(
        &self,
        token: &str,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, String> {
        let request = Request::builder().method(method).uri(path);
        let request = request.header("authorization", format!("Bearer {token}"));
        let request = request.header("content-type", "application/json");
        let body = body.map(ToString::to_string).unwrap_or_default();
        let request = self.send(request.body(Full::from(body)).unwrap());
        let answer = timeout(ANSWER, request).await.map_err(|_| format!("no answer within {ANSWER:?}"))?;
        let answer = answer.map_err(|error| format!("{error:?}"))?;
        let status = answer.status();
        let body = answer.into_body().collect().await.map_err(|error| format!("{error:?}"))?.to_bytes();
        if !status.is_success() {
            return Err(format!("{status}: {}", String::from_utf8_lossy(&body)));
        }
        // Of readiness it speaks plain words.
        Ok(serde_json::from_slice(&body).unwrap_or_default())
    }
}

/// Looks again and again until there is an answer. After `limit` it fails, and says what was waited for, and what was seen.
pub(super) async fn until<T>(
    what: &str,
    limit: Duration,
    mut look: impl AsyncFnMut() -> Result<T, String>,
) -> T {
    let start = Instant::now();
    loop {
        match look().await {
            Ok(seen) => return seen,
            Err(why) => assert!(start.elapsed() < limit, "waited {limit:?} for {what}: {why}"),
        }
        sleep(Duration::from_millis(50)).await;
    }
}
