//! The tables, and how an older file becomes this build's.

use rusqlite::Connection;

use super::OpenError;

/// Each step takes the schema from its index to the next. A step that was shipped never changes.
pub(super) const MIGRATIONS: &[&str] = &[FIRST, REPLAY];

/// Times are nanoseconds since 1970. What an event's columns say its `data` does not say again; a chain's first event
/// is found by its id. Partial indexes hold only what is still to be done, so that looking for it costs
/// nothing as the past grows. What is long lies in the order of writing, and only short keys in an order of their own: a
/// row that lands anywhere in a large table costs a page.
const FIRST: &str = "
CREATE TABLE event (
  seq INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  kind TEXT NOT NULL,
  subject TEXT NOT NULL,
  time INTEGER NOT NULL,
  chain TEXT NOT NULL,
  cause TEXT,
  source TEXT NOT NULL,
  traceparent TEXT,
  dryrun INTEGER NOT NULL,
  service TEXT,
  commit_id TEXT,
  data TEXT NOT NULL
) STRICT;
CREATE INDEX event_kind ON event (kind, seq);
CREATE INDEX event_subject ON event (subject, seq);
CREATE INDEX event_chain ON event (chain, seq) WHERE chain <> id;
CREATE INDEX event_service ON event (service, seq) WHERE service IS NOT NULL;
CREATE INDEX event_commit ON event (commit_id, seq) WHERE commit_id IS NOT NULL;

CREATE TABLE delivery (
  event INTEGER NOT NULL REFERENCES event (seq),
  function TEXT NOT NULL,
  written INTEGER NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0,
  due INTEGER,
  PRIMARY KEY (event, function)
) STRICT, WITHOUT ROWID;
CREATE INDEX delivery_written ON delivery (written) WHERE due IS NULL;
CREATE INDEX delivery_due ON delivery (due) WHERE due IS NOT NULL;

CREATE TABLE receipt (
  event INTEGER NOT NULL REFERENCES event (seq),
  function TEXT NOT NULL,
  unit TEXT NOT NULL,
  at INTEGER NOT NULL,
  PRIMARY KEY (event, function, unit)
) STRICT, WITHOUT ROWID;

CREATE TABLE unit (
  function TEXT NOT NULL,
  unit TEXT NOT NULL,
  version INTEGER NOT NULL,
  state TEXT NOT NULL,
  todo TEXT,
  claim TEXT,
  until INTEGER,
  attempts INTEGER NOT NULL,
  due INTEGER,
  link TEXT,
  marked TEXT NOT NULL,
  marks INTEGER NOT NULL,
  PRIMARY KEY (function, unit)
) STRICT;
CREATE INDEX unit_due ON unit (due) WHERE due IS NOT NULL;
CREATE INDEX unit_until ON unit (until) WHERE todo IS NOT NULL;

CREATE TABLE decision (
  function TEXT NOT NULL,
  unit TEXT NOT NULL,
  version INTEGER NOT NULL,
  at INTEGER NOT NULL,
  cause TEXT NOT NULL,
  seen TEXT NOT NULL
) STRICT;
CREATE INDEX decision_unit ON decision (unit, version);

CREATE TABLE head (
  kind TEXT NOT NULL,
  subject TEXT NOT NULL,
  event INTEGER NOT NULL REFERENCES event (seq),
  PRIMARY KEY (kind, subject)
) STRICT, WITHOUT ROWID;

CREATE TABLE lease (
  name TEXT PRIMARY KEY,
  holder TEXT,
  generation INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE switch (
  name TEXT PRIMARY KEY,
  stop INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
";

/// What decisions were made of, and the version of the unit that taking an event made.
const REPLAY: &str = "
ALTER TABLE decision ADD COLUMN record TEXT;
ALTER TABLE receipt ADD COLUMN version INTEGER;
";

/// The file's schema, if this build knows it.
pub(super) fn known(conn: &Connection) -> Result<usize, OpenError> {
    let found: usize = conn.pragma_query_value(None, "user_version", |row| row.get::<_, u32>(0))? as usize;
    if found > MIGRATIONS.len() {
        return Err(OpenError::Newer { found, known: MIGRATIONS.len() });
    }
    Ok(found)
}

/// Brings the file to this build's schema. A step and its number are one transaction.
pub(super) fn migrate(conn: &mut Connection) -> Result<(), OpenError> {
    let found = known(conn)?;
    for (done, step) in MIGRATIONS.iter().enumerate().skip(found) {
        let transaction = conn.transaction()?;
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "user_version", u32::try_from(done + 1).unwrap_or(u32::MAX))?;
        transaction.commit()?;
    }
    Ok(())
}
