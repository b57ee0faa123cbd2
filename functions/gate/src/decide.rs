//! The verdict, and when to say it.

use jiff::Timestamp;
use longshore_events::types::{GateEvaluated, Proof, Verdict};
use longshore_frame::{Cause, Decision, span};
use longshore_policy::Policy;

use crate::checks::{Check, checks, join, rejection};
use crate::{Heard, Input, Nothing, Proven, Said, Seen, State, Target, Tested, Word, overrides, signatures};

type Decided = Decision<State, Nothing>;

/// All that a decision depends on, besides the state and the cause.
pub(crate) struct Context<'a> {
    pub(crate) target: Target<'a>,
    pub(crate) policy: &'a Policy,
    pub(crate) now: Timestamp,
    pub(crate) seen: &'a Seen,
}

impl Context<'_> {
    /// Whether the person is who pushed the commit, or that may be.
    pub(crate) fn is_author(&self, who: &str, author: Option<&str>) -> bool {
        let Some(author) = author else { return true };
        who == author || self.policy.person(who).is_some_and(|person| person.is(author))
    }
}

/// The next decision.
pub(crate) fn decide(context: &Context<'_>, mut state: State, cause: Cause<Input>) -> Decided {
    let says_it_again = hear(&mut state, cause);
    let Some(last) = state.heard.last().cloned() else { return Decision::rest(state) };
    let mut all = checks(context, &state);
    let joined = join(&all);
    let approved = joined == Verdict::Pass && context.target.environment.gate.approval.is_some();
    let was_approved = state.approved;
    state.approved = (was_approved || approved) && rejection(context, &state).is_none();
    if state.approved && !was_approved {
        all = checks(context, &state);
    }
    let checks = all;
    state.signed =
        signatures::valid(context, &state).cloned().filter(|_| context.target.environment.gate.signature);
    let is_overdue = |check: &Check| check.verdict == Verdict::Unknown && !check.is_patient;
    if joined == Verdict::Unknown && checks.iter().any(is_overdue) {
        state.unknown_since.get_or_insert(context.now);
    } else {
        state.unknown_since = None;
    }
    let deadline_ms = context.target.environment.gate.deadline_ms;
    let deadline = state.unknown_since.map(|since| since + span(deadline_ms));
    let late = deadline.is_some_and(|deadline| context.now >= deadline);
    let verdict = if late { Verdict::Fail } else { joined };
    let mut reasons: Vec<_> = checks
        .iter()
        .filter(|check| check.verdict != Verdict::Pass)
        .map(|check| check.reason.clone())
        .collect();
    if late {
        reasons.push(format!("it was not known within {} s", deadline_ms / 1000));
    }
    let override_window = overrides::given(context, &state);
    let said = Said { verdict, reasons, override_window };
    let is_news = state.said.as_ref() != Some(&said);
    let turned = state.said.as_ref().is_none_or(|before| before.verdict != verdict);
    // A verdict that turned good is said of every image of the digest: any of them may be what shall run.
    let about: Vec<Heard> = match () {
        () if verdict == Verdict::Pass && turned => state.heard.clone(),
        () if is_news || says_it_again => vec![last],
        () => Vec::new(),
    };
    let overridden = said.override_window.as_ref().map(|word| word.until);
    let ends = checks.iter().filter_map(|check| check.until).chain(overridden);
    let until = ends.filter(|until| context.now < *until).min();
    let polls = checks.iter().any(|check| check.polls) && !late;
    let polls = state.unknown_since.filter(|_| polls).map(|since| signatures::look_at(context.now, since));
    state.said = Some(said.clone());
    let facts: Vec<_> =
        about.iter().map(|heard| (heard, evaluated(context, &state, heard, &said, &checks, until))).collect();
    let mut decided = Decision::rest(state);
    for (heard, fact) in facts {
        let subject = format!("{}/{}/{}", fact.environment, fact.service, fact.digest);
        decided = decided.say(subject, &heard.link, fact);
    }
    let looks = until.into_iter().chain(deadline.filter(|_| !late)).chain(polls);
    decided = looks.fold(decided, Decision::wake);
    decided.relied_on.extend(context.seen.heads.iter().cloned());
    decided
}

/// Remembers what was told; true when the verdict is to be said again, whatever it is.
fn hear(state: &mut State, cause: Cause<Input>) -> bool {
    let Cause::Told(told) = cause else { return false };
    let (event, at) = (told.id, told.time);
    match told.input {
        Input::ImagePushed(image) => {
            state.hear(Heard { image, event, link: told.link });
            return true;
        }
        Input::BuildFinished(build) => state.tested = Some(Tested { commit: build.commit, event }),
        Input::DeploymentFinished(deployment) => {
            let generation = generation(&deployment.deployment);
            return generation.is_some_and(|generation| state.prove(Proven { generation, at, event }));
        }
        Input::ApprovalGiven(given) => {
            let (who, decision, why) = (given.who, given.decision, given.why);
            let (until, overrides) = (given.until, given.override_window);
            state.note(Word { who, decision, why, at, until, overrides, event });
        }
        // It is heard of anew: what was refused may run.
        Input::DigestReleased(_) => {
            state.approved = false;
            return true;
        }
        // What was said last of these is looked up.
        Input::ImageScanned(_) | Input::DigestQuarantined(_) => {}
    }
    false
}

/// Of `<environment>/<service>/<generation>`.
fn generation(deployment: &str) -> Option<u64> {
    deployment.rsplit_once('/')?.1.parse().ok()
}

fn evaluated(
    context: &Context<'_>,
    state: &State,
    heard: &Heard,
    said: &Said,
    checks: &[Check],
    until: Option<Timestamp>,
) -> GateEvaluated {
    let word = said.override_window.as_ref().map(|word| word.approval.clone());
    let inputs = checks.iter().flat_map(|check| check.inputs.clone());
    let word = word.filter(|word| checks.iter().all(|check| !check.inputs.contains(word)));
    let proof = context.target.environment.after.as_ref().zip(state.proven.as_ref());
    let proof = proof.map(|(promotion, proven)| Proof {
        environment: promotion.from.clone(),
        generation: proven.generation,
        since: proven.at,
    });
    GateEvaluated {
        environment: context.target.environment.name.clone(),
        service: context.target.service.name.clone(),
        image: heard.image.image.clone(),
        digest: context.target.digest.clone(),
        tag: heard.image.tag.clone(),
        commit: heard.image.commit.clone(),
        forced: heard.image.forced,
        verdict: said.verdict,
        reasons: said.reasons.clone(),
        inputs: std::iter::once(heard.event.clone()).chain(inputs).chain(word).collect(),
        proof,
        manifests_ref: heard.image.manifests_ref.clone(),
        expires_at: until,
        override_window: said.override_window.clone(),
    }
}

#[cfg(test)]
#[path = "decide_tests/mod.rs"]
mod tests;
