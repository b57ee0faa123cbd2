//! GitHub: pushes, pull requests, what its pipelines and its container registry say; whatever else it sends is
//! ignored.
//!
//! Source: GitHub's "Webhook events and payloads".

mod change;
mod package;
mod pipeline;
mod push;

use std::borrow::Cow;

use serde::Deserialize;

pub(crate) use push::{MovedRef, Push};

use crate::hear::{Heard, Hearing, brief};
use crate::{Refusal, percent};

#[derive(Deserialize)]
pub(crate) struct Repository {
    full_name: String,
    clone_url: Option<String>,
}

/// Who did it. Gitea has the same shape.
#[derive(Deserialize)]
pub(crate) struct User {
    login: Option<String>,
    name: Option<String>,
}

impl User {
    fn actor(&self) -> Option<&str> {
        self.login.as_deref().or(self.name.as_deref())
    }
}

/// Translates a verified delivery.
pub(crate) fn translate(hearing: &Hearing<'_>, body: &[u8]) -> Result<Heard, Refusal> {
    let event = hearing.needed("X-GitHub-Event")?;
    let json = json(hearing, body)?;
    let text = std::str::from_utf8(&json).map_err(|_| Refusal::NotUtf8)?;
    let delivery = || hearing.needed_id("X-GitHub-Delivery");
    match event {
        "push" => serde_json::from_str::<Push>(text)?.translate(hearing, &delivery()?),
        "create" | "delete" => {
            serde_json::from_str::<MovedRef>(text)?.translate(hearing, event == "delete", &delivery()?)
        }
        "pull_request" => change::translate(hearing, text, &delivery()?),
        "workflow_run" => pipeline::workflow_run(hearing, text, &delivery()?),
        "check_suite" => pipeline::check_suite(hearing, text, &delivery()?),
        "package" | "registry_package" => package::translate(hearing, text, &delivery()?),
        "ping" => Ok(Heard::ignored("pong")),
        other => Ok(hearing.nothing_of(other)),
    }
}

/// GitHub sends JSON as it is, or in the field `payload` of a form, as the webhook's settings say.
fn json<'a>(hearing: &Hearing<'_>, body: &'a [u8]) -> Result<Cow<'a, [u8]>, Refusal> {
    match hearing.headers.media_type().as_str() {
        "application/json" => Ok(Cow::Borrowed(body)),
        "application/x-www-form-urlencoded" => percent::form_field(body, "payload")
            .and_then(|field| percent::decode(field, true))
            .map(Cow::Owned)
            .ok_or_else(|| Refusal::NotJson("the form has no field `payload` that can be decoded".into())),
        other => Err(Refusal::ContentType {
            given: brief(other),
            wanted: "application/json or application/x-www-form-urlencoded",
        }),
    }
}
