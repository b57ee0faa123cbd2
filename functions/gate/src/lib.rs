//! The function `gate`: joins what is known of an image into a verdict on whether it may run in an environment.
//!
//! A unit is an image's digest of a service in an environment, `environment/service@digest`. What the environment requires
//! is joined in any order: nothing is taken from the order of events, each look reads what was said last. A verdict is
//! pass, fail or unknown. Whatever is not known is unknown; after the environment's deadline it is fail, until it is known
//! after all. A verdict that changes is said again: who relies on it reads the head of `gate.evaluated`.

mod checks;
mod decide;
mod overrides;
pub mod signature;
mod signatures;
mod state;
mod waivers;

use std::sync::Arc;

use longshore_events::{
    Digest, EnvironmentName, EventId, Fact, ImageRef, ServiceName, takes,
    types::{BuildOutcome, DeploymentOutcome, ImageScanned},
};
use longshore_frame::{At, Cause, Decision, Function};
use longshore_policy::{Environment, Policy, Service};
use longshore_ports::{Blobs, Facts, Key, PortError, Signatures, journal::Relied, quarantine};
use serde::{Deserialize, Serialize};

pub use signatures::Beside;
pub use state::{Heard, Proven, Said, State, Tested, Word};
pub use waivers::Waivable;

takes! {
    /// What `gate` takes.
    pub enum Input {
        ImagePushed, ImageScanned, BuildFinished, ApprovalGiven, DeploymentFinished, DigestQuarantined, DigestReleased,
    }
}

/// The function; see the crate's documentation.
pub struct Gate {
    /// The configuration.
    pub policy: Arc<Policy>,
    /// What other functions said.
    pub facts: Arc<dyn Facts>,
    /// Where the findings of scans lie.
    pub blobs: Arc<dyn Blobs>,
    /// What lies beside images.
    pub signatures: Arc<dyn Signatures>,
}

/// What `gate` sees.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Seen {
    /// What was said last of the image's scan, where one is required.
    pub scan: Option<Scan>,
    /// Why the image was taken back in the environment before, when it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken_back: Option<TakenBack>,
    /// What lies beside the image, where a signature is required and none is known yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beside: Option<Beside>,
    /// What a decision relies on.
    #[serde(default)]
    pub heads: Vec<Relied>,
}

/// An image is quarantined in the environment before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TakenBack {
    /// The event that said it.
    pub event: EventId,
    /// Why.
    pub reason: String,
}

/// What was said of a scan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scan {
    /// The event that said it.
    pub event: EventId,
    /// What it said.
    pub fact: ImageScanned,
    /// Findings that a waiver names.
    pub waivable: Vec<Waivable>,
}

/// It has no effects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Nothing {}

impl Function for Gate {
    const NAME: &'static str = "gate";
    type Input = Input;
    type State = State;
    type Seen = Seen;
    type Effect = Nothing;

    fn units(&self, input: &Input) -> Vec<String> {
        match input {
            Input::ImagePushed(image) => self.units_of(&image.digest, |service| service.may_run(image)),
            Input::ImageScanned(scan) => self.units_of(&scan.digest, |service| service.image == scan.image),
            Input::BuildFinished(build) => match &build.digest {
                Some(digest) if passed(build.outcome) => {
                    self.units_of(digest, |service| service.name == build.service)
                }
                _ => Vec::new(),
            },
            Input::ApprovalGiven(given) => {
                self.unit(&given.environment, &given.service, &given.digest).into_iter().collect()
            }
            Input::DeploymentFinished(fact) if fact.outcome == DeploymentOutcome::Succeeded => {
                self.promoted(&fact.environment, &fact.service, &fact.to)
            }
            Input::DeploymentFinished(_) => Vec::new(),
            Input::DigestQuarantined(fact) => self.promoted(&fact.environment, &fact.service, &fact.digest),
            Input::DigestReleased(fact) => {
                let here = self.unit(&fact.environment, &fact.service, &fact.digest);
                let next = self.promoted(&fact.environment, &fact.service, &fact.digest);
                here.into_iter().chain(next).collect()
            }
        }
    }

    fn key(&self, _unit: &str, effect: &Nothing) -> Key {
        match *effect {}
    }

    async fn observe(&self, unit: &str, state: &State, cause: &Cause<Input>) -> Result<Seen, PortError> {
        let target = self.target(unit)?;
        let told = match cause {
            Cause::Told(told) => match &told.input {
                Input::ImagePushed(image) => Some(image),
                _ => None,
            },
            _ => None,
        };
        let image = told.or(state.heard.last().map(|heard| &heard.image));
        let mut seen = Seen::default();
        if let Some(image) = image {
            seen.beside = self.beside(&target, &image.image, state).await;
        }
        if let Some(image) = image.filter(|_| target.environment.gate.scan) {
            let image = ImageRef::new(image.image.clone(), image.digest.clone());
            seen.scan = self.scan(&image, &mut seen.heads).await?;
        }
        if let Some(promotion) = &target.environment.after {
            let subject = format!("{}/{}/{}", promotion.from, target.service.name, target.digest);
            let quarantine = quarantine(&*self.facts, &subject).await?;
            seen.taken_back = quarantine.bad.map(|(event, reason)| TakenBack { event, reason });
            seen.heads.extend(quarantine.heads);
        }
        Ok(seen)
    }

    fn decide(
        &self,
        unit: &str,
        at: &At,
        state: State,
        cause: Cause<Input>,
        seen: &Seen,
    ) -> Decision<State, Nothing> {
        let Ok(target) = self.target(unit) else { return Decision::rest(state) };
        decide::decide(&decide::Context { target, policy: &self.policy, now: at.now, seen }, state, cause)
    }

    async fn perform(&self, _unit: &str, _key: &Key, effect: &Nothing) -> Result<(), PortError> {
        match *effect {}
    }
}

/// What a unit's name stands for.
pub(crate) struct Target<'a> {
    pub(crate) environment: &'a Environment,
    pub(crate) service: &'a Service,
    pub(crate) digest: Digest,
}

impl Gate {
    fn target(&self, unit: &str) -> Result<Target<'_>, PortError> {
        let find = || {
            let (place, digest) = unit.split_once('@')?;
            let (environment, service) = place.split_once('/')?;
            let service = self.policy.service(&ServiceName::new(service).ok()?)?;
            let environment = self.policy.environment(&EnvironmentName::new(environment).ok()?)?;
            let runs = environment.services.contains(&service.name);
            Some(Target { environment, service, digest: Digest::new(digest).ok()? }).filter(|_| runs)
        };
        let unknown = "the configuration names no such service in that environment";
        find().ok_or_else(|| PortError::invalid(format!("look at {unit}"), unknown))
    }

    /// What was said last of the image's scan; adds what a decision on it relies on.
    async fn scan(&self, image: &ImageRef, heads: &mut Vec<Relied>) -> Result<Option<Scan>, PortError> {
        let subject = image.to_string();
        let event = self.facts.latest(ImageScanned::KIND, &subject).await?;
        heads.push(Relied {
            kind: ImageScanned::KIND.into(),
            subject,
            event: event.as_ref().map(|event| event.id.clone()),
        });
        let said = event.and_then(|event| Some((ImageScanned::from_data(&event.data)?.clone(), event.id)));
        let Some((fact, event)) = said else { return Ok(None) };
        let waivable = self.waivable(&fact).await?;
        Ok(Some(Scan { event, fact, waivable }))
    }

    /// The unit of a digest, where the service runs in the environment.
    fn unit(&self, environment: &EnvironmentName, service: &ServiceName, digest: &Digest) -> Option<String> {
        let runs = self.policy.environment(environment)?.services.contains(service);
        runs.then(|| format!("{environment}/{service}@{digest}"))
    }

    /// The units of a digest in the environments that are promoted to from this one.
    fn promoted(&self, from: &EnvironmentName, service: &ServiceName, digest: &Digest) -> Vec<String> {
        let next = self.policy.promotes(from, service);
        next.map(|environment| format!("{}/{service}@{digest}", environment.name)).collect()
    }

    /// The units of a digest: one for each environment of each service that it concerns.
    fn units_of(&self, digest: &Digest, concerns: impl Fn(&Service) -> bool) -> Vec<String> {
        let services = self.policy.services.iter().filter(|service| concerns(service));
        let of = |service: &Service| {
            let environments = self.policy.environments_of(&service.name);
            let units =
                environments.map(|environment| format!("{}/{}@{digest}", environment.name, service.name));
            units.collect::<Vec<_>>()
        };
        services.flat_map(of).collect()
    }
}

/// The image that came of it was built, and so its tests passed.
fn passed(outcome: BuildOutcome) -> bool {
    matches!(outcome, BuildOutcome::Succeeded | BuildOutcome::Unchanged)
}
