//! Telling the bus: events by EventBridge, wake-ups by the delay queue, both at the same time.

use std::collections::BTreeSet;

use aws_sdk_eventbridge::types::{PutEventsRequestEntry, PutEventsResultEntry};
use jiff::{SignedDuration, Timestamp};
use longshore_ports::{PortError, journal::Committed};
use serde_json::json;

use super::DynamoJournal;
use crate::failure::{Call, failed, said};

const OPERATION: &str = "journal publish";
/// Entries that one PutEvents takes, and how much it takes of them, in bytes: less than the least that AWS ever allowed.
const ENTRIES: usize = 10;
const BYTES: usize = 240 * 1024;
/// What an entry costs beside its detail and its type, at most.
const ENVELOPE: usize = 1024;
/// The detail-type of a hint: the detail names a function and its unit.
pub const WAKE: &str = "dev.longshore.wake";
/// The longest that SQS delays a message, in seconds. One that comes before its time is put in again
/// by the function `sweep`, which the queue wakes.
const HOP: i64 = 900;

impl DynamoJournal {
    pub(super) async fn tell(&self, committed: &Committed) -> Result<(), PortError> {
        let (events, wake) = tokio::join!(self.put_events(committed), self.put_wake(committed));
        events.and(wake)
    }

    /// Wakes units at once, over the bus. Only a hint.
    ///
    /// # Errors
    /// When the bus does not take all of them.
    pub async fn wake(&self, units: &[(String, String)]) -> Result<(), PortError> {
        let mut result = Ok(());
        for lot in units.chunks(ENTRIES) {
            let entry = |(function, unit): &(String, String)| Entry {
                kind: WAKE.into(),
                detail: json!({ "function": function, "unit": unit }).to_string(),
            };
            result = result.and(self.put_lot(lot.iter().map(entry).collect()).await);
        }
        result
    }

    /// One entry for each event: whom it is owed to is the rules' to know, and a function that is not owed it does
    /// nothing. Every lot is tried, whatever became of those before.
    async fn put_events(&self, committed: &Committed) -> Result<(), PortError> {
        let mut result = Ok(());
        for lot in lots(committed) {
            result = result.and(self.put_lot(lot).await);
        }
        result
    }

    async fn put_lot(&self, lot: Vec<Entry>) -> Result<(), PortError> {
        let place = format!("the bus {}", self.names.bus);
        let call =
            Call { operation: OPERATION, action: "events:PutEvents", resource: &place, region: &self.region };
        let entry = |Entry { kind, detail }| {
            let entry = PutEventsRequestEntry::builder().event_bus_name(&self.names.bus).source("longshore");
            entry.detail_type(kind).detail(detail).build()
        };
        let asked = lot.len();
        let entries = Some(lot.into_iter().map(entry).collect());
        let answer = self.bus.put_events().set_entries(entries).send().await;
        let answer = answer.map_err(|error| failed(call, &error))?;
        let failed: Vec<&PutEventsResultEntry> =
            answer.entries().iter().filter(|entry| entry.error_code.is_some()).collect();
        let Some(first) = failed.first() else { return Ok(()) };
        let (code, message) = (first.error_code().unwrap_or_default(), first.error_message());
        let message = format!("{} of {asked} events; {}", failed.len(), message.unwrap_or_default());
        Err(said(call, 200, code, &message))
    }

    async fn put_wake(&self, committed: &Committed) -> Result<(), PortError> {
        let Some((function, unit, due)) = &committed.wake else { return Ok(()) };
        let place = format!("the queue {}", self.names.wakes);
        let call =
            Call { operation: OPERATION, action: "sqs:SendMessage", resource: &place, region: &self.region };
        let body = json!({ "function": function, "unit": unit, "due": due }).to_string();
        let delay = delay(self.clock.now(), *due);
        let send = self.wakes.send_message().queue_url(&self.names.wakes).message_body(body);
        send.delay_seconds(delay).send().await.map(drop).map_err(|error| failed(call, &error))
    }
}

/// What one entry of PutEvents says.
struct Entry {
    /// Its detail-type.
    kind: String,
    detail: String,
}

/// The events of a commit, each once, in the lots that PutEvents takes.
fn lots(committed: &Committed) -> Vec<Vec<Entry>> {
    let (mut lots, mut named, mut bytes) = (Vec::new(), BTreeSet::new(), 0);
    for (_, event) in &committed.owed {
        if !named.insert(&event.id) {
            continue;
        }
        let entry = Entry { kind: event.kind().to_owned(), detail: event.to_json() };
        let room = entry.detail.len() + ENVELOPE;
        match lots.last_mut() {
            Some(lot) if Vec::len(lot) < ENTRIES && bytes + room <= BYTES => lot.push(entry),
            _ => {
                lots.push(vec![entry]);
                bytes = 0;
            }
        }
        bytes += room;
    }
    lots
}

/// Whole seconds until `due`, rounded up: a wake-up that comes too early is lost.
fn delay(now: Timestamp, due: Timestamp) -> i32 {
    let wait = due.duration_since(now).max(SignedDuration::ZERO);
    let seconds = wait.as_secs() + i64::from(wait.subsec_nanos() > 0);
    i32::try_from(seconds.min(HOP)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wake_up_is_never_early_and_hops_quarters_of_an_hour() {
        let at = |ms| Timestamp::from_millisecond(ms).unwrap();
        let delays = [(5_000, 0), (6_000, 0), (6_001, 1), (7_000, 1), (906_000, 900), (9_000_000, 900)];
        for (due, seconds) in delays {
            assert_eq!(delay(at(6_000), at(due)), seconds, "{due}");
        }
    }
}
