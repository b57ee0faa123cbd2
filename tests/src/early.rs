//! A fault put in on purpose: whether a rollout may begin is judged by the time of the event that told of the image, and not
//! by the time at which it is decided.

use std::sync::Arc;

use longshore_deploy::Deploy;
use longshore_frame::{At, Cause, Decision, Function};
use longshore_ports::{Key, PortError};

/// `deploy`, whose clock is that of events.
pub(crate) struct Early(pub(crate) Arc<Deploy>);

impl Function for Early {
    const NAME: &'static str = Deploy::NAME;
    type Input = <Deploy as Function>::Input;
    type State = <Deploy as Function>::State;
    type Seen = <Deploy as Function>::Seen;
    type Effect = <Deploy as Function>::Effect;

    fn units(&self, input: &Self::Input) -> Vec<String> {
        self.0.units(input)
    }

    fn lease(&self, unit: &str, state: &Self::State) -> Option<String> {
        self.0.lease(unit, state)
    }

    fn environment(&self, unit: &str) -> Option<String> {
        self.0.environment(unit)
    }

    fn key(&self, unit: &str, effect: &Self::Effect) -> Key {
        self.0.key(unit, effect)
    }

    async fn observe(
        &self,
        unit: &str,
        state: &Self::State,
        cause: &Cause<Self::Input>,
    ) -> Result<Self::Seen, PortError> {
        self.0.observe(unit, state, cause).await
    }

    fn decide(
        &self,
        unit: &str,
        at: &At,
        state: Self::State,
        cause: Cause<Self::Input>,
        seen: &Self::Seen,
    ) -> Decision<Self::State, Self::Effect> {
        let now = if let Cause::Told(told) = &cause { told.time } else { at.now };
        self.0.decide(unit, &At { now, ..*at }, state, cause, seen)
    }

    async fn perform(&self, unit: &str, key: &Key, effect: &Self::Effect) -> Result<(), PortError> {
        self.0.perform(unit, key, effect).await
    }
}
