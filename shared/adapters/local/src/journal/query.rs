//! What people ask the journal: lists, the timeline, what is owed.

use jiff::Timestamp;
use longshore_events::{ChainId, Event};
use longshore_ports::{
    PortError,
    journal::{DecisionRow, LeaseRow, UnitRow},
};
use rusqlite::{Connection, ToSql, params};

use super::SqliteJournal;
use super::error::Failure;
use super::rows::{self, EVENT, UNIT, int, uint};

/// Which events to list. Every condition that is given must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventQuery {
    /// Only events after this number.
    pub after: u64,
    /// Only this type.
    pub kind: Option<String>,
    /// Only this chain.
    pub chain: Option<ChainId>,
    /// Only this subject, or this service in any environment.
    pub subject: Option<String>,
    /// The last ones rather than the first ones; in order of their numbers all the same.
    pub newest: bool,
    /// At most so many.
    pub limit: usize,
}

/// An event and its place in the journal.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    /// Its number; grows with each event, with gaps.
    pub seq: u64,
    /// The event.
    pub event: Event,
}

/// A unit of a function.
#[derive(Debug, Clone, PartialEq)]
pub struct Unit {
    /// The function.
    pub function: String,
    /// The unit's name.
    pub unit: String,
    /// How it stands.
    pub row: UnitRow,
}

/// How much is owed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OwedCount {
    /// Deliveries.
    pub deliveries: u64,
    /// When the oldest of them was written.
    pub oldest: Option<Timestamp>,
    /// Units with effects that are not seen to be done.
    pub busy: u64,
}

impl SqliteJournal {
    /// Lists events, by their number.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn events(&self, query: &EventQuery) -> Result<Vec<Recorded>, PortError> {
        let query = query.clone();
        self.readers.run("journal events", move |conn| events(conn, &query)).await
    }

    /// The chains that a service or a commit (at least 4 digits of it) appears in, the newest first.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn chains_of(&self, what: &str, limit: usize) -> Result<Vec<ChainId>, PortError> {
        let what = what.to_owned();
        self.readers.run("journal chains", move |conn| chains_of(conn, &what, limit)).await
    }

    /// Every unit, or every one of a function, by name.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn units(&self, function: Option<&str>) -> Result<Vec<Unit>, PortError> {
        let function = function.map(str::to_owned);
        self.readers.run("journal units", move |conn| units(conn, function.as_deref())).await
    }

    /// Every lease, by name.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn leases(&self) -> Result<Vec<(String, LeaseRow)>, PortError> {
        let sql = "SELECT name, holder, generation FROM lease ORDER BY name";
        let read = |conn: &Connection| {
            list(conn, sql, &[], |row| {
                let lease = LeaseRow { holder: row.get(1)?, generation: uint(row.get(2)?) };
                Ok((row.get(0)?, lease))
            })
        };
        self.readers.run("journal leases", move |conn| read(conn)).await
    }

    /// The switches that say stop, by name.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn stopped(&self) -> Result<Vec<String>, PortError> {
        let sql = "SELECT name FROM switch WHERE stop ORDER BY name";
        self.readers.run("journal switches", move |conn| list(conn, sql, &[], |row| Ok(row.get(0)?))).await
    }

    /// How much is owed, and since when.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn owed_count(&self) -> Result<OwedCount, PortError> {
        self.readers.run("journal owed count", |conn| owed_count(conn)).await
    }

    /// The last `limit` decisions of a unit, the oldest of them first.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn decisions(
        &self,
        function: &str,
        unit: &str,
        limit: usize,
    ) -> Result<Vec<DecisionRow>, PortError> {
        let (function, unit) = (function.to_owned(), unit.to_owned());
        self.readers.run("journal decisions", move |conn| decisions(conn, &function, &unit, limit)).await
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
fn events(conn: &Connection, query: &EventQuery) -> Result<Vec<Recorded>, Failure> {
    let (after, limit) = (int(query.after), int(query.limit as u64));
    let suffix = query.subject.as_ref().map(|subject| format!("%/{}", subject.replace(['%', '_'], "")));
    let chain = query.chain.as_ref().map(ChainId::as_str);
    let mut sql = format!("SELECT seq, {EVENT} FROM event WHERE seq > ?1");
    let mut given: Vec<&dyn ToSql> = vec![&after];
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
    given.push(&limit);
    let order = if query.newest { "DESC" } else { "ASC" };
    sql += &format!(" ORDER BY seq {order} LIMIT ?{}", given.len());
    let mut found = list(conn, &sql, &given, |row| Ok((uint(row.get(0)?), rows::event(row, 1))))?;
    if query.newest {
        found.reverse();
    }
    Ok(found.into_iter().filter_map(readable).collect())
}

/// An event of a type that only a newer build knows cannot be shown, and must not hide the others.
fn readable((seq, event): (u64, Result<Event, Failure>)) -> Option<Recorded> {
    event
        .inspect_err(|error| tracing::warn!(seq, %error, "an event cannot be shown"))
        .ok()
        .map(|event| Recorded { seq, event })
}

fn chains_of(conn: &Connection, what: &str, limit: usize) -> Result<Vec<ChainId>, Failure> {
    let is_commit = what.len() >= 4 && what.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    let beyond = format!("{what}g");
    let limit = int(limit as u64);
    // Nothing lies between a name and itself: a name that is no commit finds none.
    let end: &str = if is_commit { &beyond } else { what };
    list(
        conn,
        "SELECT chain, max(seq) AS last FROM event
         WHERE service = ?1 OR (commit_id >= ?1 AND commit_id < ?2) GROUP BY chain ORDER BY last DESC LIMIT ?3",
        params![what, end, limit],
        |row| Ok(ChainId::new(row.get::<_, String>(0)?)?),
    )
}

fn units(conn: &Connection, function: Option<&str>) -> Result<Vec<Unit>, Failure> {
    let sql = format!(
        "SELECT function, unit, {UNIT} FROM unit WHERE ?1 IS NULL OR function = ?1 ORDER BY function, unit"
    );
    list(conn, &sql, params![function], |row| {
        Ok(Unit { function: row.get(0)?, unit: row.get(1)?, row: rows::unit(row, 2)? })
    })
}

fn owed_count(conn: &Connection) -> Result<OwedCount, Failure> {
    let count = conn.query_row(
        "SELECT count(*), min(written), (SELECT count(*) FROM unit WHERE todo IS NOT NULL) FROM delivery",
        [],
        |row| {
            let oldest: Option<i64> = row.get(1)?;
            Ok(OwedCount {
                deliveries: uint(row.get(0)?),
                oldest: oldest.map(rows::time),
                busy: uint(row.get(2)?),
            })
        },
    )?;
    Ok(count)
}

fn decisions(
    conn: &Connection,
    function: &str,
    unit: &str,
    limit: usize,
) -> Result<Vec<DecisionRow>, Failure> {
    let mut found = list(
        conn,
        "SELECT version, at, cause, seen FROM decision WHERE function = ?1 AND unit = ?2
         ORDER BY version DESC LIMIT ?3",
        params![function, unit, int(limit as u64)],
        |row| {
            Ok(DecisionRow {
                function: function.to_owned(),
                unit: unit.to_owned(),
                version: uint(row.get(0)?),
                at: rows::time(row.get(1)?),
                cause: row.get(2)?,
                seen: row.get(3)?,
            })
        },
    )?;
    found.reverse();
    Ok(found)
}
