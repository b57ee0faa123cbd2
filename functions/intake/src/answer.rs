//! What the sender is answered.

use longshore_events::EventId;
use serde::Serialize;

use crate::Refusal;
use crate::hear::Heard;

/// What the sender is answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// The HTTP status.
    #[serde(skip)]
    pub status: u16,
    /// The ids of the events that are kept now, those kept before included.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub accepted: Vec<EventId>,
    /// The stable code of a refusal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<&'static str>,
    /// Why something was ignored or refused, and what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

impl Answer {
    /// 202 when something is kept, 200 when all of it was ignored: GitLab disables a hook that answers 4xx.
    pub(crate) fn heard(heard: &Heard) -> Self {
        Self {
            status: if heard.events.is_empty() { 200 } else { 202 },
            accepted: heard.events.iter().map(|event| event.id.clone()).collect(),
            code: None,
            message: message(heard),
        }
    }

    pub(crate) fn refused(refusal: &Refusal) -> Self {
        Self {
            status: refusal.status(),
            accepted: Vec::new(),
            code: Some(refusal.code()),
            message: Some(refusal.to_string()),
        }
    }

    /// The body: `{"accepted": […]}`, `{"message": …}` or `{"code": …, "message": …}`. Its type is
    /// `application/json`.
    pub fn json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

fn message(heard: &Heard) -> Option<String> {
    let more = (heard.silent > 0).then(|| format!("and {} more", heard.silent));
    let said: Vec<String> = heard.ignored.iter().cloned().chain(more).collect();
    (!said.is_empty()).then(|| said.join("; "))
}
