//! CloudWatch's alarms: as EventBridge says them, as a direct alarm action does, and inside a notification of SNS.
//!
//! `INSUFFICIENT_DATA` is neither raised nor over, and makes no event.
//!
//! Source: "Alarm events and EventBridge", "Lambda actions" and "Publishing to SNS" in CloudWatch's documentation.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use crate::Refusal;
use crate::alarm::Alarm;
use crate::few::Few;
use crate::hear::{Heard, Hearing, brief, stands_for};

/// The most records of one delivery of SNS.
const MAX_RECORDS: usize = 100;

/// Any of the shapes; which one, the fields tell.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Body {
    // EventBridge
    #[serde(rename = "detail-type")]
    detail_type: Option<String>,
    resources: Few<String, 1>,
    /// Read only when it is that of an alarm.
    detail: Option<Value>,
    // A direct action
    #[serde(rename = "alarmArn")]
    alarm_arn: Option<String>,
    #[serde(rename = "alarmData")]
    alarm_data: Option<Detail>,
    // SNS, over HTTP and as Lambda is given it
    #[serde(rename = "Type")]
    kind: Option<String>,
    #[serde(rename = "Message")]
    message: Option<String>,
    #[serde(rename = "Records")]
    records: Few<Record, MAX_RECORDS>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Detail {
    alarm_name: String,
    state: State,
    /// Since when it was raised, when it is over.
    previous_state: Option<State>,
}

#[derive(Deserialize)]
struct State {
    value: String,
    reason: Option<String>,
    timestamp: Option<String>,
}

#[derive(Deserialize)]
struct Record {
    #[serde(rename = "Sns")]
    sns: Notification,
}

#[derive(Deserialize)]
struct Notification {
    #[serde(rename = "Message")]
    message: String,
}

/// What SNS's message holds. `Region` may be a name for people: the ARN counts.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Message {
    alarm_name: String,
    alarm_arn: String,
    new_state_value: String,
    new_state_reason: Option<String>,
    state_change_time: String,
}

/// Translates a verified notification.
pub(crate) fn translate(hearing: &Hearing<'_>, body: &[u8]) -> Result<Heard, Refusal> {
    // SNS says that JSON is plain text.
    let body: Body = serde_json::from_str(hearing.json(body, "application/json or text/plain")?)?;
    let mut heard = Heard::default();
    body.hear(hearing, &mut heard)?;
    Ok(heard)
}

/// Hears an alarm that the envelopes of SNS were taken off from.
pub(crate) fn hear(notice: &Value, hearing: &Hearing<'_>, heard: &mut Heard) -> Result<(), Refusal> {
    if notice.get("NewStateValue").is_some() {
        return Message::deserialize(notice)?.hear(hearing, heard);
    }
    Body::deserialize(notice)?.hear(hearing, heard)
}

impl Body {
    fn hear(self, hearing: &Hearing<'_>, heard: &mut Heard) -> Result<(), Refusal> {
        let of_message =
            |text: &str, heard: &mut Heard| serde_json::from_str::<Message>(text)?.hear(hearing, heard);
        match &self {
            Self { detail: Some(detail), .. } => {
                let kind = self.detail_type.as_deref().unwrap_or_default();
                if kind != "CloudWatch Alarm State Change" {
                    heard.ignore(hearing.makes_nothing_of(kind));
                    return Ok(());
                }
                let arn = self.resources.items.first().map(String::as_str).unwrap_or_default();
                Change::of_detail(arn, &Detail::deserialize(detail)?).hear(hearing, heard)
            }
            Self { alarm_arn: Some(arn), alarm_data: Some(data), .. } => {
                Change::of_detail(arn, data).hear(hearing, heard)
            }
            Self { kind: Some(kind), .. } if kind != "Notification" => {
                heard.ignore("ignored: confirm the subscription in SNS by its SubscribeURL".into());
                Ok(())
            }
            Self { message: Some(message), .. } => of_message(message, heard),
            Self { records, .. } if records.count > 0 => {
                let records = self.records.whole("records")?;
                records.iter().try_for_each(|record| of_message(&record.sns.message, heard))
            }
            _ => Err(Refusal::Shape("it is none of the shapes of a CloudWatch alarm".into())),
        }
    }
}

impl Message {
    fn hear(&self, hearing: &Hearing<'_>, heard: &mut Heard) -> Result<(), Refusal> {
        let (name, arn, value) = (&self.alarm_name, &self.alarm_arn, &self.new_state_value);
        let (reason, at) = (self.new_state_reason.as_deref(), self.state_change_time.as_str());
        Change { name, arn, value, reason, at, before: None }.hear(hearing, heard)
    }
}

/// An alarm that came to another state.
struct Change<'a> {
    name: &'a str,
    arn: &'a str,
    value: &'a str,
    reason: Option<&'a str>,
    at: &'a str,
    before: Option<&'a State>,
}

impl<'a> Change<'a> {
    fn of_detail(arn: &'a str, detail: &'a Detail) -> Self {
        let state = &detail.state;
        let (name, value, at) =
            (&detail.alarm_name, &state.value, state.timestamp.as_deref().unwrap_or_default());
        Self { name, arn, value, reason: state.reason.as_deref(), at, before: detail.previous_state.as_ref() }
    }

    fn hear(&self, hearing: &Hearing<'_>, heard: &mut Heard) -> Result<(), Refusal> {
        let time = |text: &str| {
            let unusable = |_| Refusal::Unusable(format!("{:?} is no time of a state change", brief(text)));
            text.parse::<Timestamp>().map_err(unusable)
        };
        let at = time(self.at)?;
        let raised = self.before.filter(|before| before.value == "ALARM");
        let since = raised.and_then(|before| before.timestamp.as_deref()).map(time).transpose()?;
        let (started_at, ended_at) = match self.value {
            "ALARM" => (Some(at), None),
            "OK" => (since, Some(at)),
            other => {
                heard.ignore(format!("ignored: the state {:?} is neither raised nor over", brief(other)));
                return Ok(());
            }
        };
        let alarm = Alarm {
            fingerprint: stands_for(&[self.arn, self.name]),
            name: self.name,
            started_at,
            ended_at,
            summary: self.reason,
            labels: BTreeMap::from([("alarm_arn".into(), self.arn.to_owned())]),
            url: None,
        };
        heard.events.push(alarm.event(hearing)?);
        Ok(())
    }
}
