//! When to build, and what to say of it.
//!
//! A commit is built when it is the branch's tip. When it is an ancestor of the tip it is superseded, unless the push
//! was forced. In all other cases the answer may be stale: it is asked again [`SETTLE_MS`] after the push was heard
//! of, and taken as true then.

use jiff::Timestamp;
use longshore_events::{
    ImageName, Link,
    types::{BuildFinished, BuildOutcome, BuildStarted, BuildTimes, ImagePushed},
};
use longshore_frame::{At, Cause, Decision, Told, span};
use longshore_policy::SETTLE_MS;
use longshore_ports::{BuildFailure, BuildOrder, BuildStatus, Built, Relation};

use crate::{Input, Push, Seen, Stage, State};

type Decided = Decision<State, BuildOrder>;

/// All that a decision depends on, besides the state and the cause.
pub(crate) struct Context<'a> {
    pub(crate) order: BuildOrder,
    pub(crate) image: ImageName,
    pub(crate) builder: &'a str,
    pub(crate) at: At,
    pub(crate) seen: &'a Seen,
    pub(crate) poll_ms: u64,
    /// How long a superseded commit is watched after its push was heard of, in milliseconds.
    pub(crate) watch_ms: u64,
}

impl Context<'_> {
    fn after(&self, ms: u64) -> Timestamp {
        self.at.now + span(ms)
    }
}

/// The next decision.
pub(crate) fn decide(context: &Context<'_>, mut state: State, cause: Cause<Input>) -> Decided {
    match cause {
        Cause::Told(told) => hear(&mut state, told, context.at.now),
        Cause::Failed(failure) => {
            let failure =
                BuildFailure { reason: failure.error, logs_ref: None, times: BuildTimes::default() };
            return failed(context, state, &failure);
        }
        Cause::Woken | Cause::Done => {}
    }
    match state.stage {
        Stage::Waiting => begin(context, state),
        Stage::Superseded => watch(context, state),
        Stage::Building => follow(context, state),
        Stage::Ended => Decision::rest(state),
    }
}

/// A push of this commit. One that ended is looked at anew; one that is being built goes on.
fn hear(state: &mut State, told: Told<Input>, now: Timestamp) {
    let Input::PushReceived(push) = told.input;
    let was_forced = state.push.as_ref().is_some_and(|before| before.forced && state.stage != Stage::Ended);
    let known = state.push.take().and_then(|before| before.actor);
    let actor = push.actor.or(known);
    state.push = Some(Push { told_at: now, forced: push.forced || was_forced, actor, link: told.link });
    if matches!(state.stage, Stage::Ended | Stage::Superseded) {
        state.stage = Stage::Waiting;
    }
}

fn begin(context: &Context<'_>, state: State) -> Decided {
    let Some(push) = state.push.clone() else { return Decision::rest(state) };
    let settles = push.told_at + span(SETTLE_MS);
    match context.seen.tip {
        Some(Relation::Same) => build(context, state, &push),
        Some(Relation::Ahead) if !push.forced => superseded(context, state),
        _ if context.at.now < settles => Decision::rest(state).wake(settles),
        _ => superseded(context, state),
    }
}

/// The commit is the tip: builds it, unless an image stands for it already.
fn build(context: &Context<'_>, state: State, push: &Push) -> Decided {
    if let Some(built) = state.built.clone() {
        let actor = push.actor.clone().or(built.actor);
        return ended(state, ImagePushed { forced: push.forced, actor, ..built });
    }
    if let Some(last) = &context.seen.unchanged {
        let image = ImagePushed {
            commit: Some(context.order.commit.clone()),
            forced: push.forced,
            actor: push.actor.clone(),
            ..last.clone()
        };
        let fact = BuildFinished {
            image: Some(image.image.clone()),
            digest: Some(image.digest.clone()),
            manifests_ref: image.manifests_ref.clone(),
            ..finished(context, BuildOutcome::Unchanged)
        };
        let decided = ended(state, image);
        return decided.say(context.order.service.as_str(), &push.link, fact);
    }
    if context.at.stopped {
        let poll = context.after(context.poll_ms);
        return Decision::rest(state).wake(poll);
    }
    let fact = BuildStarted {
        service: context.order.service.clone(),
        repo: context.order.repo.clone(),
        commit: context.order.commit.clone(),
        builder: context.builder.to_owned(),
    };
    start(context, state).say(context.order.service.as_str(), &push.link, fact)
}

fn start(context: &Context<'_>, state: State) -> Decided {
    let state = State { stage: Stage::Building, ..state };
    Decision::rest(state).effect(context.order.clone()).wake(context.after(context.poll_ms))
}

/// Looks how the build stands. One that was cut off is begun again, under the same key.
fn follow(context: &Context<'_>, state: State) -> Decided {
    match &context.seen.status {
        Some(BuildStatus::Running) => Decision::rest(state).wake(context.after(context.poll_ms)),
        Some(BuildStatus::Succeeded(built)) => succeeded(context, state, built),
        Some(BuildStatus::Failed(failure)) => failed(context, state, failure),
        None if context.at.stopped => Decision::rest(state).wake(context.after(context.poll_ms)),
        None => start(context, state),
    }
}

fn succeeded(context: &Context<'_>, mut state: State, built: &Built) -> Decided {
    let push = state.push.clone();
    let image = ImagePushed {
        image: context.image.clone(),
        tag: Some(built.tag.clone()),
        digest: built.digest.clone(),
        media_type: built.media_type.clone(),
        platforms: built.platforms.clone(),
        service: Some(context.order.service.clone()),
        commit: Some(context.order.commit.clone()),
        manifests_ref: built.manifests_ref.clone(),
        forced: push.as_ref().is_some_and(|push| push.forced),
        actor: push.as_ref().and_then(|push| push.actor.clone()),
    };
    let fact = BuildFinished {
        image: Some(context.image.clone()),
        digest: Some(built.digest.clone()),
        manifests_ref: built.manifests_ref.clone(),
        logs_ref: built.logs_ref.clone(),
        times: Some(built.times),
        ..finished(context, BuildOutcome::Succeeded)
    };
    state.built = Some(image.clone());
    let decided = ended(state, image);
    match link(push.as_ref()) {
        Some(link) => decided.say(context.order.service.as_str(), link, fact),
        None => decided,
    }
}

fn failed(context: &Context<'_>, state: State, failure: &BuildFailure) -> Decided {
    let fact = BuildFinished {
        reason: Some(failure.reason.clone()),
        logs_ref: failure.logs_ref.clone(),
        times: Some(failure.times),
        ..finished(context, BuildOutcome::Failed)
    };
    ended_with(context, state, fact)
}

fn superseded(context: &Context<'_>, state: State) -> Decided {
    let fact = BuildFinished {
        reason: Some("it is not the branch's tip any more".into()),
        ..finished(context, BuildOutcome::Superseded)
    };
    let mut decided = ended_with(context, state, fact);
    decided.state.stage = Stage::Superseded;
    watching(context, decided)
}

/// Builds a superseded commit after all when the branch came back to it.
fn watch(context: &Context<'_>, state: State) -> Decided {
    match state.push.clone() {
        Some(push) if context.seen.tip == Some(Relation::Same) => build(context, state, &push),
        _ => watching(context, Decision::rest(state)),
    }
}

fn watching(context: &Context<'_>, mut decided: Decided) -> Decided {
    let heard = decided.state.push.as_ref().map(|push| push.told_at);
    match heard.map(|heard| heard + span(context.watch_ms)) {
        Some(until) if context.at.now < until => decided.wake(until.min(context.after(context.watch_ms / 5))),
        _ => {
            decided.state.stage = Stage::Ended;
            decided
        }
    }
}

/// At its end without an image.
fn ended_with(context: &Context<'_>, state: State, fact: BuildFinished) -> Decided {
    let push = state.push.clone();
    let decided = Decision::rest(State { stage: Stage::Ended, ..state });
    match link(push.as_ref()) {
        Some(link) => decided.say(context.order.service.as_str(), link, fact),
        None => decided,
    }
}

/// At its end with an image, which is said.
fn ended(state: State, image: ImagePushed) -> Decided {
    let push = state.push.clone();
    let decided = Decision::rest(State { stage: Stage::Ended, ..state });
    match link(push.as_ref()) {
        Some(link) => decided.say(image.image.to_string(), link, image),
        None => decided,
    }
}

fn link(push: Option<&Push>) -> Option<&Link> {
    push.map(|push| &push.link)
}

fn finished(context: &Context<'_>, outcome: BuildOutcome) -> BuildFinished {
    BuildFinished {
        service: context.order.service.clone(),
        repo: context.order.repo.clone(),
        commit: context.order.commit.clone(),
        builder: context.builder.to_owned(),
        outcome,
        reason: None,
        image: None,
        digest: None,
        manifests_ref: None,
        logs_ref: None,
        times: None,
    }
}

#[cfg(test)]
#[path = "decide_tests.rs"]
mod tests;
