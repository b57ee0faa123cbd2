//! SNS: people are told through a topic, by whatever is subscribed to it. By plain signed requests, for one call.
//!
//! Source: "Publish", SNS's API reference: a subject has at most 100 ASCII characters and no line breaks.

use std::sync::Arc;

use async_trait::async_trait;
use longshore_ports::{Clock, Key, Notice, Notify, PortError};

use crate::Aws;
use crate::failure::{Call, said, silent};
use crate::plain::{Plain, element};

const OPERATION: &str = "tell people through a topic";
const FORM: &str = "application/x-www-form-urlencoded";
const SUBJECT: usize = 100;

/// A topic of SNS.
pub struct SnsTopic {
    plain: Plain,
    address: String,
    region: String,
    arn: String,
    /// The topic, as errors name it.
    place: String,
}

impl SnsTopic {
    /// The topic of an ARN. `clock` gives the time that requests are signed with.
    pub fn new(aws: &Aws, arn: &str, clock: Arc<dyn Clock>) -> Self {
        Self {
            plain: Plain::new(aws, "sns", clock),
            address: aws.account.address("sns"),
            region: aws.account.region.clone(),
            arn: arn.to_owned(),
            place: format!("the topic {arn}"),
        }
    }
}

#[async_trait]
impl Notify for SnsTopic {
    async fn tell(&self, key: &Key, notice: &Notice) -> Result<(), PortError> {
        let call =
            Call { operation: OPERATION, action: "sns:Publish", resource: &self.place, region: &self.region };
        let message = format!("{}\n\n{}\n\n{key}", notice.title, notice.text);
        let subject: String = notice.title.chars().filter(char::is_ascii).take(SUBJECT).collect();
        let mut fields = vec![
            ("Action", "Publish"),
            ("Version", "2010-03-31"),
            ("TopicArn", self.arn.as_str()),
            ("Message", &message),
        ];
        // An empty one is refused.
        fields
            .extend(Some(subject.trim()).filter(|subject| !subject.is_empty()).map(|text| ("Subject", text)));
        let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let uri = format!("{}/", self.address);
        let kind = [("content-type", FORM.to_owned())];
        let answer = self.plain.send("POST", &uri, &kind, form.into_bytes()).await;
        let answer = answer.map_err(|error| silent(call, error))?;
        if answer.status == 200 {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&answer.body);
        let (code, words) = (element(&text, "Code"), element(&text, "Message"));
        let code = if code.is_empty() { format!("HTTP {}", answer.status) } else { code.to_owned() };
        Err(said(call, answer.status, &code, words))
    }
}
