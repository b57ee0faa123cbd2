//! What people ask the journal in memory.

use async_trait::async_trait;
use longshore_events::EventId;
use longshore_ports::PortError;
use longshore_ports::history::{DecisionQuery, EventQuery, History, Page, Recorded, Standing, Taken, Unit};
use longshore_ports::journal::DecisionRow;

use super::{MemoryJournal, Rows};

impl MemoryJournal {
    /// Every decision, in the order of writing.
    pub fn all_decisions(&self) -> Vec<DecisionRow> {
        self.lock().decisions.clone()
    }
}

impl Rows {
    /// An event's number counts from 1: none comes before the first.
    fn list(&self, query: &EventQuery) -> Page {
        let numbered = self.events.values().map(|(number, event)| (*number as u64 + 1, event));
        let within = |seq: u64| seq > query.after && query.before.is_none_or(|before| seq < before);
        let mut found: Vec<_> = numbered.filter(|(seq, event)| within(*seq) && query.fits(event)).collect();
        found.sort_by_key(|(seq, _)| *seq);
        if query.newest {
            found.drain(..found.len().saturating_sub(query.limit));
        }
        found.truncate(query.limit);
        let next = found.last().map_or(query.after, |(seq, _)| *seq);
        let before =
            found.first().map(|(seq, _)| *seq).filter(|_| query.newest && found.len() == query.limit);
        let recorded = |(seq, event): (u64, &longshore_events::Event)| Recorded { seq, event: event.clone() };
        Page { events: found.into_iter().map(recorded).collect(), next, before }
    }

    fn standing(&self) -> Standing {
        let mut leases: Vec<_> = self.leases.iter().map(|(name, row)| (name.clone(), row.clone())).collect();
        leases.sort_by(|a, b| a.0.cmp(&b.0));
        Standing {
            leases,
            stopped: self.stopped.iter().cloned().collect(),
            deliveries: self.owed.len() as u64,
            oldest: self.owed.values().filter(|owed| owed.due.is_none()).map(|owed| owed.written).min(),
            busy: self.units.values().filter(|row| !row.todo.is_empty()).count() as u64,
        }
    }

    fn decisions(&self, query: &DecisionQuery) -> Vec<DecisionRow> {
        let DecisionQuery { function, unit, from, limit } = query;
        let first = from.unwrap_or_default();
        let fits =
            |row: &&DecisionRow| row.function == *function && row.unit == *unit && row.version >= first;
        let rows = self.decisions.iter().filter(fits);
        if from.is_some() {
            return rows.take(*limit).cloned().collect();
        }
        let mut last: Vec<_> = rows.rev().take(*limit).cloned().collect();
        last.reverse();
        last
    }

    fn taken(&self, event: &EventId) -> Vec<Taken> {
        let of_event = self.receipts.iter().filter(|((_, taken, _), _)| taken == event);
        let taken = |((function, _, unit), version): (&super::ReceiptKey, &Option<u64>)| Taken {
            function: function.clone(),
            unit: unit.clone(),
            version: *version,
        };
        of_event.map(taken).collect()
    }
}

#[async_trait]
impl History for MemoryJournal {
    async fn events(&self, query: &EventQuery) -> Result<Page, PortError> {
        self.air.call("history events", || Ok(self.lock().list(query))).await
    }

    async fn units(&self, function: &str, limit: usize) -> Result<Vec<Unit>, PortError> {
        let act = || {
            let rows = self.lock();
            let units = rows.units.iter().filter(|((of, _), _)| of == function).take(limit);
            let unit = |((function, unit), row): (&super::UnitKey, &_)| Unit {
                function: function.clone(),
                unit: unit.clone(),
                row: Clone::clone(row),
            };
            Ok(units.map(unit).collect())
        };
        self.air.call("history units", act).await
    }

    async fn standing(&self) -> Result<Standing, PortError> {
        self.air.call("history standing", || Ok(self.lock().standing())).await
    }

    async fn decisions(&self, query: &DecisionQuery) -> Result<Vec<DecisionRow>, PortError> {
        self.air.call("history decisions", || Ok(self.lock().decisions(query))).await
    }

    async fn taken(&self, event: &EventId) -> Result<Vec<Taken>, PortError> {
        self.air.call("history taken", || Ok(self.lock().taken(event))).await
    }
}
