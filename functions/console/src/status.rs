//! How everything stands, put together from the journal and from what runs.

use std::collections::HashMap;

use futures_util::future::{join_all, try_join_all};
use longshore_events::{
    Data, Fact as _, ServiceName, types::BuildFinished, types::BuildStarted, types::DeploymentFinished,
    types::DeploymentStarted,
};
use longshore_policy::{Environment, Service};
use longshore_ports::{Observed, PortError, Workload};

use crate::Console;
use crate::api::{
    BuildStatus, EnvironmentStatus, HeldStatus, Outcome, ReleaseStatus, RepositoryStatus, RolloutStatus,
    ServiceStatus, SourceStatus, Status, Work,
};
use crate::stored::Deployed;

/// States of `deploy` that are read, at most.
const STATES: usize = 1_000;

type Running = HashMap<String, Observed>;

impl Console {
    /// How everything stands.
    pub(crate) async fn status(&self) -> Result<Status, PortError> {
        let (running, runner_error) = self.running().await;
        let units = self.journal.units("deploy", STATES).await?;
        let states: HashMap<String, Deployed> = units
            .into_iter()
            .filter_map(|unit| Some((unit.unit, serde_json::from_str(&unit.row.state).ok()?)))
            .collect();
        let mut environments = Vec::new();
        for environment in &self.policy.environments {
            let one = |service| self.one(environment, ServiceName::as_str(service), &states, &running);
            let services = try_join_all(environment.services.iter().map(one)).await?;
            environments.push(EnvironmentStatus { name: environment.name.to_string(), services });
        }
        let built = self.policy.services.iter().filter(|service| service.source.is_some());
        let builds = try_join_all(built.map(|service| self.build(service))).await?;
        let standing = self.journal.standing().await?;
        Ok(Status {
            host: self.host.clone(),
            at: self.clock.now(),
            environments,
            builds: builds.into_iter().flatten().collect(),
            stopped: standing.stopped,
            work: Work { deliveries: standing.deliveries, oldest: standing.oldest, busy: standing.busy },
            repositories: self.repositories(),
            sources: self.sources(),
            runner_error,
        })
    }

    /// What runs of each workload, and why that is not known where it is not.
    async fn running(&self) -> (Running, Option<String>) {
        let Some(workloads) = &self.workloads else {
            return (Running::new(), Some("it cannot be looked at from here".into()));
        };
        let of = |environment: &Environment| {
            let name = environment.name.clone();
            let of = move |service| Workload { environment: name.clone(), service };
            environment.services.clone().into_iter().map(of)
        };
        let look = async |workload: Workload| (workload.to_string(), workloads.observe(&workload).await);
        let seen = join_all(self.policy.environments.iter().flat_map(of).map(look)).await;
        let (mut running, mut unseen) = (Running::new(), None);
        for (workload, observed) in seen {
            match observed {
                Ok(observed) => drop(running.insert(workload, observed)),
                Err(error) => drop(unseen.get_or_insert_with(|| error.to_string())),
            }
        }
        (running, unseen)
    }

    async fn one(
        &self,
        environment: &Environment,
        service: &str,
        states: &HashMap<String, Deployed>,
        running: &Running,
    ) -> Result<ServiceStatus, PortError> {
        let subject = format!("{}/{service}", environment.name);
        let state = states.get(&subject);
        let observed = running.get(&subject);
        let mut releases: Vec<_> = observed.iter().flat_map(|observed| &observed.releases).collect();
        releases.sort_by_key(|release| std::cmp::Reverse(release.release));
        let releases = releases.into_iter().map(|release| ReleaseStatus {
            release: release.release,
            digest: release.digest.to_string(),
            commit: state.and_then(|state| state.commit_of(release.release)),
            phase: release.phase,
            reason: release.reason.clone(),
            weight: release.weight,
            restarts: release.restarts,
        });
        let started = self.journal.latest(DeploymentStarted::KIND, &subject).await?;
        let rollout = state.and_then(|state| state.rollout.as_ref()).map(|rollout| RolloutStatus {
            deployment: format!("{subject}/{}", rollout.generation),
            to: rollout.to.image.digest.to_string(),
            commit: rollout.to.commit.as_ref().map(ToString::to_string),
            since: started.as_ref().map_or_else(|| self.clock.now(), |event| event.time),
            goes_back: rollout.goes_back(),
            overrides: started.as_ref().and_then(|event| {
                let fact = DeploymentStarted::from_data(&event.data)?;
                let word = fact.override_window.as_ref()?;
                Some(format!("{}: {}", word.who, word.why))
            }),
        });
        let held = state.and_then(|state| state.held.as_ref()).map(|held| HeldStatus {
            digest: held.image.digest.to_string(),
            commit: held.commit.as_ref().map(ToString::to_string),
            why: held.why.clone(),
            until: held.until,
        });
        let last = self.journal.latest(DeploymentFinished::KIND, &subject).await?;
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
        let url = self
            .host
            .as_ref()
            .map(|host| format!("http://{service}.{}.localhost:{}", environment.name, host.proxy.port()));
        Ok(ServiceStatus { name: service.to_owned(), url, releases: releases.collect(), rollout, held, last })
    }

    async fn build(&self, service: &Service) -> Result<Option<BuildStatus>, PortError> {
        let finished = self.journal.latest(BuildFinished::KIND, service.name.as_str()).await?;
        let started = self.journal.latest(BuildStarted::KIND, service.name.as_str()).await?;
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

    /// The repositories, and where to push to those that the host keeps.
    pub fn repositories(&self) -> Vec<RepositoryStatus> {
        let remote = |repository: &longshore_policy::Repository| {
            let host = self.host.as_ref().filter(|_| repository.url.is_none())?;
            Some(format!("{}/git/{}.git", host.url(), repository.name))
        };
        let one = |repository: &longshore_policy::Repository| RepositoryStatus {
            name: repository.name.to_string(),
            remote: remote(repository),
            branch: repository.branch.short().to_owned(),
        };
        self.policy.repositories.iter().map(one).collect()
    }

    /// The sources of webhooks, and where they send to.
    pub fn sources(&self) -> Vec<SourceStatus> {
        let base = self.host.as_ref().map(crate::api::Ready::url).unwrap_or_default();
        let secrets = self.host.as_ref().map(|host| host.data.join("secrets"));
        let one = |source: &longshore_policy::Source| SourceStatus {
            name: source.name.clone(),
            provider: source.provider.name().to_owned(),
            url: format!("{base}/hooks/{}", source.name),
            secret_file: secrets.as_ref().map(|secrets| secrets.join(&source.secret)),
        };
        self.policy.sources.iter().map(one).collect()
    }
}

/// An outcome as events spell it.
fn word(outcome: &impl serde::Serialize) -> String {
    serde_json::to_value(outcome)
        .ok()
        .and_then(|value| value.as_str().map(ToOwned::to_owned))
        .unwrap_or_default()
}
