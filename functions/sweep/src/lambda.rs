//! The sweep on AWS: what is owed and due goes onto the bus again; and what the delay queue brings is passed on to it.
//!
//! All wake-ups lie in one queue, whose messages are delayed for a quarter of an hour at most: one that comes before
//! its unit is due goes in again.

use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use longshore_aws::lambda::LambdaStack;
use longshore_events::Event;
use longshore_frame::lambda::Error;
use longshore_ports::journal::{Committed, Owed};
use longshore_ports::{Clock as _, Journal as _};
use longshore_sweep::{Dispatch, GRACE_MS};
use serde::Deserialize;
use serde_json::{Value, json};

/// What a sweep found.
#[derive(Default)]
struct Found(Mutex<Owed>);

impl Dispatch for Found {
    fn deliver(&self, function: String, event: Event) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).deliveries.push((function, event));
    }

    fn wake(&self, function: String, unit: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).units.push((function, unit));
    }
}

/// A message of the delay queue.
#[derive(Deserialize)]
struct Wake {
    function: String,
    unit: String,
    due: Timestamp,
}

/// Passes on what the delay queue brings, or sweeps, whatever else wakes it.
///
/// # Errors
/// When the journal cannot be read, or the bus takes nothing: the queue has its messages again.
pub(crate) async fn take(stack: &LambdaStack, payload: &Value) -> Result<Value, Error> {
    match payload.get("Records").and_then(Value::as_array) {
        Some(records) => pass_on(stack, records).await,
        None => sweep(stack).await,
    }
}

/// One sweep: `{"owed": …, "due": …}`, how many deliveries and units were sent again.
async fn sweep(stack: &LambdaStack) -> Result<Value, Error> {
    let found = Found::default();
    longshore_sweep::sweep(&*stack.journal, &*stack.clock, &found, GRACE_MS).await?;
    let Owed { deliveries: owed, units } = found.0.into_inner().unwrap_or_else(PoisonError::into_inner);
    let told = json!({ "owed": owed.len(), "due": units.len() });
    tracing::info!(owed = owed.len(), due = units.len(), "swept");
    let committed = Committed { owed, ..Committed::default() };
    // What one of them does not take must not keep back the other's.
    let (published, woken) = (stack.journal.publish(&committed).await, stack.journal.wake(&units).await);
    published.and(woken)?;
    Ok(told)
}

/// Wakes the units that are due, and delays the others again. A message that cannot be read fails by itself.
async fn pass_on(stack: &LambdaStack, records: &[Value]) -> Result<Value, Error> {
    let (now, mut due, mut failures) = (stack.clock.now(), Vec::new(), Vec::new());
    for record in records {
        let body = record["body"].as_str().unwrap_or_default();
        match serde_json::from_str::<Wake>(body) {
            Ok(wake) if wake.due <= now => due.push((wake.function, wake.unit)),
            Ok(wake) => {
                let wake = Some((wake.function, wake.unit, wake.due));
                stack.journal.publish(&Committed { wake, ..Committed::default() }).await?;
            }
            Err(error) => {
                tracing::error!(%error, "a wake-up cannot be read");
                failures.push(json!({ "itemIdentifier": record["messageId"] }));
            }
        }
    }
    stack.journal.wake(&due).await?;
    Ok(json!({ "batchItemFailures": failures }))
}
