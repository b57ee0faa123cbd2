//! Reads, on connections of their own: they neither wait for the writer nor hold it up.

use std::sync::{Arc, Mutex, PoisonError};

use longshore_ports::PortError;
use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::Semaphore;

use super::error::Failure;

/// A few connections, each used by one read at a time.
pub(super) struct Readers {
    idle: Arc<Mutex<Vec<Connection>>>,
    free: Arc<Semaphore>,
}

impl Readers {
    pub(super) fn new(connections: Vec<Connection>) -> Self {
        let free = Arc::new(Semaphore::new(connections.len()));
        Self { idle: Arc::new(Mutex::new(connections)), free }
    }

    /// Runs `read` in one transaction: it sees one state, with every commit that was answered before.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        operation: &'static str,
        read: impl FnOnce(&Transaction<'_>) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, PortError> {
        let lost = |reason: String| PortError::unavailable(operation.to_owned(), reason);
        let permit = self.free.clone().acquire_owned().await.map_err(|error| lost(error.to_string()))?;
        let idle = self.idle.clone();
        let answer = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let taken = lock(&idle).pop();
            let mut conn = taken.ok_or_else(|| lost("a reader was lost to a panic".into()))?;
            let result = read_once(&mut conn, read);
            lock(&idle).push(conn);
            result.map_err(|failure| failure.port(operation))
        });
        answer.await.map_err(|error| PortError::unavailable(operation, error))?
    }
}

fn lock(idle: &Mutex<Vec<Connection>>) -> std::sync::MutexGuard<'_, Vec<Connection>> {
    idle.lock().unwrap_or_else(PoisonError::into_inner)
}

fn read_once<T>(
    conn: &mut Connection,
    read: impl FnOnce(&Transaction<'_>) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let transaction = conn.transaction_with_behavior(TransactionBehavior::Deferred)?;
    read(&transaction)
}
