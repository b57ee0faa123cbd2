//! The one writer: a thread that takes everything queued into one transaction, so that fifty commits cost one fsync.
//!
//! Each piece of work is a savepoint of its own, so that one that fails takes back only itself. Nobody is answered
//! before the transaction is on the disk.

use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use longshore_ports::{PortError, journal::CommitError};
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::error::{Failure, plain};

/// How many pieces of work at most share a transaction: bounds how long the first waits for the last.
const GROUP: usize = 256;

/// What is asked of the writer.
trait Work: Send {
    /// Writes. Says whether it is to be kept.
    fn apply(&mut self, conn: &Connection) -> bool;
    /// Answers who asked: with what `apply` found, or that the transaction was lost.
    fn answer(self: Box<Self>, lost: Option<&str>);
}

struct Task<F, T> {
    run: Option<F>,
    result: Option<Result<T, Failure>>,
    reply: oneshot::Sender<Result<T, CommitError>>,
}

impl<F, T> Work for Task<F, T>
where
    F: FnOnce(&Connection) -> Result<T, Failure> + Send,
    T: Send,
{
    fn apply(&mut self, conn: &Connection) -> bool {
        self.result = self.run.take().map(|run| run(conn));
        matches!(self.result, Some(Ok(_)))
    }

    fn answer(self: Box<Self>, lost: Option<&str>) {
        let answer = match (self.result, lost) {
            (Some(Err(failure)), _) => Err(failure.commit()),
            (Some(Ok(value)), None) => Ok(value),
            (_, lost) => Err(unavailable(lost.unwrap_or("it was not reached")).into()),
        };
        // Strangers are not told why, and the log must.
        if let Err(CommitError::Port(error)) = &answer {
            tracing::error!(%error, "the journal was not written");
        }
        // Nobody waits any more for an answer whose receiver is gone: the invocation was dropped.
        let _ = self.reply.send(answer);
    }
}

fn unavailable(reason: &str) -> PortError {
    PortError::unavailable("journal commit", reason)
}

/// The writer's thread. It ends, after what is queued, when this is dropped.
pub(super) struct Writer {
    queue: Option<mpsc::Sender<Box<dyn Work>>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(conn: Connection) -> std::io::Result<Self> {
        let (queue, work) = mpsc::channel();
        let thread = thread::Builder::new().name("journal".into()).spawn(move || write(&conn, &work))?;
        Ok(Self { queue: Some(queue), thread: Some(thread) })
    }

    /// Runs `work` in the next transaction, and answers when that is on the disk.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, CommitError> {
        let (reply, answer) = oneshot::channel();
        let task = Box::new(Task { run: Some(work), result: None, reply });
        let sent = self.queue.as_ref().is_some_and(|queue| queue.send(task).is_ok());
        if !sent {
            return Err(unavailable("its writer has ended; start the host again").into());
        }
        match answer.await {
            Ok(result) => result,
            Err(_) => Err(unavailable("its writer ended while it wrote").into()),
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.queue.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn write(conn: &Connection, work: &mpsc::Receiver<Box<dyn Work>>) {
    while let Ok(first) = work.recv() {
        let mut done = Vec::new();
        let lost = group(conn, first, work, &mut done).err().map(|error| {
            if !conn.is_autocommit() {
                let _ = conn.execute_batch("ROLLBACK");
            }
            plain(&error)
        });
        for task in done {
            task.answer(lost.as_deref());
        }
    }
}

/// One transaction over what is queued. When it fails nothing in `done` was written.
fn group(
    conn: &Connection,
    first: Box<dyn Work>,
    work: &mpsc::Receiver<Box<dyn Work>>,
    done: &mut Vec<Box<dyn Work>>,
) -> rusqlite::Result<()> {
    let mut next = Some(first);
    let begun = conn.execute_batch("BEGIN IMMEDIATE");
    while let Some(mut task) = next {
        let kept = begun.is_ok().then(|| one(conn, task.as_mut()));
        done.push(task);
        kept.transpose()?;
        next = if done.len() < GROUP && begun.is_ok() { work.try_recv().ok() } else { None };
    }
    begun?;
    conn.execute_batch("COMMIT")
}

/// A full disk makes SQLite take back the whole transaction by itself; then everything in it is lost.
fn one(conn: &Connection, task: &mut dyn Work) -> rusqlite::Result<()> {
    conn.execute_batch("SAVEPOINT one")?;
    if task.apply(conn) {
        return conn.execute_batch("RELEASE one");
    }
    conn.execute_batch("ROLLBACK TO one; RELEASE one")
}
