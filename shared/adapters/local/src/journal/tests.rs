mod clock;
mod older;

use std::fs;
use std::sync::atomic::{AtomicU32, Ordering};

use longshore_events::types::{RequestKind, RequestMade};
use longshore_events::{ChainId, Data, Fact, Link};
use longshore_ports::ErrorKind;
use longshore_ports::history::{DecisionQuery, EventQuery, History as _, Recorded};
use longshore_ports::journal::{DecisionRow, Receipt, Todo, UnitRow, UnitWrite};
use longshore_ports::{EffectKind, Key};
use tempfile::TempDir;
use tokio::sync::mpsc;

use super::*;

fn routes() -> Routes {
    Routes(vec![("build", &[RequestMade::KIND])])
}

fn journal(folder: &TempDir) -> SqliteJournal {
    SqliteJournal::open(&folder.path().join("journal.sqlite"), routes(), None).unwrap()
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_760_000_000 + seconds).unwrap()
}

fn event(id: &str, chain: &str, subject: &str, data: impl Into<Data>) -> Event {
    Event {
        id: EventId::new(id).unwrap(),
        source: "longshore/test".into(),
        subject: subject.into(),
        time: at(0),
        link: Link { chain: ChainId::new(chain).unwrap(), cause: None },
        traceparent: None,
        dryrun: false,
        data: data.into(),
    }
}

fn request(id: &str) -> Event {
    let data = RequestMade {
        what: RequestKind::RollBack,
        who: "t".into(),
        target: "prod/api".into(),
        to: None,
        why: None,
    };
    event(id, id, "prod/api", data)
}

fn says(events: Vec<Event>) -> Commit {
    Commit { at: at(0), events, ..Commit::default() }
}

fn stands(unit: &str, read_version: u64, row: UnitRow) -> Commit {
    let row = UnitRow { version: read_version + 1, state: "{}".into(), ..row };
    let unit = UnitWrite { function: "build".into(), unit: unit.into(), read_version, read_marks: 0, row };
    Commit { unit: Some(unit), at: at(0), ..Commit::default() }
}

fn todo() -> Todo {
    let key = Key {
        function: "build".into(),
        unit: "u".into(),
        generation: None,
        name: "image".into(),
        kind: EffectKind::Named,
        restoring: false,
    };
    Todo { key, effect: "{}".into() }
}

fn ids(found: &[Recorded]) -> Vec<&str> {
    found.iter().map(|recorded| recorded.event.id.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_keeps_the_contract_of_the_journal() {
    let folder = tempfile::tempdir().unwrap();
    let journals = AtomicU32::new(0);
    longshore_ports::suite::journal::run(async |routes| {
        let number = journals.fetch_add(1, Ordering::Relaxed);
        SqliteJournal::open(&folder.path().join(number.to_string()), routes, None).unwrap()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_keeps_the_contract_of_the_history() {
    let folder = tempfile::tempdir().unwrap();
    let journals = AtomicU32::new(0);
    longshore_ports::suite::history::run(async |routes| {
        let number = journals.fetch_add(1, Ordering::Relaxed);
        SqliteJournal::open(&folder.path().join(number.to_string()), routes, None).unwrap()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_fifty_at_once_only_the_winner_of_each_round_writes() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Arc::new(journal(&folder));
    let tasks: Vec<_> = (0..50)
        .map(|task: u64| {
            let journal = journal.clone();
            tokio::spawn(async move {
                let mut won = 0;
                for round in 0..20 {
                    let commit = Commit {
                        // All race for one unit; each has a fact of its own.
                        unit: stands("raced", round, UnitRow::default()).unit,
                        ..says(vec![request(&format!("{task}-{round}"))])
                    };
                    match journal.commit(&commit).await {
                        Ok(committed) => {
                            assert_eq!(committed.owed.len(), 1);
                            won += 1;
                        }
                        Err(CommitError::Conflict(_)) => {}
                        Err(CommitError::Port(error)) => panic!("{error}"),
                    }
                }
                won
            })
        })
        .collect();
    let mut won = 0;
    for task in tasks {
        won += task.await.unwrap();
    }
    let row = journal.all_units().await.unwrap().remove(0).row;
    let events = journal.events(&EventQuery { limit: 1000, ..EventQuery::default() }).await.unwrap().events;
    assert!(won >= 1, "somebody wins the first round");
    assert_eq!((row.version, events.len() as u64), (won, won), "a loser has written neither unit nor fact");
    assert_eq!(journal.standing().await.unwrap().deliveries, won);
}

#[tokio::test]
async fn what_is_queued_shares_one_transaction_and_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Arc::new(journal(&folder));
    let (open, gate) = std::sync::mpsc::channel::<()>();
    let holding = journal.clone();
    let mut tasks = vec![tokio::spawn(async move {
        let held = holding.writer.run(move |_| {
            gate.recv().unwrap();
            Ok(Committed::default())
        });
        held.await
    })];
    tokio::task::yield_now().await;
    for number in 0..10 {
        let journal = journal.clone();
        tasks.push(tokio::spawn(
            async move { journal.commit(&says(vec![request(&format!("e{number}"))])).await },
        ));
    }
    let breaking = journal.clone();
    tasks.push(tokio::spawn(async move {
        let broken = breaking.writer.run(|conn| {
            conn.execute_batch("ROLLBACK")?;
            Ok(Committed::default())
        });
        broken.await
    }));
    tokio::task::yield_now().await;
    open.send(()).unwrap();
    for task in tasks {
        let answer = task.await.unwrap();
        assert!(matches!(&answer, Err(CommitError::Port(error)) if error.is_temporary()), "{answer:?}");
    }
    let all = EventQuery { limit: 99, ..EventQuery::default() };
    assert!(journal.events(&all).await.unwrap().events.is_empty(), "nobody was told of what is lost");
    journal.commit(&says(vec![request("after")])).await.unwrap();
    assert_eq!(ids(&journal.events(&all).await.unwrap().events), ["after"]);
}

#[tokio::test]
async fn a_published_commit_arrives_on_the_bus() {
    let folder = tempfile::tempdir().unwrap();
    let (bus, mut inbox) = mpsc::unbounded_channel();
    let path = folder.path().join("journal.sqlite");
    let journal = SqliteJournal::open(&path, routes(), Some(bus)).unwrap();
    let committed = journal.commit(&says(vec![request("e")])).await.unwrap();
    journal.publish(&committed).await.unwrap();
    assert_eq!(inbox.recv().await, Some(committed.clone()));
    drop(inbox);
    assert!(journal.publish(&committed).await.unwrap_err().is_temporary());
}

#[tokio::test]
async fn claims_of_the_last_host_are_past_after_a_start() {
    let folder = tempfile::tempdir().unwrap();
    let busy = UnitRow {
        todo: vec![todo()],
        claim: Some("dead".into()),
        until: Some(at(900)),
        ..UnitRow::default()
    };
    journal(&folder).commit(&stands("u", 0, busy)).await.unwrap();
    let journal = journal(&folder);
    journal.commit(&stands("idle", 0, UnitRow::default())).await.unwrap();
    assert!(journal.owed(at(0), 0, 10).await.unwrap().units.is_empty());
    assert_eq!(journal.expire_claims().await.unwrap(), 1);
    assert_eq!(journal.owed(at(0), 0, 10).await.unwrap().units, [("build".into(), "u".into())]);
    let row = journal.all_units().await.unwrap().remove(1).row;
    assert_eq!((row.version, row.claim, row.todo.len()), (1, None, 1));
}

#[tokio::test]
async fn decisions_and_receipts_are_kept_for_thirty_days() {
    let folder = tempfile::tempdir().unwrap();
    let journal = journal(&folder);
    let receipt = |event: &str, clears| Receipt {
        function: "build".into(),
        event: EventId::new(event).unwrap(),
        unit: Some("u".into()),
        clears,
    };
    let decision = DecisionRow {
        function: "build".into(),
        unit: "u".into(),
        version: 1,
        at: at(0),
        cause: "woken".into(),
        seen: "{}".into(),
        record: None,
    };
    journal.commit(&says(vec![request("cleared"), request("owed")])).await.unwrap();
    let commit =
        Commit { receipt: Some(receipt("cleared", true)), decision: Some(decision.clone()), ..says(vec![]) };
    journal.commit(&commit).await.unwrap();
    journal.commit(&Commit { receipt: Some(receipt("owed", false)), ..says(vec![]) }).await.unwrap();

    let day = 24 * 3600;
    assert_eq!(journal.prune(at(30 * day), 100).await.unwrap(), 0);
    let all = DecisionQuery { function: "build".into(), unit: "u".into(), from: None, limit: 10 };
    assert_eq!(journal.decisions(&all).await.unwrap(), [decision]);
    assert_eq!(journal.prune(at(30 * day + 1), 100).await.unwrap(), 2, "the receipt of what is owed stays");
    assert!(journal.decisions(&all).await.unwrap().is_empty());
    let told = Some((EventId::new("owed").unwrap(), vec!["u".into()]));
    let ask = Open { function: "build".into(), unit: "u".into(), told, ..Open::default() };
    assert_eq!(journal.open(&ask).await.unwrap().receipts, ["u"]);
}

#[tokio::test]
async fn an_event_of_a_newer_build_stays_owed_and_hides_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.sqlite");
    let journal = SqliteJournal::open(&path, routes(), None).unwrap();
    journal.commit(&says(vec![request("newer"), request("known")])).await.unwrap();
    let newer =
        "UPDATE event SET kind = replace(kind, 'request.made.v1', 'request.made.v9') WHERE id = 'newer'";
    Connection::open(&path).unwrap().execute(newer, []).unwrap();
    let owed = journal.owed(at(60), 0, 10).await.unwrap().deliveries;
    assert_eq!(owed.iter().map(|(_, event)| event.id.as_str()).collect::<Vec<_>>(), ["known"]);
    let error = journal.event(&EventId::new("newer").unwrap()).await.unwrap_err();
    assert!(error.is_temporary() && error.to_string().contains("newer than this build"), "{error}");
    assert_eq!(
        ids(&journal.events(&EventQuery { limit: 9, ..EventQuery::default() }).await.unwrap().events),
        ["known"]
    );
    assert_eq!(journal.standing().await.unwrap().deliveries, 2);
}

#[tokio::test]
async fn a_full_disk_is_temporary_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.sqlite");
    let journal = SqliteJournal::open(&path, routes(), None).unwrap();
    journal.commit(&says(vec![request("before")])).await.unwrap();
    let pages = |count: u32| {
        move |conn: &Connection| {
            conn.query_row(&format!("PRAGMA max_page_count = {count}"), [], |_| Ok(()))
                .map_err(error::Failure::from)
        }
    };
    journal.writer.run(pages(1)).await.unwrap();
    let large = UnitRow { claim: Some("x".repeat(200_000)), ..UnitRow::default() };
    let commit = Commit { events: vec![request("during")], ..stands("u", 0, large) };
    let Err(CommitError::Port(error)) = journal.commit(&commit).await else { panic!("the disk is full") };
    assert_eq!(error.kind, ErrorKind::Unavailable);
    assert!(error.to_string().contains("the disk is full"), "{error}");
    assert!(journal.event(&EventId::new("during").unwrap()).await.unwrap().is_none());
    journal.writer.run(pages(1_000_000)).await.unwrap();
    journal.commit(&commit).await.unwrap();
    let all = journal.events(&EventQuery { limit: 9, ..EventQuery::default() }).await.unwrap().events;
    assert_eq!(ids(&all), ["before", "during"]);
}

#[test]
fn a_damaged_file_is_refused_with_advice() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.sqlite");
    fs::write(&path, "this is no database, and long enough to be read as one ".repeat(100)).unwrap();
    let Err(error) = SqliteJournal::open(&path, routes(), None) else { panic!("it is no journal") };
    assert!(matches!(error, OpenError::Damaged { .. }));
    assert!(error.to_string().contains("journal.sqlite is damaged"), "{error}");

    let missing = folder.path().join("no/such/folder/journal.sqlite");
    let Err(error) = SqliteJournal::open(&missing, routes(), None) else { panic!("there is no folder") };
    assert!(error.to_string().contains("folder exists"), "{error}");
}

#[test]
fn a_file_of_a_newer_build_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.sqlite");
    drop(SqliteJournal::open(&path, routes(), None).unwrap());
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let Err(error) = SqliteJournal::open(&path, routes(), None) else { panic!("it is newer") };
    assert!(matches!(error, OpenError::Newer { found: 99, known: 2 }), "{error}");
}
