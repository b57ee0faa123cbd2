//! The function `scan`: looks into each image that a service may run, once for each version of what it is compared with.
//!
//! A unit is an image at its digest, `NAME@DIGEST`. An image that comes again, and was scanned whole by the same version,
//! is not scanned again: what was said of it stands. A generation counts the scans of an image. A scan that does not end in
//! time, breaks off, or says that it is complete and looked for nothing, has failed: never is it clean. While an image runs, it
//! is looked at again from time to time: what was clean by yesterday's advisories need not be by today's.

mod decide;
mod state;

use std::sync::Arc;

use longshore_events::{ImageRef, takes, types::ImagePushed};
use longshore_frame::{At, Cause, Decision, Function};
use longshore_policy::Policy;
use longshore_ports::{
    EffectKind, Facts, Key, PortError, ScanOrder, ScanState, Scanner, ScannerVersion, running,
};
use serde::{Deserialize, Serialize};

pub use state::{Begin, Stage, State};

takes! {
    /// What `scan` takes.
    pub enum Input { ImagePushed, DeploymentFinished }
}

/// The function; see the crate's documentation.
pub struct Scan {
    /// The configuration.
    pub policy: Arc<Policy>,
    /// What scans.
    pub scanner: Arc<dyn Scanner>,
    /// What runs.
    pub facts: Arc<dyn Facts>,
    /// How long to wait between two looks at a scan that goes on, in milliseconds; a hint comes earlier.
    pub poll_ms: u64,
}

/// What `scan` sees.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Seen {
    /// What would scan now; `None` while a scan goes on.
    pub version: Option<ScannerVersion>,
    /// How the last scan stands.
    pub state: Option<ScanState>,
    /// A service runs it somewhere; not looked for while a scan goes on.
    #[serde(default)]
    pub runs: bool,
}

impl Function for Scan {
    const NAME: &'static str = "scan";
    type Input = Input;
    type State = State;
    type Seen = Seen;
    type Effect = Begin;

    fn units(&self, input: &Input) -> Vec<String> {
        match input {
            Input::ImagePushed(image) => {
                let runs = self.policy.services.iter().any(|service| service.may_run(image));
                runs.then(|| reference(image).to_string()).into_iter().collect()
            }
            // Where images are looked at again, that which runs now.
            Input::DeploymentFinished(end) => {
                let service =
                    self.policy.service(&end.service).filter(|_| self.policy.scan.again_ms.is_some());
                let image = service.zip(end.running.clone());
                let image = image.map(|(service, digest)| ImageRef::new(service.image.clone(), digest));
                image.iter().map(ToString::to_string).collect()
            }
        }
    }

    fn key(&self, unit: &str, effect: &Begin) -> Key {
        key(unit, effect.number)
    }

    async fn observe(&self, unit: &str, state: &State, cause: &Cause<Input>) -> Result<Seen, PortError> {
        let told = matches!(cause, Cause::Told(_));
        let goes_on = state.stage == Stage::Scanning;
        let version = if goes_on { None } else { Some(self.scanner.version().await?) };
        let runs = match &state.order {
            Some(order) if !goes_on && self.policy.scan.again_ms.is_some() => self.runs(&order.image).await?,
            _ => false,
        };
        let state = match &state.order {
            Some(order) if goes_on || (state.stage == Stage::Ended && !told) => {
                self.scanner.find(&key(unit, state.scans), order).await?
            }
            _ => None,
        };
        Ok(Seen { version, state, runs })
    }

    fn decide(
        &self,
        unit: &str,
        at: &At,
        state: State,
        cause: Cause<Input>,
        seen: &Seen,
    ) -> Decision<State, Begin> {
        let (timeout_ms, poll_ms) = (self.policy.scan.timeout_ms, self.poll_ms);
        let again_ms = self.policy.scan.again_ms;
        let context = decide::Context { subject: unit, at: *at, seen, timeout_ms, poll_ms, again_ms };
        decide::decide(&context, state, cause)
    }

    async fn perform(&self, _unit: &str, key: &Key, effect: &Begin) -> Result<(), PortError> {
        self.scanner.start(key, &effect.order).await
    }
}

impl Scan {
    /// Whether a service runs the image in some environment.
    async fn runs(&self, image: &ImageRef) -> Result<bool, PortError> {
        for (environment, service) in self.policy.places_of(&image.name) {
            let digest = running(&*self.facts, &environment.name, &service.name).await?;
            if digest.as_ref() == Some(&image.digest) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// The image that was pushed, at its digest.
fn reference(image: &ImagePushed) -> ImageRef {
    ImageRef::new(image.image.clone(), image.digest.clone())
}

fn order(image: &ImagePushed) -> ScanOrder {
    ScanOrder { image: reference(image), platforms: image.platforms.clone() }
}

fn key(unit: &str, number: u64) -> Key {
    Key {
        function: Scan::NAME.into(),
        unit: unit.into(),
        generation: Some(number),
        name: "start".into(),
        kind: EffectKind::Named,
        restoring: false,
    }
}
