//! What `deploy` remembers of a service in an environment. Stored: samples of every release load for ever.

use jiff::Timestamp;
use longshore_events::{CommitId, Digest, ImageRef, Link, types::GateEvaluated};
use longshore_ports::RunSpec;
use serde::{Deserialize, Serialize};

use crate::Returning;

/// Good releases that are remembered to go back to.
const HISTORY: usize = 10;
/// Images that are remembered until the branch's tip is known for sure.
const CANDIDATES: usize = 20;

/// The state of one unit.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct State {
    /// The good release that runs.
    #[serde(default)]
    pub current: Option<Release>,
    /// The good releases before it, the newest first.
    #[serde(default)]
    pub previous: Vec<Release>,
    /// Images that were heard of, the newest last.
    #[serde(default)]
    pub candidates: Vec<Candidate>,
    /// The commit that was followed last as the branch's tip.
    #[serde(default)]
    pub tip: Option<CommitId>,
    /// When an image was last heard of.
    #[serde(default)]
    pub told_at: Option<Timestamp>,
    /// The rollout that goes on.
    #[serde(default)]
    pub rollout: Option<Rollout>,
    /// What waits for a window to open or a freeze to end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Waiting>,
    /// Somebody asked to go back, and another function has the lease.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<Asked>,
}

/// An image that may run, but not now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Waiting {
    /// The image.
    pub image: ImageRef,
    /// Its commit, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<CommitId>,
    /// Why not now.
    pub why: String,
    /// Until when; `None` when that is not in sight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// A wish to go back to a good release.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Asked {
    /// Which; `None` for the one before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Digest>,
    /// Who asked, and why: the reason why the release that runs must not run again.
    pub reason: String,
    /// The link of what follows from it.
    pub link: Link,
}

/// An image that may have to run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// The image.
    pub image: ImageRef,
    /// Its commit; `None` for an image from outside.
    #[serde(default)]
    pub commit: Option<CommitId>,
    /// The push that led to it was forced.
    #[serde(default)]
    pub forced: bool,
    /// The generation of its deployment in the environment before, in one that is promoted to: what came there later is
    /// newer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proven: Option<u64>,
    /// As in [`Release::manifests`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifests: Option<String>,
    /// Nothing was decided about it yet.
    pub fresh: bool,
    /// The link of what follows from it.
    pub link: Link,
}

/// A release that runs, or may run again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Release {
    /// The generation that started it.
    pub release: u64,
    /// The image.
    pub image: ImageRef,
    /// Its commit, where it is known.
    #[serde(default)]
    pub commit: Option<CommitId>,
    /// As in [`Candidate::proven`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proven: Option<u64>,
    /// It changed what cannot be taken back: nothing goes back past it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub no_rollback_past: bool,
    /// How it runs: kept, so that going back brings its settings back too.
    pub run: RunSpec,
    /// The Kubernetes manifests that were rendered with the image, by their name in Blobs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifests: Option<String>,
    /// The link of what is said about it.
    pub link: Link,
}

/// A release on its way in, or back out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rollout {
    /// Its generation.
    pub generation: u64,
    /// The last step that was decided.
    pub step: u32,
    /// Where it stands.
    pub stage: Stage,
    /// The new release.
    pub to: Release,
    /// The release that runs, if one does.
    #[serde(default)]
    pub from: Option<Release>,
    /// When it must be ready; set once the outside is seen to have its first step.
    #[serde(default)]
    pub deadline: Option<Timestamp>,
    /// Until when the outside may work on the wish of its stage; from the first look at which it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub works_until: Option<Timestamp>,
    /// When it got all the traffic; where it takes the old one's place instance by instance, when it got any.
    #[serde(default)]
    pub shifted_at: Option<Timestamp>,
    /// Since when it is ready, where it takes the old one's place instance by instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready_at: Option<Timestamp>,
    /// From the start of its process until it listened, in milliseconds.
    #[serde(default)]
    pub boot_ms: Option<u64>,
    /// Somebody asked to go back: `to` is an older release, and a good one.
    #[serde(default)]
    pub requested: bool,
    /// It should have gone back, for this reason, and nothing goes back past it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stays: Option<String>,
}

/// Where a rollout stands. Each stage is one wish to the outside.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// The new release starts beside the old one, without traffic.
    Start,
    /// The new release takes the place of the old one, instance by instance: on a cluster, which keeps the old ones until
    /// new ones are ready.
    Roll,
    /// The new release has a share of the traffic beside the old one, and is measured.
    Step(Held),
    /// The new release has the traffic; the old one still runs.
    Shift,
    /// The new release runs alone.
    Finish,
    /// The new release was measured bad, and gives its share of the traffic back by degrees.
    Return(Returning),
    /// The old release has the traffic again; the new one goes, for this reason.
    Back(String),
    /// The old release is what shall run after all; the new one goes, and may come again.
    Withdraw,
}

/// A step of the environment's strategy that is held.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Held {
    /// Its place among the strategy's steps, from 0.
    pub number: u32,
    /// The share of the traffic, in percent, as it was decided: the configuration may be another by now.
    pub weight: u8,
    /// Since when it is measured: the outside was seen to have the share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
}

impl Rollout {
    /// Goes on to a stage: a step of its own, which the outside has not begun to work on.
    pub(crate) fn enter(&mut self, stage: Stage) {
        self.step += 1;
        self.works_until = None;
        self.stage = stage;
    }

    /// The release that runs is where the service is headed.
    pub(crate) fn goes_back(&self) -> bool {
        matches!(self.stage, Stage::Return(_) | Stage::Back(_) | Stage::Withdraw)
    }

    /// It has the traffic, and nothing goes back past it.
    pub(crate) fn is_past(&self) -> bool {
        let has_traffic = match &self.stage {
            Stage::Shift | Stage::Finish => true,
            Stage::Step(held) => held.weight > 0,
            Stage::Roll => self.shifted_at.is_some(),
            Stage::Start | Stage::Return(_) | Stage::Back(_) | Stage::Withdraw => false,
        };
        has_traffic && self.to.no_rollback_past && !self.requested && self.from.is_some()
    }
}

impl Release {
    /// Why nothing goes back past it.
    pub(crate) fn fix_forward(&self) -> String {
        let name = self.commit.as_ref().map_or(&self.image.digest.hex()[..12], |commit| commit.short());
        format!("{name} declares no_rollback_past: fix forward")
    }
}

impl State {
    /// A release that lies between the one that runs and an older one, by its place among those, and that nothing goes back
    /// past.
    pub(crate) fn in_the_way(&self, place: usize) -> Option<&Release> {
        let newer = self.current.iter().chain(self.previous.iter().take(place));
        newer.into_iter().find(|release| release.no_rollback_past)
    }

    /// Remembers an image that was judged.
    pub(crate) fn heard(&mut self, image: &GateEvaluated, link: Link, now: Timestamp) {
        let candidate = Candidate {
            image: ImageRef::new(image.image.clone(), image.digest.clone()),
            commit: image.commit.clone(),
            forced: image.forced,
            proven: image.proof.as_ref().map(|proof| proof.generation),
            manifests: image.manifests_ref.clone(),
            fresh: true,
            link,
        };
        self.candidates.retain(|known| known.image != candidate.image || known.commit != candidate.commit);
        self.candidates.push(candidate);
        let excess = self.candidates.len().saturating_sub(CANDIDATES);
        self.candidates.drain(..excess);
        self.told_at = Some(now);
    }

    /// The new release is the one that runs.
    pub(crate) fn arrived(&mut self, rollout: &Rollout) {
        let before = self.current.replace(rollout.to.clone());
        self.previous.extend(before.filter(|_| !rollout.requested));
        self.previous.sort_by_key(|release| std::cmp::Reverse(release.release));
        self.previous.truncate(HISTORY);
    }

    /// Digests whose verdict matters for the next decision; those of the history only when it is to go back.
    pub(crate) fn in_question(&self, told: Option<&Digest>, to_go_back: bool) -> Vec<Digest> {
        let previous = self
            .previous
            .iter()
            .filter(|_| to_go_back || self.asked.is_some())
            .map(|release| &release.image.digest);
        let candidates = self.candidates.iter().map(|candidate| &candidate.image.digest);
        let rollout = self.rollout.iter().map(|rollout| &rollout.to.image.digest);
        let mut digests: Vec<Digest> =
            candidates.chain(rollout).chain(previous).chain(told).cloned().collect();
        digests.sort();
        digests.dedup();
        digests
    }
}
