//! What an environment requires, each with what it comes to.

use jiff::Timestamp;
use longshore_events::EventId;
use longshore_events::types::{ApprovalDecision, ScanStatus, Severity, Verdict};
use longshore_frame::span;
use longshore_policy::{ApprovalPolicy, GatePolicy, Promotion, Waiver};

use crate::decide::Context;
use crate::{Scan, State, Word, signatures};

/// What one requirement comes to.
pub(crate) struct Check {
    pub(crate) verdict: Verdict,
    pub(crate) reason: String,
    pub(crate) inputs: Vec<EventId>,
    /// When it may come to something else by itself.
    pub(crate) until: Option<Timestamp>,
    /// It waits for people or for another environment, and so for as long as they need.
    pub(crate) is_patient: bool,
    /// Nobody tells of it for sure: it is looked for again and again.
    pub(crate) polls: bool,
}

impl Check {
    pub(crate) fn new(verdict: Verdict, reason: impl Into<String>) -> Self {
        Self {
            verdict,
            reason: reason.into(),
            inputs: Vec::new(),
            until: None,
            is_patient: false,
            polls: false,
        }
    }

    /// Not known yet, and nothing to worry about.
    fn waits(reason: impl Into<String>) -> Self {
        Self { is_patient: true, ..Self::new(Verdict::Unknown, reason) }
    }

    fn from(self, event: &EventId) -> Self {
        Self { inputs: vec![event.clone()], ..self }
    }
}

/// What the environment requires, each with what it comes to.
pub(crate) fn checks(context: &Context<'_>, state: &State) -> Vec<Check> {
    let environment = context.target.environment;
    let gate = &environment.gate;
    let scan = gate.scan.then(|| scan(context));
    let tests = gate.tests.then(|| tests(context, state));
    let signature = gate.signature.then(|| signatures::check(context, state));
    let proof = environment.after.as_ref().map(|promotion| proof(context, state, promotion));
    let approval = gate.approval.as_ref().map(|policy| approval(context, state, policy));
    scan.into_iter().chain(tests).chain(signature).chain(proof).chain(approval).collect()
}

/// Pass when all pass; fail when one fails, whatever the others are.
pub(crate) fn join(checks: &[Check]) -> Verdict {
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

/// Whether it ran in the environment before, for as long as it must.
fn proof(context: &Context<'_>, state: &State, promotion: &Promotion) -> Check {
    let before = &promotion.from;
    if let Some(bad) = &context.seen.taken_back {
        return Check::new(Verdict::Fail, format!("{before}: it was taken back there: {}", bad.reason))
            .from(&bad.event);
    }
    let Some(proven) = &state.proven else {
        return Check::waits(format!("{before}: it has not run there yet"));
    };
    let soaked = proven.at + span(promotion.soak_ms);
    let check = if context.now < soaked {
        let reason = format!("{before}: it must run there for {} s", promotion.soak_ms / 1000);
        Check { until: Some(soaked), ..Check::waits(reason) }
    } else {
        Check::new(Verdict::Pass, "it ran in the environment before")
    };
    check.from(&proven.event)
}

/// Until when a word counts; one that rejects does until its giver says otherwise, or said so at once.
pub(crate) fn ends(word: &Word, gate: &GatePolicy) -> Timestamp {
    let by_policy = match word.decision {
        ApprovalDecision::Approved => word.at + span(gate.approval_valid_ms),
        ApprovalDecision::Rejected => Timestamp::MAX,
    };
    word.until.map_or(by_policy, |until| until.min(by_policy))
}

/// The words that count now.
fn words<'a>(context: &Context<'_>, state: &'a State) -> Vec<&'a Word> {
    let here = context.target.environment;
    let counts = |word: &&Word| {
        context.now < ends(word, &here.gate) && context.policy.may_approve(&word.who, &here.name)
    };
    state.words.iter().filter(counts).collect()
}

/// A word that counts, and rejects it.
pub(crate) fn rejection<'a>(context: &Context<'_>, state: &'a State) -> Option<&'a Word> {
    context.target.environment.gate.approval.as_ref()?;
    let mut words = words(context, state).into_iter();
    words.find(|word| word.decision == ApprovalDecision::Rejected)
}

/// Whether enough people approved it, and nobody rejected it. What was enough in time stays so.
fn approval(context: &Context<'_>, state: &State, policy: &ApprovalPolicy) -> Check {
    let (words, gate) = (words(context, state), &context.target.environment.gate);
    let inputs = words.iter().map(|word| word.event.clone()).collect();
    let until = words.iter().map(|word| ends(word, gate)).filter(|until| *until < Timestamp::MAX).min();
    if let Some(word) = rejection(context, state) {
        let why = word.why.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
        let check = Check::new(Verdict::Fail, format!("approval: {} rejected it{why}", word.who));
        return Check { inputs, until, ..check };
    }
    if state.approved {
        return Check { inputs, ..Check::new(Verdict::Pass, "people approved it") };
    }
    let author = state.heard.last().and_then(|heard| heard.image.actor.as_deref());
    let strangers = words.iter().filter(|word| policy.author_counts || !context.is_author(&word.who, author));
    let approved = strangers.count();
    let needed = usize::try_from(policy.people).unwrap_or(usize::MAX);
    let check = if approved >= needed {
        Check::new(Verdict::Pass, "people approved it")
    } else {
        let by_author = words.len() - approved;
        let more = match (by_author, author) {
            (0, _) => String::new(),
            (_, Some(author)) => format!("; who pushed it, {author}, does not count"),
            (_, None) => "; nobody knows who pushed it, and that may be who approved".to_owned(),
        };
        Check::waits(format!("approval: {approved} of {needed} people approved it{more}"))
    };
    Check { inputs, until, ..check }
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
            let mut waivers = context.policy.waivers.iter().filter(|waiver| waiver.id == waivable.id);
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
