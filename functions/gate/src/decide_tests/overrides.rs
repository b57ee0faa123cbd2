//! Words that override the calendar: who may, for which image, and for how long.

use longshore_events::EnvironmentName;
use longshore_events::types::{ApprovalDecision, ApprovalGiven};

use super::*;
use ApprovalDecision::{Approved, Rejected};

const CONFIG: &str = r#"
[[service]]
name = "shop"
image = "shop"
[[environment]]
name = "live"
[environment.gate]
approval_valid = "1h"
[[person]]
name = "ann"
overrides = ["live"]
[[person]]
name = "bob"
overrides = ["*"]
[[person]]
name = "mia"
"#;

fn word(who: &str, decision: ApprovalDecision, override_window: bool) -> ApprovalGiven {
    ApprovalGiven {
        environment: EnvironmentName::new("live").unwrap(),
        service: ServiceName::new("shop").unwrap(),
        digest: digest(),
        decision,
        who: who.into(),
        why: Some("the shop is down".into()),
        until: None,
        override_window,
    }
}

impl Unit {
    fn word(&mut self, word: ApprovalGiven) {
        self.tell(Input::ApprovalGiven(word));
    }

    /// Whose word overrides, as it was said last.
    fn overridden(&self) -> Option<&str> {
        self.said.last().unwrap().override_window.as_ref().map(|word| word.who.as_str())
    }
}

#[test]
fn a_word_of_one_who_may_is_carried_with_who_why_and_its_end_and_ends_as_an_approval_does() {
    let mut unit = Unit::new(CONFIG);
    unit.pushed("1");
    assert_eq!(unit.overridden(), None);
    unit.word(word("ann", Approved, true));
    let said = unit.said.last().unwrap().clone();
    let given = said.override_window.unwrap();
    let ends = unit.now + SignedDuration::from_hours(1);
    assert_eq!((given.who.as_str(), given.why.as_str(), given.until), ("ann", "the shop is down", ends));
    assert_eq!((said.verdict, said.inputs.contains(&given.approval)), (Verdict::Pass, true));
    assert_eq!((said.expires_at, unit.last.wake), (Some(ends), Some(ends)));
    unit.passes(3_599);
    assert_eq!((unit.said.len(), unit.overridden()), (2, Some("ann")));
    unit.passes(1);
    assert_eq!((unit.said.len(), unit.overridden(), unit.last.wake), (3, None, None));
}

#[test]
fn it_counts_of_nobody_else_and_not_without_a_reason() {
    let mut unit = Unit::new(CONFIG);
    unit.pushed("1");
    unit.word(word("mia", Approved, true));
    unit.word(word("eve", Approved, true));
    unit.word(word("ann", Approved, false));
    unit.word(word("ann", Rejected, true));
    for why in [None, Some(" ".to_owned())] {
        unit.word(ApprovalGiven { why, ..word("bob", Approved, true) });
    }
    assert!(unit.said.iter().all(|fact| fact.override_window.is_none()), "{:?}", unit.said);
    let mut nobody = Unit::new("[[service]]\nname = \"shop\"\nimage = \"shop\"\n");
    nobody.pushed("1");
    nobody.word(word("ann", Approved, true));
    assert_eq!(nobody.overridden(), None, "where there are no people nobody may");
}

#[test]
fn the_giver_takes_it_back_by_another_word_and_of_two_the_longer_one_counts() {
    let mut unit = Unit::new(CONFIG);
    unit.pushed("1");
    let soon = Some(unit.now + SignedDuration::from_mins(10));
    unit.word(ApprovalGiven { until: soon, ..word("ann", Approved, true) });
    assert_eq!(unit.last.wake, soon, "as its giver said");
    unit.word(word("bob", Approved, true));
    assert_eq!(unit.overridden(), Some("bob"));
    unit.word(word("bob", Approved, false));
    assert_eq!(unit.overridden(), Some("ann"));
    unit.word(word("ann", Rejected, false));
    assert_eq!((unit.overridden(), unit.verdict()), (None, Verdict::Pass), "no approval is required here");
}
