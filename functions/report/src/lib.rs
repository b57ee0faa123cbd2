//! The function `report`: shows at the forge how each commit stands, and tells people what needs them.
//!
//! A unit is one thing that is shown of one commit, `build/<service>@<commit>` and `deployment/<environment>/<service>@<commit>`;
//! or what people are told of: `failure/<environment>/<service>/<generation>` and `dead/<function>/<digits>`. A status is
//! written once for each change of it; where there were many, failures alone still are. What it says is told, at least once: an
//! invocation that outlives its claim may write an older status over a newer one, and no forge can refuse that. It tells also
//! while everything is stopped, and never of its own dead letters.

mod decide;
mod state;

use std::sync::Arc;

use longshore_events::takes;
use longshore_frame::{At, Cause, Decision, Function};
use longshore_policy::Policy;
use longshore_ports::{EffectKind, Forge, Key, Notify, PortError};

pub use state::{Say, State, What};

takes! {
    /// What `report` takes.
    pub enum Input { BuildStarted, BuildFinished, DeploymentStarted, DeploymentFinished, EventDeadlettered }
}

/// The function; see the crate's documentation.
pub struct Report {
    /// The configuration.
    pub policy: Arc<Policy>,
    /// What shows statuses.
    pub forge: Arc<dyn Forge>,
    /// Who is told of failures; `None` when nobody is.
    pub notify: Option<Arc<dyn Notify>>,
}

impl Function for Report {
    const NAME: &'static str = "report";
    type Input = Input;
    type State = State;
    type Seen = ();
    type Effect = Say;

    fn units(&self, input: &Input) -> Vec<String> {
        let subjects = decide::Subjects { policy: &self.policy, notifies: self.notify.is_some() };
        subjects.of(input)
    }

    fn key(&self, unit: &str, effect: &Say) -> Key {
        let name = match effect.what {
            What::Status(_) => "status",
            What::Notice(_) => "notice",
        };
        Key {
            function: Self::NAME.into(),
            unit: unit.into(),
            generation: Some(effect.number),
            name: name.into(),
            kind: EffectKind::Told,
            // It changes nothing that runs.
            restoring: true,
        }
    }

    async fn observe(&self, _: &str, _: &State, _: &Cause<Input>) -> Result<(), PortError> {
        Ok(())
    }

    fn decide(&self, unit: &str, _: &At, state: State, cause: Cause<Input>, (): &()) -> Decision<State, Say> {
        let subjects = decide::Subjects { policy: &self.policy, notifies: self.notify.is_some() };
        decide::decide(&subjects, unit, state, cause)
    }

    async fn perform(&self, _unit: &str, key: &Key, effect: &Say) -> Result<(), PortError> {
        match (&effect.what, &self.notify) {
            (What::Status(status), _) => self.forge.status(key, status).await,
            (What::Notice(notice), Some(notify)) => notify.tell(key, notice).await,
            // Since it was decided, the configuration names nobody any more.
            (What::Notice(_), None) => Ok(()),
        }
    }
}
