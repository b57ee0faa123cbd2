//! When a commit is built, and what is said of it; and that what is stored loads for ever.

use jiff::{SignedDuration, Timestamp};
use longshore_events::types::{BuildOutcome, BuildTimes, ImagePushed, PushReceived, RefKind};
use longshore_events::{
    ChainId, CommitId, Data, Digest, EventId, ImageName, Link, RefName, RepositoryName, ServiceName,
};
use longshore_frame::{At, Cause, Decision, Lease, Told};
use longshore_ports::{BuildFailure, BuildOrder, BuildStatus, Built, Relation};
use longshore_sim::stored::Samples;

use super::{Context, decide};
use crate::{Input, Seen, Stage, State};

fn commit() -> CommitId {
    CommitId::new("1".repeat(40)).unwrap()
}

fn digest() -> Digest {
    Digest::new(format!("sha256:{}", "a".repeat(64))).unwrap()
}

/// A service at a commit, and what the outside says of it.
struct Unit {
    state: State,
    now: Timestamp,
    seen: Seen,
    said: Vec<Data>,
    started: usize,
    last: Decision<State, BuildOrder>,
}

impl Unit {
    fn new(tip: Option<Relation>) -> Self {
        Self {
            state: State::default(),
            now: Timestamp::from_second(1_790_000_000).unwrap(),
            seen: Seen { tip, unchanged: None, status: None },
            said: Vec::new(),
            started: 0,
            last: Decision::rest(State::default()),
        }
    }

    fn step(&mut self, cause: Cause<Input>) {
        let context = Context {
            order: BuildOrder {
                service: ServiceName::new("shop").unwrap(),
                repo: RepositoryName::new("acme/shop").unwrap(),
                commit: commit(),
            },
            image: ImageName::new("shop").unwrap(),
            builder: "packer",
            at: At { now: self.now, lease: Lease::None, stopped: false },
            seen: &self.seen,
            poll_ms: 1_000,
            watch_ms: 150_000,
        };
        let decision = decide(&context, self.state.clone(), cause);
        self.state = decision.state.clone();
        self.said.extend(decision.facts.iter().map(|said| said.data.clone()));
        self.started += decision.effects.len();
        self.last = decision;
    }

    fn hears(&mut self, forced: bool) {
        let push = PushReceived {
            provider: "github".into(),
            delivery: None,
            repo: RepositoryName::new("acme/shop").unwrap(),
            clone_url: None,
            git_ref: RefName::branch("main").unwrap(),
            ref_kind: RefKind::Branch,
            before: None,
            after: Some(commit()),
            created: false,
            deleted: false,
            forced,
            actor: None,
            paths: Vec::new(),
            paths_truncated: true,
        };
        let id = EventId::new("push/1").unwrap();
        let link = Link { chain: ChainId::new("push/1").unwrap(), cause: Some(id.clone()) };
        let told = Told { input: Input::PushReceived(push), id, time: self.now, link };
        self.step(Cause::Told(told));
    }

    fn passes(&mut self, ms: i64) {
        self.now += SignedDuration::from_millis(ms);
        self.step(Cause::Woken);
    }

    fn ends(&mut self, status: BuildStatus) {
        self.seen.status = Some(status);
        self.step(Cause::Woken);
    }

    fn outcomes(&self) -> Vec<BuildOutcome> {
        let outcome = |data: &Data| match data {
            Data::BuildFinished(fact) => Some(fact.outcome),
            _ => None,
        };
        self.said.iter().filter_map(outcome).collect()
    }

    fn images(&self) -> Vec<&ImagePushed> {
        let images = self.said.iter().filter_map(|data| match data {
            Data::ImagePushed(image) => Some(image),
            _ => None,
        });
        images.collect()
    }
}

/// Where the manifests lie that were rendered with the image.
const MANIFESTS: &str = "sha256:f7846f55cf23e14eebeab5b4e1550cad5b509e3348fbc4efa3a1413d393cb650";

fn built() -> BuildStatus {
    BuildStatus::Succeeded(Built {
        image: ImageName::new("shop").unwrap(),
        tag: commit().to_string(),
        digest: digest(),
        media_type: "application/vnd.oci.image.manifest.v1+json".into(),
        platforms: Vec::new(),
        manifests_ref: Some(MANIFESTS.into()),
        logs_ref: None,
        times: BuildTimes::default(),
    })
}

#[test]
fn the_tip_is_built_once_and_its_image_is_said_in_the_commit_that_ends_the_build() {
    let mut unit = Unit::new(Some(Relation::Same));
    unit.hears(false);
    unit.seen.status = Some(BuildStatus::Running);
    unit.step(Cause::Done);
    unit.hears(false);
    assert_eq!(unit.started, 1, "a redelivery starts nothing");
    unit.ends(built());
    assert_eq!(unit.images().len(), 1);
    assert_eq!(unit.images()[0].commit, Some(commit()));
    assert_eq!(unit.outcomes(), [BuildOutcome::Succeeded]);
    assert_eq!(unit.state.stage, Stage::Ended);
}

#[test]
fn a_build_that_was_cut_off_is_begun_again() {
    let mut unit = Unit::new(Some(Relation::Same));
    unit.hears(false);
    unit.seen.status = None;
    unit.passes(1_000);
    assert_eq!((unit.started, unit.outcomes()), (2, vec![]));
}

#[test]
fn a_build_that_fails_says_why_and_no_image() {
    let mut unit = Unit::new(Some(Relation::Same));
    unit.hears(false);
    let failure =
        BuildFailure { reason: "prepare failed".into(), logs_ref: None, times: BuildTimes::default() };
    unit.ends(BuildStatus::Failed(failure));
    assert_eq!((unit.outcomes(), unit.images().len()), (vec![BuildOutcome::Failed], 0));
}

#[test]
fn an_ancestor_of_the_tip_is_superseded_at_once_and_built_when_the_branch_comes_back() {
    let mut unit = Unit::new(Some(Relation::Ahead));
    unit.hears(false);
    assert_eq!((unit.started, unit.outcomes()), (0, vec![BuildOutcome::Superseded]));
    unit.seen.tip = Some(Relation::Same);
    unit.passes(60_000);
    assert_eq!(unit.started, 1);
}

#[test]
fn a_superseded_commit_is_not_watched_for_ever() {
    let mut unit = Unit::new(Some(Relation::Ahead));
    unit.hears(false);
    unit.passes(150_000);
    assert_eq!((unit.state.stage, unit.last.wake), (Stage::Ended, None));
}

#[test]
fn an_answer_that_may_be_old_is_asked_for_again_before_it_counts() {
    for (tip, forced) in [
        (Some(Relation::Behind), false),
        (Some(Relation::Diverged), false),
        (Some(Relation::Ahead), true),
        (None, false),
    ] {
        let mut unit = Unit::new(tip);
        unit.hears(forced);
        assert_eq!(unit.outcomes(), [], "{tip:?}");
        unit.passes(3_000);
        assert_eq!(unit.outcomes(), [BuildOutcome::Superseded], "{tip:?}");
    }
}

#[test]
fn a_push_that_touches_nothing_of_the_service_says_its_last_image_again() {
    let mut unit = Unit::new(Some(Relation::Same));
    let last = ImagePushed {
        image: ImageName::new("shop").unwrap(),
        tag: None,
        digest: digest(),
        media_type: "application/vnd.oci.image.manifest.v1+json".into(),
        platforms: Vec::new(),
        service: Some(ServiceName::new("shop").unwrap()),
        commit: Some(CommitId::new("2".repeat(40)).unwrap()),
        manifests_ref: Some(MANIFESTS.into()),
        forced: false,
        actor: None,
    };
    unit.seen.unchanged = Some(last);
    unit.hears(false);
    assert_eq!(unit.started, 0);
    assert_eq!(unit.images()[0].commit, Some(commit()));
    assert_eq!(unit.images()[0].manifests_ref.as_deref(), Some(MANIFESTS), "they stand for it too");
}

/// What this build stores, and that what any release stored loads.
#[test]
fn what_is_stored_stays_as_it_is_and_loads_for_ever() {
    let samples = Samples::of("build");
    let mut unit = Unit::new(Some(Relation::Behind));
    unit.hears(true);
    samples.keep("state-waiting.json", &unit.state);
    unit.seen.tip = Some(Relation::Same);
    unit.passes(3_000);
    samples.keep("state-building.json", &unit.state);
    samples.keep("effect-start.json", &unit.last.effects[0]);
    unit.ends(built());
    samples.keep("state-ended.json", &unit.state);
    samples.load::<State, BuildOrder>();
}
