//! Gitea and Forgejo: `push`, `create` and `delete`, which look as GitHub's do; whatever else they send is ignored.
//!
//! They list the newest few commits of a push, and count all of them. The signature is over the JSON: the webhook must
//! not send a form.
//!
//! Source: Gitea's "Webhooks", and `modules/structs/hook.go` of both.

use crate::Refusal;
use crate::github::{MovedRef, Push};
use crate::hear::{Heard, Hearing};

/// Translates a verified delivery. Forgejo sends Gitea's headers too.
pub(crate) fn translate(hearing: &Hearing<'_>, body: &[u8]) -> Result<Heard, Refusal> {
    let event = hearing.needed("X-Gitea-Event")?;
    let text = hearing.json(body, "application/json")?;
    let delivery = || hearing.needed_id("X-Gitea-Delivery");
    match event {
        "push" => serde_json::from_str::<Push>(text)?.translate(hearing, &delivery()?),
        "create" | "delete" => {
            serde_json::from_str::<MovedRef>(text)?.translate(hearing, event == "delete", &delivery()?)
        }
        other => Ok(hearing.nothing_of(other)),
    }
}
