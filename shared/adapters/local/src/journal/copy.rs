//! A copy of the journal, also while a host writes to it, and what is in one.

use std::path::Path;

use jiff::Timestamp;
use rusqlite::OpenFlags;

use super::{OpenError, SqliteJournal, check, connect, rows, schema};

/// What a journal holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contents {
    /// How many events.
    pub events: u64,
    /// The time of the newest one.
    pub newest: Option<Timestamp>,
}

impl SqliteJournal {
    /// Copies the journal at `from` to the new file `to`, as it is at one moment; whoever writes to it meanwhile is not
    /// held up. The copy is not flushed.
    ///
    /// # Errors
    /// When one cannot be read or the other not written.
    pub fn copy(from: &Path, to: &Path) -> Result<(), OpenError> {
        let conn = connect(from, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        let made = conn.execute("VACUUM INTO ?1", [to.to_string_lossy()]);
        made.map_err(|error| super::damage(error, from))?;
        Ok(())
    }

    /// Reads all of the journal's file once, and says what is in it.
    ///
    /// # Errors
    /// [`OpenError`] when it is damaged, from a newer build, or no journal.
    pub fn inspect(path: &Path) -> Result<Contents, OpenError> {
        let conn = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        check(&conn, path)?;
        schema::known(&conn)?;
        let (events, newest) = conn
            .query_row("SELECT count(*), max(time) FROM event", [], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let newest: Option<i64> = newest;
        Ok(Contents { events: rows::uint(events), newest: newest.map(rows::time) })
    }
}
