//! Where AWS is and who we are there, and the one HTTP client that all calls share.

use std::fmt;
use std::time::Duration;

use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use aws_smithy_runtime_api::client::{
    behavior_version::BehaviorVersion,
    http::{SharedHttpConnector, http_client_fn},
    stalled_stream_protection::StalledStreamProtectionConfig,
};
use aws_smithy_types::{retry::RetryConfig, timeout::TimeoutConfig};
use aws_types::{SdkConfig, region::Region};

use crate::http::Http;

/// Amazon Root CA 1 to 4 and Starfield Services Root G2, as the crate webpki-root-certs 1.0.11 (Mozilla's store) has
/// them. Whatever Amazon serves ends in one of these.
const AMAZON_ROOTS: &[u8] = include_bytes!("amazon-roots.pem");
/// How long an answer may take by default: the slowest answer that was worth waiting for, and far below a claim's end.
const ANSWER: Duration = Duration::from_secs(10);

/// An account of AWS, as an entry point knows it.
#[derive(Debug, Clone)]
pub struct Account {
    /// The region, e.g. `eu-west-1`.
    pub region: String,
    /// Who we are.
    pub keys: Keys,
    /// Another address for every service, e.g. of a server in a test.
    pub endpoint: Option<String>,
    /// How long one call may take.
    pub answer_within: Duration,
}

/// Credentials. Its `Debug` does not show them.
#[derive(Clone)]
pub struct Keys {
    /// The access key's id.
    pub id: String,
    /// The secret key.
    pub secret: String,
    /// The session token of credentials that expire.
    pub session: Option<String>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys(…)")
    }
}

/// Why there is no account.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// A variable is missing.
    #[error("the environment variable {0} is not set")]
    Missing(&'static str),
    /// The certificates that are trusted cannot be used.
    #[error("the certificates that AWS is known by: {0}")]
    Roots(String),
}

impl Account {
    /// The account that the environment names, as Lambda sets it: `AWS_REGION`, `AWS_ACCESS_KEY_ID`,
    /// `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`, and `AWS_ENDPOINT_URL` where another server answers. `lookup` reads
    /// a variable.
    ///
    /// # Errors
    /// When one is missing; the error names it.
    pub fn from_environment(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, AccountError> {
        let set = |name| lookup(name).filter(|value| !value.is_empty());
        let needed = |name| set(name).ok_or(AccountError::Missing(name));
        Ok(Self {
            region: needed("AWS_REGION")?,
            keys: Keys {
                id: needed("AWS_ACCESS_KEY_ID")?,
                secret: needed("AWS_SECRET_ACCESS_KEY")?,
                session: set("AWS_SESSION_TOKEN"),
            },
            endpoint: set("AWS_ENDPOINT_URL"),
            answer_within: ANSWER,
        })
    }

    /// Prepares what all adapters share. Speaks to nobody yet.
    ///
    /// # Errors
    /// When the embedded roots cannot be used.
    pub fn connect(&self) -> Result<Aws, AccountError> {
        self.connect_trusting(AMAZON_ROOTS)
    }

    /// The same, but trusts these certificates (PEM) in place of Amazon's roots: where something stands between, such as a
    /// company's proxy, or another server answers.
    ///
    /// # Errors
    /// When they cannot be used.
    pub fn connect_trusting(&self, roots: &[u8]) -> Result<Aws, AccountError> {
        let http = self.connector(roots)?;
        let shared = http.clone();
        let timeouts = TimeoutConfig::builder().operation_timeout(self.answer_within).build();
        let mut config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(self.region.clone()))
            .credentials_provider(SharedCredentialsProvider::new(self.credentials()))
            .http_client(http_client_fn(move |_, _| shared.clone()))
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts)
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
        config.set_endpoint_url(self.endpoint.clone());
        Ok(Aws { config: config.build(), account: self.clone(), http })
    }

    /// Where a service of the region is asked, without a slash at its end: the other address, where there is one.
    pub(crate) fn address(&self, service: &str) -> String {
        let region = &self.region;
        let suffix = if region.starts_with("cn-") { ".cn" } else { "" };
        let own = || format!("https://{service}.{region}.amazonaws.com{suffix}");
        self.endpoint.as_ref().map_or_else(own, |given| given.trim_end_matches('/').to_owned())
    }

    pub(crate) fn credentials(&self) -> Credentials {
        let Keys { id, secret, session } = self.keys.clone();
        Credentials::new(id, secret, session, None, "environment")
    }

    fn connector(&self, roots: &[u8]) -> Result<SharedHttpConnector, AccountError> {
        let plain = self.endpoint.as_deref().is_some_and(|endpoint| endpoint.starts_with("http://"));
        let within = self.answer_within;
        let http = if plain { Http::plain(within)? } else { Http::secure(roots, within)? };
        Ok(SharedHttpConnector::new(http))
    }
}

/// What every adapter is made from.
#[derive(Debug, Clone)]
pub struct Aws {
    pub(crate) config: SdkConfig,
    pub(crate) account: Account,
    pub(crate) http: SharedHttpConnector,
}

impl Aws {
    /// The configuration of a client of AWS that shares the HTTP client; for what no port covers.
    pub fn config(&self) -> &SdkConfig {
        &self.config
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(name: &str) -> Option<String> {
        let value = match name {
            "AWS_REGION" => "eu-west-1",
            "AWS_ACCESS_KEY_ID" => "AKIA",
            "AWS_SECRET_ACCESS_KEY" => "not to be shown",
            "AWS_SESSION_TOKEN" => "",
            _ => return None,
        };
        Some(value.to_owned())
    }

    #[test]
    fn an_account_is_what_the_environment_says_and_shows_no_key() {
        let account = Account::from_environment(environment).unwrap();
        assert_eq!((account.region.as_str(), account.endpoint.as_deref()), ("eu-west-1", None));
        assert_eq!(account.keys.session, None, "an empty variable is none");
        assert!(!format!("{account:?}").contains("shown"));
        let without =
            |gone: &'static str| Account::from_environment(|name| environment(name).filter(|_| name != gone));
        let error = without("AWS_REGION").unwrap_err();
        assert_eq!(error.to_string(), "the environment variable AWS_REGION is not set");
    }

    #[tokio::test]
    async fn the_embedded_roots_are_taken() {
        let aws = Account::from_environment(environment).unwrap().connect().unwrap();
        assert!(!format!("{aws:?}").contains("shown"));
        let roots = String::from_utf8_lossy(AMAZON_ROOTS);
        assert_eq!(roots.matches("BEGIN CERTIFICATE").count(), 5);
    }
}
