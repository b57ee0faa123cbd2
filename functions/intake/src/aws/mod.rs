//! What AWS's services say: the envelopes of EventBridge, the alarms of CloudWatch, either of them inside SNS or SQS,
//! one by one or in a list.
//!
//! EventBridge brings a notice at least once, in any order, and some services send it on a best effort: whatever
//! matters is asked again elsewhere. A list is no unit: what is not understood in it is ignored, and the rest counts,
//! since the whole would come again for ever. Nobody but AWS can put a source that begins with `aws.` on a bus.
//!
//! Source: "Event structure reference" of EventBridge, "Amazon ECR events and EventBridge", "Build notifications input
//! format reference" of CodeBuild, "Using Lambda with Amazon SNS" and "with Amazon SQS".

mod codebuild;
mod ecr;
mod scans;
mod schedule;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use crate::few::Few;
use crate::hear::{Heard, Hearing};
use crate::{Refusal, cloudwatch};

/// The most notices of one body.
const MAX_NOTICES: usize = 1_000;
/// An envelope in a notification in a queue's record in a list.
const MAX_DEPTH: usize = 4;

/// What EventBridge wraps around a service's notice.
#[derive(Deserialize)]
struct Envelope {
    id: String,
    #[serde(rename = "detail-type")]
    kind: String,
    source: String,
    account: String,
    time: Timestamp,
    region: String,
    #[serde(default)]
    resources: Few<String, 1>,
    /// Scheduler sends an empty object as text.
    detail: Value,
}

/// Translates a verified body.
pub(crate) fn translate(hearing: &Hearing<'_>, body: &[u8]) -> Result<Heard, Refusal> {
    // SNS says that JSON is plain text.
    let text = hearing.json(body, "application/json or text/plain")?;
    let mut reader = Reader { hearing, heard: Heard::default(), notices: 0 };
    reader.text(text, 0)?;
    if reader.notices == 0 && reader.heard.ignored.is_empty() {
        reader.heard.ignore("ignored: the list is empty".into());
    }
    Ok(reader.heard)
}

struct Reader<'a> {
    hearing: &'a Hearing<'a>,
    heard: Heard,
    notices: usize,
}

impl Reader<'_> {
    fn text(&mut self, text: &str, depth: usize) -> Result<(), Refusal> {
        self.value(&serde_json::from_str(text)?, depth)
    }

    /// Any of the shapes; which one, the fields tell.
    fn value(&mut self, value: &Value, depth: usize) -> Result<(), Refusal> {
        if depth > MAX_DEPTH {
            return Err(Refusal::Shape("it is wrapped too often".into()));
        }
        let text = |name: &str| value.get(name).and_then(Value::as_str);
        if let Some(list) = value.as_array().or_else(|| value.get("Records")?.as_array()) {
            return self.list(list, depth);
        }
        // A record of SNS or of SQS, as Lambda is given it, or SNS over HTTP.
        if let Some(inner) = value.get("Sns").filter(|inner| inner.get("Message").is_some()) {
            return self.value(inner, depth + 1);
        }
        if let Some(body) = text("body") {
            return self.text(body, depth + 1);
        }
        match (text("Type"), text("Message")) {
            (Some(kind), _) if kind != "Notification" => {
                self.heard.ignore("ignored: confirm the subscription in SNS by its SubscribeURL".into());
                return Ok(());
            }
            (_, Some(message)) => return self.text(message, depth + 1),
            _ => {}
        }
        self.notice(value)
    }

    fn list(&mut self, list: &[Value], depth: usize) -> Result<(), Refusal> {
        for value in list {
            match self.value(value, depth + 1) {
                Err(too_many @ Refusal::TooMany { .. }) => return Err(too_many),
                Err(refusal) => self.heard.ignore(format!("ignored: {refusal}")),
                Ok(()) => {}
            }
        }
        Ok(())
    }

    fn notice(&mut self, value: &Value) -> Result<(), Refusal> {
        self.notices += 1;
        if self.notices > MAX_NOTICES {
            return Err(Refusal::TooMany { what: "notices", count: self.notices, limit: MAX_NOTICES });
        }
        if value.get("alarmArn").is_some() || value.get("NewStateValue").is_some() {
            return cloudwatch::hear(value, self.hearing, &mut self.heard);
        }
        if value.get("detail-type").is_none() {
            let known = "it is neither an envelope of EventBridge nor an alarm; a target must get no input of its own";
            return Err(Refusal::Shape(known.into()));
        }
        let envelope = Envelope::deserialize(value)?;
        let (hearing, heard) = (self.hearing, &mut self.heard);
        match (envelope.source.as_str(), envelope.kind.as_str()) {
            ("aws.ecr", "ECR Image Action") => ecr::hear(&envelope, hearing, heard),
            ("aws.codebuild", "CodeBuild Build State Change") => codebuild::hear(&envelope, hearing, heard),
            ("aws.cloudwatch", _) => cloudwatch::hear(value, hearing, heard),
            ("aws.scheduler" | "aws.events", "Scheduled Event") => schedule::hear(&envelope, hearing, heard),
            ("aws.ecr", "ECR Image Scan") | ("aws.inspector2", "Inspector2 Scan") => {
                scans::ended(&envelope, hearing, heard)
            }
            ("aws.inspector2", "Inspector2 Finding") => scans::found(&envelope, hearing, heard),
            ("aws.ecr", "ECR Referrer Action") => ecr::refers(&envelope, hearing, heard),
            (_, kind) => {
                heard.ignore(hearing.makes_nothing_of(kind));
                Ok(())
            }
        }
    }
}
