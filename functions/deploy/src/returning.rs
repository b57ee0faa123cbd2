//! Going back by degrees: what was measured takes a release back, and the old one, which may have gone cold meanwhile, gets its
//! traffic back by the strategy's degrees. The old one has to be ready before each of them; what makes the new one useless
//! on the way gives all back at once.

use jiff::Timestamp;
use longshore_events::types;
use longshore_frame::span;
use longshore_policy::Degree;
use longshore_ports::Phase;
use serde::{Deserialize, Serialize};

use crate::{
    Rollout, Stage,
    decide::{Context, Decided},
    rollout::{next, stay, take_back, wish},
    steps::{between, look_again},
};

/// A degree of going back that is held.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Returning {
    /// Its place among the strategy's degrees, from 0; `None` before the first, while the old release is waited for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub degree: Option<u32>,
    /// The share of the traffic that the new release still has, in percent, as it was decided.
    pub weight: u8,
    /// Since when it is held: the outside was seen to have it, and the old release to be ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Since when the old release is not ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits: Option<Timestamp>,
    /// Why it goes back.
    pub reason: String,
}

/// What was measured takes the release back: its digest is quarantined in the commit that begins to.
pub(crate) fn begin(
    context: &Context<'_>,
    decided: Decided,
    mut rollout: Rollout,
    reason: String,
) -> Decided {
    let (subject, fact) = context.quarantine(&rollout.to, &reason);
    let decided = decided.say(subject, &rollout.to.link, fact);
    if rollout.is_past() {
        return stay(context, decided, rollout, &reason);
    }
    let weight = match &rollout.stage {
        Stage::Step(held) => held.weight,
        _ => 0,
    };
    let held = Returning { degree: None, weight, since: None, waits: None, reason };
    if following(context, &held).is_none()
        || is_ready(context, rollout.from.as_ref().map(|from| from.release))
    {
        return go_on(context, decided, rollout, &held);
    }
    rollout.enter(Stage::Return(held));
    wish(context, decided, rollout)
}

/// The new release still has some of its share: it is held, and left for the next degree, or for all at once.
pub(crate) fn held(
    context: &Context<'_>,
    decided: Decided,
    mut rollout: Rollout,
    mut held: Returning,
    reached: bool,
) -> Decided {
    if !is_ready(context, Some(rollout.to.release)) || is_closed(context, &rollout) {
        return take_back(context, decided, rollout, held.reason);
    }
    if !reached {
        return wish(context, decided, rollout);
    }
    let now = context.at.now;
    if !is_ready(context, rollout.from.as_ref().map(|from| from.release)) {
        held.since = None;
        let gives_up = *held.waits.get_or_insert(now) + span(context.environment.deadline_ms);
        if now >= gives_up {
            // The outside moves the traffic when it is ready after all.
            return take_back(context, decided, rollout, held.reason);
        }
        rollout.stage = Stage::Return(held);
        return look_again(context, decided, rollout, gives_up.min(now + span(context.poll_ms)));
    }
    held.waits = None;
    let hold_ms = held.degree.and_then(|number| degree(context, number)).map_or(0, |degree| degree.hold_ms);
    let ends = *held.since.get_or_insert(now) + span(hold_ms);
    if now < ends {
        rollout.stage = Stage::Return(held);
        return look_again(context, decided, rollout, ends.min(now + between(context, hold_ms)));
    }
    go_on(context, decided, rollout, &held)
}

/// The next degree; after the last one the old release has all the traffic.
fn go_on(context: &Context<'_>, decided: Decided, rollout: Rollout, held: &Returning) -> Decided {
    match following(context, held) {
        Some(held) => next(context, decided, rollout, Stage::Return(held)),
        None => take_back(context, decided, rollout, held.reason.clone()),
    }
}

/// The degree after that one which leaves the new release less than it has.
fn following(context: &Context<'_>, held: &Returning) -> Option<Returning> {
    let first = held.degree.map_or(0, |number| number + 1);
    let mut degrees = (first..).map_while(|number| Some((number, degree(context, number)?)));
    let (number, degree) = degrees.find(|(_, degree)| degree.weight < held.weight)?;
    let reason = held.reason.clone();
    Some(Returning { degree: Some(number), weight: degree.weight, since: None, waits: None, reason })
}

fn degree(context: &Context<'_>, number: u32) -> Option<Degree> {
    let degrees = &context.environment.strategy.plan()?.rollback;
    degrees.get(usize::try_from(number).ok()?).copied()
}

fn is_ready(context: &Context<'_>, release: Option<u64>) -> bool {
    let seen = release.and_then(|release| context.seen.running.release(release));
    seen.is_some_and(|seen| seen.phase == Phase::Ready)
}

/// The gate closed on it, or it was taken back where it ran before: more than what was measured here.
fn is_closed(context: &Context<'_>, rollout: &Rollout) -> bool {
    context.verdict(&rollout.to.image).is_some_and(|verdict| {
        let gate = verdict.gate.as_ref().and_then(|gate| gate.verdict);
        verdict.before.is_some() || gate == Some(types::Verdict::Fail)
    })
}
