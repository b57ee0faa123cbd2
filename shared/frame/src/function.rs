//! The one trait.

use std::fmt::Debug;
use std::future::Future;

use longshore_events::Takes;
use longshore_ports::{Key, PortError};
use serde::{Serialize, de::DeserializeOwned};

use crate::{At, Cause, Decision};

/// Takes some event types, does one job, says the facts that follow.
///
/// `units`, `lease`, `key` and `decide` are pure. Only `observe` reads the outside and only `perform` changes it.
pub trait Function: Send + Sync + 'static {
    /// The function's name, as it appears in keys and sources.
    const NAME: &'static str;
    /// The event types that it takes.
    type Input: Takes + Clone + Debug + PartialEq + Send + Sync;
    /// What it remembers of a unit. Stored: samples of every release load for ever.
    type State: Serialize + DeserializeOwned + Default + Clone + PartialEq + Debug + Send + Sync;
    /// What it saw. Stored with each decision, so that it can be decided once more.
    type Seen: Serialize + DeserializeOwned + Debug + Send + Sync;
    /// What it does outside. Stored.
    type Effect: Serialize + DeserializeOwned + Clone + PartialEq + Debug + Send + Sync;

    /// The units that an event concerns; none means that it is not ours.
    fn units(&self, input: &Self::Input) -> Vec<String>;

    /// The lease that a unit may want, as `environment/service`.
    fn lease(&self, _unit: &str, _state: &Self::State) -> Option<String> {
        None
    }

    /// The environment of a unit, whose stop switch it heeds; `None` heeds only the switch for all.
    fn environment(&self, _unit: &str) -> Option<String> {
        None
    }

    /// What an effect means: the same for every attempt.
    fn key(&self, unit: &str, effect: &Self::Effect) -> Key;

    /// Looks at the outside. What it sees may be stale.
    fn observe(
        &self,
        unit: &str,
        state: &Self::State,
        cause: &Cause<Self::Input>,
    ) -> impl Future<Output = Result<Self::Seen, PortError>> + Send;

    /// Decides. Pure: the same arguments give the same decision.
    fn decide(
        &self,
        unit: &str,
        at: &At,
        state: Self::State,
        cause: Cause<Self::Input>,
        seen: &Self::Seen,
    ) -> Decision<Self::State, Self::Effect>;

    /// Does one effect. Safe to repeat under the same key; returns nothing, since what happened is learned by looking.
    fn perform(
        &self,
        unit: &str,
        key: &Key,
        effect: &Self::Effect,
    ) -> impl Future<Output = Result<(), PortError>> + Send;
}
