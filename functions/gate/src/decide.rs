//! The verdict, and when to say it.

use jiff::{SignedDuration, Timestamp};
use longshore_events::EventId;
use longshore_events::types::{GateEvaluated, ScanStatus, Severity, Verdict};
use longshore_frame::{Cause, Decision};
use longshore_policy::Waiver;

use crate::{Heard, Input, Nothing, Said, Scan, Seen, State, Target, Tested};

type Decided = Decision<State, Nothing>;

/// All that a decision depends on, besides the state and the cause.
pub(crate) struct Context<'a> {
    pub(crate) target: Target<'a>,
    pub(crate) waivers: &'a [Waiver],
    pub(crate) now: Timestamp,
    pub(crate) seen: &'a Seen,
}

/// What one requirement comes to.
struct Check {
    verdict: Verdict,
    reason: String,
    inputs: Vec<EventId>,
    /// When it may come to something else by itself.
    until: Option<Timestamp>,
}

impl Check {
    fn new(verdict: Verdict, reason: impl Into<String>) -> Self {
        Self { verdict, reason: reason.into(), inputs: Vec::new(), until: None }
    }

    fn from(self, event: &EventId) -> Self {
        Self { inputs: vec![event.clone()], ..self }
    }
}

/// The next decision.
pub(crate) fn decide(context: &Context<'_>, mut state: State, cause: Cause<Input>) -> Decided {
    let told_image = hear(&mut state, cause);
    let Some(last) = state.heard.last().cloned() else { return Decision::rest(state) };
    let checks = checks(context, &state);
    let joined = join(&checks);
    if joined == Verdict::Unknown {
        state.unknown_since.get_or_insert(context.now);
    } else {
        state.unknown_since = None;
    }
    let deadline = state.unknown_since.map(|since| since + span(context.target.environment.gate.deadline_ms));
    let late = deadline.is_some_and(|deadline| context.now >= deadline);
    let verdict = if late { Verdict::Fail } else { joined };
    let mut reasons: Vec<_> = checks
        .iter()
        .filter(|check| check.verdict != Verdict::Pass)
        .map(|check| check.reason.clone())
        .collect();
    if late {
        let minutes = context.target.environment.gate.deadline_ms / 1000;
        reasons.push(format!("it was not known within {minutes} s"));
    }
    let said = Said { verdict, reasons };
    let is_news = state.said.as_ref() != Some(&said);
    let turned = state.said.as_ref().is_none_or(|before| before.verdict != verdict);
    // A verdict that turned good is said of every image of the digest: any of them may be what shall run.
    let about: Vec<Heard> = match () {
        () if verdict == Verdict::Pass && turned => state.heard.clone(),
        () if is_news || told_image => vec![last],
        () => Vec::new(),
    };
    let until = checks.iter().filter_map(|check| check.until).min();
    state.said = Some(said.clone());
    let mut decided = Decision::rest(state);
    for heard in about {
        let fact = evaluated(context, &heard, &said, &checks, until);
        let subject = format!("{}/{}/{}", fact.environment, fact.service, fact.digest);
        decided = decided.say(subject, &heard.link, fact);
    }
    let looks = until.into_iter().chain(deadline.filter(|_| !late));
    decided = looks.fold(decided, Decision::wake);
    decided.relied_on.extend(context.seen.head.clone());
    decided
}

fn span(ms: u64) -> SignedDuration {
    SignedDuration::from_millis(i64::try_from(ms).unwrap_or(i64::MAX / 2))
}

/// Remembers what was told; true when that was the image.
fn hear(state: &mut State, cause: Cause<Input>) -> bool {
    let Cause::Told(told) = cause else { return false };
    match told.input {
        Input::ImagePushed(image) => {
            state.hear(Heard { image, event: told.id, link: told.link });
            true
        }
        Input::BuildFinished(build) => {
            state.tested = Some(Tested { commit: build.commit, event: told.id });
            false
        }
        // What was said last of the scan is looked up.
        Input::ImageScanned(_) => false,
    }
}

/// What the environment requires, each with what it comes to.
fn checks(context: &Context<'_>, state: &State) -> Vec<Check> {
    let gate = &context.target.environment.gate;
    let scan = gate.scan.then(|| scan(context));
    let tests = gate.tests.then(|| tests(context, state));
    scan.into_iter().chain(tests).collect()
}

/// Pass when all pass; fail when one fails, whatever the others are.
fn join(checks: &[Check]) -> Verdict {
    let any = |verdict| checks.iter().any(|check| check.verdict == verdict);
    match () {
        () if any(Verdict::Fail) => Verdict::Fail,
        () if any(Verdict::Unknown) => Verdict::Unknown,
        () => Verdict::Pass,
    }
}

fn tests(context: &Context<'_>, state: &State) -> Check {
    let source = context.target.service.source.as_ref();
    match (&state.tested, source) {
        (_, Some(source)) if source.test.is_none() => {
            Check::new(Verdict::Fail, "tests: the service has no `test` command")
        }
        (Some(tested), _) => Check::new(Verdict::Pass, "tests passed").from(&tested.event),
        (None, _) => Check::new(Verdict::Unknown, "tests: no build of it has said that they passed"),
    }
}

fn scan(context: &Context<'_>) -> Check {
    let Some(scan) = &context.seen.scan else {
        return Check::new(Verdict::Unknown, "scan: it has not ended");
    };
    if scan.fact.status != ScanStatus::Complete {
        let how = match scan.fact.status {
            ScanStatus::Unsupported => "the image cannot be looked into",
            ScanStatus::Expired => "what was found is too old",
            ScanStatus::Failed | ScanStatus::Complete => "it failed",
        };
        let why = scan.fact.reason.as_deref().unwrap_or_default();
        return Check::new(Verdict::Unknown, format!("scan: {how}: {why}")).from(&scan.event);
    }
    let (blocking, waived) = blocking(context, scan);
    let until = waived.iter().map(|waiver| waiver.until).min();
    let check = if blocking.is_empty() {
        Check::new(Verdict::Pass, "the scan found nothing that blocks")
    } else {
        Check::new(Verdict::Fail, format!("scan: {} found: {}", scan.fact.scanner, blocking.join(", ")))
    };
    Check { until, ..check.from(&scan.event) }
}

/// What of the findings blocks, less what is waived now; and the waivers that count.
fn blocking<'a>(context: &Context<'a>, scan: &Scan) -> (Vec<String>, Vec<&'a Waiver>) {
    let mut used = Vec::new();
    let mut blocking = Vec::new();
    for severity in &context.target.environment.gate.block {
        let found = scan.fact.counts.of(*severity);
        let mut left = found;
        for waivable in scan.waivable.iter().filter(|waivable| waivable.severity == *severity) {
            let mut waivers = context.waivers.iter().filter(|waiver| waiver.id == waivable.id);
            if let Some(waiver) = waivers.find(|waiver| context.now < waiver.until) {
                left = left.saturating_sub(waivable.count);
                used.push(waiver);
            }
        }
        if left > 0 {
            let waived =
                if left < found { format!(" ({} more are waived)", found - left) } else { String::new() };
            blocking.push(format!("{left} {}{waived}", name(*severity)));
        }
    }
    (blocking, used)
}

fn name(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "critical",
        Severity::High => "high",
        Severity::Medium => "medium",
        Severity::Low => "low",
        Severity::Unknown => "of unknown severity",
    }
}

fn evaluated(
    context: &Context<'_>,
    heard: &Heard,
    said: &Said,
    checks: &[Check],
    until: Option<Timestamp>,
) -> GateEvaluated {
    let inputs = checks.iter().flat_map(|check| check.inputs.clone());
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
        inputs: std::iter::once(heard.event.clone()).chain(inputs).collect(),
        expires_at: until,
    }
}

#[cfg(test)]
#[path = "decide_tests.rs"]
mod tests;
