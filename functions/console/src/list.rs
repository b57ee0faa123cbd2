//! Lists: events and units.

use longshore_events::{Data, Event, EventId};
use longshore_ports::history::{EventQuery, Recorded, Unit};

use crate::api::{EventEntry, Events, EventsQuery, LeaseStatus, UnitStatus, Units};
use crate::summary::summary;
use crate::{Console, Refused};

/// Units of one function in an answer, at most.
const UNITS: usize = 1_000;

impl Console {
    /// The events that fit, without waiting for any.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn events(&self, asked: &EventsQuery) -> Result<Events, Refused> {
        let kind = asked.kind.clone().map(|kind| {
            let known = Data::KINDS.iter().find(|known| known.contains(&format!(".{kind}.v")));
            known.map_or(kind, |known| (*known).to_owned())
        });
        let query = EventQuery {
            after: asked.after.unwrap_or(0),
            kind,
            subject: asked.subject.clone(),
            newest: asked.after.is_none(),
            limit: asked.limit.unwrap_or(100).min(1_000),
            ..EventQuery::default()
        };
        let page = self.journal.events(&query).await?;
        let entry = |recorded: &Recorded| EventEntry {
            seq: recorded.seq,
            summary: summary(&recorded.event),
            event: serde_json::from_str(&recorded.event.to_json()).unwrap_or_default(),
        };
        Ok(Events { events: page.events.iter().map(entry).collect(), next: page.next })
    }

    pub(crate) async fn event(&self, id: &str) -> Result<Event, Refused> {
        let known = EventId::new(id).map_err(|error| Refused::missing(error.to_string()))?;
        let event = self.journal.event(&known).await?;
        event.ok_or_else(|| Refused::missing(format!("there is no event {id}")))
    }

    pub(crate) async fn units(&self) -> Result<Units, Refused> {
        let mut units = Vec::new();
        for (function, _) in &self.routes.0 {
            units.extend(self.journal.units(function, UNITS).await?.into_iter().map(shown));
        }
        let leases = self.journal.standing().await?.leases.into_iter();
        let lease = |(name, row): (String, longshore_ports::journal::LeaseRow)| {
            (name, LeaseStatus { holder: row.holder, generation: row.generation })
        };
        Ok(Units { units, leases: leases.map(lease).collect() })
    }
}

fn shown(unit: Unit) -> UnitStatus {
    UnitStatus {
        function: unit.function,
        unit: unit.unit,
        version: unit.row.version,
        todo: unit.row.todo.iter().map(|todo| todo.key.to_string()).collect(),
        attempts: unit.row.attempts,
        due: unit.row.due,
        waiting: unit.row.marked.len(),
        state: serde_json::from_str(&unit.row.state).unwrap_or_default(),
    }
}
