//! The function `scan`: looks into each image that a service may run, once for each version of what it is compared with.
//!
//! A unit is an image at its digest, `NAME@DIGEST`. An image that comes again, and was scanned whole by the same version,
//! is not scanned again: what was said of it stands. A generation counts the scans of an image. A scan that does not end in
//! time, breaks off, or says that it is complete and looked for nothing, has failed: never is it clean.

mod decide;
mod state;

use std::sync::Arc;

use longshore_events::{ImageRef, takes, types::ImagePushed};
use longshore_frame::{At, Cause, Decision, Function};
use longshore_policy::Policy;
use longshore_ports::{EffectKind, Key, PortError, ScanOrder, ScanState, Scanner, ScannerVersion};
use serde::{Deserialize, Serialize};

pub use state::{Begin, Stage, State};

takes! {
    /// What `scan` takes.
    pub enum Input { ImagePushed }
}

/// The function; see the crate's documentation.
pub struct Scan {
    /// The configuration.
    pub policy: Arc<Policy>,
    /// What scans.
    pub scanner: Arc<dyn Scanner>,
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
}

impl Function for Scan {
    const NAME: &'static str = "scan";
    type Input = Input;
    type State = State;
    type Seen = Seen;
    type Effect = Begin;

    fn units(&self, input: &Input) -> Vec<String> {
        let Input::ImagePushed(image) = input;
        let runs = self.policy.services.iter().any(|service| service.may_run(image));
        runs.then(|| reference(image).to_string()).into_iter().collect()
    }

    fn key(&self, unit: &str, effect: &Begin) -> Key {
        key(unit, effect.number)
    }

    async fn observe(&self, unit: &str, state: &State, cause: &Cause<Input>) -> Result<Seen, PortError> {
        let told = matches!(cause, Cause::Told(_));
        let goes_on = state.stage == Stage::Scanning;
        let version = if goes_on { None } else { Some(self.scanner.version().await?) };
        let state = match &state.order {
            Some(order) if goes_on || (state.stage == Stage::Ended && !told) => {
                self.scanner.find(&key(unit, state.scans), order).await?
            }
            _ => None,
        };
        Ok(Seen { version, state })
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
        let context = decide::Context { subject: unit, at: *at, seen, timeout_ms, poll_ms };
        decide::decide(&context, state, cause)
    }

    async fn perform(&self, _unit: &str, key: &Key, effect: &Begin) -> Result<(), PortError> {
        self.scanner.start(key, &effect.order).await
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
