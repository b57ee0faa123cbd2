//! Measurements by CloudWatch, in plain signed requests of its JSON protocol (ADR 0005).
//!
//! In the namespace of the configuration the metrics `Requests` and `Errors` (counts), `Latency` (milliseconds) and
//! `Saturation` (percent) have the dimensions `Environment`, `Service` and `Digest`. Whole minutes within the window are
//! asked for; a count is the sum of them, everything else the worst. What CloudWatch has not taken in yet is not seen: its
//! answers are a minute or two old.
//!
//! Source: "GetMetricData", CloudWatch's API reference; "Using metric math", its user guide.

use std::sync::Arc;

use async_trait::async_trait;
use longshore_events::{Measure, Timestamp};
use longshore_policy::CloudWatchSource;
use longshore_ports::{Clock, ErrorKind, Measured, Metrics, PortError, Question, Window};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::Aws;
use crate::failure::{Call, said, silent};
use crate::plain::{Answer, Plain};

const OPERATION: &str = "measure";
const ACTION: &str = "cloudwatch:GetMetricData";
const CONTENT: &str = "application/x-amz-json-1.0";
const TARGET: &str = "GraniteServiceVersion20100801.GetMetricData";
const RESOURCE: &str = "CloudWatch's metrics";
/// The period of all values, in seconds: metrics of another resolution are summed up to it after some hours.
const PERIOD: i64 = 60;
/// Answers come in pages; more would be of more minutes than any step lasts.
const PAGES: usize = 20;

/// CloudWatch in one region.
pub struct CloudWatchMetrics {
    plain: Plain,
    address: String,
    region: String,
    source: CloudWatchSource,
    clock: Arc<dyn Clock>,
}

/// A page of an answer.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Page {
    metric_data_results: Vec<Series>,
    next_token: Option<String>,
}

/// The values of one query.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Series {
    id: String,
    values: Vec<f64>,
    status_code: String,
    messages: Vec<Message>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Message {
    code: String,
    value: String,
}

impl CloudWatchMetrics {
    /// CloudWatch in the account's region.
    pub fn new(aws: &Aws, source: &CloudWatchSource, clock: Arc<dyn Clock>) -> Self {
        let region = aws.account.region.clone();
        let address = format!("{}/", aws.account.address("monitoring"));
        let plain = Plain::new(aws, "monitoring", clock.clone());
        Self { plain, address, region, source: source.clone(), clock }
    }

    fn call(&self) -> Call<'_> {
        Call { operation: OPERATION, action: ACTION, resource: RESOURCE, region: &self.region }
    }

    /// A metric of the release that is asked about.
    fn metric(&self, question: &Question, id: &str, name: &str, stat: &str) -> Value {
        let dimension = |name: &str, value: &str| json!({ "Name": name, "Value": value });
        let dimensions = [
            dimension("Environment", question.workload.environment.as_str()),
            dimension("Service", question.workload.service.as_str()),
            dimension("Digest", question.digest.as_str()),
        ];
        let metric =
            json!({ "Namespace": self.source.namespace, "MetricName": name, "Dimensions": dimensions });
        json!({ "Id": id, "MetricStat": { "Metric": metric, "Period": PERIOD, "Stat": stat } })
    }

    /// What is asked for a measure: the values under `value`, and under `samples` how many they were made of.
    fn queries(&self, question: &Question, seconds: i64) -> Vec<Value> {
        let metric = |id: &str, name: &str, stat: &str| self.metric(question, id, name, stat);
        let requests = metric("samples", "Requests", "Sum");
        match &question.measure {
            Measure::Requests => vec![requests],
            Measure::ErrorRate => vec![requests, metric("value", "Errors", "Sum")],
            Measure::Latency(percentile) => {
                vec![requests, metric("value", "Latency", &format!("p{percentile}"))]
            }
            Measure::Saturation => {
                let [samples, value] = [("samples", "SampleCount"), ("value", "Average")];
                vec![metric(samples.0, "Saturation", samples.1), metric(value.0, "Saturation", value.1)]
            }
            Measure::Expression(expression) => {
                let expression = question.fill(expression, seconds);
                vec![json!({ "Id": "value", "Expression": expression, "Period": PERIOD })]
            }
        }
    }

    /// All values of each query, by its id.
    async fn ask(&self, queries: &[Value], window: Window) -> Result<Vec<Series>, PortError> {
        let mut all: Vec<Series> = Vec::new();
        let mut token: Option<String> = None;
        for _ in 0..PAGES {
            let mut body = json!({
                "MetricDataQueries": queries,
                "StartTime": window.from.as_second(),
                "EndTime": window.until.as_second(),
            });
            if let Some(token) = token.take() {
                body["NextToken"] = token.into();
            }
            let headers = [("content-type", CONTENT.to_owned()), ("x-amz-target", TARGET.to_owned())];
            let sent = self.plain.send("POST", &self.address, &headers, body.to_string().into_bytes()).await;
            let page = read(self.call(), &sent.map_err(|error| silent(self.call(), error))?)?;
            for series in page.metric_data_results {
                if let Some(trouble) = trouble(self.call(), &series) {
                    return Err(trouble);
                }
                match all.iter_mut().find(|known| known.id == series.id) {
                    Some(known) => known.values.extend(series.values),
                    None => all.push(series),
                }
            }
            token = page.next_token.filter(|token| !token.is_empty());
            if token.is_none() {
                return Ok(all);
            }
        }
        Err(PortError::invalid(
            OPERATION,
            "CloudWatch has too many values for one question: shorten the step",
        ))
    }
}

/// What was answered, or why not.
fn read(call: Call<'_>, answer: &Answer) -> Result<Page, PortError> {
    if answer.status == 200 {
        return serde_json::from_slice(&answer.body).map_err(|error| silent(call, error));
    }
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let text = |names: [&str; 2]| names.iter().find_map(|name| body[*name].as_str()).unwrap_or_default();
    let code = text(["__type", "code"]).rsplit('#').next().unwrap_or_default().to_owned();
    let code = if code.is_empty() { format!("HTTP {}", answer.status) } else { code };
    Err(said(call, answer.status, &code, text(["message", "Message"])))
}

/// Why a series cannot be used: a page is not all, and that is said of each query by itself.
fn trouble(call: Call<'_>, series: &Series) -> Option<PortError> {
    let told = series.messages.first().map(|message| format!(" ({}: {})", message.code, message.value));
    let told = told.unwrap_or_default();
    match series.status_code.as_str() {
        "" | "Complete" | "PartialData" => None,
        "Forbidden" => Some(said(call, 403, "AccessDenied", &told)),
        other => {
            let why = format!("CloudWatch could not calculate it: {other}{told}");
            Some(PortError::new(ErrorKind::Unavailable, OPERATION, why))
        }
    }
}

/// The whole minutes of a window, until now.
fn minutes(window: Window, now: Timestamp) -> Option<Window> {
    let from = window.from.as_second() + i64::from(window.from.subsec_nanosecond() > 0);
    let from = from + (-from).rem_euclid(PERIOD);
    let until = window.until.min(now).as_second();
    let until = until - until.rem_euclid(PERIOD);
    let at = |second| Timestamp::from_second(second).ok();
    (from < until).then_some(Window { from: at(from)?, until: at(until)? })
}

#[async_trait]
impl Metrics for CloudWatchMetrics {
    async fn measure(&self, question: &Question) -> Result<Measured, PortError> {
        let Some(window) = minutes(question.window, self.clock.now()) else {
            return Ok(Measured::unknown("CloudWatch knows whole minutes, and none has passed"));
        };
        let seconds = window.until.duration_since(window.from).as_secs();
        let found = self.ask(&self.queries(question, seconds), window).await?;
        let values = |id: &str| {
            found
                .iter()
                .find(|series| series.id == id)
                .map(|series| series.values.as_slice())
                .unwrap_or_default()
        };
        let worst = || values("value").iter().copied().reduce(f64::max);
        if let Measure::Expression(_) = question.measure {
            return Ok(worst()
                .map_or_else(|| Measured::unknown("the expression has no value"), |v| Measured::of(v, 1)));
        }
        let all: f64 = values("samples").iter().sum();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a count is within the range"
        )]
        let samples = all.clamp(0.0, 1e15) as u64;
        let value = match question.measure {
            Measure::Requests => Some(all),
            // No errors are no values: requests there were.
            Measure::ErrorRate => Some(100.0 * values("value").iter().sum::<f64>() / all.max(1.0)),
            _ => worst(),
        };
        Ok(value.map_or_else(
            || Measured::unknown("nobody told CloudWatch of it"),
            |value| Measured::of(value, samples),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALL: Call<'_> =
        Call { operation: OPERATION, action: ACTION, resource: RESOURCE, region: "eu-west-1" };

    fn answer(status: u16, body: &Value) -> Result<Page, PortError> {
        read(CALL, &Answer { status, code: String::new(), body: body.to_string().into_bytes() })
    }

    /// Answers as "GetMetricData" and "Common errors" have them.
    #[test]
    fn a_page_is_read_and_a_refusal_says_what_to_do() {
        let body = json!({
            "MetricDataResults": [
                { "Id": "value", "Label": "Errors", "Timestamps": [1.76e9], "Values": [2.0], "StatusCode": "Complete" },
                { "Id": "samples", "Label": "Requests", "Values": [], "StatusCode": "InternalError",
                  "Messages": [{ "Code": "Sorry", "Value": "later" }] },
                { "Id": "x", "Values": [], "StatusCode": "Forbidden" },
            ],
            "NextToken": "t", "Messages": [],
        });
        let page = answer(200, &body).unwrap();
        assert_eq!(
            (page.next_token.as_deref(), page.metric_data_results[0].values.as_slice()),
            (Some("t"), &[2.0][..])
        );
        let trouble = |at: usize| trouble(CALL, &page.metric_data_results[at]);
        assert!(trouble(0).is_none());
        let error = trouble(1).unwrap();
        assert!(error.is_temporary() && error.to_string().contains("(Sorry: later)"), "{error}");
        assert_eq!(trouble(2).unwrap().kind, ErrorKind::Denied);
        let denied = json!({ "__type": "com.amazonaws.monitoring#AccessDeniedException", "Message": "User: x is not \
            authorized to perform: cloudwatch:GetMetricData because no identity-based policy allows the action" });
        let error = answer(403, &denied).unwrap_err();
        assert!(
            error.to_string().contains("may not cloudwatch:GetMetricData on CloudWatch's metrics"),
            "{error}"
        );
        let wrong = json!({ "__type": "ValidationError", "message": "Error in expression 'value': bad" });
        let error = answer(400, &wrong).unwrap_err();
        assert!(
            error.kind == ErrorKind::Invalid && error.to_string().contains("Error in expression"),
            "{error}"
        );
        assert!(answer(503, &json!({})).unwrap_err().is_temporary());
    }

    #[test]
    fn only_whole_minutes_within_the_window_are_asked_for() {
        let at = |second, nano| Timestamp::new(second, nano).unwrap();
        let minutes = |from, until, now| {
            minutes(Window { from, until }, now)
                .map(|window| (window.from.as_second(), window.until.as_second()))
        };
        assert_eq!(minutes(at(60, 0), at(600, 0), at(185, 0)), Some((60, 180)));
        assert_eq!(minutes(at(60, 1), at(600, 0), at(900, 0)), Some((120, 600)));
        assert_eq!(minutes(at(61, 0), at(600, 0), at(179, 0)), None);
    }
}
