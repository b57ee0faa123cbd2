//! Walking an index: keys of rows in the order of a partition, as many as are wanted.

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;
use longshore_ports::PortError;

use super::item::{Item, number, read_number, text};
use super::keys::RowKey;
use super::{DynamoJournal, Index};
use crate::failure::failed;

/// Later than any time that is written.
const END: i128 = i64::MAX as i128;

/// Rows with their places in an index.
pub(super) type Places = Vec<(i128, RowKey)>;

/// A part of an index's partition.
#[derive(Debug, Clone)]
pub(super) struct Range {
    index: Index,
    part: String,
    from: i128,
    to: i128,
    newest: bool,
}

impl Range {
    pub(super) fn all(index: Index, part: impl Into<String>) -> Self {
        Self { index, part: part.into(), from: 0, to: END, newest: false }
    }

    pub(super) fn up_to(self, time: Timestamp) -> Self {
        Self { to: time.as_nanosecond(), ..self }
    }

    pub(super) fn after(self, time: Timestamp) -> Self {
        Self { from: time.as_nanosecond() + 1, ..self }
    }

    /// From this place on.
    pub(super) fn from(self, from: i128) -> Self {
        Self { from, ..self }
    }

    /// Up to this place.
    pub(super) fn to(self, to: i128) -> Self {
        Self { to: self.to.min(to), ..self }
    }

    /// From the end on backwards.
    pub(super) fn newest(self) -> Self {
        Self { newest: true, ..self }
    }

    /// What comes after a place that was read.
    pub(super) fn beyond(self, place: i128) -> Self {
        if self.newest { Self { to: place - 1, ..self } } else { Self { from: place + 1, ..self } }
    }
}

/// Where a walk goes on, if it does.
pub(super) fn more(last: Option<Item>) -> Option<Item> {
    last.filter(|key| !key.values().all(AttributeValue::is_null))
}

impl DynamoJournal {
    /// The first `limit` rows of a range, by its order.
    pub(super) async fn places(
        &self,
        operation: &'static str,
        range: Range,
        limit: usize,
    ) -> Result<Places, PortError> {
        let Range { index, part, from, to, newest } = range;
        let mut places = Places::new();
        let mut start: Option<Item> = None;
        while places.len() < limit && from <= to {
            let call = self.call(operation, "dynamodb:Query");
            let most = i32::try_from(limit - places.len()).unwrap_or(i32::MAX);
            let query = self.table.query().table_name(&self.names.table).index_name(index.name).limit(most);
            let query = query.key_condition_expression("#part = :part AND #sort BETWEEN :from AND :to");
            let query = query.expression_attribute_names("#part", index.partition);
            let query = query.expression_attribute_names("#sort", index.sort);
            let query = query.expression_attribute_values(":part", text(&part));
            let query = query.expression_attribute_values(":from", number(from));
            let query = query.expression_attribute_values(":to", number(to));
            let answer = query.scan_index_forward(!newest).set_exclusive_start_key(start).send().await;
            let answer = answer.map_err(|error| failed(call, &error))?;
            let place = |item: &Item| Some((read_number(item, index.sort).ok()??, RowKey::of(item)?));
            places.extend(answer.items.unwrap_or_default().iter().filter_map(place));
            start = more(answer.last_evaluated_key);
            if start.is_none() {
                break;
            }
        }
        Ok(places)
    }
}
