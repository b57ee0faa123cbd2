//! What the API answers, put together from the journal and the runner.

use std::collections::HashMap;

use longshore_deploy::State as DeployState;
use longshore_events::{
    Data, Fact as _, types::BuildFinished, types::BuildStarted, types::DeploymentFinished,
    types::DeploymentStarted,
};
use longshore_local::journal::Recorded;
use longshore_policy::{Environment, Service};
use longshore_ports::{Facts as _, PortError};
use longshore_runner::Listed;

use super::summary::summary;
use super::system::System;
use crate::api::{
    BuildStatus, EnvironmentStatus, Outcome, ReleaseStatus, RepositoryStatus, RolloutStatus, ServiceStatus,
    SourceStatus, Status, Timeline, TimelineEntry, Work,
};

/// The events of a chain, by time, each as deep as it stands below its cause.
pub(super) fn timeline(chain: &str, events: &[Recorded]) -> Timeline {
    let first = events.first().map(|first| first.event.time).unwrap_or_default();
    let mut depths: HashMap<String, usize> = HashMap::new();
    let entry = |recorded: &Recorded| {
        let event = &recorded.event;
        let cause = event.link.cause.as_ref().map(ToString::to_string);
        let depth = cause.as_ref().and_then(|cause| depths.get(cause)).map_or(0, |depth| depth + 1);
        depths.insert(event.id.to_string(), depth);
        TimelineEntry {
            id: event.id.to_string(),
            seq: recorded.seq,
            time: event.time,
            ms: event.time.as_millisecond() - first.as_millisecond(),
            kind: event.kind().to_owned(),
            subject: event.subject.clone(),
            summary: summary(event),
            cause,
            depth,
        }
    };
    Timeline { chain: chain.to_owned(), entries: events.iter().map(entry).collect() }
}

/// How everything stands.
pub(super) async fn status(system: &System) -> Result<Status, PortError> {
    let (running, runner_error) = match system.runner.list().await {
        Ok(running) => (running, None),
        Err(error) => (Vec::new(), Some(error.to_string())),
    };
    let units = system.journal.units(Some("deploy")).await?;
    let states: HashMap<String, DeployState> = units
        .into_iter()
        .filter_map(|unit| Some((unit.unit, serde_json::from_str(&unit.row.state).ok()?)))
        .collect();
    let mut environments = Vec::new();
    for environment in &system.policy.environments {
        let mut services = Vec::new();
        for service in &environment.services {
            services.push(one(system, environment, service.as_str(), &states, &running).await?);
        }
        environments.push(EnvironmentStatus { name: environment.name.to_string(), services });
    }
    let mut builds = Vec::new();
    for service in system.policy.services.iter().filter(|service| service.source.is_some()) {
        builds.extend(build(system, service).await?);
    }
    let owed = system.journal.owed_count().await?;
    Ok(Status {
        host: system.ready.clone(),
        at: system.clock.now(),
        environments,
        builds,
        stopped: system.journal.stopped().await?,
        work: Work { deliveries: owed.deliveries, oldest: owed.oldest, busy: owed.busy },
        repositories: repositories(system),
        sources: sources(system),
        runner_error,
    })
}

async fn one(
    system: &System,
    environment: &Environment,
    service: &str,
    states: &HashMap<String, DeployState>,
    running: &[Listed],
) -> Result<ServiceStatus, PortError> {
    let subject = format!("{}/{service}", environment.name);
    let state = states.get(&subject);
    let commit_of = |release: u64| {
        let state = state?;
        let rollout = state.rollout.iter().flat_map(|rollout| rollout.from.iter().chain([&rollout.to]));
        let known = state.current.iter().chain(&state.previous).chain(rollout);
        known.into_iter().find(|known| known.release == release)?.commit.as_ref().map(ToString::to_string)
    };
    let listed = running.iter().find(|listed| listed.workload.to_string() == subject);
    let releases = listed.iter().flat_map(|listed| &listed.releases).rev().map(|release| ReleaseStatus {
        release: release.observed.release,
        digest: release.observed.digest.to_string(),
        commit: commit_of(release.observed.release),
        phase: release.observed.phase,
        reason: release.observed.reason.clone(),
        weight: release.observed.weight,
        restarts: release.observed.restarts,
    });
    let started = system.journal.latest(DeploymentStarted::KIND, &subject).await?;
    let rollout = state.and_then(|state| state.rollout.as_ref()).map(|rollout| RolloutStatus {
        deployment: format!("{subject}/{}", rollout.generation),
        to: rollout.to.image.digest.to_string(),
        commit: rollout.to.commit.as_ref().map(ToString::to_string),
        since: started.as_ref().map_or_else(|| system.clock.now(), |event| event.time),
    });
    let last = system.journal.latest(DeploymentFinished::KIND, &subject).await?;
    let last = last.and_then(|event| match event.data {
        Data::DeploymentFinished(fact) => Some(Outcome {
            outcome: word(&fact.outcome),
            to: fact.to.to_string(),
            commit: fact.commit.map(|commit| commit.to_string()),
            failure: fact.failure,
            at: event.time,
        }),
        _ => None,
    });
    let url = format!("http://{service}.{}.localhost:{}", environment.name, system.ready.proxy.port());
    Ok(ServiceStatus { name: service.to_owned(), url, releases: releases.collect(), rollout, last })
}

async fn build(system: &System, service: &Service) -> Result<Option<BuildStatus>, PortError> {
    let finished = system.journal.latest(BuildFinished::KIND, service.name.as_str()).await?;
    let started = system.journal.latest(BuildStarted::KIND, service.name.as_str()).await?;
    let finished = finished.and_then(|event| match event.data {
        Data::BuildFinished(fact) => Some((event.time, fact)),
        _ => None,
    });
    let running = started.and_then(|event| match event.data {
        Data::BuildStarted(fact) => Some((event.time, fact)),
        _ => None,
    });
    let name = service.name.to_string();
    Ok(match (running, finished) {
        (Some((at, fact)), finished) if finished.as_ref().is_none_or(|(ended, _)| *ended < at) => {
            Some(BuildStatus {
                service: name,
                commit: fact.commit.to_string(),
                outcome: "running".into(),
                reason: None,
                at,
            })
        }
        (_, Some((at, fact))) => Some(BuildStatus {
            service: name,
            commit: fact.commit.to_string(),
            outcome: word(&fact.outcome),
            reason: fact.reason,
            at,
        }),
        _ => None,
    })
}

/// An outcome as events spell it.
fn word(outcome: &impl serde::Serialize) -> String {
    serde_json::to_value(outcome)
        .ok()
        .and_then(|value| value.as_str().map(ToOwned::to_owned))
        .unwrap_or_default()
}

pub(super) fn repositories(system: &System) -> Vec<RepositoryStatus> {
    let remote = |repository: &longshore_policy::Repository| {
        repository.url.is_none().then(|| format!("{}/git/{}.git", system.ready.url(), repository.name))
    };
    let one = |repository: &longshore_policy::Repository| RepositoryStatus {
        name: repository.name.to_string(),
        remote: remote(repository),
        branch: repository.branch.short().to_owned(),
    };
    system.policy.repositories.iter().map(one).collect()
}

pub(super) fn sources(system: &System) -> Vec<SourceStatus> {
    let one = |source: &longshore_policy::Source| SourceStatus {
        name: source.name.clone(),
        provider: source.provider.name().to_owned(),
        url: format!("{}/hooks/{}", system.ready.url(), source.name),
        secret_file: system.ready.data.join("secrets").join(&source.secret),
    };
    system.policy.sources.iter().map(one).collect()
}
