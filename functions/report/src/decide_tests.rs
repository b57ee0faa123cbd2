//! What is said, how often, and that what is stored loads for ever.

use jiff::{SignedDuration, Timestamp};
use longshore_events::types::{BuildStarted, BuildTimes, DeploymentStarted};
use longshore_events::{ChainId, Digest, Link};
use longshore_sim::stored::Samples;

use super::*;
use crate::Blocking;

const CONFIG: &str = r#"
[[repository]]
name = "acme/shop"
url = "https://github.com/acme/shop.git"
forge = "github"
token = "forge"
[[repository]]
name = "own"
[[service]]
name = "shop"
repository = "acme/shop"
[[service]]
name = "own"
repository = "own"
"#;

fn commit() -> CommitId {
    CommitId::new("1".repeat(40)).unwrap()
}

fn service(name: &str) -> ServiceName {
    ServiceName::new(name).unwrap()
}

fn started(name: &str, repo: &str) -> Input {
    let repo = RepositoryName::new(repo).unwrap();
    Input::BuildStarted(BuildStarted {
        service: service(name),
        repo,
        commit: commit(),
        builder: "packer".into(),
    })
}

fn finished(outcome: BuildOutcome, reason: Option<&str>) -> Input {
    Input::BuildFinished(BuildFinished {
        service: service("shop"),
        repo: RepositoryName::new("acme/shop").unwrap(),
        commit: commit(),
        builder: "packer".into(),
        outcome,
        reason: reason.map(str::to_owned),
        image: None,
        digest: None,
        manifests_ref: None,
        logs_ref: None,
        times: Some(BuildTimes::default()),
    })
}

fn deployed(outcome: DeploymentOutcome, with_commit: bool) -> Input {
    Input::DeploymentFinished(DeploymentFinished {
        deployment: "live/shop/3".into(),
        environment: EnvironmentName::new("live").unwrap(),
        service: service("shop"),
        outcome,
        to: Digest::new(format!("sha256:{}", "a".repeat(64))).unwrap(),
        commit: with_commit.then(commit),
        running: None,
        failure: Some("it did not become ready\nin time".into()),
        boot_ms: None,
    })
}

fn dead(function: &str) -> Input {
    Input::EventDeadlettered(EventDeadlettered {
        original: Some(EventId::new("push/1").unwrap()),
        function: function.into(),
        unit: Some("shop@1".into()),
        error: "no".into(),
        attempts: 5,
    })
}

/// One unit of a configuration.
struct Unit {
    policy: Policy,
    name: String,
    state: State,
    said: Vec<What>,
}

impl Unit {
    fn new(unit: &str) -> Self {
        let policy = longshore_policy::check(CONFIG, "test").unwrap();
        Self { policy, name: unit.into(), state: State::default(), said: Vec::new() }
    }

    fn subjects(&self, notifies: bool) -> Subjects<'_> {
        Subjects { policy: &self.policy, notifies }
    }

    fn hears(&mut self, input: Input, second: i64) -> usize {
        let id = EventId::new("x").unwrap();
        let link = Link { chain: ChainId::new("x").unwrap(), cause: Some(id.clone()) };
        let time = Timestamp::from_second(1_790_000_000).unwrap() + SignedDuration::from_secs(second);
        let told = Cause::Told(Told { input, id, time, link });
        let decided = decide(&self.subjects(true), &self.name, self.state.clone(), told, None);
        self.state = decided.state;
        let said: Vec<_> = decided.effects.into_iter().map(|say| say.what).collect();
        self.said.extend(said.iter().cloned());
        said.len()
    }

    fn states(&self) -> Vec<StatusState> {
        let state = |what: &What| match what {
            What::Status(status) => Some(status.state),
            What::Notice(_) => None,
        };
        self.said.iter().filter_map(state).collect()
    }
}

fn build() -> Unit {
    Unit::new(&format!("build/shop@{}", "1".repeat(40)))
}

#[test]
fn an_event_concerns_what_it_is_shown_at_and_who_is_told() {
    let unit = build();
    let of = |notifies, input: Input| unit.subjects(notifies).of(&input);
    let id = "1".repeat(40);
    assert_eq!(of(true, started("shop", "acme/shop")), [format!("build/shop@{id}")]);
    assert!(of(true, started("own", "own")).is_empty(), "it lies at no forge");
    let (shown, told) = (format!("deployment/live/shop@{id}"), "failure/live/shop/3".to_owned());
    assert_eq!(of(true, deployed(DeploymentOutcome::RolledBack, true)), [shown.clone(), told.clone()]);
    assert_eq!(of(false, deployed(DeploymentOutcome::RolledBack, true)), *std::slice::from_ref(&shown));
    assert_eq!(of(true, deployed(DeploymentOutcome::Removed, false)), [told]);
    assert_eq!(of(true, deployed(DeploymentOutcome::Succeeded, true)), [shown]);
    assert_eq!(of(true, dead("build")).len(), 1);
    assert!(of(true, dead("report")).is_empty(), "of its own dead letters it would never come to an end");
    assert!(of(false, dead("build")).is_empty());
}

#[test]
fn a_status_is_written_once_for_each_change_and_never_goes_back_in_time() {
    let mut unit = build();
    assert_eq!(unit.hears(started("shop", "acme/shop"), 1), 1);
    assert_eq!(unit.hears(started("shop", "acme/shop"), 1), 0, "a redelivery");
    assert_eq!(unit.hears(finished(BuildOutcome::Succeeded, None), 5), 1);
    assert_eq!(unit.hears(started("shop", "acme/shop"), 2), 0, "it was late");
    assert_eq!(unit.hears(started("shop", "acme/shop"), 5), 0, "what began at that moment has ended");
    assert_eq!(unit.hears(started("shop", "acme/shop"), 9), 1, "it is built once more");
    assert_eq!(unit.states(), [StatusState::Pending, StatusState::Success, StatusState::Pending]);
}

#[test]
fn where_there_were_many_failures_alone_are_written() {
    let mut unit = build();
    unit.state.number = MANY;
    assert_eq!(unit.hears(finished(BuildOutcome::Succeeded, None), 1), 0);
    assert_eq!(unit.hears(finished(BuildOutcome::Failed, Some("no")), 2), 1);
    unit.state.number = MOST;
    assert_eq!(unit.hears(finished(BuildOutcome::Failed, Some("again")), 3), 0, "the forge takes no more");
}

#[test]
fn a_description_is_one_line_of_what_the_forge_takes() {
    let mut unit = build();
    unit.hears(finished(BuildOutcome::Failed, Some(&format!("no\n\u{1b}[2J{}", "ü".repeat(500)))), 1);
    let What::Status(status) = &unit.said[0] else { panic!("{:?}", unit.said) };
    assert!(status.description.starts_with("no [2Jü") && status.description.ends_with('…'));
    assert_eq!(status.description.chars().count(), MAX_DESCRIPTION);
    assert_eq!((status.context.as_str(), status.state), ("longshore/shop", StatusState::Failure));
}

#[test]
fn people_are_told_what_failed_and_what_to_do() {
    let mut failure = Unit::new("failure/live/shop/3");
    failure.hears(deployed(DeploymentOutcome::RolledBack, true), 1);
    failure.hears(deployed(DeploymentOutcome::Refused, true), 2);
    let [What::Notice(first), What::Notice(second)] = &failure.said[..] else { panic!("{:?}", failure.said) };
    assert_eq!((&*first.title, &*second.title), ("shop was rolled back in live", "shop was refused in live"));
    assert!(first.text.contains("it did not become ready") && first.text.contains("longshore timeline shop"));
    assert_eq!(failure.state.number, 2, "each has a key of its own");
    let mut letter = Unit::new(&failure.subjects(true).of(&dead("build"))[0]);
    letter.hears(dead("build"), 1);
    let What::Notice(notice) = &letter.said[0] else { panic!("{:?}", letter.said) };
    assert!(notice.text.contains("push/1") && notice.text.contains("redrive"), "{notice:?}");
}

/// What this build stores, and that what any release stored loads.
#[test]
fn what_is_stored_loads() {
    let samples = Samples::of("report");
    let mut unit = build();
    unit.hears(started("shop", "acme/shop"), 1);
    samples.keep("state-shown.json", &unit.state);
    samples.keep("effect-status.json", &Say { number: 1, what: unit.said[0].clone() });
    let mut failure = Unit::new("failure/live/shop/3");
    failure.hears(deployed(DeploymentOutcome::RolledBack, true), 1);
    samples.keep("state-told.json", &failure.state);
    samples.keep("effect-notice.json", &Say { number: 1, what: failure.said[0].clone() });
    assert!(samples.load::<State, Say>().len() >= 2);
    let begun = DeploymentStarted {
        deployment: "live/shop/3".into(),
        environment: EnvironmentName::new("live").unwrap(),
        service: service("shop"),
        strategy: "rolling".into(),
        from: None,
        to: Digest::new(format!("sha256:{}", "a".repeat(64))).unwrap(),
        commit: Some(commit()),
        override_window: None,
    };
    let mut shown = Unit::new(&format!("deployment/live/shop@{}", "1".repeat(40)));
    assert_eq!(shown.hears(Input::DeploymentStarted(begun), 1), 1);
}

fn seen(runs_in: &[&str], ids: &[&str]) -> Scanned {
    let blocking = ids.iter().map(|id| Blocking {
        severity: longshore_events::types::Severity::High,
        id: (*id).to_owned(),
        what: "left 1.0.0".into(),
        fixed: Some("1.0.1".into()),
    });
    Scanned { runs_in: runs_in.iter().map(ToString::to_string).collect(), blocking: blocking.collect() }
}

/// What is told of an image that was scanned, time after time.
fn told_of(scans: &[Scanned]) -> Vec<Option<Notice>> {
    let mut state = State::default();
    let told = scans.iter().map(|scanned| {
        let decided = super::find(state.clone(), scanned);
        state = decided.state;
        decided.effects.into_iter().find_map(|say| match say.what {
            What::Notice(notice) => Some(notice),
            What::Status(_) => None,
        })
    });
    told.collect()
}

#[test]
fn people_are_told_of_new_findings_in_what_runs_once() {
    let runs = ["prod/shop", "test/shop"];
    let told = told_of(&[
        seen(&[], &["CVE-1"]),
        seen(&runs, &["CVE-1"]),
        seen(&runs, &["CVE-1", "CVE-2"]),
        seen(&runs, &["CVE-2", "CVE-1"]),
        seen(&[], &["CVE-1", "CVE-2", "CVE-3"]),
        seen(&runs, &["CVE-1", "CVE-2", "CVE-3"]),
    ]);
    let said: Vec<_> = told.iter().map(Option::is_some).collect();
    assert_eq!(said, [false, false, true, false, false, false]);
    let notice = told[2].as_ref().unwrap();
    assert_eq!(notice.title, "1 new finding in what runs as prod/shop, test/shop");
    assert_eq!(
        notice.text,
        "CVE-2 (high) in left 1.0.0, mended in 1.0.1\n1 of 1 are mended in newer versions: take them up, and push, to rebuild.\n\
         longshore findings shop lists all."
    );
}

#[test]
fn of_many_findings_ten_are_named() {
    let ids: Vec<String> = (0..30).map(|n| format!("CVE-{n}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let told = told_of(&[seen(&["prod/shop"], &[]), seen(&["prod/shop"], &ids)]);
    let notice = told[1].as_ref().unwrap();
    assert!(notice.title.starts_with("30 new findings") && notice.text.contains("and 20 more"), "{notice:?}");
}
