//! Who is asked what releases do under traffic.

use crate::fault::{Code, Wrong};
use crate::read::Keys;
use crate::rules;
use crate::suggest::{nearest, quoted};
use crate::url;

/// Who is asked what releases do under traffic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MetricsSource {
    /// The proxy of the process runner.
    Host,
    /// Prometheus, or what speaks its API.
    Prometheus(PrometheusSource),
    /// CloudWatch.
    CloudWatch(CloudWatchSource),
}

/// A Prometheus, and what it is asked. In a query `$environment`, `$service`, `$digest`, `$release`, `$window` and
/// `$quantile` stand for what is asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrometheusSource {
    /// Its address.
    pub url: String,
    /// The name of the secret with its token, in Secrets; `None` when it asks for none.
    pub token: Option<String>,
    /// How many requests a release got in the window.
    pub requests: String,
    /// How many of them failed.
    pub errors: String,
    /// How long they took at a quantile, in seconds.
    pub latency: String,
    /// How much of what it may use it uses, in percent; `None` when nobody knows.
    pub saturation: Option<String>,
}

/// What CloudWatch is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloudWatchSource {
    /// The namespace of the metrics `Requests`, `Errors`, `Latency` and `Saturation`.
    pub namespace: String,
}

/// The kinds of sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Host,
    Prometheus,
    CloudWatch,
}

/// The names of the sources.
pub(crate) const SOURCES: &[(&str, Kind)] =
    &[("host", Kind::Host), ("prometheus", Kind::Prometheus), ("cloudwatch", Kind::CloudWatch)];

/// What stands for what is asked about.
const VARIABLES: [&str; 6] = ["environment", "service", "digest", "release", "window", "quantile"];

/// `[metrics]`.
pub(crate) fn metrics(keys: &Keys<'_>) -> Option<MetricsSource> {
    let named = || keys.parsed("source", |text| rules::choice(text, "source of metrics", SOURCES));
    let kind = if keys.has("source") { named() } else { Some(Kind::Host) };
    let (url, token) = (keys.parsed("url", url::api), keys.parsed("token", rules::secret));
    let [requests, errors, latency, saturation] =
        ["requests", "errors", "latency", "saturation"].map(|key| keys.parsed(key, query));
    let namespace = keys.parsed("namespace", namespace);
    match kind? {
        Kind::Prometheus => {
            if !keys.has("url") {
                let message = "`url` is missing in [metrics]: add the address of Prometheus, such as \
                               \"http://127.0.0.1:9090\"";
                keys.note("source", Wrong::new(Code::InvalidMetrics, message));
            }
            Some(MetricsSource::Prometheus(PrometheusSource {
                url: url?,
                token,
                requests: requests?,
                errors: errors?,
                latency: latency?,
                saturation,
            }))
        }
        other => {
            for key in ["url", "token"].iter().filter(|key| keys.has(key)) {
                let message = format!(
                    "`{key}` says how Prometheus is asked: write source = \"prometheus\", or take it out"
                );
                keys.note(key, Wrong::new(Code::InvalidMetrics, message));
            }
            let cloud = namespace.map(|namespace| MetricsSource::CloudWatch(CloudWatchSource { namespace }));
            if other == Kind::Host { Some(MetricsSource::Host) } else { cloud }
        }
    }
}

/// A query or an expression, whose variables are known.
pub(crate) fn query(text: &str) -> Result<String, Wrong> {
    let wrong = |message: String| Wrong::new(Code::InvalidMetrics, message);
    if text.trim().is_empty() || text.len() > 4_000 || text.contains('\0') {
        return Err(wrong("this is no query: write 1 to 4000 characters, without NUL".into()));
    }
    for after in text.split('$').skip(1) {
        let name = &after[..after.find(|c: char| !c.is_ascii_lowercase()).unwrap_or(after.len())];
        if !name.is_empty() && !VARIABLES.contains(&name) {
            let message =
                format!("{} is no variable of queries: known are {}", quoted(name), VARIABLES.join(", "));
            return Err(wrong(message).suggest(nearest(name, VARIABLES)));
        }
    }
    Ok(text.to_owned())
}

/// "Namespaces", CloudWatch's user guide: 1 to 255 characters, and none of AWS's own.
fn namespace(text: &str) -> Result<String, Wrong> {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/#".contains(&byte);
    let valid = (1..=255).contains(&text.len()) && text.bytes().all(known) && !text.starts_with(':');
    let message = format!("{} is no namespace: letters, digits, and '.', '-', '_', '/', '#'", quoted(text));
    valid.then(|| text.to_owned()).ok_or_else(|| Wrong::new(Code::InvalidMetrics, message))
}
