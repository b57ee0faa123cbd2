//! The steps of a canary or of blue-green: each is held, measured, and left for the next one, or back.

use jiff::{SignedDuration, Timestamp};
use longshore_events::types::VerificationFinished;
use longshore_frame::span;
use longshore_policy::Step;
use longshore_ports::{ObservedRelease, Phase};

use crate::{
    Answer, Held, Rollout, Stage,
    decide::{Context, Decided},
    returning,
    rollout::{back, is_held, next, reason},
    verify::{Judged, judge},
};

/// A step is looked at so often while it lasts, besides what hints.
const LOOKS: u64 = 20;
/// The longest time between two looks, in milliseconds.
const LONGEST_MS: u64 = 15_000;

/// The stage after that of step `done`; `None` is before the first. A release with nothing to go back to, and one that
/// somebody asked for, has all the traffic at once.
pub(crate) fn following(context: &Context<'_>, rollout: &Rollout, done: Option<&Held>) -> Stage {
    let mut number = done.map_or(0, |done| done.number + 1);
    // A share of the traffic could not be taken back.
    let is_share = |number| step(context, number).is_some_and(|step| !matches!(step.weight, 0 | 100));
    while rollout.to.no_rollback_past && is_share(number) {
        number += 1;
    }
    let takes_steps = rollout.from.is_some() && !rollout.requested;
    let had = done.map_or(0, |done| done.weight);
    // Whoever changes the configuration meanwhile never takes traffic away by that.
    let step = step(context, number).filter(|step| takes_steps && step.weight >= had);
    match step {
        Some(step) => Stage::Step(Held { number, weight: step.weight, since: None }),
        None if had == 100 => Stage::Finish,
        None => Stage::Shift,
    }
}

/// The step of that number, where the strategy has one.
fn step<'a>(context: &Context<'a>, number: u32) -> Option<&'a Step> {
    context.environment.strategy.plan()?.step(number)
}

/// The new release has its share: measured until the step is over.
pub(crate) fn held(
    context: &Context<'_>,
    decided: Decided,
    mut rollout: Rollout,
    mut held: Held,
    new: Option<&ObservedRelease>,
) -> Decided {
    if new.is_none_or(|new| new.phase != Phase::Ready) {
        return back(context, decided, rollout, reason("it did not stay ready", new));
    }
    let (now, step) = (context.at.now, step(context, held.number));
    let hold_ms = step.map_or(0, |step| step.hold_ms);
    let since = *held.since.get_or_insert(now);
    rollout.stage = Stage::Step(held.clone());
    let judged = judged(context, &rollout, step);
    let ends = since + span(hold_ms);
    let gives_up = ends + span(context.environment.strategy.plan().map_or(0, |plan| plan.patience_ms));
    if let Some(failed) = judged.failed.clone() {
        let said = say(context, decided, &rollout, &held, judged);
        let reason = format!("it measured bad at {} %: {failed}", held.weight);
        return returning::begin(context, said, rollout, reason);
    }
    // What nobody measured is measured once more: the step begins anew when somebody does.
    if let Some(began) = judged.since.filter(|began| *began > since) {
        rollout.stage = Stage::Step(Held { since: Some(began), ..held });
        return look_again(context, decided, rollout, now + between(context, hold_ms));
    }
    if now < ends {
        return look_again(context, decided, rollout, ends.min(now + between(context, hold_ms)));
    }
    if judged.refused.is_none() && judged.awaited.is_some() && now < gives_up {
        return look_again(context, decided, rollout, gives_up.min(now + between(context, hold_ms)));
    }
    if let Some(unknown) = judged.refused.clone().or(judged.awaited.clone()) {
        let said = say(context, decided, &rollout, &held, judged);
        let reason = format!("it could not be measured at {} %: {unknown}", held.weight);
        return returning::begin(context, said, rollout, reason);
    }
    if is_held(context, &rollout) {
        return look_again(context, decided, rollout, now + between(context, hold_ms));
    }
    let said = say(context, decided, &rollout, &held, judged);
    let stage = following(context, &rollout, Some(&held));
    next(context, said, rollout, stage)
}

fn judged(context: &Context<'_>, rollout: &Rollout, step: Option<&Step>) -> Judged {
    let of = |release: Option<u64>| {
        move |measure: &longshore_events::Measure| -> Option<&Answer> {
            let answers = context.seen.measured.iter();
            let mut answers = answers.filter(|one| Some(one.release) == release && one.measure == *measure);
            answers.next()
        }
    };
    let (new, running) = (Some(rollout.to.release), rollout.from.as_ref().map(|from| from.release));
    judge(step.map_or(&[], |step| &step.checks), of(new), of(running))
}

/// Says what was found; a step without checks found nothing.
fn say(context: &Context<'_>, decided: Decided, rollout: &Rollout, held: &Held, judged: Judged) -> Decided {
    if judged.results.is_empty() {
        return decided;
    }
    let digest = rollout.to.image.digest.clone();
    let fact = VerificationFinished {
        deployment: context.deployment(rollout.generation),
        environment: context.workload.environment.clone(),
        service: context.workload.service.clone(),
        running: rollout.from.as_ref().map(|from| from.image.digest.clone()),
        step: rollout.step,
        weight: held.weight,
        from: held.since.unwrap_or(context.at.now),
        until: context.at.now,
        verdict: judged.verdict,
        checks: judged.results,
        digest: digest.clone(),
    };
    decided.say(format!("{}/{digest}", context.workload), &rollout.to.link, fact)
}

/// Between two looks at a step that lasts so long.
pub(crate) fn between(context: &Context<'_>, hold_ms: u64) -> SignedDuration {
    span((hold_ms / LOOKS).min(LONGEST_MS).max(context.poll_ms))
}

pub(crate) fn look_again(
    context: &Context<'_>,
    mut decided: Decided,
    rollout: Rollout,
    at: Timestamp,
) -> Decided {
    decided.state.rollout = Some(rollout);
    decided.hold().wake(at.max(context.at.now))
}
