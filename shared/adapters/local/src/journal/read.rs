//! What the frame and the sweep read.

use jiff::Timestamp;
use longshore_events::{Event, EventId};
use longshore_ports::journal::{Open, Opened, Owed};
use rusqlite::{Connection, OptionalExtension, params};

use super::apply::{lease, stops};
use super::error::Failure;
use super::rows::{self, EVENT, UNIT, int, nanos};

/// What was written so far in the future, in nanoseconds, was not written by a commit that ran beside this look.
const AHEAD: i64 = 60_000_000_000;

pub(super) fn open(conn: &Connection, ask: &Open) -> Result<Opened, Failure> {
    let mut opened = Opened {
        unit: unit(conn, &ask.function, &ask.unit)?,
        lease: ask.lease.as_deref().map(|name| lease(conn, name)).transpose()?.flatten(),
        ..Opened::default()
    };
    for switch in &ask.switches {
        if stops(conn, switch)? {
            opened.stopped.push(switch.clone());
        }
    }
    if let Some((event, units)) = &ask.told {
        told(conn, &ask.function, event, units, &mut opened)?;
    }
    Ok(opened)
}

fn unit(
    conn: &Connection,
    function: &str,
    unit: &str,
) -> Result<Option<longshore_ports::journal::UnitRow>, Failure> {
    let sql = format!("SELECT {UNIT} FROM unit WHERE function = ?1 AND unit = ?2");
    let mut statement = conn.prepare_cached(&sql)?;
    let mut found = statement.query([function, unit])?;
    found.next()?.map(|row| rows::unit(row, 0)).transpose()
}

fn told(
    conn: &Connection,
    function: &str,
    event: &EventId,
    units: &[String],
    opened: &mut Opened,
) -> Result<(), Failure> {
    let Some(seq) = super::apply::seq(conn, event)? else { return Ok(()) };
    let attempts: Option<u32> = conn
        .prepare_cached("SELECT attempts FROM delivery WHERE event = ?1 AND function = ?2")?
        .query_row(params![seq, function], |row| row.get(0))
        .optional()?;
    opened.owed = attempts.is_some();
    opened.delivery_attempts = attempts.unwrap_or_default();
    let mut receipt =
        conn.prepare_cached("SELECT 1 FROM receipt WHERE event = ?1 AND function = ?2 AND unit = ?3")?;
    for unit in units {
        if receipt.exists(params![seq, function, unit])? {
            opened.receipts.push(unit.clone());
        }
    }
    Ok(())
}

pub(super) fn event(conn: &Connection, id: &EventId) -> Result<Option<Event>, Failure> {
    let mut statement = conn.prepare_cached(&format!("SELECT {EVENT} FROM event WHERE id = ?1"))?;
    let mut found = statement.query([id.as_str()])?;
    found.next()?.map(|row| rows::event(row, 0)).transpose()
}

pub(super) fn latest(conn: &Connection, kind: &str, subject: &str) -> Result<Option<Event>, Failure> {
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {EVENT} FROM head JOIN event ON event.seq = head.event WHERE head.kind = ?1 AND head.subject = ?2"
    ))?;
    let mut found = statement.query([kind, subject])?;
    found.next()?.map(|row| rows::event(row, 0)).transpose()
}

pub(super) fn owed(conn: &Connection, now: Timestamp, grace_ms: u64, limit: usize) -> Result<Owed, Failure> {
    let now = nanos(now);
    let limit = int(limit as u64);
    let written_before = now.saturating_sub(int(grace_ms).saturating_mul(1_000_000));
    let set_back = now.saturating_add(AHEAD);
    Ok(Owed {
        deliveries: deliveries(conn, now, written_before, set_back, limit)?,
        units: units(conn, now, limit)?,
    })
}

/// What was written after `set_back` was written before the clock was set back, and its age is not known. Each part walks
/// a partial index from one place on, so that the cost is by `limit` and not by what is owed.
fn deliveries(
    conn: &Connection,
    now: i64,
    written_before: i64,
    set_back: i64,
    limit: i64,
) -> Result<Vec<(String, Event)>, Failure> {
    let mut statement = conn.prepare_cached(&format!(
        "SELECT function, {EVENT} FROM (
           SELECT * FROM (SELECT event AS owed, function, written AS since FROM delivery
             WHERE due IS NULL AND written <= ?1 ORDER BY written, event LIMIT ?3)
           UNION ALL
           SELECT * FROM (SELECT event AS owed, function, written AS since FROM delivery
             WHERE due IS NULL AND written > ?4 ORDER BY written, event LIMIT ?3)
           UNION ALL
           SELECT * FROM (SELECT event AS owed, function, due AS since FROM delivery
             WHERE due IS NOT NULL AND due <= ?2 ORDER BY due, event LIMIT ?3))
         JOIN event ON event.seq = owed ORDER BY since, seq LIMIT ?3"
    ))?;
    let mut found = statement.query(params![written_before, now, limit, set_back])?;
    let mut deliveries = Vec::new();
    while let Some(row) = found.next()? {
        let function: String = row.get(0)?;
        match rows::event(row, 1) {
            Ok(event) => deliveries.push((function, event)),
            // It must not hold up what this build can read; it stays owed until a build comes that reads it.
            Err(failure) => {
                tracing::warn!(function, error = %failure, "an owed event is left for a newer build");
            }
        }
    }
    Ok(deliveries)
}

/// A unit that is due is left alone while somebody performs for it; its claim's end wakes it too.
fn units(conn: &Connection, now: i64, limit: i64) -> Result<Vec<(String, String)>, Failure> {
    let mut statement = conn.prepare_cached(
        "SELECT function, unit FROM (
           SELECT * FROM (SELECT function, unit, due AS since FROM unit
             WHERE due IS NOT NULL AND due <= ?1 AND (claim IS NULL OR until IS NULL OR until <= ?1)
             ORDER BY due LIMIT ?2)
           UNION ALL
           SELECT * FROM (SELECT function, unit, until AS since FROM unit
             WHERE todo IS NOT NULL AND until <= ?1 AND (due IS NULL OR due > ?1) ORDER BY until LIMIT ?2))
         ORDER BY since, function, unit LIMIT ?2",
    )?;
    let mut found = statement.query(params![now, limit])?;
    let mut units = Vec::new();
    while let Some(row) = found.next()? {
        units.push((row.get(0)?, row.get(1)?));
    }
    Ok(units)
}
