//! Measurements by Prometheus, and whatever speaks its HTTP API.
//!
//! Each measure is a query of the configuration over the window, evaluated at its end. `increase` needs two scrapes within
//! the window, and reckons what lies between and beyond them: values are near, not exact.
//!
//! Source: "HTTP API", Prometheus' documentation, version 2.42.

use std::error::Error as StdError;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use longshore_events::{Measure, Timestamp};
use longshore_policy::PrometheusSource;
use longshore_ports::{Clock, Measured, Metrics, PortError, Question, Secrets};
use reqwest::{Client, StatusCode, Url, header};
use serde::Deserialize;
use serde_json::Value;

use crate::TelemetryError;

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(3);
/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest answer that is read, in bytes: one value is wanted.
const MAX_ANSWER: usize = 1 << 20;
/// Of what it says about an error so many characters are shown.
const MAX_SAID: usize = 200;
const OPERATION: &str = "ask Prometheus";

/// A Prometheus that knows what releases do.
pub struct Prometheus {
    http: Client,
    query: Url,
    host: String,
    source: PrometheusSource,
    secrets: Arc<dyn Secrets>,
    clock: Arc<dyn Clock>,
}

/// An answer of the API.
#[derive(Deserialize)]
struct Answer {
    data: Option<Data>,
    error: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    result_type: String,
    result: Value,
}

impl Prometheus {
    /// The Prometheus of the configuration. `secrets` holds its token, where it has one.
    ///
    /// # Errors
    /// When its address cannot be asked.
    pub fn new(
        source: &PrometheusSource,
        secrets: Arc<dyn Secrets>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, TelemetryError> {
        let strange = |why: String| TelemetryError::Address { url: source.url.clone(), why };
        let mut query = Url::parse(&source.url).map_err(|error| strange(error.to_string()))?;
        query
            .path_segments_mut()
            .map_err(|()| strange("it has no path".into()))?
            .pop_if_empty()
            .extend(["api", "v1", "query"]);
        let host = query.host_str().unwrap_or_default().to_owned();
        // Another part of the process may have installed it: either way one is there.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = Client::builder()
            .user_agent(concat!("longshore/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT)
            .timeout(PATIENCE)
            .redirect(reqwest::redirect::Policy::none());
        let local = host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback()) || host == "localhost";
        let builder = if local { builder.no_proxy().tls_certs_only([]) } else { builder };
        let http = builder.build().map_err(|error| strange(innermost(&error)))?;
        Ok(Self { http, query, host, source: source.clone(), secrets, clock })
    }

    /// The one value of a query at a moment; `None` when it has none.
    async fn value(&self, query: &str, at: Timestamp) -> Result<Option<f64>, PortError> {
        let token = match &self.source.token {
            Some(name) => Some(self.secrets.get(name).await?),
            None => None,
        };
        let token = token.as_ref().and_then(|tokens| tokens.first());
        let form = [("query", query), ("time", &at.to_string())];
        let form = serde_urlencoded::to_string(form).map_err(|error| PortError::invalid(OPERATION, error))?;
        let kind = "application/x-www-form-urlencoded";
        let mut request = self.http.post(self.query.clone()).header(header::CONTENT_TYPE, kind).body(form);
        if let Some(token) = token {
            request = request.bearer_auth(String::from_utf8_lossy(token.expose()).trim());
        }
        self.read(query, request).await.map_err(|error| error.into_port(OPERATION))
    }

    async fn read(
        &self,
        query: &str,
        request: reqwest::RequestBuilder,
    ) -> Result<Option<f64>, TelemetryError> {
        let lost = |error: &reqwest::Error| self.silent(innermost(error));
        let mut response = request.send().await.map_err(|error| lost(&error))?;
        let status = response.status();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| lost(&error))? {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_ANSWER {
                return Err(self.strange(query, "its answer is too long: let it have one value"));
            }
        }
        let answer = serde_json::from_slice::<Answer>(&body);
        let said = answer.as_ref().ok().and_then(|answer| answer.error.as_deref()).unwrap_or_default();
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(self.denied(status)),
            StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => Err(self.strange(query, said)),
            _ if !status.is_success() => Err(self.silent(format!("HTTP {status} {}", start(said)))),
            _ => match answer.map(|answer| answer.data) {
                Ok(Some(data)) => single(&data).map_err(|why| self.strange(query, &why)),
                Ok(None) => Err(self.silent("its answer has no data".into())),
                Err(error) => Err(self.silent(error.to_string())),
            },
        }
    }

    fn silent(&self, why: String) -> TelemetryError {
        TelemetryError::Unreachable { host: self.host.clone(), why }
    }

    fn strange(&self, query: &str, why: &str) -> TelemetryError {
        TelemetryError::Query { host: self.host.clone(), query: start(query), why: start(why) }
    }

    fn denied(&self, status: StatusCode) -> TelemetryError {
        let login = match &self.source.token {
            Some(name) => format!("is the secret {name:?} its token?"),
            None => "name the secret with its token as `token` under [metrics]".to_owned(),
        };
        TelemetryError::Denied { host: self.host.clone(), status: status.as_u16(), login }
    }

    /// How many requests a release got; 0 when nobody knows of any.
    async fn requests(&self, question: &Question, at: Timestamp, seconds: i64) -> Result<f64, PortError> {
        let query = question.fill(&self.source.requests, seconds);
        Ok(self.value(&query, at).await?.unwrap_or_default())
    }
}

#[async_trait]
impl Metrics for Prometheus {
    async fn measure(&self, question: &Question) -> Result<Measured, PortError> {
        let at = question.window.until.min(self.clock.now());
        let seconds = at.duration_since(question.window.from).as_secs();
        if seconds < 1 {
            return Ok(Measured::unknown("the window has only begun"));
        }
        let ask = async |template: &str| self.value(&question.fill(template, seconds), at).await;
        let requests = match &question.measure {
            // An expression may be about anything: whoever writes it answers for there being enough.
            Measure::Expression(expression) => {
                let value = ask(expression).await?;
                return Ok(value.map_or_else(
                    || Measured::unknown("the expression has no value"),
                    |v| Measured::of(v, 1),
                ));
            }
            Measure::Saturation => {
                let Some(template) = &self.source.saturation else {
                    let why = "no query says what saturation is: add `saturation` under [metrics]";
                    return Err(PortError::invalid(OPERATION, why));
                };
                let value = ask(template).await?;
                return Ok(
                    value.map_or_else(|| Measured::unknown("nobody knows of it"), |v| Measured::of(v, 1))
                );
            }
            _ => self.requests(question, at, seconds).await?,
        };
        let samples = whole(requests);
        if samples == 0 {
            return Ok(Measured::unknown("it got no requests"));
        }
        let value = match &question.measure {
            Measure::Requests => Some(requests),
            Measure::ErrorRate => {
                // No series of errors yet is no error: requests there were.
                Some(100.0 * ask(&self.source.errors).await?.unwrap_or_default() / requests)
            }
            _ => ask(&self.source.latency).await?.map(|seconds| seconds * 1_000.0),
        };
        Ok(value.map_or_else(
            || Measured::unknown("nobody knows how long they took"),
            |v| Measured::of(v, samples),
        ))
    }
}

/// A count that was reckoned, as one that was counted.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is within the range of u64")]
fn whole(count: f64) -> u64 {
    count.round().clamp(0.0, 1e15) as u64
}

/// The value of an answer that has one; what it has too many of otherwise.
fn single(data: &Data) -> Result<Option<f64>, String> {
    let sample = match data.result_type.as_str() {
        "scalar" => Some(&data.result),
        "vector" => match data.result.as_array().map(Vec::as_slice) {
            Some([]) => None,
            Some([one]) => Some(&one["value"]),
            _ => return Err("it gives several series: aggregate them, such as by sum()".into()),
        },
        other => return Err(format!("it gives a {other}, and one value is wanted")),
    };
    let value = sample.and_then(|sample| sample[1].as_str()?.parse::<f64>().ok());
    Ok(value.filter(|value| !value.is_nan()))
}

fn start(text: &str) -> String {
    let line = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    line.take(MAX_SAID).collect()
}

fn innermost(error: &dyn StdError) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(kind: &str, result: Value) -> Result<Option<f64>, String> {
        single(&Data { result_type: kind.into(), result })
    }

    #[test]
    fn one_value_is_read_and_no_value_and_several_are_told_apart() {
        assert_eq!(read("scalar", json!([1.5, "2"])), Ok(Some(2.0)));
        assert_eq!(read("vector", json!([{ "metric": {}, "value": [1, "0.25"] }])), Ok(Some(0.25)));
        assert_eq!(read("vector", json!([])), Ok(None));
        assert_eq!(read("scalar", json!([1, "NaN"])), Ok(None));
        assert_eq!(read("scalar", json!([1, "+Inf"])), Ok(Some(f64::INFINITY)));
        assert!(read("vector", json!([{}, {}])).unwrap_err().contains("aggregate"));
        assert!(read("matrix", json!([])).unwrap_err().contains("matrix"));
        assert_eq!([whole(-3.0), whole(2.6), whole(1e30)], [0, 3, 1_000_000_000_000_000]);
    }
}
