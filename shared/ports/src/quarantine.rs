//! Whether a digest must not run, as the journal says it.

use longshore_events::types::{DigestQuarantined, DigestReleased};
use longshore_events::{EventId, Fact as _};

use crate::journal::Relied;
use crate::{Facts, PortError};

/// What is said of a digest for a service in an environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantine {
    /// The event that quarantined it, and why; `None` when none did, or that one was lifted.
    pub bad: Option<(EventId, String)>,
    /// What a decision that follows from it relies on.
    pub heads: Vec<Relied>,
}

/// Reads whether a digest is quarantined; `subject` is `<environment>/<service>/<digest>`. A release lifts the quarantine that
/// it names, and none that came later.
///
/// # Errors
/// When the journal cannot be read.
pub async fn quarantine(facts: &dyn Facts, subject: &str) -> Result<Quarantine, PortError> {
    let head = |kind: &str, event: Option<&EventId>| Relied {
        kind: kind.to_owned(),
        subject: subject.to_owned(),
        event: event.cloned(),
    };
    let event = facts.latest(DigestQuarantined::KIND, subject).await?;
    let mut heads = vec![head(DigestQuarantined::KIND, event.as_ref().map(|event| &event.id))];
    let Some((event, fact)) =
        event.as_ref().and_then(|event| Some((event, DigestQuarantined::from_data(&event.data)?)))
    else {
        return Ok(Quarantine { bad: None, heads });
    };
    let release = facts.latest(DigestReleased::KIND, subject).await?;
    heads.push(head(DigestReleased::KIND, release.as_ref().map(|release| &release.id)));
    let lifted = release.as_ref().and_then(|release| DigestReleased::from_data(&release.data));
    let is_lifted = lifted.is_some_and(|lifted| lifted.quarantine == event.id);
    let bad = (!is_lifted).then(|| (event.id.clone(), fact.reason.clone()));
    Ok(Quarantine { bad, heads })
}
