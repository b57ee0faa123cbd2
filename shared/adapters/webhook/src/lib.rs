//! Telling people by webhooks: JSON for programs, and text for Slack and what speaks as it does.
//!
//! An address is a secret: whoever knows it may write there. It is read anew for each notice, and no error holds it.
//!
//! Source: Slack's "Sending messages using incoming webhooks", "Formatting text for app surfaces".

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use longshore_ports::{ErrorKind, Key, Notice, Notify, PortError, Secrets};
use reqwest::{Client, StatusCode, Url};
use serde_json::{Value, json};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
const OPERATION: &str = "tell people by a webhook";

/// No client can be made.
#[derive(Debug, thiserror::Error)]
#[error("no client for webhooks can be made: {0}")]
pub struct WebhookError(#[from] reqwest::Error);

/// The webhooks that a configuration names.
///
/// # Errors
/// When no client can be made.
pub fn webhooks<S: Secrets + 'static>(
    notify: &longshore_policy::Notify,
    secrets: &Arc<S>,
) -> Result<Vec<Arc<dyn Notify>>, WebhookError> {
    let named = [(Form::Json, &notify.webhook), (Form::Slack, &notify.slack)];
    let named = named.into_iter().filter_map(|(form, secret)| Some((form, secret.clone()?)));
    let make = |(form, secret)| -> Result<Arc<dyn Notify>, WebhookError> {
        Ok(Arc::new(Webhook::new(form, secret, secrets.clone())?))
    };
    named.map(make).collect()
}

/// What is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `{"key", "title", "text"}`.
    Json,
    /// `{"text"}`, in Slack's own markup.
    Slack,
}

/// One webhook.
pub struct Webhook {
    http: Client,
    form: Form,
    /// The name of the secret with its address.
    secret: String,
    secrets: Arc<dyn Secrets>,
}

impl Webhook {
    /// A webhook whose address is in the secret of that name.
    ///
    /// # Errors
    /// When no client can be made.
    pub fn new(form: Form, secret: String, secrets: Arc<dyn Secrets>) -> Result<Self, WebhookError> {
        // Another part of the process may have installed it: either way one is there.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // An address leads nowhere else.
        let http = Client::builder().timeout(PATIENCE).redirect(reqwest::redirect::Policy::none()).build()?;
        Ok(Self { http, form, secret, secrets })
    }

    async fn address(&self) -> Result<Url, PortError> {
        let values = self.secrets.get(&self.secret).await?;
        let text = values.first().map(|value| String::from_utf8_lossy(value.expose()).trim().to_owned());
        let url = text.and_then(|text| Url::parse(&text).ok()).filter(is_safe);
        url.ok_or_else(|| self.refused("it is no address; write https://…"))
    }

    fn refused(&self, why: &str) -> PortError {
        let secret = &self.secret;
        PortError::new(ErrorKind::Denied, OPERATION, format!("the webhook in the secret {secret:?}: {why}"))
    }

    fn silent(&self, why: &str) -> PortError {
        let secret = &self.secret;
        PortError::unavailable(OPERATION, format!("the webhook in the secret {secret:?} {why}"))
    }

    fn body(&self, key: &Key, notice: &Notice) -> Value {
        let Notice { title, text } = notice;
        match self.form {
            Form::Json => json!({ "key": key.to_string(), "title": title, "text": text }),
            Form::Slack => {
                let plain = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
                let key = key.to_string();
                json!({ "text": format!("*{}*\n{}\n`{}`", plain(title), plain(text), plain(&key)) })
            }
        }
    }
}

/// What is told may be of use to strangers: in clear text it goes to this machine alone.
fn is_safe(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let is_here = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    url.scheme() == "https" || (url.scheme() == "http" && is_here)
}

#[async_trait]
impl Notify for Webhook {
    async fn tell(&self, key: &Key, notice: &Notice) -> Result<(), PortError> {
        let address = self.address().await?;
        let sent = self.http.post(address).json(&self.body(key, notice)).send().await;
        let sent = sent.map_err(|error| self.silent(&format!("gives no answer: {}", error.without_url())))?;
        let status = sent.status();
        if status.is_success() {
            return Ok(());
        }
        let is_busy = matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS);
        if is_busy || status.is_server_error() {
            return Err(self.silent(&format!("answers {status}")));
        }
        Err(self.refused(&format!("it answers {status}; make a new one, and put it there")))
    }
}
