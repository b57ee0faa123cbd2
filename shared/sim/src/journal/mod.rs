//! The journal in memory. It passes the same contract suite as the real ones.

mod history;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use longshore_events::{Event, EventId};
use longshore_ports::{
    Facts, Journal, PortError,
    journal::{
        Commit, CommitError, Committed, DecisionRow, LeaseRow, Open, Opened, Owed, Routes, UnitRow, UnitWrite,
    },
};

use crate::Air;

type UnitKey = (String, String);
/// Function, event and unit.
type ReceiptKey = (String, EventId, String);

/// The journal in memory.
pub struct MemoryJournal {
    air: Arc<Air>,
    routes: Routes,
    rows: Mutex<Rows>,
}

#[derive(Default)]
struct Rows {
    events: HashMap<EventId, (usize, Event)>,
    owed: BTreeMap<(usize, String), Delivery>,
    /// With the version of the unit that taking the event made.
    receipts: BTreeMap<ReceiptKey, Option<u64>>,
    /// In the order of writing, and so of each unit's versions.
    decisions: Vec<DecisionRow>,
    units: BTreeMap<UnitKey, UnitRow>,
    heads: HashMap<(String, String), EventId>,
    leases: HashMap<String, LeaseRow>,
    stopped: BTreeSet<String>,
    /// What said stop when an event was written.
    stopped_at: HashMap<EventId, BTreeSet<String>>,
    published: Vec<Committed>,
}

struct Delivery {
    event: EventId,
    written: Timestamp,
    attempts: u32,
    due: Option<Timestamp>,
}

impl MemoryJournal {
    /// An empty journal.
    pub fn new(air: Arc<Air>, routes: Routes) -> Self {
        Self { air, routes, rows: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Rows> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was published since the last call.
    pub fn published(&self) -> Vec<Committed> {
        std::mem::take(&mut self.lock().published)
    }

    /// Whatever is owed, open, held or due, except units of the functions in `but`: what must be empty at rest.
    pub fn unrest(&self, but: &[&str]) -> Vec<String> {
        let rows = self.lock();
        let owed =
            rows.owed.iter().map(|((_, function), owed)| format!("{} is owed to {function}", owed.event));
        let units = rows.units.iter().filter(|((function, _), _)| !but.contains(&function.as_str()));
        let units =
            units.filter(|(_, row)| !row.todo.is_empty() || row.due.is_some() || !row.marked.is_empty());
        let units = units.map(|((function, unit), row)| {
            let (open, marked) = (row.todo.len(), row.marked.len());
            format!("{function}/{unit} has {open} open effects, {marked} marks, due {:?}", row.due)
        });
        let held = rows
            .leases
            .iter()
            .filter_map(|(name, row)| Some(format!("{name} held by {}", row.holder.as_ref()?)));
        owed.chain(units).chain(held).collect()
    }

    /// Whether a unit was ever committed.
    pub fn has_unit(&self, function: &str, unit: &str) -> bool {
        self.lock().units.contains_key(&(function.to_owned(), unit.to_owned()))
    }

    /// The units of a function whose name holds a text.
    pub fn units_of(&self, function: &str, part: &str) -> Vec<String> {
        let rows = self.lock();
        let known = rows.units.keys().filter(|(of, unit)| of == function && unit.contains(part));
        known.map(|(_, unit)| unit.clone()).collect()
    }

    /// The switches that say stop.
    pub fn stopped(&self) -> BTreeSet<String> {
        self.lock().stopped.clone()
    }

    /// What said stop when an event was written.
    pub fn stopped_at(&self, event: &EventId) -> BTreeSet<String> {
        self.lock().stopped_at.get(event).cloned().unwrap_or_default()
    }

    /// Units that look again by themselves: what is woken when a switch goes back to go.
    pub fn due(&self) -> Vec<(String, String)> {
        let rows = self.lock();
        rows.units.iter().filter(|(_, row)| row.due.is_some()).map(|(key, _)| key.clone()).collect()
    }

    /// Every event, in the order of writing.
    pub fn events(&self) -> Vec<Event> {
        let rows = self.lock();
        let mut events: Vec<_> = rows.events.values().collect();
        events.sort_by_key(|(number, _)| *number);
        events.into_iter().map(|(_, event)| event.clone()).collect()
    }

    fn write(&self, commit: &Commit) -> Result<Committed, CommitError> {
        let mut rows = self.lock();
        rows.check(commit)?;
        let mut committed = Committed::default();
        let mut news = commit.events.is_empty();
        for event in &commit.events {
            news |= rows.event(&self.routes, event, commit.at, &mut committed);
        }
        if let Some(write) = &commit.unit {
            committed.wake = wake(write);
            rows.units.insert((write.function.clone(), write.unit.clone()), write.row.clone());
        }
        if let Some(receipt) = &commit.receipt {
            let number = rows.events.get(&receipt.event).map(|(number, _)| *number);
            if let (true, Some(number)) = (receipt.clears, number) {
                rows.owed.remove(&(number, receipt.function.clone()));
            }
            let version = commit.unit.as_ref().map(|write| write.row.version);
            if let Some(unit) = &receipt.unit {
                let key = (receipt.function.clone(), receipt.event.clone(), unit.clone());
                rows.receipts.entry(key).or_insert(version);
            }
        }
        if let Some(postpone) = &commit.postpone
            && let Some(number) = rows.events.get(&postpone.event).map(|(number, _)| *number)
            && let Some(owed) = rows.owed.get_mut(&(number, postpone.function.clone()))
        {
            (owed.attempts, owed.due) = (postpone.attempts, Some(postpone.due));
        }
        if let Some(lease) = &commit.lease {
            rows.leases.insert(lease.name.clone(), lease.row.clone());
        }
        if let Some(switch) = commit.switch.as_ref().filter(|_| news) {
            let was = rows.stopped.remove(&switch.name);
            if switch.stop {
                rows.stopped.insert(switch.name.clone());
            }
            committed.resumed = was && !switch.stop;
        }
        rows.decisions.extend(commit.decision.clone());
        Ok(committed)
    }
}

impl Rows {
    fn check(&self, commit: &Commit) -> Result<(), CommitError> {
        let conflict = |what: String| Err(CommitError::Conflict(what));
        if let Some(write) = &commit.unit {
            let row = self.units.get(&(write.function.clone(), write.unit.clone()));
            let (version, marks) = row.map_or((0, 0), |row| (row.version, row.marked.len()));
            if (version, marks) != (write.read_version, write.read_marks) {
                return conflict(format!("unit {}/{}", write.function, write.unit));
            }
        }
        if let Some(lease) = &commit.lease
            && self.leases.get(&lease.name) != lease.read.as_ref()
        {
            return conflict(format!("lease {}", lease.name));
        }
        for relied in &commit.relied_on {
            if self.heads.get(&(relied.kind.clone(), relied.subject.clone())) != relied.event.as_ref() {
                return conflict(format!("head {} of {}", relied.kind, relied.subject));
            }
        }
        match commit.running.iter().find(|name| self.stopped.contains(*name)) {
            Some(name) => conflict(format!("switch {name}")),
            None => Ok(()),
        }
    }

    /// Writes an event, unless it is there; whether it was new.
    fn event(&mut self, routes: &Routes, event: &Event, at: Timestamp, committed: &mut Committed) -> bool {
        if self.events.contains_key(&event.id) {
            return false;
        }
        if !self.stopped.is_empty() {
            self.stopped_at.insert(event.id.clone(), self.stopped.clone());
        }
        let number = self.events.len();
        self.events.insert(event.id.clone(), (number, event.clone()));
        self.heads.insert((event.kind().to_owned(), event.subject.clone()), event.id.clone());
        for function in routes.takers(event.kind()) {
            let owed = Delivery { event: event.id.clone(), written: at, attempts: 0, due: None };
            self.owed.insert((number, function.to_owned()), owed);
            committed.owed.push((function.to_owned(), event.clone()));
        }
        true
    }

    fn open(&self, ask: &Open) -> Opened {
        let told = ask.told.as_ref();
        let owed = told.and_then(|(id, _)| {
            let number = self.events.get(id).map(|(number, _)| *number)?;
            self.owed.get(&(number, ask.function.clone()))
        });
        let has = |unit: &&String| {
            told.is_some_and(|(id, _)| {
                self.receipts.contains_key(&(ask.function.clone(), id.clone(), (*unit).clone()))
            })
        };
        Opened {
            unit: self.units.get(&(ask.function.clone(), ask.unit.clone())).cloned(),
            lease: ask.lease.as_ref().and_then(|name| self.leases.get(name)).cloned(),
            stopped: ask.switches.iter().filter(|name| self.stopped.contains(*name)).cloned().collect(),
            owed: owed.is_some(),
            receipts: told.map(|(_, units)| units.iter().filter(has).cloned().collect()).unwrap_or_default(),
            delivery_attempts: owed.map_or(0, |owed| owed.attempts),
        }
    }

    fn owed(&self, now: Timestamp, grace_ms: u64, limit: usize) -> Owed {
        let grace = SignedDuration::from_millis(i64::try_from(grace_ms).unwrap_or(i64::MAX / 2));
        let late = |owed: &Delivery| owed.due.unwrap_or(owed.written + grace) <= now;
        let deliveries =
            self.owed.iter().filter(|(_, owed)| late(owed)).filter_map(|((_, function), owed)| {
                Some((function.clone(), self.events.get(&owed.event)?.1.clone()))
            });
        let passed = |at: Option<Timestamp>| at.is_some_and(|at| at <= now);
        let since = |row: &UnitRow| {
            if row.todo.is_empty() { row.due } else { row.until.or(row.due).or(Some(Timestamp::MIN)) }
        };
        let mut units: Vec<_> = self.units.iter().filter(|(_, row)| passed(since(row))).collect();
        units.sort_by_key(|(_, row)| since(row));
        Owed {
            deliveries: deliveries.take(limit).collect(),
            units: units.into_iter().map(|(key, _)| key.clone()).take(limit).collect(),
        }
    }
}

fn wake(write: &UnitWrite) -> Option<(String, String, Timestamp)> {
    let row = &write.row;
    let at = if row.todo.is_empty() { row.due } else { row.until };
    at.map(|at| (write.function.clone(), write.unit.clone(), at))
}

#[async_trait]
impl Journal for MemoryJournal {
    async fn open(&self, ask: &Open) -> Result<Opened, PortError> {
        self.air.call("journal open", || Ok(self.lock().open(ask))).await
    }

    async fn commit(&self, commit: &Commit) -> Result<Committed, CommitError> {
        let result = self.air.call("journal commit", || Ok(self.write(commit))).await;
        result.map_err(CommitError::Port)?
    }

    async fn publish(&self, committed: &Committed) -> Result<(), PortError> {
        let act = || {
            self.lock().published.push(committed.clone());
            Ok(())
        };
        self.air.call("journal publish", act).await
    }

    async fn event(&self, id: &EventId) -> Result<Option<Event>, PortError> {
        let act = || Ok(self.lock().events.get(id).map(|(_, event)| event.clone()));
        self.air.call("journal event", act).await
    }

    async fn owed(&self, now: Timestamp, grace_ms: u64, limit: usize) -> Result<Owed, PortError> {
        self.air.call("journal owed", || Ok(self.lock().owed(now, grace_ms, limit))).await
    }
}

#[async_trait]
impl Facts for MemoryJournal {
    async fn latest(&self, kind: &str, subject: &str) -> Result<Option<Event>, PortError> {
        let act = || {
            let rows = self.lock();
            let id = rows.heads.get(&(kind.to_owned(), subject.to_owned()));
            Ok(id.and_then(|id| rows.events.get(id)).map(|(_, event)| event.clone()))
        };
        self.air.call("facts latest", act).await
    }
}
