//! What the frame reads.

use std::collections::{BTreeSet, HashMap};

use aws_sdk_dynamodb::types::KeysAndAttributes;
use longshore_events::Event;
use longshore_ports::{
    PortError,
    journal::{Open, Opened},
};

use super::DynamoJournal;
use super::item::{self, Item, Unreadable, read_number, read_text};
use super::keys::{self, RowKey};
use crate::failure::failed;

/// Rows that one BatchGetItem takes.
const BATCH: usize = 100;
/// How often what was left undone is asked for again, before the table counts as busy.
const ROUNDS: usize = 8;

/// Rows by their keys.
pub(super) type Rows = HashMap<RowKey, Item>;

impl DynamoJournal {
    pub(super) async fn read_all(&self, ask: &Open) -> Result<Opened, PortError> {
        const OPERATION: &str = "journal open";
        let mut wanted = BTreeSet::from([keys::unit(&ask.function, &ask.unit)]);
        wanted.extend(ask.lease.as_deref().map(keys::lease));
        wanted.extend(ask.switches.iter().map(|name| keys::switch(name)));
        if let Some((event, units)) = &ask.told {
            wanted.insert(keys::delivery(event.as_str(), &ask.function));
            wanted.extend(units.iter().map(|unit| keys::receipt(event.as_str(), &ask.function, unit)));
        }
        let rows = self.batch(OPERATION, wanted).await?;
        opened(ask, &rows).map_err(|error| error.port(OPERATION))
    }

    /// Reads rows, consistently; those that are not there are not in the answer.
    pub(super) async fn batch(
        &self,
        operation: &'static str,
        wanted: BTreeSet<RowKey>,
    ) -> Result<Rows, PortError> {
        let mut rows = Rows::new();
        let mut left: Vec<RowKey> = wanted.into_iter().collect();
        let mut rounds = 0;
        while !left.is_empty() {
            let lot: Vec<_> = left.drain(..left.len().min(BATCH)).collect();
            let asked = lot.len();
            let undone = self.lot(operation, lot, &mut rows).await?;
            rounds = if undone.len() < asked { 0 } else { rounds + 1 };
            if rounds == ROUNDS {
                let busy = format!("{} leaves reads undone; it is asked for too much just now", self.place);
                return Err(PortError::unavailable(operation, busy));
            }
            left.extend(undone);
        }
        Ok(rows)
    }

    /// One call. Answers with what it left undone.
    async fn lot(
        &self,
        operation: &'static str,
        lot: Vec<RowKey>,
        rows: &mut Rows,
    ) -> Result<Vec<RowKey>, PortError> {
        let call = self.call(operation, "dynamodb:BatchGetItem");
        let keys = Some(lot.iter().map(RowKey::item).collect());
        let asked = KeysAndAttributes::builder().set_keys(keys).consistent_read(true).build();
        let asked = asked.map_err(|error| PortError::invalid(operation, error))?;
        let table = &self.names.table;
        let answer = self.table.batch_get_item().request_items(table, asked).send().await;
        let answer = answer.map_err(|error| failed(call, &error))?;
        let items = answer.responses.unwrap_or_default().remove(table).unwrap_or_default();
        rows.extend(items.into_iter().filter_map(|item| Some((RowKey::of(&item)?, item))));
        let undone = answer.unprocessed_keys.unwrap_or_default().remove(table);
        Ok(undone.iter().flat_map(|undone| &undone.keys).filter_map(RowKey::of).collect())
    }

    async fn row(&self, operation: &'static str, key: &RowKey) -> Result<Option<Item>, PortError> {
        let call = self.call(operation, "dynamodb:GetItem");
        let get = self.table.get_item().table_name(&self.names.table).set_key(Some(key.item()));
        let answer = get.consistent_read(true).send().await.map_err(|error| failed(call, &error))?;
        Ok(answer.item)
    }

    pub(super) async fn read_event(
        &self,
        operation: &'static str,
        id: &str,
    ) -> Result<Option<Event>, PortError> {
        let row = self.row(operation, &keys::event(id)).await?;
        row.as_ref().map(item::event).transpose().map_err(|error| error.port(operation))
    }

    pub(super) async fn read_latest(&self, kind: &str, subject: &str) -> Result<Option<Event>, PortError> {
        const OPERATION: &str = "journal latest";
        let Some(head) = self.row(OPERATION, &keys::head(kind, subject)).await? else { return Ok(None) };
        let id = read_text(&head, "event").map_err(|error| error.port(OPERATION))?.unwrap_or_default();
        self.read_event(OPERATION, id).await
    }
}

fn opened(ask: &Open, rows: &Rows) -> Result<Opened, Unreadable> {
    let stops = |name: &&String| {
        let stop = rows.get(&keys::switch(name)).and_then(|row| row.get("stop"));
        stop.is_some_and(|stop| stop.as_bool() == Ok(&true))
    };
    let lease = ask.lease.as_deref().and_then(|name| rows.get(&keys::lease(name)));
    let mut opened = Opened {
        unit: rows.get(&keys::unit(&ask.function, &ask.unit)).map(item::unit).transpose()?,
        lease: lease.map(item::lease).transpose()?,
        stopped: ask.switches.iter().filter(stops).cloned().collect(),
        ..Opened::default()
    };
    if let Some((event, units)) = &ask.told {
        let id = event.as_str();
        if let Some(delivery) = rows.get(&keys::delivery(id, &ask.function)) {
            opened.owed = true;
            opened.delivery_attempts = read_number(delivery, "attempts")?.unwrap_or_default();
        }
        let has = |unit: &&String| rows.contains_key(&keys::receipt(id, &ask.function, unit));
        opened.receipts = units.iter().filter(has).cloned().collect();
    }
    Ok(opened)
}
