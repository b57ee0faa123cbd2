//! What people ask the journal: lists, the timeline, what is owed.

use async_trait::async_trait;
use longshore_events::{ChainId, Event, EventId};
use longshore_ports::history::{DecisionQuery, EventQuery, History, Page, Recorded, Standing, Taken, Unit};
use longshore_ports::{
    PortError,
    journal::{DecisionRow, LeaseRow},
};
use rusqlite::{Connection, ToSql, params};

use super::SqliteJournal;
use super::error::Failure;
use super::rows::{self, EVENT, UNIT, int, uint};

impl SqliteJournal {
    /// Every unit, by function and name.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn all_units(&self) -> Result<Vec<Unit>, PortError> {
        self.readers.run("journal units", move |conn| units(conn, None, usize::MAX)).await
    }
}

#[async_trait]
impl History for SqliteJournal {
    async fn events(&self, query: &EventQuery) -> Result<Page, PortError> {
        let query = query.clone();
        self.readers.run("journal events", move |conn| events(conn, &query)).await
    }

    async fn units(&self, function: &str, limit: usize) -> Result<Vec<Unit>, PortError> {
        let function = function.to_owned();
        self.readers.run("journal units", move |conn| units(conn, Some(&function), limit)).await
    }

    async fn standing(&self) -> Result<Standing, PortError> {
        self.readers.run("journal standing", |conn| standing(conn)).await
    }

    async fn decisions(&self, query: &DecisionQuery) -> Result<Vec<DecisionRow>, PortError> {
        let query = query.clone();
        self.readers.run("journal decisions", move |conn| decisions(conn, &query)).await
    }

    async fn taken(&self, event: &EventId) -> Result<Vec<Taken>, PortError> {
        let event = event.clone();
        self.readers.run("journal receipts", move |conn| taken(conn, &event)).await
    }
}

fn list<T>(
    conn: &Connection,
    sql: &str,
    params: &[&dyn ToSql],
    read: impl Fn(&rusqlite::Row<'_>) -> Result<T, Failure>,
) -> Result<Vec<T>, Failure> {
    let mut statement = conn.prepare_cached(sql)?;
    let mut found = statement.query(params)?;
    let mut all = Vec::new();
    while let Some(row) = found.next()? {
        all.push(read(row)?);
    }
    Ok(all)
}

/// Only the conditions that are given are in the text, so that each has its index.
fn events(conn: &Connection, query: &EventQuery) -> Result<Page, Failure> {
    let (after, limit) = (int(query.after), int(query.limit as u64));
    let suffix = query.subject.as_ref().map(|subject| format!("%/{}", subject.replace(['%', '_'], "")));
    let chain = query.chain.as_ref().map(ChainId::as_str);
    let mut sql = format!("SELECT seq, {EVENT} FROM event WHERE seq > ?1");
    let mut given: Vec<&dyn ToSql> = vec![&after];
    let before = query.before.map(int);
    if let Some(before) = &before {
        given.push(before);
        sql += &format!(" AND seq < ?{}", given.len());
    }
    if let Some(kind) = &query.kind {
        given.push(kind);
        sql += &format!(" AND kind = ?{}", given.len());
    }
    if let Some(chain) = &chain {
        given.push(chain);
        let n = given.len();
        sql += &format!(
            " AND seq IN (SELECT seq FROM event WHERE chain = ?{n} AND chain <> id
              UNION ALL SELECT seq FROM event WHERE id = ?{n} AND chain = id)"
        );
    }
    if let (Some(subject), Some(suffix)) = (&query.subject, &suffix) {
        given.extend([subject as &dyn ToSql, suffix]);
        let (own, end) = (given.len() - 1, given.len());
        sql += &format!(" AND (subject = ?{own} OR service = ?{own} OR subject LIKE ?{end})");
    }
    let beyond = query.commit.as_ref().map(|digits| format!("{digits}g"));
    if let (Some(digits), Some(beyond)) = (&query.commit, &beyond) {
        given.extend([digits as &dyn ToSql, beyond]);
        let (from, end) = (given.len() - 1, given.len());
        sql += &format!(" AND commit_id >= ?{from} AND commit_id < ?{end}");
    }
    given.push(&limit);
    let order = if query.newest { "DESC" } else { "ASC" };
    sql += &format!(" ORDER BY seq {order} LIMIT ?{}", given.len());
    let mut found = list(conn, &sql, &given, |row| Ok((uint(row.get(0)?), rows::event(row, 1))))?;
    if query.newest {
        found.reverse();
    }
    let next = found.last().map_or(query.after, |(seq, _)| *seq);
    let before = found.first().map(|(seq, _)| *seq).filter(|_| query.newest && found.len() == query.limit);
    Ok(Page { events: found.into_iter().filter_map(readable).collect(), next, before })
}

/// An event of a type that only a newer build knows cannot be shown, and must not hide the others.
fn readable((seq, event): (u64, Result<Event, Failure>)) -> Option<Recorded> {
    event
        .inspect_err(|error| tracing::warn!(seq, %error, "an event cannot be shown"))
        .ok()
        .map(|event| Recorded { seq, event })
}

fn units(conn: &Connection, function: Option<&str>, limit: usize) -> Result<Vec<Unit>, Failure> {
    let limit = int(limit as u64);
    // Only a condition that is there finds its place in the index: units are as many as changes ever were.
    let (which, given): (_, Vec<&dyn ToSql>) = match &function {
        Some(function) => ("WHERE function = ?2", vec![&limit, function]),
        None => ("", vec![&limit]),
    };
    let sql = format!("SELECT function, unit, {UNIT} FROM unit {which} ORDER BY function, unit LIMIT ?1");
    list(conn, &sql, &given, |row| {
        Ok(Unit { function: row.get(0)?, unit: row.get(1)?, row: rows::unit(row, 2)? })
    })
}

fn standing(conn: &Connection) -> Result<Standing, Failure> {
    let (deliveries, oldest, busy) = conn.query_row(
        "SELECT count(*), (SELECT min(written) FROM delivery WHERE due IS NULL),
           (SELECT count(*) FROM unit WHERE todo IS NOT NULL) FROM delivery",
        [],
        |row| Ok((row.get(0)?, row.get::<_, Option<i64>>(1)?, row.get(2)?)),
    )?;
    let leases = list(conn, "SELECT name, holder, generation FROM lease ORDER BY name", &[], |row| {
        let lease = LeaseRow { holder: row.get(1)?, generation: uint(row.get(2)?) };
        Ok((row.get(0)?, lease))
    })?;
    let stopped = "SELECT name FROM switch WHERE stop ORDER BY name";
    Ok(Standing {
        leases,
        stopped: list(conn, stopped, &[], |row| Ok(row.get(0)?))?,
        deliveries: uint(deliveries),
        oldest: oldest.map(rows::time),
        busy: uint(busy),
    })
}

fn decisions(conn: &Connection, query: &DecisionQuery) -> Result<Vec<DecisionRow>, Failure> {
    let DecisionQuery { function, unit, from, limit } = query;
    let order = if from.is_some() { "ASC" } else { "DESC" };
    let sql = format!(
        "SELECT version, at, cause, seen, record FROM decision WHERE function = ?1 AND unit = ?2 AND version >= ?3
         ORDER BY version {order} LIMIT ?4"
    );
    let first = int(from.unwrap_or_default());
    let mut found = list(conn, &sql, params![function, unit, first, int(*limit as u64)], |row| {
        Ok(DecisionRow {
            function: function.clone(),
            unit: unit.clone(),
            version: uint(row.get(0)?),
            at: rows::time(row.get(1)?),
            cause: row.get(2)?,
            seen: row.get(3)?,
            record: row.get(4)?,
        })
    })?;
    if from.is_none() {
        found.reverse();
    }
    Ok(found)
}

fn taken(conn: &Connection, event: &EventId) -> Result<Vec<Taken>, Failure> {
    let sql = "SELECT function, unit, version FROM receipt
               WHERE event = (SELECT seq FROM event WHERE id = ?1) AND unit <> '' ORDER BY function, unit";
    list(conn, sql, params![event.as_str()], |row| {
        let version: Option<i64> = row.get(2)?;
        Ok(Taken { function: row.get(0)?, unit: row.get(1)?, version: version.map(uint) })
    })
}
