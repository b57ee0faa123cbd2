//! The function `sweep`: what the journal says is owed or due is sent again.
//!
//! The bus only hints; a message that it lost costs a minute, never an event.

use longshore_events::Event;
use longshore_ports::{Clock, Journal, PortError};

/// Where the sweep sends what it finds. On AWS the bus; on one machine the host's own queue.
pub trait Dispatch: Send + Sync {
    /// The function is owed the event.
    fn deliver(&self, function: String, event: Event);
    /// The unit of the function is due.
    fn wake(&self, function: String, unit: String);
}

/// A message on the bus is given this long before the sweep counts it as lost, in milliseconds.
pub const GRACE_MS: u64 = 5_000;
/// How much one sweep sends; the rest is for the next one, at once.
pub const LIMIT: usize = 1_000;

/// Sends again what has been owed for `grace_ms`, and wakes what is due. Returns how many were sent; [`LIMIT`] of a kind
/// and more may have left some.
///
/// # Errors
/// When the journal cannot be read.
pub async fn sweep(
    journal: &dyn Journal,
    clock: &dyn Clock,
    to: &dyn Dispatch,
    grace_ms: u64,
) -> Result<usize, PortError> {
    let owed = journal.owed(clock.now(), grace_ms, LIMIT).await?;
    let sent = owed.deliveries.len() + owed.units.len();
    for (function, event) in owed.deliveries {
        to.deliver(function, event);
    }
    for (function, unit) in owed.units {
        to.wake(function, unit);
    }
    Ok(sent)
}
