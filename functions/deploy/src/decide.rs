//! What to do next, in pure code: begin a rollout, refuse an image, go back when asked.

use jiff::Timestamp;
use longshore_events::{
    ImageRef, Link,
    types::{
        self, DeploymentFinished, DeploymentOutcome, DeploymentStarted, DigestQuarantined, RequestMade,
        WindowOverride,
    },
};
use longshore_frame::{At, Cause, Decision, Lease, Said, span};
use longshore_policy::{Closed, Environment, Probe, Service, Strategy};
use longshore_ports::{Health, ProbeTarget, RunSpec, Workload};

use crate::{
    Apply, Asked, Candidate, Input, Release, Rollout, Seen, Stage, State, Verdict, Waiting,
    choose::{Choice, choose},
    rollout,
};

pub(crate) type Decided = Decision<State, Apply>;

/// All that a decision depends on, besides the state and the cause.
pub(crate) struct Context<'a> {
    pub(crate) workload: &'a Workload,
    pub(crate) environment: &'a Environment,
    pub(crate) service: &'a Service,
    pub(crate) at: At,
    pub(crate) seen: &'a Seen,
    pub(crate) poll_ms: u64,
    /// How long images are remembered after the last one was heard of, in milliseconds.
    pub(crate) watch_ms: u64,
}

/// So many milliseconds.
impl Context<'_> {
    pub(crate) fn after(&self, ms: u64) -> Timestamp {
        self.at.now + span(ms)
    }

    pub(crate) fn choose(&self, state: &State) -> Choice {
        choose(state, self.seen, self.at.now, self.is_promoted())
    }

    /// Images come from another environment, and not as they are built.
    pub(crate) fn is_promoted(&self) -> bool {
        self.environment.after.is_some()
    }

    /// A release takes the place of another one instance by instance: a cluster does that by itself.
    fn is_in_place(&self) -> bool {
        self.environment.cluster.is_some() && self.environment.strategy == Strategy::Rolling
    }

    /// Why no rollout of the image begins now.
    pub(crate) fn closed(&self, image: &ImageRef) -> Option<Closed> {
        let closed = self.environment.calendar.closed(self.at.now);
        closed.filter(|_| self.overridden(image).is_none())
    }

    /// The word by which a rollout of the image may begin although the calendar is closed.
    fn overridden(&self, image: &ImageRef) -> Option<&WindowOverride> {
        let word = self.verdict(image)?.gate.as_ref()?.override_window.as_ref();
        word.filter(|word| self.at.now < word.until)
    }

    pub(crate) fn subject(&self) -> String {
        self.workload.to_string()
    }

    pub(crate) fn verdict(&self, release: &ImageRef) -> Option<&Verdict> {
        self.seen.verdicts.iter().find(|verdict| verdict.digest == release.digest)
    }

    pub(crate) fn deployment(&self, generation: u64) -> String {
        format!("{}/{generation}", self.workload)
    }

    /// The end of a rollout, or of an image that was never begun.
    pub(crate) fn finished(
        &self,
        state: &State,
        to: &Candidate,
        outcome: DeploymentOutcome,
    ) -> DeploymentFinished {
        let running = state.current.as_ref();
        DeploymentFinished {
            deployment: self.deployment(running.map_or(0, |release| release.release)),
            environment: self.workload.environment.clone(),
            service: self.workload.service.clone(),
            outcome,
            to: to.image.digest.clone(),
            commit: to.commit.clone(),
            running: running.map(|release| release.image.digest.clone()),
            failure: None,
            boot_ms: None,
        }
    }

    pub(crate) fn quarantine(&self, release: &Release, reason: &str) -> (String, DigestQuarantined) {
        let digest = release.image.digest.clone();
        let fact = DigestQuarantined {
            digest: digest.clone(),
            environment: self.workload.environment.clone(),
            service: self.workload.service.clone(),
            reason: reason.to_owned(),
        };
        (format!("{}/{digest}", self.workload), fact)
    }
}

/// The next decision.
pub(crate) fn decide(context: &Context<'_>, mut state: State, cause: Cause<Input>) -> Decided {
    // It is held anew, if it still has to wait.
    state.held = None;
    match cause {
        Cause::Told(told) => match told.input {
            // What is not known yet is said again when it is.
            Input::GateEvaluated(gate) if gate.verdict == types::Verdict::Unknown => {}
            Input::GateEvaluated(gate) => state.heard(&gate, told.link, context.at.now),
            Input::RequestMade(request) => return roll_back(context, state, &request, told.link),
        },
        Cause::Failed(failure) => return rollout::gave_up(context, state, &failure.error),
        Cause::Woken | Cause::Done => {}
    }
    let choice = context.choose(&state);
    match state.rollout.take() {
        Some(rollout) => rollout::advance(context, state, rollout, choice),
        None => settle(context, state, choice),
    }
}

/// Nothing goes on: begins what was chosen, or rests.
fn settle(context: &Context<'_>, mut state: State, choice: Choice) -> Decided {
    if let Some(asked) = state.asked.take() {
        return go_back(context, state, asked);
    }
    let Some(target) = choice.take else { return rest(context, state, &choice) };
    let verdict = context.verdict(&target.image);
    if let Some(reason) = verdict.and_then(Verdict::refusal) {
        return refuse(context, state, &target, reason);
    }
    if verdict.is_some_and(Verdict::is_unknown) {
        // The gate says when it is known.
        let decided = Decision::rest(state);
        return choice.look_at.into_iter().fold(decided, Decision::wake);
    }
    if let Some(current) = state.current.as_mut().filter(|current| current.image == target.image) {
        current.commit.clone_from(&target.commit);
        current.proven = target.proven;
        let fact = context.finished(&state, &target, DeploymentOutcome::Succeeded);
        let mut decided = superseded(context, state, &target).say(context.subject(), &target.link, fact);
        decided.state.tip.clone_from(&target.commit);
        decided.again = true;
        return decided;
    }
    if let Some(closed) = context.closed(&target.image) {
        return hold(state, &target, closed, choice.look_at);
    }
    match context.at.lease {
        _ if context.at.stopped => wait(context, state),
        Lease::Free(generation) => begin(context, state, &target, generation),
        // A lease that was left over is dropped and taken anew: only taking it mints a generation.
        Lease::Mine(_) => Decided { again: true, ..Decision::rest(state) },
        Lease::Theirs | Lease::None => wait(context, state),
    }
}

/// It waits for the calendar to open; what shall run then is asked anew.
fn hold(mut state: State, target: &Candidate, closed: Closed, look_at: Option<Timestamp>) -> Decided {
    let Closed { why, until } = closed;
    state.held = Some(Waiting { image: target.image.clone(), commit: target.commit.clone(), why, until });
    let looks = until.into_iter().chain(look_at);
    looks.fold(Decision::rest(state), Decision::wake)
}

fn wait(context: &Context<'_>, state: State) -> Decided {
    Decision::rest(state).wake(context.after(context.poll_ms))
}

/// Rests until the choice is settled; then every other image is superseded.
fn rest(context: &Context<'_>, state: State, choice: &Choice) -> Decided {
    if let Some(look_at) = choice.look_at {
        return Decision::rest(state).wake(look_at);
    }
    let mut decided = Decision::rest(state);
    if !choice.settled {
        return decided;
    }
    let before = decided.state.clone();
    for candidate in &mut decided.state.candidates {
        candidate.fresh = false;
    }
    for candidate in before.candidates.iter().filter(|candidate| candidate.fresh) {
        let is_current = before.current.as_ref().is_some_and(|current| current.image == candidate.image);
        if !is_current {
            let fact = not_the_tip(context, &before, candidate);
            decided = decided.say(context.subject(), &candidate.link, fact);
        }
    }
    let watched = before.told_at.map(|told| told + span(context.watch_ms));
    if let Some(until) = watched.filter(|until| context.at.now < *until && !before.candidates.is_empty()) {
        return decided.wake(until.min(context.after(context.watch_ms / 5)));
    }
    decided.state.candidates.clear();
    decided
}

fn not_the_tip(context: &Context<'_>, state: &State, candidate: &Candidate) -> DeploymentFinished {
    let tip = context.seen.tip.as_ref().map_or("gone", |tip| tip.short());
    let why = match &context.environment.after {
        Some(promotion) => format!("a newer one came from {}", promotion.from),
        None => format!("it is not the branch's tip, which is {tip}"),
    };
    DeploymentFinished {
        failure: Some(why),
        ..context.finished(state, candidate, DeploymentOutcome::Superseded)
    }
}

/// Everything heard of before `target` is dealt with.
pub(crate) fn superseded(context: &Context<'_>, state: State, target: &Candidate) -> Decided {
    let mut decided = Decision::rest(state);
    let before = decided.state.clone();
    for candidate in &mut decided.state.candidates {
        candidate.fresh &= candidate.forced && !context.is_promoted() && candidate.image != target.image;
    }
    for (old, new) in before.candidates.iter().zip(decided.state.candidates.clone()) {
        if old.fresh && !new.fresh && old.image != target.image {
            let fact = not_the_tip(context, &before, old);
            decided = decided.say(context.subject(), &old.link, fact);
        }
    }
    decided
}

fn refuse(context: &Context<'_>, mut state: State, target: &Candidate, reason: String) -> Decided {
    let was_fresh = target.fresh;
    state.candidates.retain(|candidate| candidate.image != target.image);
    let fact = DeploymentFinished {
        failure: Some(reason),
        ..context.finished(&state, target, DeploymentOutcome::Refused)
    };
    let decided = Decided { again: true, ..Decision::rest(state) };
    if was_fresh { decided.say(context.subject(), &target.link, fact) } else { decided }
}

fn begin(context: &Context<'_>, state: State, target: &Candidate, generation: u64) -> Decided {
    let to = Release {
        release: generation,
        image: target.image.clone(),
        commit: target.commit.clone(),
        proven: target.proven,
        no_rollback_past: context.seen.past.contains(&target.image.digest),
        run: run_spec(context.service),
        manifests: target.manifests.clone(),
        link: target.link.clone(),
    };
    let mut decided = superseded(context, state, target);
    decided.state.tip.clone_from(&target.commit);
    start(context, decided, to, false)
}

/// The first step of a rollout to `to`, whose generation is that of the lease taken in this commit.
fn start(context: &Context<'_>, mut decided: Decided, to: Release, requested: bool) -> Decided {
    let is_closed = !requested && context.environment.calendar.closed(context.at.now).is_some();
    let fact = DeploymentStarted {
        override_window: context.overridden(&to.image).filter(|_| is_closed).cloned(),
        deployment: context.deployment(to.release),
        environment: context.workload.environment.clone(),
        service: context.workload.service.clone(),
        strategy: context.environment.strategy.name().into(),
        from: decided.state.current.as_ref().map(|release| release.image.digest.clone()),
        to: to.image.digest.clone(),
        commit: to.commit.clone(),
    };
    let rollout = Rollout {
        generation: to.release,
        step: 1,
        stage: if context.is_in_place() { Stage::Roll } else { Stage::Start },
        from: decided.state.current.clone(),
        deadline: None,
        works_until: None,
        shifted_at: None,
        ready_at: None,
        boot_ms: None,
        requested,
        stays: None,
        to,
    };
    decided = decided.say(context.subject(), &rollout.to.link, fact);
    rollout::wish(context, decided, rollout)
}

/// Somebody asked to go back: out of the rollout that goes on, or, once nothing does, to the good release before.
fn roll_back(context: &Context<'_>, mut state: State, request: &RequestMade, link: Link) -> Decided {
    let why = request.why.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
    let reason = format!("{} asked to roll back{why}", request.who);
    let choice = context.choose(&state);
    match state.rollout.take() {
        Some(rollout) if rollout.is_past() => {
            let refused = cannot_go_back(context, &state, &rollout.to, &link);
            let mut decided = rollout::advance(context, state, rollout, choice);
            decided.facts.push(refused);
            decided
        }
        Some(rollout)
            if matches!(
                rollout.stage,
                Stage::Start | Stage::Roll | Stage::Step(_) | Stage::Shift | Stage::Return(_)
            ) =>
        {
            let back_to = rollout.from.as_ref().map(|release| &release.image.digest);
            if request.to.is_some() && request.to.as_ref() != back_to {
                // Once it is back where it was, it goes on from there.
                state.asked = Some(Asked { to: request.to.clone(), reason: reason.clone(), link });
            }
            rollout::back(context, Decision::rest(state), rollout, reason)
        }
        Some(rollout) => rollout::advance(context, state, rollout, choice),
        None => {
            state.asked = Some(Asked { to: request.to.clone(), reason, link });
            settle(context, state, choice)
        }
    }
}

/// Goes back, as soon as nobody else has the lease.
fn go_back(context: &Context<'_>, mut state: State, asked: Asked) -> Decided {
    let wanted = |release: &Release| asked.to.as_ref().is_none_or(|to| release.image.digest == *to);
    let (Some(bad), Some(place)) = (state.current.clone(), state.previous.iter().position(wanted)) else {
        return nothing_before(context, state, &asked);
    };
    if let Some(release) = state.in_the_way(place).cloned() {
        let refused = cannot_go_back(context, &state, &release, &asked.link);
        let mut decided = Decided { again: true, ..Decision::rest(state) };
        decided.facts.push(refused);
        return decided;
    }
    let good = state.previous[place].clone();
    let generation = match context.at.lease {
        Lease::Free(generation) => generation,
        lease => {
            state.asked = Some(asked);
            // A lease that was left over is dropped and taken anew.
            let again = matches!(lease, Lease::Mine(_));
            return if again { Decided { again, ..Decision::rest(state) } } else { wait(context, state) };
        }
    };
    state.previous.remove(place);
    let (subject, fact) = context.quarantine(&bad, &asked.reason);
    let to = Release { release: generation, link: asked.link.clone(), ..good };
    let decided = Decision::rest(state).say(subject, &asked.link, fact);
    start(context, decided, to, true)
}

/// Somebody asked to go back past a release that nothing goes back past: what runs goes on, and that is said.
fn cannot_go_back(context: &Context<'_>, state: &State, past: &Release, link: &Link) -> Said {
    let target = Candidate {
        image: past.image.clone(),
        commit: past.commit.clone(),
        forced: false,
        proven: past.proven,
        manifests: None,
        fresh: false,
        link: link.clone(),
    };
    let fact = DeploymentFinished {
        failure: Some(format!("nothing goes back: {}", past.fix_forward())),
        ..context.finished(state, &target, DeploymentOutcome::Refused)
    };
    Said { subject: context.subject(), link: link.clone(), data: fact.into() }
}

/// What else was heard of is looked at again: it may be what to run.
fn nothing_before(context: &Context<'_>, state: State, asked: &Asked) -> Decided {
    let link = &asked.link;
    let decided = Decided { again: true, ..Decision::rest(state) };
    let Some(current) = decided.state.current.clone() else { return decided };
    let target = Candidate {
        image: current.image,
        commit: current.commit,
        forced: false,
        proven: current.proven,
        manifests: None,
        fresh: false,
        link: link.clone(),
    };
    let fact = DeploymentFinished {
        failure: Some(match &asked.to {
            Some(to) => format!("{to} is none of the good releases before this one"),
            None => "there is no release before this one to go back to".into(),
        }),
        ..context.finished(&decided.state, &target, DeploymentOutcome::Refused)
    };
    decided.say(context.subject(), link, fact)
}

fn run_spec(service: &Service) -> RunSpec {
    RunSpec {
        env: service.run.env.clone(),
        args: service.run.args.clone(),
        ready: health(&service.run.ready),
        health: service.run.health.as_ref().map(health),
        drain_ms: service.run.drain_ms,
        stop_ms: service.run.stop_ms,
    }
}

fn health(probe: &Probe) -> Health {
    Health {
        target: probe.path.clone().map_or(ProbeTarget::Tcp, ProbeTarget::Http),
        interval_ms: probe.interval_ms,
        timeout_ms: probe.timeout_ms,
        failures: probe.failures,
    }
}

#[cfg(test)]
#[path = "decide_tests/mod.rs"]
mod tests;
