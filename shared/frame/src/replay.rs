//! Deciding once more: what was decided then, and what the function decides now of the same state, cause and seen.
//!
//! Nothing is read or done here. Who reads the rows resolves what lies in Blobs ([`blob`]), fetches the events that a
//! row refers to ([`refers`]), and works out the states between the rows ([`states`]); then [`again`] decides.

use longshore_events::{Event, EventId, InvalidName, Takes};
use longshore_ports::{BlobRef, journal::DecisionRow};
use serde::{Deserialize, Serialize, de::DeserializeOwned, de::IgnoredAny};
use serde_json::{Value, json};

use crate::record::{Record, Why};
use crate::{At, Cause, Decision, Function, Said, Told};

/// Why a decision cannot be made once more.
#[derive(Debug, thiserror::Error)]
pub enum Unreplayable {
    /// The row holds only what was seen.
    #[error("it was made by an older release, which did not keep what replay needs")]
    Older,
    /// The states around it are worked out from later rows, and one of these does not say enough.
    #[error("the state before or after it is not kept any more")]
    State,
    /// What it was told, or said, is not at hand.
    #[error("an event that it was told, or said, is not in the journal")]
    Event,
    /// Something stored does not fit this build.
    #[error("what it kept of its {0} cannot be read: {1}")]
    Unreadable(&'static str, serde_json::Error),
}

/// A decision with everything around it.
#[derive(Debug, Clone, Copy)]
pub struct Past<'a> {
    /// Its row. What lay in Blobs is in its place.
    pub row: &'a DecisionRow,
    /// The unit's state before it and after it, as they were stored; see [`states`].
    pub states: Option<&'a (String, String)>,
    /// The event that it was told, if it was told one.
    pub told: Option<&'a Event>,
    /// The events that it said, in order.
    pub said: &'a [Event],
}

/// One decision, made twice, in the same words.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Twice {
    /// As it was made.
    pub then: Value,
    /// As it is made now.
    pub now: Value,
}

impl Twice {
    /// Whether it is decided otherwise now.
    pub fn differs(&self) -> bool {
        self.then != self.now
    }
}

/// The events that a decision refers to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Refers {
    /// What it was told.
    pub told: Option<EventId>,
    /// What it said.
    pub said: Vec<EventId>,
}

/// Where the text lies, when it is not this one.
pub fn blob(text: &str) -> Option<BlobRef> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Elsewhere {
        blob: BlobRef,
    }
    // Most texts are not; they need not be read for that.
    let short = text.starts_with("{\"blob\":\"sha256:");
    short.then(|| serde_json::from_str::<Elsewhere>(text).ok()).flatten().map(|found| found.blob)
}

/// What stands in a row in place of a text that lies in Blobs.
pub(crate) fn elsewhere(blob: &BlobRef) -> String {
    json!({ "blob": blob }).to_string()
}

/// The id of a fact that a decision says: the same decision says the same events.
pub(crate) fn fact(function: &str, unit: &str, version: &str, n: usize) -> Result<EventId, InvalidName> {
    EventId::new(format!("{function}/{unit}/{version}/{n}"))
}

fn record<E: DeserializeOwned>(row: &DecisionRow) -> Result<Record<E>, Unreplayable> {
    let text = row.record.as_deref().ok_or(Unreplayable::Older)?;
    serde_json::from_str(text).map_err(|error| Unreplayable::Unreadable("record", error))
}

/// The events that are needed to make a decision once more; none when it cannot be.
pub fn refers(row: &DecisionRow) -> Refers {
    let Ok(Record::<IgnoredAny> { cause, facts, .. }) = record(row) else { return Refers::default() };
    let version = row.version.to_string();
    let said = |n| fact(&row.function, &row.unit, &version, n).ok();
    Refers {
        told: if let Why::Told(id) = cause { Some(id) } else { None },
        said: (0..facts).filter_map(said).collect(),
    }
}

/// The states of a unit before and after each of its decisions, by the rows of its decisions from one on without a gap,
/// the oldest first, and the state after the last of them. What the rows do not tell is `None`.
pub fn states(rows: &[DecisionRow], last: Option<String>) -> Vec<Option<(String, String)>> {
    let mut after = last;
    let mut found = Vec::new();
    for row in rows.iter().rev() {
        let (before, checked) = around(row, after);
        found.push(before.clone().zip(checked));
        after = before;
    }
    found.reverse();
    found
}

/// The state before the first of these rows, by the same: `None` when that takes later rows, or the unit itself.
pub fn state_before(rows: &[DecisionRow], last: Option<String>) -> Option<String> {
    rows.iter().rev().fold(last, |after, row| around(row, after).0)
}

fn around(row: &DecisionRow, after: Option<String>) -> (Option<String>, Option<String>) {
    record::<IgnoredAny>(row).map_or((None, None), |record| record.states(after))
}

/// Makes a decision once more.
///
/// # Errors
/// [`Unreplayable`] when something is missing: nothing is guessed.
pub fn again<F: Function>(function: &F, past: &Past<'_>) -> Result<Twice, Unreplayable> {
    let Record { cause, lease, stopped, effects, facts, wake, hold_lease, relied_on, again, .. } =
        record::<F::Effect>(past.row)?;
    let (before, after) = past.states.ok_or(Unreplayable::State)?;
    if past.said.len() != facts {
        return Err(Unreplayable::Event);
    }
    let said = |event: &Event| Said {
        subject: event.subject.clone(),
        link: event.link.clone(),
        data: event.data.clone(),
    };
    let then = Decision {
        state: state::<F>(after)?,
        effects,
        facts: past.said.iter().map(said).collect(),
        wake,
        hold_lease,
        relied_on,
        again,
    };
    let seen = serde_json::from_str(&past.row.seen);
    let seen: F::Seen = seen.map_err(|error| Unreplayable::Unreadable("seen", error))?;
    let at = At { now: past.row.at, lease, stopped };
    let cause = cause_of(cause, past.told)?;
    let now = function.decide(&past.row.unit, &at, state::<F>(before)?, cause, &seen);
    Ok(Twice { then: shown(&then), now: shown(&now) })
}

/// A unit that has no state yet has none stored.
fn state<F: Function>(text: &str) -> Result<F::State, Unreplayable> {
    if text.is_empty() {
        return Ok(F::State::default());
    }
    serde_json::from_str(text).map_err(|error| Unreplayable::Unreadable("state", error))
}

fn cause_of<I: Takes>(why: Why, told: Option<&Event>) -> Result<Cause<I>, Unreplayable> {
    Ok(match why {
        Why::Woken => Cause::Woken,
        Why::Done => Cause::Done,
        Why::Failed(failure) => Cause::Failed(failure),
        Why::Told(id) => {
            let event = told.filter(|event| event.id == id).ok_or(Unreplayable::Event)?;
            let input = I::from_data(&event.data).ok_or(Unreplayable::Event)?;
            Cause::Told(Told { input, id, time: event.time, link: event.then() })
        }
    })
}

fn shown<S: Serialize, E: Serialize>(decision: &Decision<S, E>) -> Value {
    let fact = |said: &Said| json!({ "type": said.data.kind(), "subject": said.subject, "data": said.data });
    json!({
        "state": decision.state,
        "effects": decision.effects,
        "facts": decision.facts.iter().map(fact).collect::<Vec<_>>(),
        "wake": decision.wake,
        "hold_lease": decision.hold_lease,
        "relied_on": decision.relied_on,
        "again": decision.again,
    })
}

#[cfg(test)]
#[path = "replay_tests.rs"]
mod tests;
