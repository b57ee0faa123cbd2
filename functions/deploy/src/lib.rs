//! The function `deploy`: brings the image of a branch's tip to run, step by step, and takes it back when it is bad.
//!
//! A unit is a service in an environment, `environment/service`; it holds the lease of the same name while a rollout
//! goes on. Each rollout has a generation, minted with the lease; it names the deployment and the release that it
//! starts, and the outside refuses older ones.
//!
//! An event only says look. What shall run is the image whose commit is the branch's tip when Git is asked (see
//! `choose.rs`), never simply the last one heard of.

mod choose;
mod decide;
mod rollout;
mod state;

use std::sync::Arc;

use longshore_events::{
    CommitId, Digest, EnvironmentName, Fact, ServiceName, takes,
    types::{DigestQuarantined, RequestKind},
};
use longshore_frame::{At, Cause, Decision, Function};
use longshore_policy::Policy;
use longshore_ports::{
    Desired, EffectKind, Facts, Git, Key, Observed, PortError, Registry, Relation, Workload, Workloads,
    journal::Relied,
};
use serde::{Deserialize, Serialize};

pub use state::{Asked, Candidate, Release, Rollout, Stage, State};

takes! {
    /// What `deploy` takes.
    pub enum Input { ImagePushed, RequestMade }
}

/// The function; see the crate's documentation.
pub struct Deploy {
    /// The configuration.
    pub policy: Arc<Policy>,
    /// What runs.
    pub workloads: Arc<dyn Workloads>,
    /// Where the branch's tip is asked.
    pub git: Arc<dyn Git>,
    /// Where a tag is asked.
    pub registry: Arc<dyn Registry>,
    /// What other functions said.
    pub facts: Arc<dyn Facts>,
    /// How long to wait between two looks while something goes on, in milliseconds; hints come earlier.
    pub poll_ms: u64,
}

/// What `deploy` sees.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Seen {
    /// The tip of the branch, for a service with a source.
    pub tip: Option<CommitId>,
    /// That tip is an ancestor of the tip that was followed last.
    pub behind: bool,
    /// What the followed tag points to, when an image of unknown commit is a candidate.
    pub tag: Option<Digest>,
    /// What runs.
    pub running: Observed,
    /// The quarantine's head for each digest in question: the reason when it is bad.
    pub verdicts: Vec<Verdict>,
}

/// The quarantine's head for a digest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// The digest in question.
    pub digest: Digest,
    /// Why it must not run; `None` when it may.
    pub bad: Option<String>,
    /// What a decision relies on.
    pub head: Relied,
}

/// The only effect: make the outside converge to this.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Apply {
    /// What shall run.
    pub desired: Desired,
    /// It takes traffic back to a release that was good.
    pub restoring: bool,
}

impl Function for Deploy {
    const NAME: &'static str = "deploy";
    type Input = Input;
    type State = State;
    type Seen = Seen;
    type Effect = Apply;

    fn units(&self, input: &Input) -> Vec<String> {
        match input {
            Input::ImagePushed(image) => {
                let service = self.policy.services.iter().find(|service| service.may_run(image));
                let environments = service.map(|service| self.policy.environments_of(&service.name));
                let unit = |name: &EnvironmentName, service: &ServiceName| format!("{name}/{service}");
                let service = service.map(|service| &service.name);
                environments
                    .into_iter()
                    .flatten()
                    .zip(service.into_iter().cycle())
                    .map(|(e, s)| unit(&e.name, s))
                    .collect()
            }
            Input::RequestMade(request) if request.what == RequestKind::RollBack => {
                self.workload(&request.target).map(|workload| workload.to_string()).into_iter().collect()
            }
            Input::RequestMade(_) => Vec::new(),
        }
    }

    fn lease(&self, unit: &str, _state: &State) -> Option<String> {
        Some(unit.to_owned())
    }

    fn environment(&self, unit: &str) -> Option<String> {
        unit.split_once('/').map(|(environment, _)| environment.to_owned())
    }

    fn key(&self, unit: &str, effect: &Apply) -> Key {
        Key {
            function: Self::NAME.into(),
            unit: unit.into(),
            generation: Some(effect.desired.generation),
            name: format!("apply-{}", effect.desired.step),
            kind: EffectKind::Set,
            restoring: effect.restoring,
        }
    }

    async fn observe(&self, unit: &str, state: &State, cause: &Cause<Input>) -> Result<Seen, PortError> {
        let workload = self.workload(unit).ok_or_else(|| {
            PortError::invalid(
                format!("look at {unit}"),
                "the configuration names no such service in that environment",
            )
        })?;
        let (told, to_go_back) = match cause {
            Cause::Told(told) => match &told.input {
                Input::ImagePushed(image) => (Some(image), false),
                Input::RequestMade(_) => (None, true),
            },
            _ => (None, false),
        };
        let (tip, behind) = self.tip(&workload.service, state).await?;
        let outside = state.candidates.iter().any(|candidate| candidate.commit.is_none())
            || told.is_some_and(|image| image.commit.is_none());
        let service = self.policy.service(&workload.service).filter(|_| outside);
        let tag = match service {
            Some(service) => {
                self.registry.resolve(&service.image, &service.tag).await?.map(|found| found.digest)
            }
            None => None,
        };
        let running = self.workloads.observe(&workload).await?;
        let mut verdicts = Vec::new();
        for digest in state.in_question(told.map(|image| &image.digest), to_go_back) {
            verdicts.push(self.verdict(&workload, digest).await?);
        }
        Ok(Seen { tip, behind, tag, running, verdicts })
    }

    fn decide(
        &self,
        unit: &str,
        at: &At,
        state: State,
        cause: Cause<Input>,
        seen: &Seen,
    ) -> Decision<State, Apply> {
        let named = self.workload(unit).and_then(|workload| {
            let environment = self.policy.environment(&workload.environment)?;
            let service = self.policy.service(&workload.service)?;
            Some((workload, environment, service))
        });
        let Some((workload, environment, service)) = named else { return Decision::rest(state) };
        let context = decide::Context {
            workload: &workload,
            environment,
            service,
            at: *at,
            seen,
            poll_ms: self.poll_ms,
            watch_ms: self.policy.host.watch_ms(),
        };
        decide::decide(&context, state, cause)
    }

    async fn perform(&self, _unit: &str, _key: &Key, effect: &Apply) -> Result<(), PortError> {
        self.workloads.apply(&effect.desired).await
    }
}

impl Deploy {
    fn workload(&self, unit: &str) -> Option<Workload> {
        let (environment, service) = unit.split_once('/')?;
        let environment = EnvironmentName::new(environment).ok()?;
        let service = ServiceName::new(service).ok()?;
        let known = self.policy.environment(&environment)?.services.contains(&service);
        known.then_some(Workload { environment, service })
    }

    /// The branch's tip, and whether it is an ancestor of the one that was followed last.
    async fn tip(&self, service: &ServiceName, state: &State) -> Result<(Option<CommitId>, bool), PortError> {
        let source = self.policy.service(service).and_then(|service| service.source.as_ref());
        let Some(repository) = source.and_then(|source| self.policy.repository(&source.repository)) else {
            return Ok((None, false));
        };
        let tip = self.git.tip(&repository.name, &repository.branch).await?;
        let behind = match (&tip, &state.tip) {
            (Some(tip), Some(followed)) if tip != followed => {
                self.git.relation(&repository.name, followed, tip).await? == Relation::Behind
            }
            _ => false,
        };
        Ok((tip, behind))
    }

    async fn verdict(&self, workload: &Workload, digest: Digest) -> Result<Verdict, PortError> {
        let subject = format!("{workload}/{digest}");
        let event = self.facts.latest(DigestQuarantined::KIND, &subject).await?;
        let bad = event.as_ref().and_then(|event| DigestQuarantined::from_data(&event.data));
        Ok(Verdict {
            bad: bad.map(|fact| fact.reason.clone()),
            head: Relied {
                kind: DigestQuarantined::KIND.into(),
                subject,
                event: event.map(|event| event.id),
            },
            digest,
        })
    }
}
