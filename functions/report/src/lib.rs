//! The function `report`: shows at the forge how each commit stands, and tells people what needs them.
//!
//! A unit is one thing that is shown of one commit, `build/<service>@<commit>` and `deployment/<environment>/<service>@<commit>`;
//! or what people are told of: `failure/<environment>/<service>/<generation>`, `dead/<function>/<digits>`, and
//! `findings/<image>@<digest>`, new findings in what runs. A status is
//! written once for each change of it; where there were many, failures alone still are. What it says is told, at least once: an
//! invocation that outlives its claim may write an older status over a newer one, and no forge can refuse that. It tells also
//! while everything is stopped, and never of its own dead letters.

mod decide;
mod found;
mod state;

use std::sync::Arc;

use longshore_events::takes;
use longshore_frame::{At, Cause, Decision, Function};
use longshore_policy::Policy;
use longshore_ports::{Blobs, EffectKind, Facts, Forge, Key, Notify, PortError};

pub use found::{Blocking, Scanned};
pub use state::{Say, State, What};

takes! {
    /// What `report` takes.
    pub enum Input {
        BuildStarted, BuildFinished, DeploymentStarted, DeploymentFinished, ImageScanned, EventDeadlettered,
    }
}

/// The function; see the crate's documentation.
pub struct Report {
    /// The configuration.
    pub policy: Arc<Policy>,
    /// What shows statuses.
    pub forge: Arc<dyn Forge>,
    /// Who is told of failures; `None` when nobody is.
    pub notify: Option<Arc<dyn Notify>>,
    /// What was said of images, and what runs.
    pub facts: Arc<dyn Facts>,
    /// Where the findings of scans lie.
    pub blobs: Arc<dyn Blobs>,
}

impl Function for Report {
    const NAME: &'static str = "report";
    type Input = Input;
    type State = State;
    /// Of an image, what was said of it last.
    type Seen = Option<Scanned>;
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

    async fn observe(&self, unit: &str, _: &State, _: &Cause<Input>) -> Result<Option<Scanned>, PortError> {
        match unit.strip_prefix(found::PREFIX) {
            Some(image) => self.scanned(image).await,
            None => Ok(None),
        }
    }

    fn decide(
        &self,
        unit: &str,
        _: &At,
        state: State,
        cause: Cause<Input>,
        seen: &Option<Scanned>,
    ) -> Decision<State, Say> {
        let subjects = decide::Subjects { policy: &self.policy, notifies: self.notify.is_some() };
        decide::decide(&subjects, unit, state, cause, seen.as_ref())
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
