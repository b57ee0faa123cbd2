//! The function `build`: makes an image of each service that a push touches.
//!
//! A unit is a service at a commit, `service@commit`. A commit is built when it is the branch's tip; one that is not is
//! superseded (see `decide.rs`). A push that touches nothing a service watches is not built: the service's last image
//! stands for the new commit too, and is said again under it, so that the branch's tip always has an image.

mod decide;
#[cfg(test)]
mod observe_tests;
mod state;

use std::sync::Arc;

use longshore_events::{
    CommitId, Fact, ServiceName, takes,
    types::{ImagePushed, RefKind},
};
use longshore_frame::{At, Cause, Decision, Function};
use longshore_policy::{Policy, Repository, Service, ServiceSource};
use longshore_ports::{
    BuildOrder, BuildStatus, Builder, EffectKind, ErrorKind, Facts, Git, Key, PortError, Relation,
};
use serde::{Deserialize, Serialize};

pub use state::{Push, Stage, State};

takes! {
    /// What `build` takes.
    pub enum Input { PushReceived }
}

/// The function; see the crate's documentation.
pub struct Build {
    /// The configuration.
    pub policy: Arc<Policy>,
    /// What builds.
    pub builder: Arc<dyn Builder>,
    /// The builder's name, for what is said: `packer`, `buildah`, ….
    pub builder_name: String,
    /// Where the branch's tip and changed paths are asked.
    pub git: Arc<dyn Git>,
    /// What was said before.
    pub facts: Arc<dyn Facts>,
    /// How long to wait between two looks at a running build, in milliseconds; a hint comes earlier.
    pub poll_ms: u64,
}

/// What `build` sees.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Seen {
    /// How the branch's tip stands to the commit; `None` when the branch is gone, or the build has begun.
    pub tip: Option<Relation>,
    /// The service's last image, when nothing that it watches changed since.
    pub unchanged: Option<ImagePushed>,
    /// How the build stands.
    pub status: Option<BuildStatus>,
}

impl Function for Build {
    const NAME: &'static str = "build";
    type Input = Input;
    type State = State;
    type Seen = Seen;
    type Effect = BuildOrder;

    fn units(&self, input: &Input) -> Vec<String> {
        let Input::PushReceived(push) = input;
        let followed =
            self.policy.repository(&push.repo).is_some_and(|repository| repository.branch == push.git_ref);
        match &push.after {
            Some(after) if followed && push.ref_kind == RefKind::Branch && !push.deleted => {
                self.policy.services_of(&push.repo).map(|(service, _)| unit(&service.name, after)).collect()
            }
            _ => Vec::new(),
        }
    }

    fn key(&self, unit: &str, _effect: &BuildOrder) -> Key {
        start_key(unit)
    }

    async fn observe(&self, unit: &str, state: &State, cause: &Cause<Input>) -> Result<Seen, PortError> {
        let target = self.target(unit)?;
        let repo = &target.repository.name;
        let begins =
            matches!(cause, Cause::Told(_)) || matches!(state.stage, Stage::Waiting | Stage::Superseded);
        let tip = if begins { self.git.tip(repo, &target.repository.branch).await? } else { None };
        let tip = match tip {
            Some(tip) => Some(self.git.relation(repo, &target.commit, &tip).await?),
            None => None,
        };
        let unchanged = if begins { self.unchanged(&target).await? } else { None };
        let status = self.builder.find(&start_key(unit)).await?;
        Ok(Seen { tip, unchanged, status })
    }

    fn decide(
        &self,
        unit: &str,
        at: &At,
        state: State,
        cause: Cause<Input>,
        seen: &Seen,
    ) -> Decision<State, BuildOrder> {
        let Ok(target) = self.target(unit) else { return Decision::rest(state) };
        let context = decide::Context {
            order: BuildOrder {
                service: target.service.name.clone(),
                repo: target.repository.name.clone(),
                commit: target.commit,
            },
            image: target.service.image.clone(),
            builder: &self.builder_name,
            at: *at,
            seen,
            poll_ms: self.poll_ms,
            watch_ms: self.policy.host.watch_ms(),
        };
        decide::decide(&context, state, cause)
    }

    async fn perform(&self, _unit: &str, key: &Key, order: &BuildOrder) -> Result<(), PortError> {
        self.builder.start(key, order).await
    }
}

/// What a unit's name stands for.
struct Target<'a> {
    service: &'a Service,
    source: &'a ServiceSource,
    repository: &'a Repository,
    commit: CommitId,
}

impl Build {
    fn target(&self, unit: &str) -> Result<Target<'_>, PortError> {
        let find = || {
            let (service, commit) = unit.split_once('@')?;
            let service = self.policy.service(&ServiceName::new(service).ok()?)?;
            let source = service.source.as_ref()?;
            let repository = self.policy.repository(&source.repository)?;
            Some(Target { service, source, repository, commit: CommitId::new(commit).ok()? })
        };
        let unknown = "the configuration names no such service, or no source for it";
        find().ok_or_else(|| PortError::invalid(format!("look at {unit}"), unknown))
    }

    /// The last image of a service, when nothing that it watches differs between its commit and this one. Where that
    /// cannot be told, since the paths are too many or Git has forgotten one of the commits, everything counts as changed.
    async fn unchanged(&self, target: &Target<'_>) -> Result<Option<ImagePushed>, PortError> {
        if target.source.watch.is_empty() {
            return Ok(None);
        }
        let last = self.facts.latest(ImagePushed::KIND, target.service.image.as_str()).await?;
        let last = last.as_ref().and_then(|event| ImagePushed::from_data(&event.data));
        let Some((last, commit)) = last.and_then(|last| Some((last, last.commit.as_ref()?))) else {
            return Ok(None);
        };
        let paths = match self.git.compare(&target.repository.name, commit, &target.commit).await {
            Ok(changes) => changes.paths,
            Err(error) if error.kind == ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let untouched =
            paths.is_some_and(|paths| !target.source.watch.touched_by(paths.iter().map(String::as_str)));
        Ok(untouched.then(|| last.clone()))
    }
}

/// A service at a commit.
fn unit(service: &ServiceName, commit: &CommitId) -> String {
    format!("{service}@{commit}")
}

fn start_key(unit: &str) -> Key {
    Key {
        function: Build::NAME.into(),
        unit: unit.into(),
        generation: None,
        name: "start".into(),
        kind: EffectKind::Named,
        restoring: false,
    }
}
