//! What is promoted is what ran in the environment before, long enough, and was not taken back there.

use longshore_events::types::{DeploymentFinished, DeploymentOutcome, Proof};
use longshore_events::{EnvironmentName, EventId};

use super::*;
use crate::TakenBack;

const CONFIG: &str = r#"
[[repository]]
name = "shop"
[[service]]
name = "shop"
repository = "shop"
[[environment]]
name = "staging"
[[environment]]
name = "live"
after = "staging"
soak = "10m"
"#;

impl Unit {
    fn ran_in_staging(&mut self, generation: u64) {
        self.tell(Input::DeploymentFinished(DeploymentFinished {
            deployment: format!("staging/shop/{generation}"),
            environment: EnvironmentName::new("staging").unwrap(),
            service: ServiceName::new("shop").unwrap(),
            outcome: DeploymentOutcome::Succeeded,
            to: digest(),
            commit: None,
            running: Some(digest()),
            failure: None,
            boot_ms: None,
        }));
    }
}

#[test]
fn an_image_passes_when_it_ran_before_for_as_long_as_it_must_and_no_deadline_counts_meanwhile() {
    let mut unit = Unit::new(CONFIG);
    unit.pushed("1");
    unit.passes(100_000);
    assert_eq!((unit.verdicts(), unit.last.wake), (vec![Verdict::Unknown], None));
    assert_eq!(unit.said[0].reasons, ["staging: it has not run there yet"]);
    let since = unit.now;
    unit.ran_in_staging(7);
    assert_eq!(unit.last.wake, Some(since + SignedDuration::from_mins(10)));
    unit.passes(599);
    assert_eq!(unit.verdict(), Verdict::Unknown);
    unit.passes(1);
    let said = unit.said.last().unwrap();
    let environment = EnvironmentName::new("staging").unwrap();
    assert_eq!(said.proof, Some(Proof { environment, generation: 7, since }));
    assert_eq!((said.verdict, said.inputs.len(), unit.last.wake), (Verdict::Pass, 2, None));
}

#[test]
fn the_order_in_which_image_and_proof_are_heard_of_does_not_matter() {
    let mut unit = Unit::new(CONFIG);
    unit.ran_in_staging(7);
    assert!(unit.said.is_empty(), "nobody pushed it yet");
    unit.passes(600);
    unit.pushed("1");
    assert_eq!(unit.verdicts(), [Verdict::Pass]);
    unit.ran_in_staging(9);
    let said = unit.said.last().unwrap();
    assert_eq!(said.proof.as_ref().map(|proof| proof.generation), Some(9), "what came again is newer");
    let count = unit.said.len();
    unit.ran_in_staging(8);
    assert_eq!(unit.said.len(), count, "what is told late is old");
}

#[test]
fn what_was_taken_back_before_never_passes_until_that_is_lifted() {
    let mut unit = Unit::new(CONFIG);
    unit.pushed("1");
    unit.ran_in_staging(7);
    unit.passes(600);
    assert_eq!(unit.verdict(), Verdict::Pass);
    let event = EventId::new("bad").unwrap();
    unit.seen.taken_back = Some(TakenBack { event: event.clone(), reason: "it answers nothing".into() });
    unit.passes(1);
    let said = unit.said.last().unwrap();
    assert_eq!(said.reasons, ["staging: it was taken back there: it answers nothing"]);
    assert_eq!((said.verdict, said.inputs.contains(&event)), (Verdict::Fail, true));
    unit.seen.taken_back = None;
    unit.passes(1);
    assert_eq!(unit.verdict(), Verdict::Pass);
}
