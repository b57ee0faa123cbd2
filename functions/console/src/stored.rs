//! What people are shown of the state that `deploy` stores. Stored states load for ever, so that this part of them is
//! as stable as the events are.

use longshore_events::{CommitId, Digest, ImageRef, Timestamp};
use serde::Deserialize;

/// A part of the state of a service in an environment.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Deployed {
    #[serde(default)]
    current: Option<Known>,
    #[serde(default)]
    previous: Vec<Known>,
    #[serde(default)]
    pub(crate) rollout: Option<Rollout>,
    #[serde(default)]
    pub(crate) held: Option<Held>,
}

/// An image that waits for a window to open or a freeze to end.
#[derive(Debug, Deserialize)]
pub(crate) struct Held {
    pub(crate) image: ImageRef,
    #[serde(default)]
    pub(crate) commit: Option<CommitId>,
    pub(crate) why: String,
    #[serde(default)]
    pub(crate) until: Option<Timestamp>,
}

/// A rollout that goes on.
#[derive(Debug, Deserialize)]
pub(crate) struct Rollout {
    pub(crate) generation: u64,
    pub(crate) to: Known,
    #[serde(default)]
    from: Option<Known>,
}

/// A release that runs, or may run again.
#[derive(Debug, Deserialize)]
pub(crate) struct Known {
    release: u64,
    pub(crate) image: ImageRef,
    #[serde(default)]
    pub(crate) commit: Option<CommitId>,
}

impl Deployed {
    /// The digests of the good releases before the one that runs.
    pub(crate) fn before(&self) -> impl Iterator<Item = &Digest> {
        self.previous.iter().map(|release| &release.image.digest)
    }

    /// The commit of a release, where it is known.
    pub(crate) fn commit_of(&self, release: u64) -> Option<String> {
        let rollout = self.rollout.iter().flat_map(|rollout| rollout.from.iter().chain([&rollout.to]));
        let mut known = self.current.iter().chain(&self.previous).chain(rollout);
        known.find(|known| known.release == release)?.commit.as_ref().map(ToString::to_string)
    }
}

#[cfg(test)]
mod tests {
    use longshore_sim::stored::Samples;
    use serde::de::IgnoredAny;

    use super::*;

    #[test]
    fn what_deploy_stored_in_any_release_is_shown() {
        let mut rollouts = 0;
        for (path, deployed) in Samples::of("deploy").load::<Deployed, IgnoredAny>() {
            let first = Some(format!("{:040x}", 1));
            assert_eq!(deployed.commit_of(1), first, "the release that runs, of {}", path.display());
            let Some(rollout) = &deployed.rollout else { continue };
            rollouts += 1;
            assert_eq!(rollout.to.image.digest.hex(), format!("{:064x}", 2));
            assert_eq!(deployed.commit_of(rollout.generation), Some(format!("{:040x}", 2)));
        }
        assert!(rollouts >= 2, "{rollouts} samples of rollouts");
    }
}
