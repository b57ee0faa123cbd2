//! What people say of an image: who counts, how many there must be, and for how long.

use longshore_events::EnvironmentName;
use longshore_events::types::{ApprovalDecision, ApprovalGiven};

use super::*;

const CONFIG: &str = r#"
[[repository]]
name = "shop"
[[service]]
name = "shop"
repository = "shop"
[[environment]]
name = "live"
[environment.gate]
requires = ["approval"]
approvals = 2
approval_valid = "1h"
[[person]]
name = "ann"
[[person]]
name = "bob"
[[person]]
name = "mia"
logins = ["mona"]
[[person]]
name = "tim"
approves = []
"#;

impl Unit {
    fn says(&mut self, who: &str, decision: ApprovalDecision) {
        self.says_until(who, decision, None);
    }

    fn says_until(&mut self, who: &str, decision: ApprovalDecision, until: Option<Timestamp>) {
        self.tell(Input::ApprovalGiven(ApprovalGiven {
            environment: EnvironmentName::new("live").unwrap(),
            service: ServiceName::new("shop").unwrap(),
            digest: digest(),
            decision,
            who: who.into(),
            why: Some("seen".into()),
            until,
            override_window: false,
        }));
    }

    fn reason(&self) -> &str {
        &self.said.last().unwrap().reasons[0]
    }
}

use ApprovalDecision::{Approved, Rejected};

#[test]
fn enough_people_open_the_gate_each_counts_once_and_waiting_has_no_end() {
    let mut unit = Unit::new(CONFIG);
    unit.pushed("1");
    assert_eq!(unit.reason(), "approval: 0 of 2 people approved it");
    unit.passes(1_000_000);
    assert_eq!(unit.verdicts(), [Verdict::Unknown]);
    unit.says("ann", Approved);
    unit.says("ann", Approved);
    assert_eq!((unit.verdict(), unit.reason()), (Verdict::Unknown, "approval: 1 of 2 people approved it"));
    unit.says("bob", Approved);
    assert_eq!((unit.verdict(), unit.said.last().unwrap().inputs.len()), (Verdict::Pass, 3));
}

#[test]
fn who_pushed_it_does_not_count_and_neither_does_a_stranger() {
    let mut unit = Unit::new(CONFIG);
    unit.pushed("1");
    for who in ["ann", "tim", "eve"] {
        unit.says(who, Approved);
    }
    assert_eq!(unit.reason(), "approval: 1 of 2 people approved it");
    unit.says("mia", Approved);
    assert_eq!(unit.reason(), "approval: 1 of 2 people approved it; who pushed it, mona, does not count");
    let mut lax = Unit::new(&CONFIG.replace("approvals = 2", "approvals = 2\nauthor = \"counts\""));
    lax.pushed("1");
    lax.says("ann", Approved);
    lax.says("mia", Approved);
    assert_eq!(lax.verdict(), Verdict::Pass);
}

#[test]
fn where_nobody_knows_who_pushed_it_nobody_is_sure_not_to_be_that() {
    let mut unit = Unit::new(&CONFIG.replace("approvals = 2", "approvals = 1"));
    unit.pushed("1");
    unit.state.heard[0].image.actor = None;
    unit.says("ann", Approved);
    assert_eq!(unit.verdict(), Verdict::Unknown);
    assert!(unit.reason().contains("nobody knows who pushed it"), "{}", unit.reason());
}

#[test]
fn one_who_rejects_closes_it_until_they_think_otherwise() {
    let mut unit = Unit::new(CONFIG);
    unit.pushed("1");
    unit.says("ann", Approved);
    unit.says("bob", Rejected);
    assert_eq!((unit.verdict(), unit.reason()), (Verdict::Fail, "approval: bob rejected it: seen"));
    unit.says("tim", Rejected);
    unit.says("bob", Approved);
    assert_eq!(unit.verdict(), Verdict::Pass, "the word of one who may not approve does not count");
}

#[test]
fn an_approval_that_was_not_enough_ends_by_the_policy_or_when_its_giver_says_and_the_gate_looks_then() {
    let mut unit = Unit::new(CONFIG);
    unit.pushed("1");
    let soon = unit.now + SignedDuration::from_mins(30);
    unit.says_until("bob", Approved, Some(soon));
    assert_eq!((unit.last.wake, unit.said.last().unwrap().expires_at), (Some(soon), Some(soon)));
    unit.passes(1_800);
    assert_eq!((unit.reason(), unit.last.wake), ("approval: 0 of 2 people approved it", None));
    unit.says_until("ann", Approved, Some(unit.now + SignedDuration::from_hours(48)));
    assert_eq!(
        unit.last.wake,
        Some(unit.now + SignedDuration::from_hours(1)),
        "no longer than the policy says"
    );
    unit.passes(3_600);
    unit.says("bob", Approved);
    assert_eq!((unit.verdict(), unit.reason()), (Verdict::Unknown, "approval: 1 of 2 people approved it"));
}

#[test]
fn what_was_approved_in_time_stays_so_until_somebody_rejects_it_or_lifts_its_quarantine() {
    let mut unit = Unit::new(CONFIG);
    unit.pushed("1");
    unit.says("ann", Approved);
    unit.says("bob", Approved);
    assert_eq!((unit.last.wake, unit.said.last().unwrap().expires_at), (None, None));
    unit.passes(1_000_000);
    assert_eq!(unit.verdict(), Verdict::Pass, "a rollout is not held by it");
    unit.says("bob", Rejected);
    unit.passes(1_000_000);
    assert_eq!(
        (unit.verdict(), unit.last.wake),
        (Verdict::Fail, None),
        "who rejects takes that back themselves"
    );
    unit.says("bob", Approved);
    assert_eq!(unit.reason(), "approval: 1 of 2 people approved it", "ann's word has ended");
    unit.says("ann", Approved);
    unit.passes(1_000_000);
    assert_eq!(unit.verdict(), Verdict::Pass);
    unit.tell(Input::DigestReleased(longshore_events::types::DigestReleased {
        environment: EnvironmentName::new("live").unwrap(),
        service: ServiceName::new("shop").unwrap(),
        digest: digest(),
        quarantine: EventId::new("bad").unwrap(),
        who: "ann".into(),
        why: "a false alarm".into(),
    }));
    assert_eq!(unit.reason(), "approval: 0 of 2 people approved it");
}

#[test]
fn words_that_come_late_do_not_undo_what_was_said_after_them() {
    let mut unit = Unit::new(CONFIG);
    unit.pushed("1");
    unit.says("ann", Rejected);
    unit.now -= SignedDuration::from_secs(5);
    unit.says("ann", Approved);
    unit.now += SignedDuration::from_secs(5);
    unit.passes(0);
    assert_eq!(unit.verdict(), Verdict::Fail);
}
