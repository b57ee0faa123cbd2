//! A clock that was set back behind what the journal has.

use super::*;

/// The clock stood an hour later when the rows were written.
fn set_back() -> Timestamp {
    at(-3_600)
}

async fn owes(journal: &SqliteJournal, now: Timestamp, grace_ms: u64) -> (usize, usize) {
    let owed = journal.owed(now, grace_ms, 100).await.unwrap();
    (owed.deliveries.len(), owed.units.len())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_written_before_the_clock_was_set_back_is_owed_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let journal = journal(&folder);
    journal.commit(&says(vec![request("a"), request("b")])).await.unwrap();
    assert_eq!(owes(&journal, set_back(), 0).await, (2, 0), "as a host asks that takes over");
    assert_eq!(owes(&journal, set_back(), 60_000).await, (2, 0), "as the sweep asks");
    assert_eq!(owes(&journal, at(1), 60_000).await, (0, 0), "what is on its way has its time");
    let receipt = |event: &str| Receipt {
        event: EventId::new(event).unwrap(),
        function: "build".into(),
        unit: None,
        clears: true,
    };
    for event in ["a", "b"] {
        let done = Commit { at: set_back(), receipt: Some(receipt(event)), ..Commit::default() };
        journal.commit(&done).await.unwrap();
    }
    assert_eq!(owes(&journal, set_back(), 0).await, (0, 0), "and not once more");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_that_is_due_waits_for_the_clock_and_is_not_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let journal = journal(&folder);
    let row = UnitRow { due: Some(at(10)), ..UnitRow::default() };
    journal.commit(&stands("u", 0, row)).await.unwrap();
    for (now, due) in [(set_back(), 0), (at(9), 0), (at(10), 1)] {
        assert_eq!(owes(&journal, now, 0).await, (0, due), "{now}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn claims_of_the_host_before_end_whatever_the_clock_says() {
    let folder = tempfile::tempdir().unwrap();
    let journal = journal(&folder);
    let row = UnitRow {
        todo: vec![todo()],
        claim: Some("life/1".into()),
        until: Some(at(150)),
        ..UnitRow::default()
    };
    journal.commit(&stands("u", 0, row)).await.unwrap();
    assert_eq!(owes(&journal, set_back(), 0).await, (0, 0));
    assert_eq!(journal.expire_claims().await.unwrap(), 1);
    assert_eq!(owes(&journal, set_back(), 0).await, (0, 1));
}
