//! One commit, inside a transaction: first every condition, then every row.

use longshore_events::{Event, EventId};
use longshore_ports::journal::{
    Commit, Committed, DecisionRow, LeaseRow, LeaseWrite, Postpone, Receipt, Relied, Routes, SwitchWrite,
    UnitWrite,
};
use rusqlite::{Connection, OptionalExtension, params};

use super::error::Failure;
use super::rows::{Keys, int, nanos};

pub(super) fn commit(conn: &Connection, routes: &Routes, commit: &Commit) -> Result<Committed, Failure> {
    check(conn, commit)?;
    let at = nanos(commit.at);
    let mut committed = Committed::default();
    let mut news = commit.events.is_empty();
    for event in &commit.events {
        news |= write_event(conn, routes, event, at, &mut committed)?;
    }
    if let Some(unit) = &commit.unit {
        write_unit(conn, unit)?;
        committed.wake = wake(unit);
    }
    if let Some(receipt) = &commit.receipt {
        write_receipt(conn, receipt, commit)?;
    }
    if let Some(postpone) = &commit.postpone {
        put_off(conn, postpone)?;
    }
    if let Some(lease) = &commit.lease {
        write_lease(conn, lease)?;
    }
    if let Some(switch) = commit.switch.as_ref().filter(|_| news) {
        committed.resumed = write_switch(conn, switch)?;
    }
    if let Some(decision) = &commit.decision {
        write_decision(conn, decision)?;
    }
    Ok(committed)
}

fn check(conn: &Connection, commit: &Commit) -> Result<(), Failure> {
    if let Some(unit) = &commit.unit {
        check_unit(conn, unit)?;
    }
    if let Some(lease) = &commit.lease {
        check_lease(conn, lease)?;
    }
    for relied in &commit.relied_on {
        check_head(conn, relied)?;
    }
    for switch in &commit.running {
        if stops(conn, switch)? {
            return Err(Failure::Conflict(format!("switch {switch}")));
        }
    }
    Ok(())
}

fn check_unit(conn: &Connection, write: &UnitWrite) -> Result<(), Failure> {
    let found: Option<(i64, i64)> = conn
        .prepare_cached("SELECT version, marks FROM unit WHERE function = ?1 AND unit = ?2")?
        .query_row([&write.function, &write.unit], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    if found.unwrap_or((0, 0)) == (int(write.read_version), int(write.read_marks as u64)) {
        return Ok(());
    }
    Err(Failure::Conflict(format!("unit {}/{}", write.function, write.unit)))
}

/// The lease of that name, when it was ever taken.
pub(super) fn lease(conn: &Connection, name: &str) -> Result<Option<LeaseRow>, Failure> {
    let row = conn
        .prepare_cached("SELECT holder, generation FROM lease WHERE name = ?1")?
        .query_row([name], |row| {
            Ok(LeaseRow { holder: row.get(0)?, generation: super::rows::uint(row.get(1)?) })
        })
        .optional()?;
    Ok(row)
}

fn check_lease(conn: &Connection, write: &LeaseWrite) -> Result<(), Failure> {
    if lease(conn, &write.name)? == write.read {
        return Ok(());
    }
    Err(Failure::Conflict(format!("lease {}", write.name)))
}

fn check_head(conn: &Connection, relied: &Relied) -> Result<(), Failure> {
    let head: Option<String> = conn
        .prepare_cached(
            "SELECT event.id FROM head JOIN event ON event.seq = head.event WHERE head.kind = ?1 AND head.subject = ?2",
        )?
        .query_row([&relied.kind, &relied.subject], |row| row.get(0))
        .optional()?;
    if head.as_deref() == relied.event.as_ref().map(EventId::as_str) {
        return Ok(());
    }
    Err(Failure::Conflict(format!("{} of {}", relied.kind, relied.subject)))
}

/// Whether the switch says stop; one that was never set says go.
pub(super) fn stops(conn: &Connection, switch: &str) -> Result<bool, Failure> {
    let stop = conn
        .prepare_cached("SELECT stop FROM switch WHERE name = ?1")?
        .query_row([switch], |row| row.get(0))
        .optional()?;
    Ok(stop.unwrap_or(false))
}

/// Writes an event, unless it is there; whether it was new.
fn write_event(
    conn: &Connection,
    routes: &Routes,
    event: &Event,
    at: i64,
    committed: &mut Committed,
) -> Result<bool, Failure> {
    let data = serde_json::to_string(&event.data)?;
    let keys = Keys::of(&data);
    let (kind, cause) = (event.kind(), event.link.cause.as_ref().map(EventId::as_str));
    let written = conn
        .prepare_cached(
            "INSERT INTO event
               (id, kind, subject, time, chain, cause, source, traceparent, dryrun, service, commit_id, data)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12) ON CONFLICT (id) DO NOTHING",
        )?
        .execute(params![
            event.id.as_str(),
            kind,
            event.subject,
            nanos(event.time),
            event.link.chain.as_str(),
            cause,
            event.source,
            event.traceparent,
            event.dryrun,
            keys.service,
            keys.commit(),
            data,
        ])?;
    if written == 0 {
        return Ok(false);
    }
    let seq = conn.last_insert_rowid();
    conn.prepare_cached("INSERT OR REPLACE INTO head (kind, subject, event) VALUES (?1, ?2, ?3)")?
        .execute(params![kind, event.subject, seq])?;
    for function in routes.takers(kind) {
        conn.prepare_cached("INSERT INTO delivery (event, function, written) VALUES (?1, ?2, ?3)")?
            .execute(params![seq, function, at])?;
        committed.owed.push((function.to_owned(), event.clone()));
    }
    Ok(true)
}

fn write_unit(conn: &Connection, write: &UnitWrite) -> Result<(), Failure> {
    let row = &write.row;
    let todo = if row.todo.is_empty() { None } else { Some(serde_json::to_string(&row.todo)?) };
    let link = row.link.as_ref().map(serde_json::to_string).transpose()?;
    conn.prepare_cached(
        "INSERT OR REPLACE INTO unit
           (function, unit, version, state, todo, claim, until, attempts, due, link, marked, marks)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
    )?
    .execute(params![
        write.function,
        write.unit,
        int(row.version),
        row.state,
        todo,
        row.claim,
        row.until.map(nanos),
        row.attempts,
        row.due.map(nanos),
        link,
        serde_json::to_string(&row.marked)?,
        int(row.marked.len() as u64),
    ])?;
    Ok(())
}

/// When the unit must be looked at: when its claim ends while it performs, else when it is due.
fn wake(write: &UnitWrite) -> Option<(String, String, jiff::Timestamp)> {
    let claimed = if write.row.todo.is_empty() { None } else { write.row.until };
    let at = claimed.or(write.row.due)?;
    Some((write.function.clone(), write.unit.clone(), at))
}

/// The number of an event.
pub(super) fn seq(conn: &Connection, id: &EventId) -> Result<Option<i64>, Failure> {
    let seq = conn
        .prepare_cached("SELECT seq FROM event WHERE id = ?1")?
        .query_row([id.as_str()], |row| row.get(0))
        .optional()?;
    Ok(seq)
}

fn write_receipt(conn: &Connection, receipt: &Receipt, commit: &Commit) -> Result<(), Failure> {
    let seq = seq(conn, &receipt.event)?.ok_or_else(|| Failure::NoEvent(receipt.event.to_string()))?;
    let unit = receipt.unit.as_deref().unwrap_or_default();
    let version = commit.unit.as_ref().map(|write| int(write.row.version));
    conn.prepare_cached(
        "INSERT OR IGNORE INTO receipt (event, function, unit, at, version) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute(params![seq, receipt.function, unit, nanos(commit.at), version])?;
    if receipt.clears {
        conn.prepare_cached("DELETE FROM delivery WHERE event = ?1 AND function = ?2")?
            .execute(params![seq, receipt.function])?;
    }
    Ok(())
}

fn put_off(conn: &Connection, postpone: &Postpone) -> Result<(), Failure> {
    conn.prepare_cached(
        "UPDATE delivery SET attempts = ?3, due = ?4
         WHERE event = (SELECT seq FROM event WHERE id = ?1) AND function = ?2",
    )?
    .execute(params![
        postpone.event.as_str(),
        postpone.function,
        postpone.attempts,
        nanos(postpone.due)
    ])?;
    Ok(())
}

fn write_lease(conn: &Connection, write: &LeaseWrite) -> Result<(), Failure> {
    if write.read.as_ref() == Some(&write.row) {
        return Ok(());
    }
    conn.prepare_cached("INSERT OR REPLACE INTO lease (name, holder, generation) VALUES (?1, ?2, ?3)")?
        .execute(params![write.name, write.row.holder, int(write.row.generation)])?;
    Ok(())
}

/// Says whether the switch went from stop to go.
fn write_switch(conn: &Connection, write: &SwitchWrite) -> Result<bool, Failure> {
    let stopped = stops(conn, &write.name)?;
    conn.prepare_cached("INSERT OR REPLACE INTO switch (name, stop) VALUES (?1, ?2)")?
        .execute(params![write.name, write.stop])?;
    Ok(stopped && !write.stop)
}

fn write_decision(conn: &Connection, decision: &DecisionRow) -> Result<(), Failure> {
    conn.prepare_cached(
        "INSERT INTO decision (function, unit, version, at, cause, seen, record)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute(params![
        decision.function,
        decision.unit,
        int(decision.version),
        nanos(decision.at),
        decision.cause,
        decision.seen,
        decision.record,
    ])?;
    Ok(())
}
