//! A rollout, stage by stage: start beside, the strategy's steps, shift the traffic, finish; or go back.

use jiff::Timestamp;
use longshore_events::types::{DeploymentAdvanced, DeploymentFinished, DeploymentOutcome};
use longshore_frame::{Decision, span};
use longshore_ports::{Desired, DesiredRelease, ObservedRelease, Phase, Progress};

use crate::{
    Apply, Candidate, Held, Release, Returning, Rollout, Stage, State, Verdict,
    choose::Choice,
    decide::{Context, Decided, superseded},
    returning, steps,
};

/// The next step of a rollout that goes on.
pub(crate) fn advance(context: &Context<'_>, state: State, mut rollout: Rollout, choice: Choice) -> Decided {
    let running = &context.seen.running;
    let good = |take: &Candidate| {
        context.verdict(&take.image).is_none_or(|one| one.refusal().is_none() && !one.is_unknown())
    };
    let newer = choice.take.filter(good);
    let reached = (running.generation, running.step) >= (rollout.generation, rollout.step);
    let new = running.release(rollout.to.release).cloned();
    rollout.boot_ms = rollout.boot_ms.or(new.as_ref().and_then(|new| new.boot_ms));
    let verdict = context.verdict(&rollout.to.image);
    let bad = verdict.and_then(|verdict| verdict.bad.clone());
    // Who asks to go back goes to a release that was good when it ran.
    let closed = verdict.filter(|_| !rollout.requested).and_then(Verdict::refusal);
    let is_ready = new.as_ref().is_some_and(|new| new.phase == Phase::Ready);
    let mut decided = Decision::rest(state);
    // One whose quarantine was lifted on its way back begins anew afterwards.
    let is_kept = matches!(rollout.stage, Stage::Return(_) | Stage::Back(_));
    if let Some(newer) = newer.as_ref().filter(|newer| newer.image == rollout.to.image && !is_kept) {
        decided = superseded(context, decided.state, newer);
        decided.state.tip.clone_from(&newer.commit);
        (rollout.to.commit, rollout.to.link) = (newer.commit.clone(), newer.link.clone());
        rollout.to.proven = newer.proven;
    }
    // Where no rollout may begin, the one that goes on gives way to nothing.
    let gives_way = |newer: &Candidate| !context.at.stopped && context.closed(&newer.image).is_none();
    let newer = newer.filter(|newer| newer.image != rollout.to.image && gives_way(newer));
    match rollout.stage.clone() {
        Stage::Back(_) | Stage::Withdraw | Stage::Finish if reached => {
            last(context, decided, rollout, new.as_ref())
        }
        Stage::Return(held) => {
            let reached = reached && running.progress != Progress::Again;
            returning::held(context, decided, rollout, held, reached)
        }
        Stage::Back(_) | Stage::Withdraw | Stage::Finish => wish(context, decided, rollout),
        _ if bad.is_some() => back(context, decided, rollout, bad.unwrap_or_default()),
        _ if closed.is_some() => take_back(context, decided, rollout, closed.unwrap_or_default()),
        // A first release that is ready keeps the traffic until the newer one is.
        Stage::Start if newer.is_some() && (rollout.from.is_some() || !is_ready) => {
            give_way(context, decided, rollout)
        }
        Stage::Step(_) if newer.is_some() && rollout.from.is_some() && !rollout.is_past() => {
            give_way(context, decided, rollout)
        }
        _ if !reached || running.progress == Progress::Again => wish(context, decided, rollout),
        Stage::Roll => rolls(context, decided, rollout, new.as_ref()),
        Stage::Step(_) | Stage::Shift if running.progress == Progress::Working => {
            works(context, decided, rollout, new.as_ref())
        }
        Stage::Start => started(context, decided, rollout, new.as_ref()),
        Stage::Step(held) => steps::held(context, decided, rollout, held, new.as_ref()),
        Stage::Shift => shifted(context, decided, rollout, new.as_ref()),
    }
}

/// The last wish of a rollout: over when the outside has come to it.
fn last(
    context: &Context<'_>,
    decided: Decided,
    mut rollout: Rollout,
    new: Option<&ObservedRelease>,
) -> Decided {
    let late = match context.seen.running.progress {
        Progress::Settled => false,
        Progress::Again => return wish(context, decided, rollout),
        Progress::Working if !is_late(context, &mut rollout.works_until) => {
            return wait(context, decided, rollout);
        }
        Progress::Working => true,
    };
    match rollout.stage.clone() {
        Stage::Finish if late && !rollout.is_past() => back(
            context,
            decided,
            rollout,
            reason("it did not take the place of the old release in time", new),
        ),
        Stage::Finish => arrived(context, decided, &rollout),
        Stage::Withdraw => withdrawn(context, decided, &rollout),
        Stage::Back(why) if late => {
            rollout.stage = Stage::Back(format!("{why}; what ran before is not ready again yet"));
            went_back(context, decided, &rollout)
        }
        _ => went_back(context, decided, &rollout),
    }
}

/// The outside is on its way to the share of the traffic that was wished.
fn works(
    context: &Context<'_>,
    decided: Decided,
    mut rollout: Rollout,
    new: Option<&ObservedRelease>,
) -> Decided {
    if new.is_some_and(|new| new.phase == Phase::Failed) {
        return back(context, decided, rollout, reason("it cannot run", new));
    }
    if is_late(context, &mut rollout.works_until) {
        let said = format!("it had not enough instances within {} s", context.environment.deadline_ms / 1000);
        return back(context, decided, rollout, reason(&said, new));
    }
    wait(context, decided, rollout)
}

/// Whether it takes longer than the environment allows, from the first look on.
fn is_late(context: &Context<'_>, until: &mut Option<Timestamp>) -> bool {
    context.at.now >= *until.get_or_insert(context.after(context.environment.deadline_ms))
}

/// The new release takes the old one's place: it is there when all of it has been ready for a while.
fn rolls(
    context: &Context<'_>,
    mut decided: Decided,
    mut rollout: Rollout,
    new: Option<&ObservedRelease>,
) -> Decided {
    let (now, late) = (context.at.now, is_late(context, &mut rollout.deadline));
    if new.is_some_and(|new| new.weight > 0) {
        rollout.shifted_at.get_or_insert(now);
    }
    match new.map(|new| new.phase) {
        Some(Phase::Ready) => {
            if rollout.ready_at.is_none() {
                decided = decided.say(context.subject(), &rollout.to.link, advanced(context, &rollout, 100));
            }
            let settled_at = *rollout.ready_at.get_or_insert(now) + span(context.environment.settle_ms);
            let settled = context.seen.running.progress == Progress::Settled;
            if settled && now >= settled_at && !is_held(context, &rollout) {
                arrived(context, decided, &rollout)
            } else {
                wait(context, decided, rollout).wake(settled_at.max(now))
            }
        }
        Some(Phase::Failed) => back(context, decided, rollout, reason("it cannot run", new)),
        _ if rollout.ready_at.is_some() => {
            back(context, decided, rollout, reason("it did not stay ready", new))
        }
        _ if late => {
            let said = format!("it was not ready within {} s", context.environment.deadline_ms / 1000);
            back(context, decided, rollout, reason(&said, new))
        }
        _ => wait(context, decided, rollout),
    }
}

/// The new release runs beside the old one: gets traffic when it is ready.
fn started(
    context: &Context<'_>,
    decided: Decided,
    mut rollout: Rollout,
    new: Option<&ObservedRelease>,
) -> Decided {
    let phase = new.map(|new| new.phase);
    let late = is_late(context, &mut rollout.deadline);
    match phase {
        Some(Phase::Ready) if is_held(context, &rollout) => wait(context, decided, rollout),
        Some(Phase::Ready) => {
            let stage = steps::following(context, &rollout, None);
            next(context, decided, rollout, stage)
        }
        Some(Phase::Failed) => back(context, decided, rollout, reason("it cannot run", new)),
        _ if late => {
            let said = format!("it was not ready within {} s", context.environment.deadline_ms / 1000);
            back(context, decided, rollout, reason(&said, new))
        }
        _ => wait(context, decided, rollout),
    }
}

/// The new release has the traffic: the old one goes when the new one has stayed ready for a while.
fn shifted(
    context: &Context<'_>,
    decided: Decided,
    rollout: Rollout,
    new: Option<&ObservedRelease>,
) -> Decided {
    let since = rollout.shifted_at.unwrap_or(context.at.now);
    let settled_at = since + span(context.environment.settle_ms);
    match new.map(|new| new.phase) {
        Some(Phase::Ready) if context.at.now < settled_at => wait(context, decided, rollout).wake(settled_at),
        Some(Phase::Ready) if is_held(context, &rollout) => wait(context, decided, rollout),
        Some(Phase::Ready) => next(context, decided, rollout, Stage::Finish),
        _ => back(context, decided, rollout, reason("it did not stay ready", new)),
    }
}

pub(crate) fn reason(what: &str, new: Option<&ObservedRelease>) -> String {
    match new.and_then(|new| new.reason.as_ref()) {
        Some(reason) => format!("{what}: {reason}"),
        None => what.to_owned(),
    }
}

/// The next stage; one that moves traffic says so.
pub(crate) fn next(context: &Context<'_>, decided: Decided, mut rollout: Rollout, stage: Stage) -> Decided {
    let weight = match &stage {
        Stage::Shift => Some(100),
        Stage::Step(Held { weight, .. }) | Stage::Return(Returning { weight, .. }) => Some(*weight),
        _ => None,
    };
    if stage == Stage::Shift {
        rollout.shifted_at = Some(context.at.now);
    }
    rollout.enter(stage);
    let Some(weight) = weight else { return wish(context, decided, rollout) };
    let decided = decided.say(context.subject(), &rollout.to.link, advanced(context, &rollout, weight));
    wish(context, decided, rollout)
}

fn advanced(context: &Context<'_>, rollout: &Rollout, weight: u8) -> DeploymentAdvanced {
    DeploymentAdvanced {
        deployment: context.deployment(rollout.generation),
        environment: context.workload.environment.clone(),
        service: context.workload.service.clone(),
        step: rollout.step,
        weight,
        ready: true,
    }
}

fn wait(context: &Context<'_>, mut decided: Decided, rollout: Rollout) -> Decided {
    let deadline = rollout.works_until.or(rollout.deadline).filter(|deadline| *deadline > context.at.now);
    decided.state.rollout = Some(rollout);
    decided.wake = deadline;
    decided.hold().wake(context.after(context.poll_ms))
}

/// It takes the service back to where it was good: out of this rollout, or because somebody asked for it; or it moves no
/// traffic where nothing can go back.
fn is_restoring(rollout: &Rollout) -> bool {
    rollout.requested || rollout.stays.is_some() || rollout.goes_back()
}

/// The stop switch holds it, or nobody knows any more whether it may run.
pub(crate) fn is_held(context: &Context<'_>, rollout: &Rollout) -> bool {
    let unknown = context.verdict(&rollout.to.image).is_some_and(Verdict::is_unknown);
    (context.at.stopped || unknown) && !is_restoring(rollout)
}

/// Commits the wish of the rollout's stage. The same wish again has the same key.
pub(crate) fn wish(context: &Context<'_>, decided: Decided, rollout: Rollout) -> Decided {
    let restoring = is_restoring(&rollout);
    if is_held(context, &rollout) {
        return wait(context, decided, rollout);
    }
    let desired = Desired {
        workload: context.workload.clone(),
        generation: rollout.generation,
        step: rollout.step,
        releases: releases(&rollout),
    };
    let mut decided = wait(context, decided, rollout).effect(Apply { desired, restoring });
    if !restoring {
        let rollout = decided.state.rollout.as_ref();
        let verdict = rollout.and_then(|rollout| context.verdict(&rollout.to.image));
        decided.relied_on.extend(verdict.iter().flat_map(|verdict| verdict.heads.iter().cloned()));
        decided.relied_on.extend(verdict.and_then(|verdict| Some(verdict.gate.as_ref()?.head.clone())));
    }
    decided
}

fn releases(rollout: &Rollout) -> Vec<DesiredRelease> {
    let release = |release: &Release, weight: u8| DesiredRelease {
        release: release.release,
        image: release.image.clone(),
        weight,
        run: release.run.clone(),
        manifests: release.manifests.clone(),
    };
    let (to, from) = (&rollout.to, rollout.from.as_ref());
    match (&rollout.stage, from) {
        (Stage::Start, Some(from)) => vec![release(from, 100), release(to, 0)],
        (Stage::Shift, Some(from)) => vec![release(from, 0), release(to, 100)],
        (Stage::Step(Held { weight, .. }) | Stage::Return(Returning { weight, .. }), Some(from)) => {
            let weight = (*weight).min(100);
            vec![release(from, 100 - weight), release(to, weight)]
        }
        (Stage::Start | Stage::Roll | Stage::Step(_) | Stage::Shift | Stage::Finish, _) => {
            vec![release(to, 100)]
        }
        (Stage::Back(_) | Stage::Withdraw, Some(from)) => vec![release(from, 100)],
        (Stage::Return(_) | Stage::Back(_) | Stage::Withdraw, None) => Vec::new(),
    }
}

/// Takes the new release back, and quarantines its digest in the same commit.
pub(crate) fn back(context: &Context<'_>, decided: Decided, rollout: Rollout, reason: String) -> Decided {
    let (subject, fact) = context.quarantine(&rollout.to, &reason);
    let decided = decided.say(subject, &rollout.to.link, fact);
    take_back(context, decided, rollout, reason)
}

/// Takes the new release back. Its digest is free to come again: who closed the gate may open it.
pub(crate) fn take_back(
    context: &Context<'_>,
    decided: Decided,
    mut rollout: Rollout,
    reason: String,
) -> Decided {
    if rollout.is_past() {
        return stay(context, decided, rollout, &reason);
    }
    rollout.enter(Stage::Back(reason));
    wish(context, decided, rollout)
}

/// It has the traffic, and nothing goes back past it: it keeps what it has, and that is said.
pub(crate) fn stay(context: &Context<'_>, decided: Decided, mut rollout: Rollout, reason: &str) -> Decided {
    rollout.stays.get_or_insert_with(|| format!("left as it is: {reason}; {}", rollout.to.fix_forward()));
    next(context, decided, rollout, Stage::Finish)
}

/// A newer release takes the place of one that has no traffic yet. That one goes first: nobody may find two releases
/// behind a lease that is free, as it is between two rollouts.
fn give_way(context: &Context<'_>, decided: Decided, mut rollout: Rollout) -> Decided {
    rollout.enter(Stage::Withdraw);
    wish(context, decided, rollout)
}

fn withdrawn(context: &Context<'_>, mut decided: Decided, rollout: &Rollout) -> Decided {
    let fact = DeploymentFinished {
        failure: Some("a newer commit took its place".into()),
        ..finished(context, &decided.state, rollout, DeploymentOutcome::Superseded)
    };
    decided.again = true;
    decided.say(context.subject(), &rollout.to.link, fact)
}

fn arrived(context: &Context<'_>, mut decided: Decided, rollout: &Rollout) -> Decided {
    decided.state.arrived(rollout);
    let outcome = match (rollout.requested, &rollout.stays) {
        (true, _) => DeploymentOutcome::RolledBack,
        // It is not good, and so proves nothing to the next environment.
        (false, Some(_)) => DeploymentOutcome::Superseded,
        (false, None) => DeploymentOutcome::Succeeded,
    };
    let failure = rollout.stays.clone();
    let fact = DeploymentFinished { failure, ..finished(context, &decided.state, rollout, outcome) };
    decided.again = true;
    decided.say(context.subject(), &rollout.to.link, fact)
}

fn went_back(context: &Context<'_>, mut decided: Decided, rollout: &Rollout) -> Decided {
    let outcome =
        if rollout.from.is_some() { DeploymentOutcome::RolledBack } else { DeploymentOutcome::Removed };
    let failure = match &rollout.stage {
        Stage::Back(reason) => Some(reason.clone()),
        _ => None,
    };
    let fact = DeploymentFinished { failure, ..finished(context, &decided.state, rollout, outcome) };
    decided.again = true;
    decided.say(context.subject(), &rollout.to.link, fact)
}

/// The outside took a wish of the rollout for none that it can or may fulfil.
pub(crate) fn gave_up(context: &Context<'_>, mut state: State, error: &str) -> Decided {
    let Some(rollout) = state.rollout.take() else { return Decision::rest(state) };
    let newer = context.seen.running.generation > rollout.generation;
    match rollout.stage {
        Stage::Start | Stage::Roll | Stage::Step(_) | Stage::Shift | Stage::Finish
            if !newer && !rollout.is_past() =>
        {
            let reason = format!("it could not be applied: {error}");
            back(context, Decision::rest(state), rollout, reason)
        }
        // All at once may be possible where a degree is not.
        Stage::Return(held) if !newer => {
            let rollout = Rollout { stage: Stage::Start, ..rollout };
            take_back(context, Decision::rest(state), rollout, held.reason)
        }
        _ if rollout.is_past() && !newer => {
            state.arrived(&rollout);
            let failure =
                format!("left as it is: it could not be applied: {error}; {}", rollout.to.fix_forward());
            let outcome = DeploymentOutcome::Superseded;
            let failure = Some(failure);
            let fact = DeploymentFinished { failure, ..finished(context, &state, &rollout, outcome) };
            Decision::rest(state).say(context.subject(), &rollout.to.link, fact)
        }
        _ => {
            let failure = Some(format!("left as it is: {error}"));
            let outcome = DeploymentOutcome::Superseded;
            let fact = DeploymentFinished { failure, ..finished(context, &state, &rollout, outcome) };
            Decision::rest(state).say(context.subject(), &rollout.to.link, fact)
        }
    }
}

fn finished(
    context: &Context<'_>,
    state: &State,
    rollout: &Rollout,
    outcome: DeploymentOutcome,
) -> DeploymentFinished {
    DeploymentFinished {
        deployment: context.deployment(rollout.generation),
        environment: context.workload.environment.clone(),
        service: context.workload.service.clone(),
        outcome,
        to: rollout.to.image.digest.clone(),
        commit: rollout.to.commit.clone(),
        running: state.current.as_ref().map(|release| release.image.digest.clone()),
        failure: None,
        boot_ms: rollout.boot_ms,
    }
}
