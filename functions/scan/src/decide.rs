//! When to scan, and what to say of it.

use jiff::Timestamp;
use longshore_events::types::{ImageScanned, ScanStatus};
use longshore_frame::{At, Cause, Decision, Told, span};
use longshore_ports::{ScanReport, ScanState, ScannerVersion};

use crate::{Begin, Input, Seen, Stage, State, order};

type Decided = Decision<State, Begin>;

/// The longest reason that is said, in characters.
const REASON: usize = 500;

/// All that a decision depends on, besides the state and the cause.
pub(crate) struct Context<'a> {
    /// The image at its digest.
    pub(crate) subject: &'a str,
    pub(crate) at: At,
    pub(crate) seen: &'a Seen,
    /// How long a scan may take, in milliseconds.
    pub(crate) timeout_ms: u64,
    pub(crate) poll_ms: u64,
    /// After how long an image that runs is looked at again, in milliseconds; `None`: never.
    pub(crate) again_ms: Option<u64>,
}

impl Context<'_> {
    fn after(&self, ms: u64) -> Timestamp {
        self.at.now + span(ms)
    }

    /// At its end, until it is looked at again.
    fn rests(&self, state: State) -> Decided {
        let rests = Decision::rest(state);
        match self.again_ms.filter(|_| self.seen.runs) {
            Some(again_ms) => rests.wake(self.after(again_ms)),
            None => rests,
        }
    }
}

/// The next decision.
pub(crate) fn decide(context: &Context<'_>, mut state: State, cause: Cause<Input>) -> Decided {
    let performed = cause == Cause::Done;
    match cause {
        Cause::Told(told) => hear(context, &mut state, told),
        Cause::Failed(failure) if state.stage == Stage::Scanning => {
            return failed(context, state, failure.error);
        }
        Cause::Failed(_) | Cause::Woken | Cause::Done => {}
    }
    match state.stage {
        Stage::Waiting => begin(context, state),
        Stage::Scanning => follow(context, state, performed),
        Stage::Ended => look_again(context, state),
    }
}

/// The image came, or came again. One that was scanned whole by what would scan it now needs no other scan.
fn hear(context: &Context<'_>, state: &mut State, told: Told<Input>) {
    // A rollout that ended changes nothing of the image: it is looked at again, as after any hint.
    let Input::ImagePushed(image) = told.input else { return };
    state.order = Some(order(&image));
    state.link = Some(told.link);
    let is_broken = state.said.as_ref().is_none_or(|said| said.status != ScanStatus::Complete);
    if state.stage == Stage::Ended && (is_broken || is_outdated(context, state)) {
        state.stage = Stage::Waiting;
    }
}

/// What would scan now is not what scanned last. Where nobody names the advisories, that cannot be known.
fn is_outdated(context: &Context<'_>, state: &State) -> bool {
    let Some(ScannerVersion { scanner, database: Some(database) }) = &context.seen.version else {
        return false;
    };
    let begun = state.version.as_ref();
    let used = state.said.as_ref().and_then(|said| said.database.as_ref());
    let used = used.or(begun.and_then(|begun| begun.database.as_ref()));
    used != Some(database) || begun.is_some_and(|begun| begun.scanner != *scanner)
}

/// What runs and could not be looked through is tried again, as often as the rest is looked at.
fn is_to_be_tried_again(context: &Context<'_>, state: &State) -> bool {
    let due = context.again_ms.zip(state.failed_at).map(|(again_ms, at)| at + span(again_ms));
    context.seen.runs && due.is_some_and(|due| context.at.now >= due)
}

fn begin(context: &Context<'_>, mut state: State) -> Decided {
    let Some(order) = state.order.clone() else { return Decision::rest(state) };
    if context.at.stopped {
        return Decision::rest(state).wake(context.after(context.poll_ms));
    }
    state.stage = Stage::Scanning;
    state.scans += 1;
    state.version.clone_from(&context.seen.version);
    state.deadline = Some(context.after(context.timeout_ms));
    let effect = Begin { number: state.scans, order };
    waits(context, state).effect(effect)
}

/// Looks how the scan stands. One that was cut off is begun again, under the same key.
fn follow(context: &Context<'_>, state: State, performed: bool) -> Decided {
    let late = state.deadline.filter(|deadline| context.at.now >= *deadline);
    // That it was never begun may be an old answer: it gets the same time once more.
    let lost = late.is_some_and(|deadline| context.at.now >= deadline + span(context.timeout_ms));
    match &context.seen.state {
        Some(ScanState::Ended(report)) => ended(context, state, report.clone()),
        state_seen if lost || (late.is_some() && state_seen.is_some()) => {
            let seconds = context.timeout_ms / 1000;
            failed(context, state, format!("it did not end within {seconds} s"))
        }
        None if !context.at.stopped && !performed => {
            let order = state.order.clone();
            let effect = order.map(|order| Begin { number: state.scans, order });
            let mut decided = waits(context, state);
            decided.effects.extend(effect);
            decided
        }
        Some(ScanState::Running) | None => waits(context, state),
    }
}

fn waits(context: &Context<'_>, state: State) -> Decided {
    let deadline = state.deadline.filter(|deadline| *deadline > context.at.now);
    let decided = Decision::rest(state).wake(context.after(context.poll_ms));
    deadline.into_iter().fold(decided, Decision::wake)
}

/// Somebody hinted: the result came late, is another one by now, or there are newer advisories.
fn look_again(context: &Context<'_>, mut state: State) -> Decided {
    let said = state.said.as_ref();
    match &context.seen.state {
        Some(ScanState::Ended(report)) if said != Some(&sound(report.clone())) => {
            ended(context, state, report.clone())
        }
        _ if is_outdated(context, &state) || is_to_be_tried_again(context, &state) => {
            state.stage = Stage::Waiting;
            begin(context, state)
        }
        _ => context.rests(state),
    }
}

fn failed(context: &Context<'_>, state: State, reason: String) -> Decided {
    let scanner = state.version.as_ref().map_or_else(String::new, |version| version.scanner.clone());
    ended(context, state, ScanReport::unknown(scanner, ScanStatus::Failed, reason))
}

/// At its end, which is said.
fn ended(context: &Context<'_>, mut state: State, report: ScanReport) -> Decided {
    let report = sound(report);
    state.stage = Stage::Ended;
    state.deadline = None;
    state.said = Some(report.clone());
    state.failed_at = (report.status != ScanStatus::Complete).then_some(context.at.now);
    let (Some(order), Some(link)) = (state.order.clone(), state.link.clone()) else {
        return Decision::rest(state);
    };
    let fact = ImageScanned {
        image: order.image.name,
        digest: order.image.digest,
        scanner: report.scanner,
        database: report.database,
        scope: report.scope,
        status: report.status,
        reason: report.reason,
        counts: report.counts,
        findings_ref: report.findings_ref,
        sbom_ref: report.sbom_ref,
    };
    Decision::rest(state).say(context.subject, &link, fact)
}

/// A report that counts. One that is complete and looked for nothing has failed; a reason is one short line.
fn sound(mut report: ScanReport) -> ScanReport {
    if report.status == ScanStatus::Complete && report.scope.is_empty() {
        report.status = ScanStatus::Failed;
        report.reason = Some("the scanner says that it is complete, and looked for nothing".into());
    }
    let line = |text: String| {
        let words: Vec<_> = text.split(|c: char| c.is_whitespace() || c.is_control()).collect();
        words.join(" ").chars().take(REASON).collect()
    };
    report.reason = report.reason.map(line);
    report
}

#[cfg(test)]
#[path = "decide_tests.rs"]
mod tests;
