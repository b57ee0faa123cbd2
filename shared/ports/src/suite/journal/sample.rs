//! What the tests of the suite are made of.

use jiff::{SignedDuration, Timestamp};
use longshore_events::{
    ChainId, Data, Event, EventId, Fact, Link,
    types::{EventDeadlettered, RequestKind, RequestMade},
};

use crate::journal::{
    Commit, CommitError, Committed, Journal, LeaseRow, LeaseWrite, Open, Opened, Routes, Todo, UnitRow,
    UnitWrite,
};
use crate::{EffectKind, Key};

/// Two functions that take one type; nobody takes the other.
pub fn routes() -> Routes {
    Routes(vec![("build", &[RequestMade::KIND]), ("deploy", &[RequestMade::KIND])])
}

/// The suite's time: so many seconds after its beginning.
pub(crate) fn at(seconds: i64) -> Timestamp {
    let start = Timestamp::from_second(1_760_000_000).unwrap_or_default();
    start.saturating_add(SignedDuration::from_secs(seconds)).unwrap_or(start)
}

pub(crate) fn id(text: &str) -> EventId {
    EventId::new(text).expect("a valid event id")
}

/// An event that two functions take.
pub(crate) fn request(name: &str, subject: &str) -> Event {
    let data = RequestMade {
        what: RequestKind::RollBack,
        who: "suite".into(),
        target: subject.into(),
        to: None,
        why: Some(format!("\"{name}\" ü")),
    };
    event(name, subject, data.into())
}

/// An event that nobody takes.
pub(crate) fn untaken(name: &str, subject: &str) -> Event {
    let data = EventDeadlettered {
        original: None,
        function: "build".into(),
        unit: None,
        error: name.into(),
        attempts: 1,
    };
    event(name, subject, data.into())
}

fn event(name: &str, subject: &str, data: Data) -> Event {
    Event {
        id: id(name),
        source: "longshore/suite".into(),
        subject: subject.into(),
        time: at(0),
        link: Link { chain: ChainId::new("chain").expect("a valid chain"), cause: Some(id("cause")) },
        traceparent: None,
        dryrun: false,
        data,
    }
}

/// A commit of events alone, at that second.
pub(crate) fn says(seconds: i64, events: &[Event]) -> Commit {
    Commit { at: at(seconds), events: events.to_vec(), ..Commit::default() }
}

/// The next version of `build`'s unit, as it was read.
pub(crate) fn unit(name: &str, read: Option<&UnitRow>) -> UnitWrite {
    let row = read.cloned().unwrap_or_default();
    UnitWrite {
        function: "build".into(),
        unit: name.into(),
        read_version: row.version,
        read_marks: row.marked.len(),
        row: UnitRow { version: row.version + 1, state: format!("{{\"n\":{}}}", row.version + 1), ..row },
    }
}

/// A commit of a unit alone.
pub(crate) fn writes(unit: UnitWrite) -> Commit {
    Commit { at: at(0), unit: Some(unit), ..Commit::default() }
}

pub(crate) fn todo(name: &str) -> Todo {
    let key = Key {
        function: "build".into(),
        unit: "u".into(),
        generation: Some(7),
        name: name.into(),
        kind: EffectKind::Named,
        restoring: false,
    };
    Todo { key, effect: "{\"a\":1}".into() }
}

/// Takes the lease as it was read.
pub(crate) fn takes(lease: &str, read: Option<LeaseRow>, holder: Option<&str>) -> LeaseWrite {
    let generation = read.as_ref().map_or(0, |row| row.generation) + u64::from(holder.is_some());
    let row = LeaseRow { holder: holder.map(str::to_owned), generation };
    LeaseWrite { name: lease.into(), read, row }
}

/// Everything that can be read for `build`'s unit `u`, told `event`.
pub(crate) fn ask(event: &str) -> Open {
    Open {
        function: "build".into(),
        unit: "u".into(),
        lease: Some("prod/api".into()),
        switches: vec!["all".into(), "prod".into()],
        told: Some((id(event), vec!["u".into(), "v".into()])),
    }
}

pub(crate) async fn read<J: Journal>(journal: &J, ask: &Open) -> Opened {
    journal.open(ask).await.expect("the journal can be read")
}

pub(crate) async fn done<J: Journal>(journal: &J, commit: &Commit) -> Committed {
    journal.commit(commit).await.expect("the commit has no conflict")
}

pub(crate) async fn refused<J: Journal>(journal: &J, commit: &Commit) {
    let answer = journal.commit(commit).await;
    assert!(matches!(answer, Err(CommitError::Conflict(_))), "a conflict was to be found, not {answer:?}");
}
