//! Alertmanager's webhook, version 4, and Grafana's, which is of the same shape.
//!
//! A group comes whole, again with each change of one of its alerts: each alert is looked at by itself, and one that
//! was heard of before is the same event. `5xx` is sent again, `4xx` is not.
//!
//! Source: Alertmanager's "Configuration", `webhook_config`; Grafana's "Configure webhook notifications".

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;

use crate::Refusal;
use crate::alarm::Alarm;
use crate::few::Few;
use crate::hear::{Heard, Hearing, brief, is_id, stands_for};

/// The most alerts of one group.
const MAX_ALERTS: usize = 2_000;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Group {
    alerts: Few<Alert, MAX_ALERTS>,
    /// How many the sender left out.
    #[serde(default)]
    truncated_alerts: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Alert {
    status: String,
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
    starts_at: Timestamp,
    /// In the year 1 while the alert is firing.
    ends_at: Option<Timestamp>,
    #[serde(rename = "generatorURL")]
    generator_url: Option<String>,
    fingerprint: Option<String>,
}

/// Translates a verified group of alerts.
pub(crate) fn translate(hearing: &Hearing<'_>, body: &[u8]) -> Result<Heard, Refusal> {
    let group: Group = serde_json::from_str(hearing.json(body, "application/json")?)?;
    let mut heard = Heard::default();
    for alert in group.alerts.whole("alerts")? {
        match alert.alarm(hearing.now) {
            Ok(alarm) => heard.events.push(alarm.event(hearing)?),
            Err(why) => heard.ignore(why),
        }
    }
    if group.truncated_alerts > 0 {
        tracing::warn!(source = hearing.source, left_out = group.truncated_alerts, "alerts were left out");
        heard.ignore(format!(
            "{} alerts were left out by the sender; raise its max_alerts",
            group.truncated_alerts
        ));
    }
    if heard.events.is_empty() && heard.ignored.is_empty() {
        heard.ignore("ignored: the group is empty".into());
    }
    Ok(heard)
}

impl Alert {
    /// The alarm, or why the alert is ignored.
    fn alarm(&self, now: Timestamp) -> Result<Alarm<'_>, String> {
        let ended_at = match self.status.as_str() {
            "firing" => None,
            // An end before the start is none.
            "resolved" => Some(self.ends_at.filter(|end| *end >= self.starts_at).unwrap_or(now)),
            other => {
                return Err(format!(
                    "ignored: an alert is neither firing nor resolved, but {:?}",
                    brief(other)
                ));
            }
        };
        let given = self.fingerprint.as_ref().filter(|given| is_id(given) && !given.contains('/'));
        let text = |name: &str| self.annotations.get(name).map(String::as_str);
        Ok(Alarm {
            fingerprint: given.cloned().unwrap_or_else(|| self.of_labels()),
            name: self.labels.get("alertname").map_or("alert", String::as_str),
            started_at: Some(self.starts_at),
            ended_at,
            summary: text("summary").or(text("description")).or(text("message")),
            labels: self.labels.clone(),
            url: self.generator_url.as_deref(),
        })
    }

    /// Senders before Alertmanager 0.19 name no fingerprint.
    fn of_labels(&self) -> String {
        let parts: Vec<&str> = self.labels.iter().flat_map(|(key, value)| [key.as_str(), value]).collect();
        stands_for(&parts)
    }
}
