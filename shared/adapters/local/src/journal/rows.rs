//! Between the domain's types and SQLite's columns.

use jiff::Timestamp;
use longshore_events::{Event, EventId};
use longshore_ports::journal::UnitRow;
use rusqlite::Row;

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

pub(super) fn event(json: &str) -> Result<Event, Failure> {
    Ok(Event::from_json(json)?)
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
pub(super) fn search_keys(event: &Event) -> Result<(Option<String>, Option<String>), Failure> {
    let data = serde_json::to_value(&event.data)?;
    let text = |name: &str| data.get(name).and_then(serde_json::Value::as_str).map(str::to_owned);
    Ok((text("service"), text("commit").or_else(|| text("after"))))
}
