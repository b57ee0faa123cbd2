//! What people are shown of the state that `deploy` stores. Stored states load for ever, so that this part of them is
//! as stable as the events are.

use longshore_events::{CommitId, Digest, ImageRef, Timestamp};
use serde::Deserialize;
use serde_json::Value;

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
    #[serde(default)]
    stage: Value,
}

impl Rollout {
    /// Why it goes back, when it does.
    pub(crate) fn goes_back(&self) -> Option<String> {
        let at_once = self.stage.get("back");
        let reason = at_once.or_else(|| self.stage.get("return")?.get("reason"))?;
        reason.as_str().map(ToOwned::to_owned)
    }
}

/// A release that runs, or may run again.
#[derive(Debug, Deserialize)]
pub(crate) struct Known {
    release: u64,
    pub(crate) image: ImageRef,
    #[serde(default)]
    pub(crate) commit: Option<CommitId>,
    #[serde(default)]
    no_rollback_past: bool,
}

impl Deployed {
    /// A release that nothing goes back past, between the one that runs and that one; without one, and the one before.
    pub(crate) fn in_the_way(&self, to: Option<&Digest>) -> Option<String> {
        let older =
            self.previous.iter().take_while(|release| to.is_some_and(|to| release.image.digest != *to));
        let way = self.current.iter().chain(older).find(|release| release.no_rollback_past)?;
        Some(way.commit.as_ref().map_or(&way.image.digest.hex()[..12], |commit| commit.short()).to_owned())
    }

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
    fn what_nothing_goes_back_past_is_in_the_way_of_all_that_is_older() {
        let digest = |n: u8| Digest::new(format!("sha256:{n:064x}")).unwrap();
        let release = |n: u8, past: bool| {
            let image = format!("shop@{}", digest(n));
            serde_json::json!({ "release": n, "image": image, "no_rollback_past": past })
        };
        let deployed = |current: bool, before: bool| -> Deployed {
            let previous = [release(2, before), release(1, false)];
            serde_json::from_value(
                serde_json::json!({ "current": release(3, current), "previous": previous }),
            )
            .unwrap()
        };
        let way = Some("000000000000".to_owned());
        let free = deployed(false, false);
        assert_eq!((free.in_the_way(None), free.in_the_way(Some(&digest(1)))), (None, None));
        let before = deployed(false, true);
        assert_eq!(
            (before.in_the_way(None), before.in_the_way(Some(&digest(2)))),
            (None, None),
            "back to it"
        );
        assert_eq!(before.in_the_way(Some(&digest(1))), way);
        assert_eq!(deployed(true, false).in_the_way(None), way);
    }

    #[test]
    fn what_deploy_stored_in_any_release_is_shown() {
        let mut rollouts = 0;
        for (path, deployed) in Samples::of("deploy").load::<Deployed, IgnoredAny>() {
            let first = Some(format!("{:040x}", 1));
            assert_eq!(deployed.commit_of(1), first, "the release that runs, of {}", path.display());
            let Some(rollout) = &deployed.rollout else { continue };
            rollouts += 1;
            let is_back = path.ends_with("state-return.json");
            assert_eq!(rollout.goes_back().is_some(), is_back, "{}", path.display());
            assert_eq!(rollout.to.image.digest.hex(), format!("{:064x}", 2));
            assert_eq!(deployed.commit_of(rollout.generation), Some(format!("{:040x}", 2)));
        }
        assert!(rollouts >= 2, "{rollouts} samples of rollouts");
    }
}
