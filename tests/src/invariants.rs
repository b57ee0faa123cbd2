//! What must hold at rest, in the world's own terms.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::{SignedDuration, Timestamp};
use longshore_events::{
    CommitId, Data, Digest, EnvironmentName, Event, ServiceName,
    types::{BuildOutcome, DeploymentOutcome, ScanStatus, Verdict},
};
use longshore_ports::{StatusState, Workload};
use longshore_sim::{
    MemoryJournal,
    world::{FakeBuilder, FakeForge, FakeGit, FakeScanner, FakeSignatures, FakeWorkloads},
};

use crate::script::{SERVICES, main_branch, order, repo};
use crate::spine::may_begin;

/// Everything that is wrong with a world at rest.
pub(crate) fn faults(
    journal: &MemoryJournal,
    git: &FakeGit,
    builder: &FakeBuilder,
    workloads: &FakeWorkloads,
    periodic: &[&str],
) -> Vec<String> {
    let mut wrong = journal.unrest(periodic);
    wrong.extend(builder.wrong());
    wrong.extend(workloads.wrong());
    let events = journal.events();
    wrong.extend(events.iter().filter_map(|event| heedless(journal, &events, event)));
    let Some(tip) = git.truth(&repo(), &main_branch()) else { return wrong };
    let (ours, environment) = (SERVICES.iter().filter_map(|name| ServiceName::new(name).ok()), "local");
    for service in ours {
        let Ok(environment) = EnvironmentName::new(environment) else { continue };
        let Some(order) = order(service.as_str(), &tip) else { continue };
        let digest = builder.digest(&order);
        let workload = Workload { environment, service: service.clone() };
        let runs = workloads.truth(&workload);
        let tip_runs = runs == [(digest.clone(), 100)];
        let refused = refused(&events, &workload, &digest);
        let no_image = git.tree(&tip).contains_key(&format!("{service}/broken"))
            && no_image(&events, &service, &order.commit);
        if !tip_runs && !refused && !no_image {
            wrong.push(format!(
                "the tip {} of {service} ({}) neither runs nor is refused; {runs:?} runs",
                tip,
                digest.hex()
            ));
        }
        if tip_runs
            && refused
            && !closed(&events, &workload, &digest)
            && !stays(&events, &workload, &digest)
            && !could_not_go_back(&events, &workload)
        {
            wrong.push(format!("{} of {service} runs although it is quarantined", digest.hex()));
        }
        if runs.len() > 1 || runs.iter().any(|(_, weight)| *weight != 100) {
            wrong.push(format!("{service} was left between two releases: {runs:?}"));
        }
    }
    wrong
}

/// What is said last of each image is what there is to see in it; each is looked into once.
pub(crate) fn scans(journal: &MemoryJournal, scanner: &FakeScanner) -> Vec<String> {
    let mut wrong = Vec::new();
    let events = journal.events();
    for (digest, times) in scanner.begun() {
        // What was given up is tried again, although the scanner may have come to its end unheard.
        let given_up = events.iter().filter(|event| match &event.data {
            Data::ImageScanned(scan) => scan.digest == digest && scan.status == ScanStatus::Failed,
            _ => false,
        });
        if times > 1 + given_up.count() {
            wrong.push(format!("{} was scanned {times} times", digest.hex()));
        }
    }
    let images = events.iter().filter_map(|event| match &event.data {
        Data::ImagePushed(image) => Some(&image.digest),
        _ => None,
    });
    for digest in images {
        let said = events.iter().rev().find_map(|event| match &event.data {
            Data::ImageScanned(fact) if fact.digest == *digest => Some(fact),
            _ => None,
        });
        let said = said.map(|fact| (fact.status, fact.counts.critical > 0));
        let truth = scanner.truth(digest);
        if said != Some(truth) {
            wrong.push(format!("{said:?} was said of the image {}, which is {truth:?}", digest.hex()));
        }
    }
    wrong
}

/// It changed what cannot be taken back, and so was left as it is.
fn stays(events: &[Event], workload: &Workload, digest: &Digest) -> bool {
    events.iter().any(|event| match &event.data {
        Data::DeploymentFinished(fact) => {
            let why = fact.failure.as_deref().unwrap_or_default();
            is_of(workload, &fact.environment, &fact.service)
                && fact.to == *digest
                && why.starts_with("left as it is")
                && why.contains("no_rollback_past")
        }
        _ => false,
    })
}

/// The first digits of what was bad and left as it is.
pub(crate) fn stayed(journal: &MemoryJournal) -> Vec<String> {
    let events = journal.events();
    let ended = events.iter().filter_map(|event| match &event.data {
        Data::DeploymentFinished(fact) => Some(fact),
        _ => None,
    });
    let stayed =
        ended.filter(|fact| fact.failure.as_deref().is_some_and(|why| why.contains("no_rollback_past")));
    stayed.map(|fact| fact.to.hex()[..8].to_owned()).collect()
}

/// What had traffic and brought migrations was never taken back to a release without them, nor did anybody go back so.
pub(crate) fn past(journal: &MemoryJournal, git: &FakeGit) -> Vec<String> {
    let events = journal.events();
    let migrations = |digest: &Digest| -> Vec<String> {
        let commit = events.iter().find_map(|event| match &event.data {
            Data::ImagePushed(image) if image.digest == *digest => image.commit.clone(),
            _ => None,
        });
        let tree = commit.map(|commit| git.tree(&commit)).unwrap_or_default();
        tree.into_keys().filter(|path| path.starts_with("web/migrations/")).collect()
    };
    let lacks = |older: &Digest, newer: &Digest| {
        let known = migrations(older);
        migrations(newer).iter().any(|path| !known.contains(path))
    };
    let asked = |event: &Event| {
        let is_cause = |cause: &&Event| event.link.cause.as_ref() == Some(&cause.id);
        events.iter().find(is_cause).is_some_and(|cause| matches!(cause.data, Data::RequestMade(_)))
    };
    let mut wrong = Vec::new();
    let mut rollouts: HashMap<&str, (&Digest, &Digest, bool)> = HashMap::new();
    for event in events.iter().filter(|event| event.subject.ends_with("/web")) {
        match &event.data {
            Data::DeploymentStarted(fact) => {
                let Some(from) = &fact.from else { continue };
                if asked(event) && lacks(&fact.to, from) {
                    wrong.push(format!("{} went back past what {} changed", fact.deployment, from.hex()));
                }
                if !asked(event) {
                    rollouts.insert(&fact.deployment, (from, &fact.to, false));
                }
            }
            Data::DeploymentAdvanced(fact) if fact.weight > 0 => {
                rollouts.entry(&fact.deployment).and_modify(|(_, _, traffic)| *traffic = true);
            }
            Data::DeploymentFinished(fact) if fact.outcome == DeploymentOutcome::RolledBack => {
                let Some((from, to, true)) = rollouts.get(fact.deployment.as_str()) else { continue };
                if lacks(from, to) {
                    wrong.push(format!("{} was taken back past what it changed", fact.deployment));
                }
            }
            _ => {}
        }
    }
    wrong
}

/// Nothing begins outside of the windows and within the freeze, unless somebody asked to go back, or the word of somebody who may
/// overrides that for the digest.
pub(crate) fn windows(journal: &MemoryJournal) -> Vec<String> {
    let events = journal.events();
    let asked = |event: &&Event| {
        let is_cause = |cause: &&Event| event.link.cause.as_ref() == Some(&cause.id);
        events.iter().find(is_cause).is_some_and(|cause| matches!(cause.data, Data::RequestMade(_)))
    };
    let begun = events.iter().filter(|event| match &event.data {
        Data::DeploymentStarted(fact) => fact.environment.as_str() == "local",
        _ => false,
    });
    let overridden = |begun: &&Event| {
        events.iter().take_while(|event| event.id != begun.id).any(|event| match (&event.data, &begun.data) {
            (Data::ApprovalGiven(word), Data::DeploymentStarted(fact)) => {
                word.override_window
                    && word.who == "sim"
                    && word.until.is_none_or(|until| begun.time < until)
                    && begun.time < event.time + SignedDuration::from_mins(1)
                    && (&word.environment, &word.service, &word.digest)
                        == (&fact.environment, &fact.service, &fact.to)
            }
            _ => false,
        })
    };
    let late = begun.filter(|event| !may_begin(event.time)).filter(|event| !asked(event));
    let late = late.filter(|event| !overridden(event));
    late.map(|event| format!("a rollout began at {}, outside of the windows", event.time)).collect()
}

/// Where images must be signed nothing begins that nobody signed who may.
pub(crate) fn signatures(journal: &MemoryJournal, signatures: &FakeSignatures) -> Vec<String> {
    let events = journal.events();
    let begun = events.iter().filter_map(|event| match &event.data {
        Data::DeploymentStarted(fact) if fact.environment.as_str() == "local" => Some(&fact.to),
        _ => None,
    });
    let unsigned = begun.filter(|digest| !signatures.truth(digest));
    unsigned.map(|digest| format!("{} began, and nobody who may had signed it", digest.hex())).collect()
}

/// What was said to be good was measured with enough requests; nothing goes forward on anything else.
pub(crate) fn verifications(journal: &MemoryJournal) -> Vec<String> {
    let events = journal.events();
    let facts = events.iter().filter_map(|event| match &event.data {
        Data::VerificationFinished(fact) => Some(fact),
        _ => None,
    });
    let mut wrong = Vec::new();
    for fact in facts {
        let is_back = |event: &Event| match &event.data {
            Data::DigestQuarantined(back) => back.digest == fact.digest && back.service == fact.service,
            _ => false,
        };
        if fact.verdict != Verdict::Pass && !events.iter().any(is_back) {
            wrong.push(format!("{} measured {:?}, and was not taken back", fact.deployment, fact.verdict));
        }
        if fact.checks.is_empty() || fact.until < fact.from {
            wrong.push(format!("{} was measured without evidence: {fact:?}", fact.deployment));
        }
    }
    wrong
}

/// A release loses traffic only once its digest is quarantined, and from then on gets none.
pub(crate) fn returns(journal: &MemoryJournal) -> Vec<String> {
    let events = journal.events();
    let mut wrong = Vec::new();
    // The digest's subject, its share, and whether it was quarantined since it began.
    let mut rollouts: HashMap<&str, (String, u8, bool)> = HashMap::new();
    for event in &events {
        match &event.data {
            Data::DigestQuarantined(_) => {
                let of_it = rollouts.values_mut().filter(|(subject, ..)| *subject == event.subject);
                of_it.for_each(|(.., is_bad)| *is_bad = true);
            }
            Data::DeploymentStarted(fact) => {
                rollouts.insert(&fact.deployment, (format!("{}/{}", event.subject, fact.to), 0, false));
            }
            Data::DeploymentAdvanced(fact) => {
                let Some((_, had, is_bad)) = rollouts.get_mut(fact.deployment.as_str()) else { continue };
                let had = std::mem::replace(had, fact.weight);
                if *is_bad != (fact.weight < had) {
                    let how = if *is_bad { "quarantined" } else { "good" };
                    wrong.push(format!(
                        "{} is {how}, had {had} %, and got {} %",
                        fact.deployment, fact.weight
                    ));
                }
            }
            _ => {}
        }
    }
    wrong
}

/// Whether a rollout gets a smaller share by this event than it had.
fn gives_back(events: &[Event], event: &Event) -> bool {
    let Data::DeploymentAdvanced(fact) = &event.data else { return false };
    let before =
        events.iter().take_while(|other| other.id != event.id).filter_map(|other| match &other.data {
            Data::DeploymentAdvanced(other) if other.deployment == fact.deployment => Some(other.weight),
            _ => None,
        });
    before.last().is_some_and(|had| fact.weight < had)
}

/// What is said of each build and rollout was shown beside its commit, and nothing else was; people were told of each failure,
/// each under a key of its own.
pub(crate) fn reports(journal: &MemoryJournal, forge: &FakeForge) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut ends: BTreeMap<(CommitId, String), Vec<(Timestamp, StatusState)>> = BTreeMap::new();
    let mut failures: BTreeMap<String, usize> = BTreeMap::new();
    for event in journal.events() {
        let (commit, context, state) = match &event.data {
            Data::BuildStarted(fact) => {
                (Some(&fact.commit), format!("longshore/{}", fact.service), StatusState::Pending)
            }
            Data::BuildFinished(fact) => {
                let failed = fact.outcome == BuildOutcome::Failed;
                let state = if failed { StatusState::Failure } else { StatusState::Success };
                (Some(&fact.commit), format!("longshore/{}", fact.service), state)
            }
            Data::DeploymentStarted(fact) => {
                let context = format!("longshore/{}/{}", fact.environment, fact.service);
                (fact.commit.as_ref(), context, StatusState::Pending)
            }
            Data::DeploymentFinished(fact) => {
                let well =
                    matches!(fact.outcome, DeploymentOutcome::Succeeded | DeploymentOutcome::Superseded);
                if !well {
                    *failures.entry(format!("report/failure/{}/", fact.deployment)).or_default() += 1;
                }
                let context = format!("longshore/{}/{}", fact.environment, fact.service);
                let state = if well { StatusState::Success } else { StatusState::Failure };
                (fact.commit.as_ref(), context, state)
            }
            _ => continue,
        };
        if let Some(commit) = commit {
            ends.entry((commit.clone(), context)).or_default().push((event.time, state));
        }
    }
    for ((commit, context), mut said) in ends {
        said.sort_by_key(|(at, state)| (*at, *state != StatusState::Pending));
        let shown = forge.written(&commit, &context);
        let last = said.last().map(|(_, state)| *state);
        if !shown.iter().any(|status| Some(status.state) == last) {
            wrong.push(format!("{context} of {commit} is {last:?}, and that was never shown: {shown:?}"));
        }
        if let Some(status) =
            shown.iter().find(|status| !said.iter().any(|(_, state)| *state == status.state))
        {
            wrong.push(format!("{context} of {commit} was shown as {status:?}, and nobody said so"));
        }
    }
    let told = forge.told();
    for (start, times) in failures {
        let keys: BTreeSet<&String> =
            told.iter().map(|(key, _)| key).filter(|key| key.starts_with(&start)).collect();
        if keys.len() != times {
            wrong.push(format!("{start} failed {times} times, and people were told by {keys:?}"));
        }
    }
    wrong
}

/// A rollout began or went forward while a switch said stop, and nobody had asked to roll back.
fn heedless(journal: &MemoryJournal, events: &[Event], event: &Event) -> Option<String> {
    let environment = match &event.data {
        Data::DeploymentStarted(fact) => &fact.environment,
        Data::DeploymentAdvanced(fact) if !gives_back(events, event) => &fact.environment,
        _ => return None,
    };
    let stopped = journal.stopped_at(&event.id);
    let heeds = !stopped.contains("all") && !stopped.contains(environment.as_str());
    let asked = |cause: &Event| {
        event.link.cause.as_ref() == Some(&cause.id) && matches!(cause.data, Data::RequestMade(_))
    };
    (!heeds && !events.iter().any(asked)).then(|| format!("{} although {stopped:?} said stop", event.kind()))
}

/// The digest was taken back or refused, and somebody said why.
fn refused(events: &[Event], workload: &Workload, digest: &Digest) -> bool {
    let ended = events.iter().any(|event| match &event.data {
        Data::DeploymentFinished(fact) if is_of(workload, &fact.environment, &fact.service) => {
            fact.to == *digest && fact.outcome != DeploymentOutcome::Succeeded
                || fact.outcome == DeploymentOutcome::RolledBack
        }
        _ => false,
    });
    quarantined(events, workload, digest) && ended || closed(events, workload, digest)
}

fn is_of(workload: &Workload, environment: &EnvironmentName, service: &ServiceName) -> bool {
    workload.environment == *environment && workload.service == *service
}

/// The digest is quarantined, somebody said why, and nobody lifted that.
fn quarantined(events: &[Event], workload: &Workload, digest: &Digest) -> bool {
    let last = events.iter().rev().find_map(|event| match &event.data {
        Data::DigestQuarantined(fact)
            if fact.digest == *digest && is_of(workload, &fact.environment, &fact.service) =>
        {
            (!fact.reason.is_empty()).then_some(&event.id)
        }
        _ => None,
    });
    let lifts = |event: &Event| match &event.data {
        Data::DigestReleased(fact) => Some(&fact.quarantine) == last,
        _ => false,
    };
    last.is_some() && !events.iter().any(lifts)
}

/// The gate's last word on a digest is that it must not run.
fn closed(events: &[Event], workload: &Workload, digest: &Digest) -> bool {
    let judged = events.iter().rev().find_map(|event| match &event.data {
        Data::GateEvaluated(fact) if fact.digest == *digest => {
            is_of(workload, &fact.environment, &fact.service).then_some(fact)
        }
        _ => None,
    });
    judged.is_some_and(|fact| fact.verdict == Verdict::Fail && !fact.reasons.is_empty())
}

/// No step forward was committed on a verdict that was bad or unknown already. Who asked to go back goes to what ran.
pub(crate) fn gates(journal: &MemoryJournal) -> Vec<String> {
    let events = journal.events();
    let mut verdicts: HashMap<String, Verdict> = HashMap::new();
    let mut rollouts: HashMap<&str, (&Digest, bool)> = HashMap::new();
    let mut wrong = Vec::new();
    for event in &events {
        let deployment = match &event.data {
            Data::GateEvaluated(fact) => {
                verdicts.insert(event.subject.clone(), fact.verdict);
                continue;
            }
            Data::DeploymentStarted(fact) => {
                let asked = |cause: &&Event| event.link.cause.as_ref() == Some(&cause.id);
                let cause = events.iter().find(asked);
                let asked = cause.is_some_and(|cause| matches!(cause.data, Data::RequestMade(_)));
                rollouts.insert(&fact.deployment, (&fact.to, asked));
                &fact.deployment
            }
            Data::DeploymentAdvanced(fact) if !gives_back(&events, event) => &fact.deployment,
            _ => continue,
        };
        let Some((digest, false)) = rollouts.get(deployment.as_str()) else { continue };
        let verdict = verdicts.get(&format!("{}/{digest}", event.subject));
        if verdict != Some(&Verdict::Pass) {
            wrong.push(format!(
                "{} of {} went forward on the verdict {verdict:?}",
                event.kind(),
                digest.hex()
            ));
        }
    }
    wrong
}

/// Only what ran in `local`, and was not taken back there, began to run in `prod`; and the newest of that runs, unless
/// something was taken back in `prod` itself.
pub(crate) fn promotions(journal: &MemoryJournal, workloads: &FakeWorkloads) -> Vec<String> {
    let (Ok(local), Ok(prod), Ok(web)) =
        (EnvironmentName::new("local"), EnvironmentName::new("prod"), ServiceName::new("web"))
    else {
        return Vec::new();
    };
    let before = Workload { environment: local, service: web.clone() };
    let after = Workload { environment: prod, service: web };
    let events = journal.events();
    let mut ran: HashMap<&Digest, u64> = HashMap::new();
    let mut wrong = Vec::new();
    let mut went_back = false;
    for (place, event) in events.iter().enumerate() {
        match &event.data {
            Data::DeploymentFinished(fact)
                if is_of(&before, &fact.environment, &fact.service)
                    && fact.outcome == DeploymentOutcome::Succeeded =>
            {
                let generation = fact.deployment.rsplit('/').next().and_then(|text| text.parse().ok());
                ran.insert(&fact.to, generation.unwrap_or_default());
            }
            Data::DigestQuarantined(fact) => went_back |= is_of(&after, &fact.environment, &fact.service),
            Data::DeploymentStarted(fact) if is_of(&after, &fact.environment, &fact.service) => {
                let asked = |cause: &Event| {
                    event.link.cause.as_ref() == Some(&cause.id) && matches!(cause.data, Data::RequestMade(_))
                };
                let good = ran.contains_key(&fact.to) && !quarantined(&events[..place], &before, &fact.to);
                if !good && !events.iter().any(asked) {
                    wrong.push(format!("{} came to prod, and was not good before", fact.to.hex()));
                }
            }
            _ => {}
        }
    }
    let runs = workloads.truth(&after);
    if runs.len() > 1 || runs.iter().any(|(_, weight)| *weight != 100) {
        wrong.push(format!("prod was left between two releases: {runs:?}"));
    }
    let open = |digest: &Digest| {
        let judged = events.iter().rev().find_map(|event| match &event.data {
            Data::GateEvaluated(fact) if fact.digest == *digest => {
                is_of(&after, &fact.environment, &fact.service).then_some(fact.verdict)
            }
            _ => None,
        });
        judged == Some(Verdict::Pass) && !quarantined(&events, &before, digest)
    };
    let newest = ran.iter().filter(|(digest, _)| open(digest)).max_by_key(|(_, generation)| **generation);
    let running = runs.first().and_then(|(digest, _)| ran.get(digest));
    if let Some((digest, generation)) = newest.filter(|_| !went_back)
        && running.is_none_or(|running| running < generation)
    {
        wrong.push(format!("{} may run in prod and is the newest, but {runs:?} runs", digest.hex()));
    }
    wrong
}

/// Somebody asked to go back, and the older release did not become ready: what runs goes on, and that is said.
fn could_not_go_back(events: &[Event], workload: &Workload) -> bool {
    events.iter().any(|event| match &event.data {
        Data::DeploymentFinished(fact) => {
            is_of(workload, &fact.environment, &fact.service)
                && fact.outcome == DeploymentOutcome::RolledBack
                && fact.failure.is_some()
        }
        _ => false,
    })
}

fn no_image(events: &[Event], service: &ServiceName, commit: &longshore_events::CommitId) -> bool {
    events.iter().any(|event| match &event.data {
        Data::BuildFinished(fact) => {
            fact.service == *service && fact.commit == *commit && fact.outcome == BuildOutcome::Failed
        }
        _ => false,
    })
}
