//! When an image is scanned, and what is said of it; and that what is stored loads for ever.

use jiff::{SignedDuration, Timestamp};
use longshore_events::types::{ImagePushed, ImageScanned, ScanScope, ScanStatus, SeverityCounts};
use longshore_events::{ChainId, Data, Digest, EventId, ImageName, Link};
use longshore_frame::{At, Cause, Decision, Failure, Lease, Told};
use longshore_ports::{EffectKind, Key, ScanReport, ScanState, ScannerVersion};
use longshore_sim::stored::Samples;

use super::{Context, decide};
use crate::{Begin, Input, Seen, Stage, State};

const TIMEOUT_MS: u64 = 60_000;
const AGAIN_MS: u64 = 3_600_000;

/// An image, and what the scanner says of it.
struct Unit {
    state: State,
    now: Timestamp,
    stopped: bool,
    seen: Seen,
    said: Vec<ImageScanned>,
    started: Vec<u64>,
    last: Decision<State, Begin>,
}

impl Unit {
    fn new() -> Self {
        let version = ScannerVersion { scanner: "built-in".into(), database: Some("1".into()) };
        Self {
            state: State::default(),
            now: Timestamp::from_second(1_790_000_000).unwrap(),
            stopped: false,
            seen: Seen { version: Some(version), state: None, runs: false },
            said: Vec::new(),
            started: Vec::new(),
            last: Decision::rest(State::default()),
        }
    }

    fn step(&mut self, cause: Cause<Input>) {
        let at = At { now: self.now, lease: Lease::None, stopped: self.stopped };
        let context = Context {
            subject: "shop@1",
            at,
            seen: &self.seen,
            timeout_ms: TIMEOUT_MS,
            poll_ms: 1_000,
            again_ms: Some(AGAIN_MS),
        };
        let decision = decide(&context, self.state.clone(), cause);
        self.state = decision.state.clone();
        self.said.extend(decision.facts.iter().filter_map(|said| match &said.data {
            Data::ImageScanned(fact) => Some(fact.clone()),
            _ => None,
        }));
        self.started.extend(decision.effects.iter().map(|begin| begin.number));
        self.last = decision;
    }

    fn hears(&mut self) {
        let image = ImagePushed {
            image: ImageName::new("shop").unwrap(),
            tag: None,
            digest: Digest::new(format!("sha256:{}", "a".repeat(64))).unwrap(),
            media_type: "application/vnd.oci.image.manifest.v1+json".into(),
            platforms: Vec::new(),
            service: None,
            commit: None,
            manifests_ref: None,
            forced: false,
            actor: None,
        };
        let id = EventId::new("push/1").unwrap();
        let link = Link { chain: ChainId::new("push/1").unwrap(), cause: Some(id.clone()) };
        let input = Input::ImagePushed(image);
        self.step(Cause::Told(Told { input, id, time: self.now, link }));
    }

    fn passes(&mut self, ms: u64) {
        self.now += SignedDuration::from_millis(ms.cast_signed());
        self.step(Cause::Woken);
    }

    fn sees(&mut self, state: ScanState) {
        self.seen.state = Some(state);
        self.step(Cause::Woken);
    }

    fn said(&self) -> Vec<ScanStatus> {
        self.said.iter().map(|fact| fact.status).collect()
    }
}

fn clean() -> ScanReport {
    ScanReport {
        scanner: "built-in".into(),
        database: Some("1".into()),
        scope: vec![ScanScope::Secrets],
        status: ScanStatus::Complete,
        reason: None,
        counts: SeverityCounts::default(),
        findings_ref: None,
        sbom_ref: None,
    }
}

fn ended(report: ScanReport) -> ScanState {
    ScanState::Ended(report)
}

fn running() -> Unit {
    let mut unit = Unit::new();
    unit.hears();
    unit.seen.state = Some(ScanState::Running);
    unit.step(Cause::Done);
    unit
}

#[test]
fn an_image_is_scanned_once_and_what_came_of_it_is_said() {
    let mut unit = running();
    unit.hears();
    unit.sees(ended(clean()));
    unit.hears();
    unit.passes(1_000);
    assert_eq!((unit.started.as_slice(), unit.said()), ([1].as_slice(), vec![ScanStatus::Complete]));
    assert_eq!(unit.last.wake, None);
}

#[test]
fn newer_advisories_are_a_reason_to_scan_again() {
    for comes_again in [true, false] {
        let mut unit = running();
        unit.sees(ended(clean()));
        unit.seen.version = Some(ScannerVersion { scanner: "built-in".into(), database: Some("2".into()) });
        if comes_again {
            unit.hears();
        } else {
            unit.step(Cause::Woken);
        }
        assert_eq!(unit.started, [1, 2], "a scan of its own");
    }
}

#[test]
fn an_image_whose_scan_failed_is_not_scanned_again_by_a_look_alone() {
    let mut unit = running();
    unit.sees(ended(ScanReport::unknown("built-in", ScanStatus::Unsupported, "it is no image")));
    unit.passes(1_000);
    unit.passes(1_000);
    assert_eq!((unit.started.as_slice(), unit.said.len(), unit.last.wake), ([1].as_slice(), 1, None));
}

#[test]
fn where_no_one_names_the_advisories_what_was_said_stands() {
    let mut unit = running();
    unit.seen.version = Some(ScannerVersion { scanner: "ecr".into(), database: None });
    unit.sees(ended(clean()));
    unit.hears();
    assert_eq!(unit.started, [1]);
}

#[test]
fn a_scan_that_does_not_end_has_failed_and_what_it_says_later_counts() {
    let mut unit = running();
    unit.passes(TIMEOUT_MS - 1);
    assert_eq!(unit.said(), []);
    unit.passes(1);
    assert_eq!(unit.said(), [ScanStatus::Failed]);
    assert!(unit.said[0].reason.as_ref().unwrap().contains("within 60 s"));
    unit.sees(ended(clean()));
    unit.sees(ended(clean()));
    assert_eq!(unit.said(), [ScanStatus::Failed, ScanStatus::Complete]);
}

#[test]
fn a_scan_that_was_cut_off_is_begun_again_under_its_key_but_not_for_ever() {
    let mut unit = running();
    unit.seen.state = None;
    unit.step(Cause::Done);
    assert_eq!(unit.started, [1], "what was just begun may not be seen yet");
    unit.passes(1_000);
    unit.passes(TIMEOUT_MS);
    assert_eq!(unit.started, [1, 1, 1]);
    unit.passes(TIMEOUT_MS);
    assert_eq!((unit.said(), unit.last.wake), (vec![ScanStatus::Failed], None));
}

#[test]
fn an_image_whose_scan_failed_is_scanned_again_when_it_comes_again() {
    let mut unit = running();
    unit.sees(ended(ScanReport::unknown("built-in", ScanStatus::Failed, "it broke off")));
    unit.hears();
    assert_eq!(unit.started, [1, 2]);
}

#[test]
fn a_scanner_that_looked_for_nothing_or_could_not_begin_never_makes_clean() {
    let mut unit = running();
    unit.sees(ended(ScanReport { scope: Vec::new(), ..clean() }));
    assert_eq!(unit.said(), [ScanStatus::Failed]);

    let mut unit = running();
    let key = Key {
        function: "scan".into(),
        unit: "shop@1".into(),
        generation: Some(1),
        name: "start".into(),
        kind: EffectKind::Named,
        restoring: false,
    };
    unit.step(Cause::Failed(Failure { key, error: "no\nsuch\x1bimage".into(), attempts: 1 }));
    assert_eq!(unit.said(), [ScanStatus::Failed]);
    assert_eq!(unit.said[0].reason.as_deref(), Some("no such image"));
    assert_eq!(unit.said[0].scanner, "built-in");
}

#[test]
fn nothing_is_begun_while_stopped() {
    let mut unit = Unit::new();
    unit.stopped = true;
    unit.hears();
    assert!(unit.started.is_empty() && unit.last.wake.is_some());
    unit.stopped = false;
    unit.passes(1_000);
    assert_eq!(unit.started, [1]);
}

#[test]
fn a_hint_about_an_image_that_was_never_heard_of_writes_nothing() {
    let mut unit = Unit::new();
    unit.step(Cause::Woken);
    assert_eq!(unit.last, Decision::rest(State::default()));
}

/// What this build stores, and that what any release stored loads.
#[test]
fn what_is_stored_stays_as_it_is_and_loads_for_ever() {
    let samples = Samples::of("scan");
    let mut unit = Unit::new();
    unit.hears();
    samples.keep("state-scanning.json", &unit.state);
    samples.keep("effect-begin.json", &unit.last.effects[0]);
    unit.sees(ended(clean()));
    samples.keep("state-ended.json", &unit.state);
    assert_eq!(unit.state.stage, Stage::Ended);
    samples.load::<State, Begin>();
}

#[test]
fn an_image_that_runs_is_looked_at_again_by_newer_advisories() {
    let mut unit = Unit::new();
    unit.hears();
    unit.sees(ended(clean()));
    assert!(unit.last.wake.is_none(), "nothing runs it yet");
    unit.seen.runs = true;
    unit.passes(1);
    assert_eq!(unit.last.wake, Some(unit.now + SignedDuration::from_millis(AGAIN_MS.cast_signed())));
    assert_eq!(unit.started, [1], "nothing is newer");
    unit.seen.version = Some(ScannerVersion { scanner: "built-in".into(), database: Some("2".into()) });
    unit.passes(AGAIN_MS);
    assert_eq!(unit.started, [1, 2]);
}

#[test]
fn what_runs_and_could_not_be_looked_through_is_tried_again() {
    let mut unit = running();
    unit.sees(ended(ScanReport::unknown("built-in", ScanStatus::Failed, "there is no advisory")));
    unit.seen.runs = true;
    unit.passes(AGAIN_MS - 1);
    assert_eq!(unit.started, [1], "a hint alone is no reason");
    unit.passes(1);
    assert_eq!(unit.started, [1, 2]);
}
