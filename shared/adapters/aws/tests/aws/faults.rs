//! The journal while AWS fails: nothing is lost, and nothing is done twice.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use longshore_aws::DynamoJournal;
use longshore_events::{Event, EventId};
use longshore_ports::{
    Facts, Journal, PortError,
    journal::{Commit, CommitError, Committed, Open, Opened, Owed, UnitRow},
    suite::journal::routes,
};

use crate::journal::{ask, decision, id, request, unit};
use crate::stack::{Cloud, StandingClock, at};
use longshore_aws::testing::Fault;

const BUSY: Fault = Fault::Refused(400, "ProvisionedThroughputExceededException", "slow down");

/// Tries again what was temporary, as the frame does. A commit is tried again only where it is known that nothing was
/// written.
struct Patient(DynamoJournal);

async fn again<T, F>(call: impl Fn() -> F) -> Result<T, PortError>
where
    F: Future<Output = Result<T, PortError>>,
{
    for _ in 0..50 {
        match call().await {
            Err(error) if error.is_temporary() => {}
            answer => return answer,
        }
    }
    call().await
}

#[async_trait]
impl Journal for Patient {
    async fn open(&self, ask: &Open) -> Result<Opened, PortError> {
        again(|| self.0.open(ask)).await
    }

    async fn commit(&self, commit: &Commit) -> Result<Committed, CommitError> {
        for _ in 0..50 {
            match self.0.commit(commit).await {
                Err(CommitError::Port(error)) if error.is_temporary() => {}
                Err(CommitError::Conflict(what)) if what.starts_with("the row ") => {}
                answer => return answer,
            }
        }
        self.0.commit(commit).await
    }

    async fn publish(&self, committed: &Committed) -> Result<(), PortError> {
        again(|| self.0.publish(committed)).await
    }

    async fn event(&self, id: &EventId) -> Result<Option<Event>, PortError> {
        again(|| self.0.event(id)).await
    }

    async fn owed(&self, now: Timestamp, grace_ms: u64, limit: usize) -> Result<Owed, PortError> {
        again(|| self.0.owed(now, grace_ms, limit)).await
    }
}

#[async_trait]
impl Facts for Patient {
    async fn latest(&self, kind: &str, subject: &str) -> Result<Option<Event>, PortError> {
        again(|| self.0.latest(kind, subject)).await
    }
}

#[tokio::test]
async fn the_journal_passes_the_suite_in_bad_weather() {
    let cloud = Cloud::start().await;
    let seed = AtomicU64::new(1);
    longshore_ports::suite::journal::run(async |routes| {
        cloud.proxy.calm();
        let journal = cloud.journal(routes).await;
        cloud.proxy.weather(seed.fetch_add(1, Ordering::Relaxed), false);
        Patient(journal)
    })
    .await;
}

/// One piece of work: it is done when the unit's state names it. As the frame does, whatever fails is read again.
async fn work(journal: &DynamoJournal, name: &str) {
    for _ in 0..1000 {
        let Ok(opened) = journal.open(&ask("u")).await else { continue };
        let row = opened.unit.unwrap_or_default();
        let mut done: Vec<String> = serde_json::from_str(&row.state).unwrap_or_default();
        if done.iter().any(|other| other == name) {
            return;
        }
        done.push(name.to_owned());
        let state = serde_json::to_string(&done).unwrap();
        let events = vec![request(name, "x")];
        let commit = Commit { at: at(0), unit: Some(unit("u", &row, &state)), events, ..Commit::default() };
        if let Ok(committed) = journal.commit(&commit).await {
            let _ = journal.publish(&committed).await;
        }
    }
    panic!("{name} was never done");
}

#[tokio::test]
async fn of_many_who_work_in_harsh_weather_nothing_is_lost_and_nothing_done_twice() {
    let cloud = Cloud::start().await;
    let journal = Arc::new(cloud.journal(routes()).await);
    cloud.proxy.weather(7, true);
    let worker = |worker: u32| {
        let journal = journal.clone();
        tokio::spawn(async move {
            for round in 0..6 {
                work(&journal, &format!("{worker}-{round}")).await;
            }
        })
    };
    for task in (0..5).map(worker).collect::<Vec<_>>() {
        task.await.unwrap();
    }
    cloud.proxy.calm();
    let row = journal.open(&ask("u")).await.unwrap().unit.unwrap();
    let done: Vec<String> = serde_json::from_str(&row.state).unwrap();
    let distinct: BTreeSet<_> = done.iter().collect();
    assert_eq!((done.len(), distinct.len(), row.version), (30, 30, 30), "{done:?}");
    let owed = journal.owed(at(60), 0, 100).await.unwrap().deliveries;
    let events: BTreeSet<_> = owed.iter().map(|(_, event)| event.id.to_string()).collect();
    assert_eq!((owed.len(), events.len()), (60, 30), "what was said is owed until it is taken");
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_once_more_and_the_bus_is_told() {
    let cloud = Cloud::start().await;
    let names = cloud.stack().await;
    let journal = |aws| DynamoJournal::new(aws, names.clone(), routes(), Arc::new(StandingClock));
    let hasty = cloud.within(Duration::from_millis(500));
    let cases = [
        ("cut", Fault::CutAfter, &cloud.aws),
        ("broken", Fault::BrokenAfter, &cloud.aws),
        ("silent", Fault::SilentAfter, &hasty),
    ];
    for (name, fault, aws) in cases {
        cloud.proxy.calls();
        cloud.proxy.next("TransactWriteItems", fault);
        let facts = vec![request(name, "x")];
        let mut commit = decision(name, &UnitRow::default(), facts);
        commit.receipt = None;
        let committed = journal(aws).commit(&commit).await.unwrap();
        assert_eq!(committed.owed.len(), 2, "{name}");
        assert_eq!(cloud.proxy.calls(), ["TransactWriteItems", "TransactWriteItems"], "{name}");
    }
}

#[tokio::test]
async fn an_answer_that_is_lost_twice_may_have_been_written_and_is_found() {
    let cloud = Cloud::start().await;
    let journal = cloud.journal(routes()).await;
    cloud.proxy.next("TransactWriteItems", Fault::CutAfter);
    cloud.proxy.next("TransactWriteItems", Fault::BrokenAfter);
    let commit = decision("u", &UnitRow::default(), vec![request("said", "x")]);
    let Err(CommitError::Port(error)) = journal.commit(&commit).await else { panic!("it has no answer") };
    assert!(error.is_temporary(), "{error}");
    let opened = journal.open(&ask("u")).await.unwrap();
    assert_eq!((opened.unit.unwrap().version, opened.receipts), (1, vec!["u".to_owned()]));
    assert!(matches!(journal.commit(&commit).await, Err(CommitError::Conflict(_))));
    let owed = journal.owed(at(60), 0, 10).await.unwrap().deliveries;
    assert_eq!(owed.len(), 2, "the sweep sends what was never published");
}

#[tokio::test]
async fn a_row_that_another_transaction_holds_is_a_conflict_and_a_busy_table_is_temporary() {
    let cloud = Cloud::start().await;
    let journal = cloud.journal(routes()).await;
    let commit = decision("u", &UnitRow::default(), vec![request("said", "x")]);
    cloud.proxy.next("TransactWriteItems", Fault::Contended);
    let Err(CommitError::Conflict(what)) = journal.commit(&commit).await else { panic!("it is held") };
    assert_eq!(what, "the row unit#build#u unit");
    cloud.proxy.next("TransactWriteItems", BUSY);
    let Err(CommitError::Port(error)) = journal.commit(&commit).await else { panic!("it is busy") };
    assert!(error.is_temporary() && error.to_string().contains("too much just now"), "{error}");
    assert_eq!(journal.open(&ask("u")).await.unwrap(), Opened::default(), "nothing was written");
    journal.commit(&commit).await.unwrap();
}

#[tokio::test]
async fn keys_that_are_left_undone_are_asked_for_again_but_not_for_ever() {
    let cloud = Cloud::start().await;
    let journal = cloud.journal(routes()).await;
    journal.commit(&decision("u", &UnitRow::default(), Vec::new())).await.unwrap();
    cloud.proxy.calls();
    cloud.proxy.next("BatchGetItem", Fault::Undone(1));
    cloud.proxy.next("BatchGetItem", Fault::Undone(0));
    let opened = journal.open(&ask("u")).await.unwrap();
    assert_eq!((opened.unit.unwrap().version, opened.receipts.len()), (1, 1));
    assert_eq!(cloud.proxy.calls().len(), 3);
    for _ in 0..8 {
        cloud.proxy.next("BatchGetItem", Fault::Undone(0));
    }
    let error = journal.open(&ask("u")).await.unwrap_err();
    assert!(error.is_temporary() && error.to_string().contains("leaves reads undone"), "{error}");
}

#[tokio::test]
async fn entries_that_fail_alone_are_counted_and_the_wake_up_goes_out_all_the_same() {
    let cloud = Cloud::start().await;
    let journal = cloud.journal(routes()).await;
    let facts: Vec<Event> = (0..12).map(|n| request(&format!("e{n}"), "x")).collect();
    let committed = journal.commit(&decision("u", &UnitRow::default(), facts)).await.unwrap();
    cloud.proxy.calls();
    cloud.proxy.next("PutEvents", Fault::Partial(3));
    let error = journal.publish(&committed).await.unwrap_err();
    assert!(error.is_temporary() && error.to_string().contains("7 of 10 events"), "{error}");
    let mut calls = cloud.proxy.calls();
    calls.sort();
    assert_eq!(calls, ["PutEvents", "PutEvents", "SendMessage"], "the second lot is tried, too");
    assert!(journal.event(&id("e11")).await.unwrap().is_some());
    assert_eq!(journal.owed(at(60), 0, 100).await.unwrap().deliveries.len(), 24);
}
