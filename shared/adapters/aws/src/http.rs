//! The HTTP client that all calls to AWS share: HTTP/1.1, over TLS that trusts the given roots alone.
//!
//! The SDK's own client speaks HTTP/2 and reads the system's certificates, too; no call needs them, and each start of a
//! function would pay for their size.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_smithy_runtime_api::client::{
    http::{HttpConnector, HttpConnectorFuture},
    orchestrator::{HttpRequest, HttpResponse},
    result::ConnectorError,
};
use aws_smithy_types::body::SdkBody;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::{Client, connect};
use hyper_util::rt::TokioExecutor;
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use rustls::{ClientConfig, RootCertStore};

use crate::AccountError;

/// A connection that is not there by then will not come.
const CONNECT: Duration = Duration::from_secs(3);

/// The client. Clones share its connections.
#[derive(Clone)]
pub(crate) struct Http {
    client: Client<HttpsConnector<connect::HttpConnector>, SdkBody>,
    answer_within: Duration,
}

impl Http {
    /// A client that speaks TLS alone and trusts `roots` (PEM).
    pub(crate) fn secure(roots: &[u8], answer_within: Duration) -> Result<Self, AccountError> {
        let tls = HttpsConnectorBuilder::new().with_tls_config(trusting(roots)?);
        Ok(Self::over(tls.https_only().enable_http1().wrap_connector(tcp()), answer_within))
    }

    /// A client for a server that is asked without TLS.
    pub(crate) fn plain(answer_within: Duration) -> Result<Self, AccountError> {
        let tls = HttpsConnectorBuilder::new().with_tls_config(tls(RootCertStore::empty())?);
        Ok(Self::over(tls.https_or_http().enable_http1().wrap_connector(tcp()), answer_within))
    }

    fn over(connector: HttpsConnector<connect::HttpConnector>, answer_within: Duration) -> Self {
        Self { client: Client::builder(TokioExecutor::new()).build(connector), answer_within }
    }

    async fn send(self, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let request = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
        let answer = tokio::time::timeout(self.answer_within, self.client.request(request));
        let answer = answer.await.map_err(|error| ConnectorError::timeout(error.into()))?;
        let answer = answer.map_err(|error| ConnectorError::io(error.into()))?;
        let answer = HttpResponse::try_from(answer.map(SdkBody::from_body_1_x));
        answer.map_err(|error| ConnectorError::other(error.into(), None))
    }
}

impl HttpConnector for Http {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        HttpConnectorFuture::new(self.clone().send(request))
    }
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Http")
    }
}

fn tcp() -> connect::HttpConnector {
    let mut tcp = connect::HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(CONNECT));
    tcp
}

fn trusting(roots: &[u8]) -> Result<ClientConfig, AccountError> {
    let mut store = RootCertStore::empty();
    for root in CertificateDer::pem_slice_iter(roots) {
        let root = root.map_err(|error| AccountError::Roots(error.to_string()))?;
        store.add(root).map_err(|error| AccountError::Roots(error.to_string()))?;
    }
    if store.is_empty() {
        return Err(AccountError::Roots("there is none among them".into()));
    }
    tls(store)
}

fn tls(roots: RootCertStore) -> Result<ClientConfig, AccountError> {
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions();
    let config = config.map_err(|error| AccountError::Roots(error.to_string()))?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roots_that_are_none_are_refused() {
        for roots in ["", "no certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
        {
            let refused = Http::secure(roots.as_bytes(), Duration::from_secs(1));
            assert!(matches!(refused, Err(AccountError::Roots(_))), "{roots:?}");
        }
    }

    #[tokio::test]
    async fn where_tls_is_spoken_nothing_goes_out_without_it() {
        let client = Http::secure(include_bytes!("amazon-roots.pem"), Duration::from_secs(1)).unwrap();
        let mut request = HttpRequest::new(SdkBody::empty());
        request.set_uri("http://127.0.0.1:9/").unwrap();
        let refused = client.call(request).await.unwrap_err();
        assert!(format!("{refused:?}").contains("unsupported scheme http"), "{refused:?}");
    }
}
