//! What the sweep reads: the indexes of what is owed and due. They follow the table within a moment, so that a row may
//! be named that is settled, or missed until the next sweep; both are harmless.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::{SignedDuration, Timestamp};
use longshore_events::Event;
use longshore_ports::{PortError, journal::Owed};

use super::item::{self, Item, read_number, text, time};
use super::keys::{self, RowKey};
use super::{DUE, DynamoJournal, Index, OWED};
use crate::failure::failed;

const OPERATION: &str = "journal owed";
/// What was written so far in the future was written before the clock was set back: its age is not known.
const AHEAD: SignedDuration = SignedDuration::from_mins(1);
const UP_TO: &str = "#part = :part AND #sort <= :sort";
const AFTER: &str = "#part = :part AND #sort > :sort";

/// Rows with their places in an index.
type Places = Vec<(i128, RowKey)>;

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
            self.index(OWED, "new", UP_TO, before, limit),
            self.index(OWED, "new", AFTER, set_back, limit),
            self.index(OWED, "again", UP_TO, now, limit),
            self.index(DUE, "unit", UP_TO, now, limit),
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

    /// The first `limit` rows of an index's partition, by its order.
    async fn index(
        &self,
        index: Index,
        part: &str,
        condition: &str,
        sort: Timestamp,
        limit: usize,
    ) -> Result<Places, PortError> {
        let mut places = Places::new();
        let mut from: Option<Item> = None;
        while places.len() < limit {
            let call = self.call(OPERATION, "dynamodb:Query");
            let most = i32::try_from(limit - places.len()).unwrap_or(i32::MAX);
            let query = self.table.query().table_name(&self.names.table).index_name(index.name);
            let query = query.key_condition_expression(condition).limit(most);
            let query = query.expression_attribute_names("#part", index.partition);
            let query = query.expression_attribute_names("#sort", index.sort);
            let query = query.expression_attribute_values(":part", text(part));
            let query = query.expression_attribute_values(":sort", time(sort));
            let answer = query.set_exclusive_start_key(from).send().await;
            let answer = answer.map_err(|error| failed(call, &error))?;
            let place = |item: &Item| Some((read_number(item, index.sort).ok()??, RowKey::of(item)?));
            places.extend(answer.items.unwrap_or_default().iter().filter_map(place));
            from = answer.last_evaluated_key.filter(|key: &Item| !key.values().all(AttributeValue::is_null));
            if from.is_none() {
                break;
            }
        }
        Ok(places)
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
