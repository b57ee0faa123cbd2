//! An event in one line for people.

use longshore_events::{
    CommitId, Data, Event, RepositoryName,
    types::{
        ApprovalDecision, ApprovalGiven, BuildOutcome, CheckResult, DeploymentFinished, DeploymentOutcome,
        GateEvaluated, ImageScanned, PipelineOutcome, ScanStatus, Verdict, VerificationFinished,
        WindowOverride,
    },
};

/// What happened, in one line.
pub(crate) fn summary(event: &Event) -> String {
    match &event.data {
        Data::PushReceived(push) => {
            let to = push.after.as_ref().map_or("deleted", |after| &after.as_str()[..7]);
            let forced = if push.forced { ", forced" } else { "" };
            format!("{} of {} is {to} ({}{forced})", push.git_ref.short(), push.repo, push.provider)
        }
        Data::ChangeOpened(change) => {
            proposed("opened", &change.repo, change.number, &change.head, change.fork)
        }
        Data::ChangeUpdated(change) => {
            proposed("updated", &change.repo, change.number, &change.head, change.fork)
        }
        Data::ChangeMerged(change) => {
            proposed("merged", &change.repo, change.number, &change.head, change.fork)
        }
        Data::ChangeClosed(change) => {
            proposed("closed", &change.repo, change.number, &change.head, change.fork)
        }
        Data::PipelineFinished(pipeline) => {
            let commit = &pipeline.commit.as_str()[..7];
            let outcome = match pipeline.outcome {
                PipelineOutcome::Succeeded => "succeeded",
                PipelineOutcome::Failed => "failed",
                PipelineOutcome::Cancelled => "was cancelled",
                PipelineOutcome::Skipped => "was skipped",
                PipelineOutcome::Unknown => "ended, nobody says how",
            };
            format!("{} of {} {outcome} at {commit}", pipeline.name, pipeline.repo)
        }
        Data::AlarmRaised(alarm) => {
            let summary = alarm.summary.as_deref().map(|summary| format!(": {summary}")).unwrap_or_default();
            format!("{} says {}{summary}", alarm.provider, alarm.name)
        }
        Data::AlarmCleared(alarm) => format!("{} says that {} is over", alarm.provider, alarm.name),
        Data::DetectionRaised(seen) => format!("{} saw {}: {}", seen.provider, seen.rule, seen.summary),
        Data::BuildStarted(build) => {
            format!("{} builds {} with the {}", build.service, &build.commit.as_str()[..7], build.builder)
        }
        Data::BuildFinished(build) => {
            let commit = &build.commit.as_str()[..7];
            let why = build.reason.as_deref().unwrap_or_default();
            match build.outcome {
                BuildOutcome::Succeeded => {
                    format!("{} built {commit}{}", build.service, digest(build.digest.as_ref()))
                }
                BuildOutcome::Unchanged => format!("{commit} changes nothing of {}", build.service),
                BuildOutcome::Failed => format!("{} could not build {commit}: {why}", build.service),
                BuildOutcome::Superseded => format!("{} does not build {commit}: {why}", build.service),
            }
        }
        Data::ImagePushed(image) => format!("{}{}", image.image, digest(Some(&image.digest))),
        Data::ImageDeleted(image) => format!("{}{} deleted", image.image, digest(Some(&image.digest))),
        Data::ImageScanned(scan) => scanned(scan),
        Data::GateEvaluated(gate) => judged(gate),
        Data::ScheduleFired(schedule) => format!("{} is due at {}", schedule.name, schedule.planned_at),
        Data::RequestMade(request) => {
            let why = request.why.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
            let to = request.to.as_ref().map(|to| format!(" to{}", digest(Some(to)))).unwrap_or_default();
            format!("{} asked to {} {}{to}{why}", request.who, word(request.what), request.target)
        }
        Data::DeploymentStarted(rollout) => {
            let word = |word: &WindowOverride| format!(", {} overrides the window: {}", word.who, word.why);
            let word = rollout.override_window.as_ref().map(word).unwrap_or_default();
            format!("{}: rollout of{} begins{word}", rollout.deployment, digest(Some(&rollout.to)))
        }
        Data::DeploymentAdvanced(rollout) => {
            format!("{}: step {}, {} % of the traffic", rollout.deployment, rollout.step, rollout.weight)
        }
        Data::DeploymentFinished(rollout) => ended(rollout),
        Data::DigestQuarantined(bad) => format!(
            "{}/{} must not run{}: {}",
            bad.environment,
            bad.service,
            digest(Some(&bad.digest)),
            bad.reason
        ),
        Data::DigestReleased(released) => format!(
            "{} lifted the quarantine of{} in {}/{}: {}",
            released.who,
            digest(Some(&released.digest)),
            released.environment,
            released.service,
            released.why
        ),
        Data::ApprovalGiven(given) => said_of(given),
        Data::VerificationFinished(found) => verified(found),
        Data::EventDeadlettered(dead) => {
            format!("{} gave up after {} attempts: {}", dead.function, dead.attempts, dead.error)
        }
    }
}

fn judged(gate: &GateEvaluated) -> String {
    let how = match gate.verdict {
        Verdict::Pass => "may run",
        Verdict::Fail => "may not run",
        Verdict::Unknown => "may perhaps run",
    };
    let why = gate.reasons.join("; ");
    let why = if why.is_empty() { why } else { format!(": {why}") };
    let word = |word: &WindowOverride| format!("; {} overrides the window until {}", word.who, word.until);
    let word = gate.override_window.as_ref().map(word).unwrap_or_default();
    format!("{}/{}:{} {how}{why}{word}", gate.environment, gate.service, digest(Some(&gate.digest)))
}

fn ended(rollout: &DeploymentFinished) -> String {
    let why = rollout.failure.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
    let how = match rollout.outcome {
        DeploymentOutcome::Succeeded => "runs",
        DeploymentOutcome::RolledBack => "rolled back",
        DeploymentOutcome::Removed => "taken away",
        DeploymentOutcome::Superseded => "superseded",
        DeploymentOutcome::Refused => "refused",
    };
    format!("{}:{} {how}{why}", rollout.deployment, digest(Some(&rollout.to)))
}

fn said_of(given: &ApprovalGiven) -> String {
    let how = match given.decision {
        ApprovalDecision::Approved => "approved",
        ApprovalDecision::Rejected => "rejected",
    };
    let why = given.why.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
    let place = format!("{}/{}", given.environment, given.service);
    let over = if given.override_window { ", whatever its windows say" } else { "" };
    format!("{} {how}{} for {place}{over}{why}", given.who, digest(Some(&given.digest)))
}

fn proposed(what: &str, repo: &RepositoryName, number: u64, head: &CommitId, fork: bool) -> String {
    let from = if fork { ", from a fork" } else { "" };
    format!("{repo}#{number} {what} at {}{from}", &head.as_str()[..7])
}

fn scanned(scan: &ImageScanned) -> String {
    let found = &scan.counts;
    let counts = [
        (found.critical, "critical"),
        (found.high, "high"),
        (found.medium, "medium"),
        (found.low, "low"),
        (found.unknown, "of unknown severity"),
    ];
    let counts: Vec<_> = counts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    let why = scan.reason.as_deref().unwrap_or_default();
    let found = match scan.status {
        ScanStatus::Complete if counts.is_empty() => "nothing was found".to_owned(),
        ScanStatus::Complete => format!("found: {}", counts.join(", ")),
        ScanStatus::Failed => format!("what is in it is unknown: {why}"),
        ScanStatus::Unsupported => format!("it cannot be looked into: {why}"),
        ScanStatus::Expired => format!("what was found is too old: {why}"),
    };
    format!("{}{} scanned by {}: {found}", scan.image, digest(Some(&scan.digest)), scan.scanner)
}

fn verified(found: &VerificationFinished) -> String {
    let verdict = match found.verdict {
        Verdict::Pass => "good",
        Verdict::Fail => "bad",
        Verdict::Unknown => "unknown",
    };
    let checks: Vec<_> = found.checks.iter().map(checked).collect();
    let at = format!("{}: step {} at {} %", found.deployment, found.step, found.weight);
    format!("{at} measured {verdict}: {}", checks.join("; "))
}

/// One check with its evidence.
fn checked(check: &CheckResult) -> String {
    let unit = longshore_events::Measure::named(&check.measure).map_or("", |measure| measure.unit());
    let unit = if unit.is_empty() { String::new() } else { format!(" {unit}") };
    let Some(value) = check.value else {
        return format!("{} unknown: {}", check.name, check.reason.as_deref().unwrap_or_default());
    };
    let of = |requests: Option<u64>| requests.map(|requests| format!(" of {requests}")).unwrap_or_default();
    let beside =
        check.running.map(|running| format!(", running {running}{unit}{}", of(check.running_requests)));
    let limit = check.limit.map(|limit| format!(", limit {limit}{unit}")).unwrap_or_default();
    format!("{} {value}{unit}{}{}{limit}", check.name, of(check.requests), beside.unwrap_or_default())
}

fn digest(digest: Option<&longshore_events::Digest>) -> String {
    digest.map(|digest| format!(" {}", &digest.hex()[..12])).unwrap_or_default()
}

fn word(what: longshore_events::types::RequestKind) -> &'static str {
    match what {
        longshore_events::types::RequestKind::RollBack => "roll back",
        longshore_events::types::RequestKind::Stop => "stop",
        longshore_events::types::RequestKind::Resume => "resume",
    }
}
