//! What the sweep reads: the indexes of what is owed and due. They follow the table within a moment, so that a row may
//! be named that is settled, or missed until the next sweep; both are harmless.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use longshore_events::Event;
use longshore_ports::{PortError, journal::Owed};

use super::item;
use super::keys::{self, RowKey};
use super::places::{Places, Range};
use super::{DUE, DynamoJournal, OWED};

const OPERATION: &str = "journal owed";
/// What was written so far in the future was written before the clock was set back: its age is not known.
const AHEAD: SignedDuration = SignedDuration::from_mins(1);

impl DynamoJournal {
    pub(super) async fn find_owed(
        &self,
        now: Timestamp,
        grace_ms: u64,
        limit: usize,
    ) -> Result<Owed, PortError> {
        let grace = SignedDuration::from_millis(i64::try_from(grace_ms).unwrap_or(i64::MAX));
        let before = now.saturating_sub(grace).unwrap_or(Timestamp::MIN);
        let set_back = now.saturating_add(AHEAD).unwrap_or(Timestamp::MAX);
        let (new, ahead, again, units) = tokio::try_join!(
            self.places(OPERATION, Range::all(OWED, "new").up_to(before), limit),
            self.places(OPERATION, Range::all(OWED, "new").after(set_back), limit),
            self.places(OPERATION, Range::all(OWED, "again").up_to(now), limit),
            self.places(OPERATION, Range::all(DUE, "unit").up_to(now), limit),
        )?;
        let mut deliveries: Places = new.into_iter().chain(ahead).chain(again).collect();
        deliveries.sort();
        deliveries.truncate(limit);
        let name = |(_, key): (_, RowKey)| {
            keys::of_unit(&key).map(|(function, unit)| (function.to_owned(), unit.to_owned()))
        };
        Ok(Owed {
            deliveries: self.with_events(&deliveries).await?,
            units: units.into_iter().filter_map(name).collect(),
        })
    }

    /// One that this build cannot read must not hold up the others; it stays owed until a build comes that can.
    async fn with_events(&self, deliveries: &Places) -> Result<Vec<(String, Event)>, PortError> {
        let named = || deliveries.iter().filter_map(|(_, key)| keys::of_delivery(key));
        let wanted: BTreeSet<_> = named().map(|(_, id)| keys::event(id)).collect();
        let rows = self.batch(OPERATION, wanted).await?;
        let mut owed = Vec::new();
        for (function, id) in named() {
            match rows.get(&keys::event(id)).map(item::event) {
                Some(Ok(event)) => owed.push((function.to_owned(), event)),
                Some(Err(error)) => {
                    tracing::warn!(function, event = id, %error, "an owed event is left for a newer build");
                }
                None => tracing::warn!(function, event = id, "an owed event is not in the table"),
            }
        }
        Ok(owed)
    }
}
