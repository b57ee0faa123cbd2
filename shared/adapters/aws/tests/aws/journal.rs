//! The journal as it is used: the contract, the calls that it makes, what goes over the bus.

use std::sync::Arc;

use longshore_aws::DynamoJournal;
use longshore_aws::testing;
use longshore_events::{
    ChainId, Event, EventId, Link,
    types::{RequestKind, RequestMade},
};
use longshore_ports::{
    Journal,
    journal::{Commit, CommitError, Committed, DecisionRow, Open, Receipt, UnitRow, UnitWrite},
    suite::journal::routes,
};

use crate::stack::{Cloud, StandingClock, TickingClock, at};

pub(crate) fn id(text: &str) -> EventId {
    EventId::new(text).unwrap()
}

pub(crate) fn request(name: &str, why: &str) -> Event {
    let data = RequestMade {
        what: RequestKind::RollBack,
        who: "test".into(),
        target: "prod/api".into(),
        to: None,
        why: Some(why.into()),
    };
    Event {
        id: id(name),
        source: "longshore/test".into(),
        subject: "prod/api".into(),
        time: at(0),
        link: Link { chain: ChainId::new("chain").unwrap(), cause: None },
        traceparent: None,
        dryrun: false,
        data: data.into(),
    }
}

/// The next version of `build`'s unit.
pub(crate) fn unit(name: &str, read: &UnitRow, state: &str) -> UnitWrite {
    UnitWrite {
        function: "build".into(),
        unit: name.into(),
        read_version: read.version,
        read_marks: read.marked.len(),
        row: UnitRow { version: read.version + 1, state: state.into(), ..UnitRow::default() },
    }
}

pub(crate) fn ask(unit: &str) -> Open {
    Open {
        function: "build".into(),
        unit: unit.into(),
        lease: Some("prod/api".into()),
        switches: vec!["all".into(), "prod".into()],
        told: Some((id("told"), vec![unit.into()])),
    }
}

/// A decision as the frame commits it.
pub(crate) fn decision(name: &str, read: &UnitRow, facts: Vec<Event>) -> Commit {
    let mut write = unit(name, read, "{}");
    write.row.due = Some(at(60));
    let receipt =
        Receipt { function: "build".into(), event: id("told"), unit: Some(name.into()), clears: true };
    let decision = DecisionRow {
        function: "build".into(),
        unit: name.into(),
        version: write.row.version,
        at: at(0),
        cause: "told told".into(),
        seen: "{}".into(),
        record: None,
    };
    Commit {
        at: at(0),
        unit: Some(write),
        receipt: Some(receipt),
        running: vec!["all".into(), "prod".into()],
        events: facts,
        decision: Some(decision),
        ..Commit::default()
    }
}

#[tokio::test]
async fn the_journal_passes_the_suite() {
    let cloud = Cloud::start().await;
    longshore_ports::suite::journal::run(async |routes| cloud.journal(routes).await).await;
}

#[tokio::test]
async fn the_journal_passes_the_suite_of_its_history() {
    let cloud = Cloud::start().await;
    longshore_ports::suite::history::run(async |routes| {
        DynamoJournal::new(&cloud.aws, cloud.stack().await, routes, Arc::new(TickingClock::default()))
    })
    .await;
}

#[tokio::test]
async fn a_decision_is_three_calls_and_two_rules_of_the_bus_see_it() {
    let cloud = Cloud::start().await;
    let names = cloud.stack().await;
    let inbox = testing::subscribe(&cloud.aws, &names.bus).await;
    let journal = DynamoJournal::new(&cloud.aws, names.clone(), routes(), Arc::new(StandingClock));
    journal
        .commit(&Commit { at: at(0), events: vec![request("told", "x")], ..Commit::default() })
        .await
        .unwrap();
    cloud.proxy.calls();

    let opened = journal.open(&ask("u")).await.unwrap();
    assert!(opened.owed);
    let facts = vec![request("said", "x"), request("said-too", "x")];
    let committed = journal.commit(&decision("u", &UnitRow::default(), facts.clone())).await.unwrap();
    journal.publish(&committed).await.unwrap();
    let mut calls = cloud.proxy.calls();
    calls[2..].sort();
    assert_eq!(calls, ["BatchGetItem", "TransactWriteItems", "PutEvents", "SendMessage"]);

    let mut told = Vec::new();
    for message in testing::receive(&cloud.aws, &inbox).await {
        assert_eq!(message["source"], "longshore");
        assert_eq!(message["detail-type"], "dev.longshore.request.made.v1");
        told.push(Event::from_json(&message["detail"].to_string()).unwrap());
    }
    told.sort_by_key(|event| event.id.to_string());
    assert_eq!(told, facts, "each once, although two functions are owed it");

    journal.publish(&Committed::default()).await.unwrap();
    let wake = Committed { wake: Some(("build".into(), "u".into(), at(0))), ..Committed::default() };
    journal.publish(&wake).await.unwrap();
    let woken = testing::receive(&cloud.aws, &names.wakes).await;
    let hint = serde_json::json!({ "function": "build", "unit": "u", "due": at(0) });
    assert_eq!(woken, [hint], "the one that is due in a minute is not there yet");
}

#[tokio::test]
async fn receipts_and_decisions_end_after_thirty_days_and_nothing_else_does() {
    let cloud = Cloud::start().await;
    let names = cloud.stack().await;
    let journal = DynamoJournal::new(&cloud.aws, names.clone(), routes(), Arc::new(StandingClock));
    let facts = vec![request("said", "x")];
    journal.commit(&decision("u", &UnitRow::default(), facts)).await.unwrap();
    let client = aws_sdk_dynamodb::Client::new(cloud.aws.config());
    let rows = client.scan().table_name(&names.table).send().await.unwrap().items.unwrap();
    let mut ending = Vec::new();
    for row in &rows {
        if let Some(expires) = row.get("expires") {
            let expires: i64 = expires.as_n().unwrap().parse().unwrap();
            assert_eq!(expires, at(30 * 24 * 3600).as_second());
            ending.push(row["sk"].as_s().unwrap().as_str());
        }
    }
    ending.sort_unstable();
    assert_eq!(ending, ["decision#00000000000000000001", "receipt#build#u"]);
    assert_eq!(rows.len(), 7, "unit, decision, receipt, event, head and two deliveries: {rows:?}");
}

#[tokio::test]
async fn what_is_too_large_is_refused_by_name_before_the_call() {
    let cloud = Cloud::start().await;
    let journal = cloud.journal(routes()).await;
    cloud.proxy.calls();
    let long = "x".repeat(500_000);
    let facts = vec![request("large", &long)];
    let state = Commit { unit: Some(unit("u", &UnitRow::default(), &long)), ..Commit::default() };
    let many = (0..40).map(|n| request(&format!("e{n}"), "x")).collect();
    let cases = [
        (Commit { events: facts, ..Commit::default() }, "event large has 500"),
        (state, "the row unit#build#u unit has 500"),
        (Commit { events: many, ..Commit::default() }, "121 rows"),
    ];
    for (commit, text) in cases {
        let Err(CommitError::Port(error)) = journal.commit(&commit).await else { panic!("it is too large") };
        assert!(error.to_string().contains(text) && !error.is_temporary(), "{error}");
    }
    assert!(cloud.proxy.calls().is_empty());
}

#[tokio::test]
async fn more_units_than_one_call_reads_are_read() {
    let cloud = Cloud::start().await;
    let journal = cloud.journal(routes()).await;
    let receipt =
        Receipt { function: "build".into(), event: id("e"), unit: Some("u149".into()), clears: false };
    journal.commit(&Commit { at: at(0), receipt: Some(receipt), ..Commit::default() }).await.unwrap();
    let units = (0..150).map(|n| format!("u{n}")).collect();
    let opened = journal.open(&Open { told: Some((id("e"), units)), ..ask("u0") }).await.unwrap();
    assert_eq!(opened.receipts, ["u149"]);
}

#[tokio::test]
async fn a_receipt_that_was_written_meanwhile_is_a_conflict_for_the_units_commit() {
    let cloud = Cloud::start().await;
    let journal = cloud.journal(routes()).await;
    journal.commit(&decision("u", &UnitRow::default(), Vec::new())).await.unwrap();
    let row = journal.open(&ask("u")).await.unwrap().unit.unwrap();
    let torn = journal.commit(&decision("u", &row, Vec::new())).await;
    let Err(CommitError::Conflict(what)) = torn else { panic!("told twice: {torn:?}") };
    assert_eq!(what, "the receipt of told for build");
}
