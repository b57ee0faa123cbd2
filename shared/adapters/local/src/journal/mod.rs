//! The journal in SQLite: one file, one writer thread, a few readers.
//!
//! WAL with `synchronous = FULL`: what was answered survives a killed process and a lost machine. The deliveries are
//! the queue; the channel given at the start is only the hint.

mod apply;
mod copy;
mod error;
mod query;
mod read;
mod reader;
mod rows;
mod schema;
mod writer;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use longshore_events::{Event, EventId};
use longshore_ports::{
    Facts, Journal, PortError,
    journal::{Commit, CommitError, Committed, Open, Opened, Owed, Routes},
};
use rusqlite::{Connection, OpenFlags};
use tokio::sync::mpsc::UnboundedSender;

pub use copy::Contents;
pub use error::OpenError;
use reader::Readers;
use writer::Writer;

/// Reads at the same time; more would only wait for the same disk.
const READERS: usize = 4;
/// The writer's pages in memory, in KiB below zero: ids come in no order, so that writing one touches any page of their
/// index.
const CACHE_KIB: i64 = -16_384;
/// Pages of 4 KiB in the log before they are folded back: a page that is written often is folded back once.
const CHECKPOINT_PAGES: i64 = 4_000;
/// How long decisions and receipts are kept.
const KEPT: SignedDuration = SignedDuration::from_hours(30 * 24);

/// The journal of one machine.
pub struct SqliteJournal {
    // The readers' connections close first: whoever closes last folds the log back into the file.
    readers: Readers,
    writer: Writer,
    routes: Arc<Routes>,
    bus: Option<UnboundedSender<Committed>>,
}

impl SqliteJournal {
    /// Opens the journal's file, or makes an empty one. Reads all of it once, to be sure that it is whole. What is
    /// published goes to `bus`; without one it is dropped, and the sweep finds what is owed.
    ///
    /// # Errors
    /// [`OpenError`] when the file is damaged, from a newer build, or cannot be read and written.
    pub fn open(
        path: &Path,
        routes: Routes,
        bus: Option<UnboundedSender<Committed>>,
    ) -> Result<Self, OpenError> {
        let mut conn = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)?;
        check(&conn, path)?;
        conn.pragma_update(None, "journal_mode", "WAL")?;
        conn.pragma_update(None, "synchronous", "FULL")?;
        conn.pragma_update(None, "foreign_keys", "ON")?;
        conn.pragma_update(None, "cache_size", CACHE_KIB)?;
        conn.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
        schema::migrate(&mut conn)?;
        let readers = (0..READERS).map(|_| connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY));
        let readers = Readers::new(readers.collect::<Result<_, _>>()?);
        Ok(Self { writer: Writer::start(conn)?, readers, routes: Arc::new(routes), bus })
    }

    /// Treats every claim on open effects as past: those who held them died with the last host. Says how many there
    /// were. Called once, before anything is served.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub async fn expire_claims(&self) -> Result<u64, PortError> {
        let epoch = rows::nanos(Timestamp::UNIX_EPOCH);
        self.maintain(move |conn| {
            Ok(conn.execute("UPDATE unit SET claim = NULL, until = ?1 WHERE todo IS NOT NULL", [epoch])?)
        })
        .await
    }

    /// Removes decisions and receipts older than 30 days, at most `limit` of each, and says how many. A receipt stays
    /// as long as its event is owed to its function.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub async fn prune(&self, now: Timestamp, limit: usize) -> Result<u64, PortError> {
        let before = rows::nanos(now.saturating_sub(KEPT).unwrap_or(Timestamp::MIN));
        let limit = rows::int(limit as u64);
        self.maintain(move |conn| {
            // The oldest rows come first in both: the first `limit` of them are those that may be old.
            let decisions = conn.execute(
                "DELETE FROM decision WHERE at < ?1 AND rowid IN (SELECT rowid FROM decision ORDER BY rowid LIMIT ?2)",
                [before, limit],
            )?;
            Ok(decisions + prune_receipts(conn, before, limit)?)
        })
        .await
    }

    async fn maintain(
        &self,
        work: impl FnOnce(&Connection) -> Result<usize, error::Failure> + Send + 'static,
    ) -> Result<u64, PortError> {
        match self.writer.run(work).await {
            Ok(count) => Ok(count as u64),
            Err(CommitError::Port(error)) => Err(error),
            Err(conflict) => Err(PortError::unavailable("journal maintenance", conflict)),
        }
    }
}

/// Receipts lie in the order of their events, and so of time.
fn prune_receipts(conn: &Connection, before: i64, limit: i64) -> Result<usize, error::Failure> {
    Ok(conn.execute(
        "DELETE FROM receipt WHERE (event, function, unit) IN (
           SELECT event, function, unit FROM (SELECT * FROM receipt ORDER BY event, function, unit LIMIT ?2) AS old
           WHERE at < ?1 AND NOT EXISTS (
             SELECT 1 FROM delivery WHERE delivery.event = old.event AND delivery.function = old.function))",
        [before, limit],
    )?)
}

fn connect(path: &Path, flags: OpenFlags) -> Result<Connection, OpenError> {
    let conn = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    conn.busy_timeout(Duration::from_secs(10))?;
    conn.set_prepared_statement_cache_capacity(64);
    Ok(conn)
}

fn check(conn: &Connection, path: &Path) -> Result<(), OpenError> {
    match conn.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0)) {
        Ok(found) if found == "ok" => Ok(()),
        Ok(found) => Err(OpenError::Damaged { path: path.to_owned(), found }),
        Err(error) => Err(damage(error, path)),
    }
}

/// Names the file where the error says that it is damaged.
fn damage(error: rusqlite::Error, path: &Path) -> OpenError {
    match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase) => {
            OpenError::Damaged { path: path.to_owned(), found: error.to_string() }
        }
        _ => error.into(),
    }
}

#[async_trait]
impl Journal for SqliteJournal {
    async fn open(&self, ask: &Open) -> Result<Opened, PortError> {
        let ask = ask.clone();
        self.readers.run("journal open", move |conn| read::open(conn, &ask)).await
    }

    async fn commit(&self, commit: &Commit) -> Result<Committed, CommitError> {
        let (commit, routes) = (commit.clone(), self.routes.clone());
        self.writer.run(move |conn| apply::commit(conn, &routes, &commit)).await
    }

    async fn publish(&self, committed: &Committed) -> Result<(), PortError> {
        let Some(bus) = &self.bus else { return Ok(()) };
        bus.send(committed.clone())
            .map_err(|_| PortError::unavailable("journal publish", "the host's bus has ended"))
    }

    async fn event(&self, id: &EventId) -> Result<Option<Event>, PortError> {
        let id = id.clone();
        self.readers.run("journal event", move |conn| read::event(conn, &id)).await
    }

    async fn owed(&self, now: Timestamp, grace_ms: u64, limit: usize) -> Result<Owed, PortError> {
        self.readers.run("journal owed", move |conn| read::owed(conn, now, grace_ms, limit)).await
    }
}

#[async_trait]
impl Facts for SqliteJournal {
    async fn latest(&self, kind: &str, subject: &str) -> Result<Option<Event>, PortError> {
        let (kind, subject) = (kind.to_owned(), subject.to_owned());
        self.readers.run("journal latest", move |conn| read::latest(conn, &kind, &subject)).await
    }
}

#[cfg(test)]
mod tests;
