//! EventBridge Scheduler, and the schedules of EventBridge's rules: the time has come.
//!
//! A schedule with an input of its own brings that alone, and is not known for what it is.

use longshore_events::types::ScheduleFired;

use super::Envelope;
use crate::Refusal;
use crate::hear::{Heard, Hearing, brief, first, is_id, stands_for};

pub(super) fn hear(envelope: &Envelope, hearing: &Hearing<'_>, heard: &mut Heard) -> Result<(), Refusal> {
    // arn:aws:scheduler:REGION:ACCOUNT:schedule/GROUP/NAME, or arn:aws:events:REGION:ACCOUNT:rule/NAME
    let arn = envelope.resources.items.first().map(String::as_str).unwrap_or_default();
    let name = brief(arn.rsplit('/').next().unwrap_or_default());
    if name.is_empty() {
        heard.ignore("ignored: the schedule has no name".into());
        return Ok(());
    }
    let stands = if is_id(arn) { arn.to_owned() } else { stands_for(&[arn]) };
    let id = format!("{}/{}/{stands}/{}", hearing.provider, hearing.source, envelope.time);
    let source = format!("{}/{}", hearing.provider, hearing.source);
    let fired = ScheduleFired { name: name.clone(), planned_at: envelope.time };
    heard.events.push(first(id, source, name, envelope.time, fired.into())?);
    Ok(())
}
