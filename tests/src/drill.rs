//! A second taker of leases: after each rollout it puts a fault into what runs, for a moment, as chaos experiments do.
//! It shows that whoever waits for a lease waits, and that no rollout meets a fault.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use longshore_events::{EnvironmentName, ServiceName, takes, types::DeploymentOutcome};
use longshore_frame::{At, Cause, Decision, Function, Lease};
use longshore_ports::{EffectKind, Key, PortError, Workload};
use longshore_sim::world::FakeWorkloads;
use serde::{Deserialize, Serialize};

/// How long a fault lasts, in milliseconds.
const LASTS_MS: i64 = 2_000;
/// After so long it ends by itself, in milliseconds: whoever should end it may be gone.
const AT_MOST_MS: i64 = 20_000;
/// Between two looks, in milliseconds.
const POLL_MS: i64 = 1_000;

takes! {
    /// What the drill takes.
    pub enum Input { DeploymentFinished }
}

/// The function.
pub(crate) struct Drill {
    pub(crate) workloads: Arc<FakeWorkloads>,
}

/// What is remembered of a workload.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    wanted: bool,
    fault: Option<Fault>,
}

/// A fault that was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Fault {
    generation: u64,
    ends: Timestamp,
    until: Timestamp,
    reverting: bool,
}

/// What is done to what runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Effect {
    Inject { generation: u64, until: Timestamp },
    Revert { generation: u64 },
}

fn workload(unit: &str) -> Result<Workload, PortError> {
    let invalid = || PortError::invalid("drill", format!("{unit} is no environment/service"));
    let (environment, service) = unit.split_once('/').ok_or_else(invalid)?;
    let environment = EnvironmentName::new(environment).map_err(|_| invalid())?;
    Ok(Workload { environment, service: ServiceName::new(service).map_err(|_| invalid())? })
}

impl Function for Drill {
    const NAME: &'static str = "drill";
    type Input = Input;
    type State = State;
    type Seen = bool;
    type Effect = Effect;

    fn units(&self, input: &Input) -> Vec<String> {
        let Input::DeploymentFinished(fact) = input;
        let succeeded = fact.outcome == DeploymentOutcome::Succeeded;
        succeeded.then(|| format!("{}/{}", fact.environment, fact.service)).into_iter().collect()
    }

    fn lease(&self, unit: &str, _state: &State) -> Option<String> {
        Some(unit.to_owned())
    }

    fn environment(&self, unit: &str) -> Option<String> {
        unit.split_once('/').map(|(environment, _)| environment.to_owned())
    }

    fn key(&self, unit: &str, effect: &Effect) -> Key {
        let (generation, name, restoring) = match effect {
            Effect::Inject { generation, .. } => (*generation, "inject", false),
            Effect::Revert { generation } => (*generation, "revert", true),
        };
        Key {
            function: Self::NAME.into(),
            unit: unit.into(),
            generation: Some(generation),
            name: name.into(),
            kind: EffectKind::Named,
            restoring,
        }
    }

    async fn observe(&self, unit: &str, state: &State, _: &Cause<Input>) -> Result<bool, PortError> {
        match state.fault {
            Some(fault) => self.workloads.is_disturbed(&workload(unit)?, fault.generation).await,
            None => Ok(false),
        }
    }

    fn decide(
        &self,
        _unit: &str,
        at: &At,
        state: State,
        cause: Cause<Input>,
        seen: &bool,
    ) -> Decision<State, Effect> {
        let state = State { wanted: state.wanted || matches!(cause, Cause::Told(_)), ..state };
        match state.fault {
            Some(fault) => go_on(at, state, fault, &cause, *seen),
            None if state.wanted => begin(at, state),
            None => Decision::rest(state),
        }
    }

    async fn perform(&self, unit: &str, _key: &Key, effect: &Effect) -> Result<(), PortError> {
        match effect {
            Effect::Inject { generation, until } => {
                self.workloads.disturb(&workload(unit)?, *generation, *until).await
            }
            Effect::Revert { generation } => self.workloads.soothe(&workload(unit)?, *generation).await,
        }
    }
}

fn after(at: &At, ms: i64) -> Timestamp {
    at.now + SignedDuration::from_millis(ms)
}

fn begin(at: &At, state: State) -> Decision<State, Effect> {
    match at.lease {
        Lease::Free(generation) if !at.stopped => {
            let (ends, until) = (after(at, LASTS_MS), after(at, AT_MOST_MS));
            let fault = Some(Fault { generation, ends, until, reverting: false });
            let inject = Effect::Inject { generation, until };
            Decision::rest(State { wanted: false, fault }).hold().wake(ends).effect(inject)
        }
        Lease::Mine(_) => Decision { again: true, ..Decision::rest(state) },
        _ => Decision::rest(state).wake(after(at, POLL_MS)),
    }
}

/// Ends a fault that lasted, or could not be put in, and lets go of the lease when it is gone.
fn go_on(
    at: &At,
    state: State,
    mut fault: Fault,
    cause: &Cause<Input>,
    seen: bool,
) -> Decision<State, Effect> {
    let done = *cause == Cause::Done && fault.reverting;
    if (done && !seen) || at.now >= fault.until {
        return Decision { again: state.wanted, ..Decision::rest(State { fault: None, ..state }) };
    }
    let failed = matches!(cause, Cause::Failed(_));
    if failed && fault.reverting {
        return Decision::rest(state).hold().wake(fault.until);
    }
    if !failed && at.now < fault.ends {
        return Decision::rest(state).hold().wake(fault.ends);
    }
    if done {
        return Decision::rest(state).hold().wake(after(at, POLL_MS));
    }
    fault.reverting = true;
    let revert = Effect::Revert { generation: fault.generation };
    let state = State { fault: Some(fault), ..state };
    Decision::rest(state).hold().wake(after(at, POLL_MS)).effect(revert)
}
