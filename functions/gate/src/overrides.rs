//! Words that override the calendar: who may lets an image begin outside of the windows, or within a freeze.

use longshore_events::types::{ApprovalDecision, WindowOverride};

use crate::State;
use crate::checks::ends;
use crate::decide::Context;

/// The word that overrides the environment's calendar for this image, of several the one that does so longest. It has a
/// reason, counts as long as an approval does, and its giver's next word takes its place.
pub(crate) fn given(context: &Context<'_>, state: &State) -> Option<WindowOverride> {
    let environment = context.target.environment;
    let words =
        state.words.iter().filter(|word| word.overrides && word.decision == ApprovalDecision::Approved);
    let allowed = words.filter(|word| context.policy.may_override(&word.who, &environment.name));
    let given = allowed.filter_map(|word| {
        let why = word.why.clone().filter(|why| !why.trim().is_empty())?;
        let (approval, who, until) = (word.event.clone(), word.who.clone(), ends(word, &environment.gate));
        (context.now < until).then_some(WindowOverride { approval, who, why, until })
    });
    given.max_by(|one, other| (one.until, &other.approval).cmp(&(other.until, &one.approval)))
}
