//! Between the domain's types and SQLite's columns.

use std::borrow::Cow;

use jiff::Timestamp;
use longshore_events::{ChainId, Data, Event, EventId, Link};
use longshore_ports::journal::UnitRow;
use rusqlite::Row;
use serde::Deserialize;

use super::error::Failure;

/// Nanoseconds since 1970; times beyond the years 1678 to 2262 are held at the border.
pub(super) fn nanos(time: Timestamp) -> i64 {
    i64::try_from(time.as_nanosecond()).unwrap_or(if time < Timestamp::UNIX_EPOCH {
        i64::MIN
    } else {
        i64::MAX
    })
}

pub(super) fn time(nanos: i64) -> Timestamp {
    Timestamp::from_nanosecond(nanos.into()).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// SQLite's integers are signed; counters never come near the border.
pub(super) fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn uint(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// The columns of an event, in the order that [`event`] reads.
pub(super) const EVENT: &str = "event.id, event.source, event.kind, event.subject, event.time, event.chain, event.cause, event.traceparent, \
     event.dryrun, event.data";

/// Reads the columns [`EVENT`], which begin at `from`.
pub(super) fn event(row: &Row<'_>, from: usize) -> Result<Event, Failure> {
    let cause: Option<String> = row.get(from + 6)?;
    let kind: String = row.get(from + 2)?;
    let data: String = row.get(from + 9)?;
    Ok(Event {
        id: EventId::new(row.get::<_, String>(from)?)?,
        source: row.get(from + 1)?,
        subject: row.get(from + 3)?,
        time: time(row.get(from + 4)?),
        link: Link {
            chain: ChainId::new(row.get::<_, String>(from + 5)?)?,
            cause: cause.map(EventId::new).transpose()?,
        },
        traceparent: row.get(from + 7)?,
        dryrun: row.get(from + 8)?,
        data: Data::parse(&kind, serde_json::from_str(&data)?)?,
    })
}

/// The columns of a unit, in the order that [`unit`] reads.
pub(super) const UNIT: &str = "version, state, todo, claim, until, attempts, due, link, marked";

/// Reads the columns [`UNIT`], which begin at `from`.
pub(super) fn unit(row: &Row<'_>, from: usize) -> Result<UnitRow, Failure> {
    let todo: Option<String> = row.get(from + 2)?;
    let link: Option<String> = row.get(from + 7)?;
    let marked: String = row.get(from + 8)?;
    Ok(UnitRow {
        version: uint(row.get(from)?),
        state: row.get(from + 1)?,
        todo: todo.as_deref().map(serde_json::from_str).transpose()?.unwrap_or_default(),
        claim: row.get(from + 3)?,
        until: row.get::<_, Option<i64>>(from + 4)?.map(time),
        attempts: row.get(from + 5)?,
        due: row.get::<_, Option<i64>>(from + 6)?.map(time),
        link: link.as_deref().map(serde_json::from_str).transpose()?,
        marked: serde_json::from_str::<Vec<EventId>>(&marked)?,
    })
}

/// What an event can be searched by, besides its envelope: the service and the commit that its data names.
#[derive(Default, Deserialize)]
pub(super) struct Keys<'a> {
    #[serde(borrow, default)]
    pub(super) service: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    commit: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    after: Option<Cow<'a, str>>,
}

impl<'a> Keys<'a> {
    /// Of an event's data, as JSON. Data that names neither, or means something else by these names, has none.
    pub(super) fn of(data: &'a str) -> Self {
        serde_json::from_str(data).unwrap_or_default()
    }

    pub(super) fn commit(&self) -> Option<&str> {
        self.commit.as_deref().or(self.after.as_deref())
    }
}
