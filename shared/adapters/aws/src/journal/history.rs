//! What people ask the table: by its two indexes, in partitions beside those of the sweep. Both follow the table
//! within a moment.

use std::collections::BTreeSet;

use async_trait::async_trait;
use aws_sdk_dynamodb::types::AttributeValue;
use jiff::{SignedDuration, Timestamp};
use longshore_events::{Event, EventId};
use longshore_ports::PortError;
use longshore_ports::history::{
    DecisionQuery, EventQuery, History, LOOKED, Page, Recorded, Standing, Taken, Unit,
};
use longshore_ports::journal::DecisionRow;

use super::item::{self, Item, Unreadable};
use super::keys::{self, RowKey};
use super::places::{Places, Range, more};
use super::read::Rows;
use super::{DUE, DynamoJournal, OWED};
use crate::failure::failed;

/// Who reads on sees no event that is younger: clocks differ, an index follows in no order, and what it jumped over
/// would never be shown.
const SETTLED: SignedDuration = SignedDuration::from_secs(2);
/// Events that are read at a time when only some of them may fit.
const LOT: usize = 100;
/// Deliveries that are counted, at most.
const COUNTED: usize = 10_000;
/// Leases, switches and waiting units that are read, at most.
const STANDING: usize = 1_000;

#[async_trait]
impl History for DynamoJournal {
    async fn events(&self, query: &EventQuery) -> Result<Page, PortError> {
        const OPERATION: &str = "journal events";
        let after = i128::from(query.after);
        let range = match &query.chain {
            Some(chain) => Range::all(OWED, keys::chain_part(chain.as_str())),
            None => Range::all(DUE, "event"),
        };
        let mut range = range.from(after + 1);
        if let Some(before) = query.before {
            range = range.to(i128::from(before) - 1);
        }
        if query.newest {
            range = range.newest();
        } else if query.chain.is_none() {
            range = range.up_to(self.clock.now().saturating_sub(SETTLED).unwrap_or(Timestamp::MIN));
        }
        let picks = query.kind.is_some() || query.subject.is_some() || query.commit.is_some();
        let mut page = Page { events: Vec::new(), next: query.after, before: None };
        let mut looked = 0;
        while page.events.len() < query.limit && looked < LOOKED.max(query.limit) {
            let wanted = if picks { LOT } else { query.limit };
            let places = self.places(OPERATION, range.clone(), wanted).await?;
            let Some((last, _)) = places.last() else {
                page.before = None;
                break;
            };
            looked += places.len();
            range = range.beyond(*last);
            let is_last = places.len() < wanted;
            let took = self.take(OPERATION, query, &places, &mut page).await?;
            if is_last && took == places.len() {
                page.before = None;
                break;
            }
        }
        page.events.sort_by_key(|found| found.seq);
        Ok(page)
    }

    async fn units(&self, function: &str, limit: usize) -> Result<Vec<Unit>, PortError> {
        const OPERATION: &str = "journal units";
        let range = Range::all(OWED, keys::units_part(function)).newest();
        let rows = self.rows_at(OPERATION, range, limit).await?;
        let unit = |(key, row): (&RowKey, &Item)| {
            let (function, unit) = keys::of_unit(key)?;
            let row = item::unit(row).map_err(|error| error.port(OPERATION));
            Some(row.map(|row| Unit { function: function.to_owned(), unit: unit.to_owned(), row }))
        };
        let mut units = rows.iter().filter_map(unit).collect::<Result<Vec<_>, _>>()?;
        units.sort_by(|a, b| a.unit.cmp(&b.unit));
        Ok(units)
    }

    async fn standing(&self) -> Result<Standing, PortError> {
        const OPERATION: &str = "journal standing";
        let (leases, switches, waiting, new, again) = tokio::try_join!(
            Box::pin(self.rows_at(OPERATION, Range::all(OWED, "lease"), STANDING)),
            Box::pin(self.rows_at(OPERATION, Range::all(OWED, "switch"), STANDING)),
            Box::pin(self.rows_at(OPERATION, Range::all(DUE, "unit"), STANDING)),
            Box::pin(self.places(OPERATION, Range::all(OWED, "new"), COUNTED)),
            Box::pin(self.places(OPERATION, Range::all(OWED, "again"), COUNTED)),
        )?;
        let standing = Standing {
            leases: named(&leases, "lease#", item::lease).map_err(|error| error.port(OPERATION))?,
            stopped: named(&switches, "switch#", |row| {
                Ok(row.get("stop") == Some(&AttributeValue::Bool(true)))
            })
            .map_err(|error| error.port(OPERATION))?
            .into_iter()
            .filter_map(|(name, stop)| stop.then_some(name))
            .collect(),
            deliveries: (new.len() + again.len()) as u64,
            oldest: new.first().and_then(|(since, _)| Timestamp::from_nanosecond(*since).ok()),
            busy: waiting.values().filter(|row| row.contains_key("todo")).count() as u64,
        };
        Ok(standing)
    }

    async fn decisions(&self, query: &DecisionQuery) -> Result<Vec<DecisionRow>, PortError> {
        const OPERATION: &str = "journal decisions";
        let DecisionQuery { function, unit, from, limit } = query;
        let first = keys::decision(function, unit, from.unwrap_or_default());
        let last = keys::decision(function, unit, u64::MAX);
        let rows = self.of_partition(OPERATION, (first, last), from.is_some(), *limit).await?;
        let mut rows = rows
            .iter()
            .map(|row| item::decision(function, unit, row))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| error.port(OPERATION))?;
        rows.sort_by_key(|row| row.version);
        Ok(rows)
    }

    async fn taken(&self, event: &EventId) -> Result<Vec<Taken>, PortError> {
        const OPERATION: &str = "journal receipts";
        // Names of functions are letters alone: `{` comes after all of them.
        let first = keys::receipt(event.as_str(), "", "");
        let last = keys::receipt(event.as_str(), "{", "");
        let rows = self.of_partition(OPERATION, (first, last), true, usize::MAX).await?;
        let read = |row: &Item| {
            let key = RowKey::of(row)?;
            let (function, unit) = keys::of_receipt(&key)?;
            Some(item::taken(function, unit, row).map_err(|error| error.port(OPERATION)))
        };
        let mut taken = rows.iter().filter_map(read).collect::<Result<Vec<_>, _>>()?;
        taken.sort_by(|a, b| (&a.function, &a.unit).cmp(&(&b.function, &b.unit)));
        Ok(taken)
    }
}

impl DynamoJournal {
    /// Takes what fits of the events at these places, and notes how far it was looked; how many places that were.
    async fn take(
        &self,
        operation: &'static str,
        query: &EventQuery,
        places: &Places,
        page: &mut Page,
    ) -> Result<usize, PortError> {
        let rows = self.batch(operation, places.iter().map(|(_, key)| key.clone()).collect()).await?;
        for (looked, (place, key)) in places.iter().enumerate() {
            if page.events.len() == query.limit {
                return Ok(looked);
            }
            let seq = u64::try_from(*place).unwrap_or_default();
            page.next = page.next.max(seq);
            page.before = query.newest.then_some(seq);
            let Some(event) = rows.get(key).and_then(|row| readable(key, row)) else { continue };
            if query.fits(&event) {
                page.events.push(Recorded { seq, event });
            }
        }
        Ok(places.len())
    }

    /// The first rows of a partition of the table between two keys, or the last ones, read consistently.
    async fn of_partition(
        &self,
        operation: &'static str,
        (first, last): (RowKey, RowKey),
        forward: bool,
        limit: usize,
    ) -> Result<Vec<Item>, PortError> {
        let (mut rows, mut start) = (Vec::new(), None);
        while rows.len() < limit {
            let call = self.call(operation, "dynamodb:Query");
            let most = i32::try_from(limit - rows.len()).unwrap_or(i32::MAX);
            let query = self.table.query().table_name(&self.names.table).consistent_read(true).limit(most);
            let query = query.key_condition_expression("pk = :part AND sk BETWEEN :first AND :last");
            let query = query.expression_attribute_values(":part", item::text(&first.pk));
            let query = query.expression_attribute_values(":first", item::text(&first.sk));
            let query = query.expression_attribute_values(":last", item::text(&last.sk));
            let answer = query.scan_index_forward(forward).set_exclusive_start_key(start).send().await;
            let answer = answer.map_err(|error| failed(call, &error))?;
            rows.extend(answer.items.unwrap_or_default());
            start = more(answer.last_evaluated_key);
            if start.is_none() {
                break;
            }
        }
        Ok(rows)
    }

    /// The rows at the first `limit` places of a range.
    async fn rows_at(&self, operation: &'static str, range: Range, limit: usize) -> Result<Rows, PortError> {
        let places = self.places(operation, range, limit).await?;
        self.batch(operation, places.into_iter().map(|(_, key)| key).collect::<BTreeSet<_>>()).await
    }
}

/// An event of a type that only a newer build knows cannot be shown, and must not hide the others.
fn readable(key: &RowKey, row: &Item) -> Option<Event> {
    let event = item::event(row);
    event.inspect_err(|error| tracing::warn!(row = %key, %error, "an event cannot be shown")).ok()
}

/// What is read of rows, by the names behind the beginning of their keys.
fn named<T>(
    rows: &Rows,
    begin: &str,
    read: impl Fn(&Item) -> Result<T, Unreadable>,
) -> Result<Vec<(String, T)>, Unreadable> {
    let of = |(key, row): (&RowKey, &Item)| {
        let name = key.pk.strip_prefix(begin)?.to_owned();
        Some(read(row).map(|value| (name, value)))
    };
    let mut all = rows.iter().filter_map(of).collect::<Result<Vec<_>, _>>()?;
    all.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(all)
}
