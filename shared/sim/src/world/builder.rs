//! A builder: the same files give the same digest.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use jiff::Timestamp;
use longshore_events::{CommitId, Digest, ImageName, ServiceName, types::BuildTimes};
use longshore_ports::{
    BlobRef, BuildFailure, BuildOrder, BuildStatus, Builder, Built, Clock, ErrorKind, Key, PortError,
};

use super::{FakeGit, Hole};
use crate::Air;

/// A builder that takes a while, and is cut off at times.
pub struct FakeBuilder {
    air: Arc<Air>,
    git: Arc<FakeGit>,
    hole: Option<Hole>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    builds: HashMap<String, Build>,
    wrong: Vec<String>,
    begun: HashMap<(ServiceName, CommitId), usize>,
}

struct Build {
    order: BuildOrder,
    ends: Timestamp,
}

impl FakeBuilder {
    /// Builds from `git`.
    pub fn new(air: Arc<Air>, git: Arc<FakeGit>, hole: Option<Hole>) -> Self {
        Self { air, git, hole, state: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What went wrong, in the builder's terms: the same commit of a service was built more than once.
    pub fn wrong(&self) -> Vec<String> {
        self.lock().wrong.clone()
    }

    /// The digest of a service's image at a commit: of the files that the service is built from.
    pub fn digest(&self, order: &BuildOrder) -> Digest {
        let prefix = format!("{}/", order.service);
        let tree = self.git.tree(&order.commit);
        let files: Vec<_> = tree.iter().filter(|(path, _)| path.starts_with(&prefix)).collect();
        BlobRef::of(format!("{files:?}").as_bytes()).0
    }

    fn status(&self, build: &Build, moment: Timestamp) -> BuildStatus {
        let source = self.git.tree(&build.order.commit);
        if build.ends > moment {
            return BuildStatus::Running;
        }
        if source.contains_key(&format!("{}/broken", build.order.service)) {
            let reason = "prepare failed".into();
            return BuildStatus::Failed(BuildFailure {
                reason,
                logs_ref: None,
                times: BuildTimes::default(),
            });
        }
        let Ok(image) = ImageName::new(build.order.service.as_str()) else { return BuildStatus::Running };
        BuildStatus::Succeeded(Built {
            image,
            tag: build.order.commit.to_string(),
            digest: self.digest(&build.order),
            media_type: "application/vnd.oci.image.manifest.v1+json".into(),
            platforms: Vec::new(),
            manifests_ref: None,
            logs_ref: None,
            times: BuildTimes::default(),
        })
    }
}

#[async_trait]
impl Builder for FakeBuilder {
    async fn start(&self, key: &Key, order: &BuildOrder) -> Result<(), PortError> {
        let act = || {
            let ends = self.air.after(200 + self.air.below(4_000));
            let mut state = self.lock();
            let known = state.builds.get(&key.to_string());
            if known.is_some_and(|known| known.order != *order) {
                return Err(PortError::new(
                    ErrorKind::Conflict,
                    "builder start",
                    "the key stands for another order",
                ));
            }
            if known.is_some() && self.hole != Some(Hole::NoNames) {
                return Ok(());
            }
            let begun = state.begun.entry((order.service.clone(), order.commit.clone())).or_default();
            *begun += 1;
            let times = *begun;
            if times > 1 {
                state.wrong.push(format!(
                    "{} of {} was built {times} times",
                    order.commit.short(),
                    order.service
                ));
            }
            state.builds.insert(key.to_string(), Build { order: order.clone(), ends });
            Ok(())
        };
        self.air.call("builder start", act).await
    }

    async fn find(&self, key: &Key) -> Result<Option<BuildStatus>, PortError> {
        let act = || {
            let stale = self.air.chance(|faults| faults.stale);
            let state = self.lock();
            let build = state.builds.get(&key.to_string()).filter(|_| !stale);
            Ok(build.map(|build| self.status(build, self.air.now())))
        };
        self.air.call("builder find", act).await
    }
}
