//! The function `deploy`: brings the image of a branch's tip to run, step by step, and takes it back when it is bad.
//!
//! A unit is a service in an environment, `environment/service`; it holds the lease of the same name while a rollout
//! goes on. Each rollout has a generation, minted with the lease; it names the deployment and the release that it
//! starts, and the outside refuses older ones.
//!
//! It takes images from the gate alone: each step forward is committed only while the gate's verdict on it is the one that was
//! read, and a verdict that turned bad takes the rollout back.
//!
//! A rollout begins only while the environment's calendar is open, by the time at which that is decided, or while the gate says
//! that the word of somebody who may overrides it for that image; it goes on to its end
//! whatever the calendar says then, and going back is always allowed. What has to wait is begun when the calendar opens, if it
//! still is what shall run.
//!
//! What was measured bad gives its traffic back by degrees, where the strategy names some (see `returning.rs`); whatever else
//! takes a release back does so at once.
//!
//! Nothing goes back past a release that changed what cannot be taken back (see `past.rs`), once it has the traffic: neither by
//! itself, nor when somebody asks.
//!
//! An event only says look. What shall run is the image whose commit is the branch's tip when Git is asked (see
//! `choose.rs`), never simply the last one heard of.

mod choose;
mod decide;
mod measure;
mod past;
mod returning;
mod rollout;
mod state;
mod steps;
mod verify;

use std::sync::Arc;

use longshore_events::{
    CommitId, Digest, EnvironmentName, Fact, ServiceName, takes,
    types::{self, GateEvaluated, RequestKind, WindowOverride},
};
use longshore_frame::{At, Cause, Decision, Function};
use longshore_policy::Policy;
use longshore_ports::{
    Desired, EffectKind, Facts, Git, Key, Metrics, Observed, PortError, Registry, Relation, Workload,
    Workloads, journal::Relied, quarantine,
};
use serde::{Deserialize, Serialize};

pub use measure::Answer;
pub use returning::Returning;
pub use state::{Asked, Candidate, Held, Release, Rollout, Stage, State, Waiting};

takes! {
    /// What `deploy` takes.
    pub enum Input { GateEvaluated, RequestMade }
}

/// The function; see the crate's documentation.
pub struct Deploy {
    /// The configuration.
    pub policy: Arc<Policy>,
    /// What runs.
    pub workloads: Arc<dyn Workloads>,
    /// What releases do under traffic.
    pub metrics: Arc<dyn Metrics>,
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
    /// What is said of each digest in question.
    pub verdicts: Vec<Verdict>,
    /// Images that nothing goes back past, once they have the traffic of the release that runs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub past: Vec<Digest>,
    /// What was measured at the step that is held.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub measured: Vec<Answer>,
}

/// What is said last of a digest: by the quarantine, and by the gate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// The digest in question.
    pub digest: Digest,
    /// Why it is quarantined; `None` when it is not.
    pub bad: Option<String>,
    /// Why it was taken back in the environment that it was promoted from, when it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// What a decision relies on of the quarantines.
    pub heads: Vec<Relied>,
    /// What the gate says; absent when it never said anything of this digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<Gated>,
}

/// What the gate says of a digest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Gated {
    /// The verdict; `None` before it was judged.
    pub verdict: Option<types::Verdict>,
    /// Why it is not pass.
    pub reasons: Vec<String>,
    /// What a decision relies on of the gate.
    pub head: Relied,
    /// The word by which it may begin although the environment's calendar is closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub override_window: Option<WindowOverride>,
}

impl Verdict {
    /// Why the digest must not run; `None` when it may, or that is unknown.
    pub(crate) fn refusal(&self) -> Option<String> {
        let gate = self.gate.as_ref().filter(|gate| gate.verdict == Some(types::Verdict::Fail));
        let quarantined = self.bad.as_ref().map(|reason| format!("this digest is quarantined: {reason}"));
        let before =
            self.before.as_ref().map(|reason| format!("it was taken back where it ran before: {reason}"));
        quarantined.or(before).or(gate.map(|gate| format!("the gate is closed: {}", gate.reasons.join("; "))))
    }

    /// Nobody knows whether it may run.
    pub(crate) fn is_unknown(&self) -> bool {
        self.gate.as_ref().is_some_and(|gate| gate.verdict == Some(types::Verdict::Unknown))
    }
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
            Input::GateEvaluated(gate) => {
                let workload = self.workload(&format!("{}/{}", gate.environment, gate.service));
                workload.map(|workload| workload.to_string()).into_iter().collect()
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
                Input::GateEvaluated(gate) => (Some(gate), false),
                Input::RequestMade(_) => (None, true),
            },
            _ => (None, false),
        };
        let (tip, behind) = self.tip(&workload, state).await?;
        let outside = state.candidates.iter().any(|candidate| candidate.commit.is_none())
            || told.is_some_and(|gate| gate.commit.is_none());
        let service = self.policy.service(&workload.service).filter(|_| outside);
        let tag = match service {
            Some(service) => {
                self.registry.resolve(&service.image, &service.tag).await?.map(|found| found.digest)
            }
            None => None,
        };
        let running = self.workloads.observe(&workload).await?;
        let mut verdicts = Vec::new();
        for digest in state.in_question(told.map(|gate| &gate.digest), to_go_back) {
            verdicts.push(self.verdict(&workload, digest).await?);
        }
        let measured = self.measured(&workload, state).await;
        let past = self.past(&workload, state, told, tip.as_ref()).await?;
        Ok(Seen { tip, behind, tag, running, verdicts, past, measured })
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
    async fn tip(&self, workload: &Workload, state: &State) -> Result<(Option<CommitId>, bool), PortError> {
        // What is promoted is what ran before, whatever the branch says by now.
        let promoted = self.policy.environment(&workload.environment).is_some_and(|one| one.after.is_some());
        let service = self.policy.service(&workload.service).filter(|_| !promoted);
        let source = service.and_then(|service| service.source.as_ref());
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
        let here = quarantine(&*self.facts, &subject).await?;
        let mut heads = here.heads;
        let mut before = None;
        let environment = self.policy.environment(&workload.environment);
        if let Some(promotion) = environment.and_then(|environment| environment.after.as_ref()) {
            let place = Workload { environment: promotion.from.clone(), service: workload.service.clone() };
            let there = quarantine(&*self.facts, &format!("{place}/{digest}")).await?;
            before = there.bad.map(|(_, reason)| reason);
            heads.extend(there.heads);
        }
        let judged = self.facts.latest(GateEvaluated::KIND, &subject).await?;
        let fact = judged.as_ref().and_then(|event| GateEvaluated::from_data(&event.data));
        let gate = Gated {
            verdict: fact.map(|fact| fact.verdict),
            reasons: fact.map(|fact| fact.reasons.clone()).unwrap_or_default(),
            override_window: fact.and_then(|fact| fact.override_window.clone()),
            head: Relied { kind: GateEvaluated::KIND.into(), subject, event: judged.map(|event| event.id) },
        };
        Ok(Verdict { bad: here.bad.map(|(_, reason)| reason), before, heads, gate: Some(gate), digest })
    }
}
