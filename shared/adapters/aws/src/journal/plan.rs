//! What one commit writes, as rows with at most one condition each: `DynamoDB` takes a row once in a transaction, so a
//! condition on a row that is written too is that write's own.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use longshore_events::Event;
use longshore_ports::{
    PortError,
    journal::{
        Commit, CommitError, Committed, DecisionRow, LeaseWrite, Postpone, Receipt, Relied, Routes, UnitWrite,
    },
};

use super::condition::Condition;
use super::item::{self, Item, number, text, time};
use super::keys::{self, RowKey};
use super::{DUE, Index, OWED};

/// An event also goes over the bus, in one entry.
const EVENT: usize = 200 * 1024;
/// How long receipts and decisions are kept: longer than any redelivery.
const KEPT: SignedDuration = SignedDuration::from_hours(30 * 24);

/// What a transaction does to a row.
#[derive(Debug, Clone)]
pub(super) enum Act {
    Put(Item),
    Delete,
    /// Puts a delivery off.
    Postpone {
        attempts: u32,
        due: Timestamp,
    },
    /// Nothing but the condition.
    Check,
}

/// What it means that a row's condition does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Otherwise {
    /// Something has changed since it was read.
    Conflict(String),
    /// The event of this place in the commit exists: it is left as it is.
    Exists(usize),
    /// The switch stood the other way round.
    Switched,
    /// The delivery that is put off is not owed.
    NotOwed,
}

/// One row of a transaction.
#[derive(Debug, Clone)]
pub(super) struct Write {
    pub(super) key: RowKey,
    pub(super) act: Act,
    pub(super) condition: Option<(Condition, Otherwise)>,
}

/// What earlier attempts have found out.
#[derive(Debug, Clone, Default)]
pub(super) struct Found {
    /// Places of events that exist.
    pub(super) exist: BTreeSet<usize>,
    /// The delivery to put off is not owed.
    pub(super) not_owed: bool,
    /// The switch did not say stop.
    pub(super) ran: bool,
}

/// Events that are the newest of their type and subject.
type Heads<'a> = BTreeMap<(&'static str, &'a str), &'a Event>;

/// The rows of a commit, and what it will have written.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// When it is written: what people are shown is in this order.
    now: Timestamp,
    pub(super) writes: Vec<Write>,
    pub(super) committed: Committed,
}

/// Plans a commit.
///
/// # Errors
/// When it is too large, or contradicts itself.
pub(super) fn plan(
    commit: &Commit,
    routes: &Routes,
    found: &Found,
    now: Timestamp,
) -> Result<Plan, CommitError> {
    let mut plan = Plan { now, ..Plan::default() };
    if let Some(unit) = &commit.unit {
        plan.unit(unit)?;
    }
    if let Some(receipt) = &commit.receipt {
        plan.receipt(receipt, commit);
    }
    let (news, heads) = plan.events(commit, routes, found)?;
    plan.heads(&commit.relied_on, heads)?;
    if let Some(lease) = &commit.lease {
        plan.lease(lease);
    }
    plan.switches(commit, news, found);
    if let Some(decision) = &commit.decision {
        plan.decision(decision, commit.at);
    }
    let cleared = |postpone: &Postpone| clears(commit, postpone.event.as_str(), &postpone.function);
    if let Some(postpone) = commit.postpone.as_ref().filter(|postpone| !found.not_owed && !cleared(postpone))
    {
        plan.postpone(postpone);
    }
    plan.fits()?;
    Ok(plan)
}

fn clears(commit: &Commit, event: &str, function: &str) -> bool {
    let receipt = commit.receipt.as_ref().filter(|receipt| receipt.clears);
    receipt.is_some_and(|receipt| receipt.event.as_str() == event && receipt.function == function)
}

pub(super) fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> CommitError {
    PortError::invalid("journal commit", error).into()
}

/// Seconds since 1970 when a row may be removed.
fn expiry(at: Timestamp) -> i64 {
    at.saturating_add(KEPT).unwrap_or(Timestamp::MAX).as_second()
}

impl Plan {
    fn put(&mut self, key: RowKey, mut item: Item, condition: Option<(Condition, Otherwise)>) {
        item.extend(key.item());
        self.writes.push(Write { key, act: Act::Put(item), condition });
    }

    fn unit(&mut self, write: &UnitWrite) -> Result<(), CommitError> {
        let UnitWrite { function, unit, row, .. } = write;
        let mut item = item::of_unit(row).map_err(invalid)?;
        list(&mut item, OWED, keys::units_part(function), self.now.as_nanosecond());
        if let Some(wake) = wake(write) {
            list(&mut item, DUE, "unit", wake.as_nanosecond());
        }
        let conflict = Otherwise::Conflict(format!("unit {function}/{unit}"));
        let condition = Condition::unit(write.read_version, write.read_marks);
        self.put(keys::unit(function, unit), item, Some((condition, conflict)));
        let hint = if row.todo.is_empty() { row.due } else { row.until.or(row.due) };
        self.committed.wake = hint.map(|at| (function.clone(), unit.clone(), at));
        Ok(())
    }

    /// In a unit's own commit a receipt must not be there yet: `open` reads row by row, and may have read it before
    /// another commit wrote it, and the unit after.
    fn receipt(&mut self, receipt: &Receipt, commit: &Commit) {
        let Receipt { function, event, unit, clears } = receipt;
        let key = keys::receipt(event.as_str(), function, unit.as_deref().unwrap_or_default());
        let conflict = || Otherwise::Conflict(format!("the receipt of {event} for {function}"));
        let condition = commit.unit.is_some().then(|| (Condition::absent(), conflict()));
        let mut item =
            Item::from([("at".into(), time(commit.at)), (super::TTL.into(), number(expiry(commit.at)))]);
        item.extend(commit.unit.as_ref().map(|write| ("version".into(), number(write.row.version))));
        self.put(key, item, condition);
        if *clears {
            let key = keys::delivery(event.as_str(), function);
            self.writes.push(Write { key, act: Act::Delete, condition: None });
        }
    }

    /// Says whether the commit has news, and which event is the newest of its type and subject.
    fn events<'a>(
        &mut self,
        commit: &'a Commit,
        routes: &Routes,
        found: &Found,
    ) -> Result<(bool, Heads<'a>), CommitError> {
        let (mut heads, mut named) = (BTreeMap::new(), BTreeSet::new());
        for (place, event) in commit.events.iter().enumerate() {
            if !named.insert(&event.id) || found.exist.contains(&place) {
                continue;
            }
            self.event(place, event)?;
            for function in routes.takers(event.kind()) {
                self.committed.owed.push((function.to_owned(), event.clone()));
                if !clears(commit, event.id.as_str(), function) {
                    let mut item = Item::from([("attempts".into(), number(0_i32))]);
                    list(&mut item, OWED, "new", commit.at.as_nanosecond());
                    self.put(keys::delivery(event.id.as_str(), function), item, None);
                }
            }
            heads.insert((event.kind(), event.subject.as_str()), event);
        }
        Ok((commit.events.is_empty() || !heads.is_empty(), heads))
    }

    fn event(&mut self, place: usize, event: &Event) -> Result<(), CommitError> {
        let json = event.to_json();
        if json.len() > EVENT {
            let (id, size) = (&event.id, json.len());
            return Err(invalid(format!(
                "event {id} has {size} bytes, and the bus takes {EVENT}; put what is large into Blobs"
            )));
        }
        let written = self.now.as_nanosecond() + i128::try_from(place).unwrap_or_default();
        let mut item = Item::from([("event".into(), text(json))]);
        list(&mut item, OWED, keys::chain_part(event.link.chain.as_str()), written);
        list(&mut item, DUE, "event", written);
        let absent = (Condition::absent(), Otherwise::Exists(place));
        self.put(keys::event(event.id.as_str()), item, Some(absent));
        Ok(())
    }

    fn heads(&mut self, relied_on: &[Relied], mut heads: Heads<'_>) -> Result<(), CommitError> {
        let mut seen: BTreeMap<(&str, &str), &Relied> = BTreeMap::new();
        for relied in relied_on {
            let Relied { kind, subject, event } = relied;
            let what = format!("{kind} of {subject}");
            match seen.insert((kind, subject), relied) {
                Some(before) if before.event != *event => return Err(CommitError::Conflict(what)),
                Some(_) => continue,
                None => {}
            }
            let condition = Condition::head(event.as_ref().map(longshore_events::EventId::as_str));
            let condition = Some((condition, Otherwise::Conflict(what)));
            let own = heads.iter().find(|(key, _)| **key == (kind.as_str(), subject.as_str()));
            let own = own.map(|(key, _)| *key).and_then(|key| heads.remove(&key));
            match own {
                Some(event) => self.put(keys::head(kind, subject), head(event), condition),
                None => {
                    self.writes.push(Write { key: keys::head(kind, subject), act: Act::Check, condition });
                }
            }
        }
        for ((kind, subject), event) in heads {
            self.put(keys::head(kind, subject), head(event), None);
        }
        Ok(())
    }

    fn lease(&mut self, write: &LeaseWrite) {
        let LeaseWrite { name, read, row } = write;
        let conflict = Otherwise::Conflict(format!("lease {name}"));
        let condition = Some((Condition::lease(read.as_ref()), conflict));
        if read.as_ref() == Some(row) {
            self.writes.push(Write { key: keys::lease(name), act: Act::Check, condition });
            return;
        }
        let mut item = Item::from([("generation".into(), number(row.generation))]);
        item.extend(row.holder.as_ref().map(|holder| ("holder".into(), text(holder))));
        list(&mut item, OWED, "lease", 0);
        self.put(keys::lease(name), item, condition);
    }

    /// Whether a switch that is set to go said stop before is learned by guessing that it did.
    fn switches(&mut self, commit: &Commit, news: bool, found: &Found) {
        let write = commit.switch.as_ref().filter(|_| news);
        let running: BTreeSet<&String> = commit.running.iter().collect();
        let runs = |name: &String| Some((Condition::runs(), Otherwise::Conflict(format!("switch {name}"))));
        for &name in running.iter().filter(|name| write.is_none_or(|write| write.name != ***name)) {
            self.writes.push(Write { key: keys::switch(name), act: Act::Check, condition: runs(name) });
        }
        let Some(write) = write else { return };
        let condition = match (running.contains(&write.name), write.stop, found.ran) {
            (true, ..) => runs(&write.name),
            (false, true, _) => None,
            (false, false, true) => Some((Condition::runs(), Otherwise::Switched)),
            (false, false, false) => Some((Condition::stops(), Otherwise::Switched)),
        };
        self.committed.resumed = !write.stop && !found.ran && !running.contains(&write.name);
        let stop = aws_sdk_dynamodb::types::AttributeValue::Bool(write.stop);
        let mut item = Item::from([("stop".into(), stop)]);
        if write.stop {
            list(&mut item, OWED, "switch", 0);
        }
        self.put(keys::switch(&write.name), item, condition);
    }

    fn decision(&mut self, decision: &DecisionRow, at: Timestamp) {
        let DecisionRow { function, unit, version, at: when, cause, seen, record } = decision;
        let mut item = Item::from([
            ("at".into(), time(*when)),
            ("cause".into(), text(cause)),
            ("seen".into(), text(seen)),
            (super::TTL.into(), number(expiry(at))),
        ]);
        item.extend(record.as_ref().map(|record| ("record".into(), text(record))));
        self.put(keys::decision(function, unit, *version), item, None);
    }

    fn postpone(&mut self, postpone: &Postpone) {
        let Postpone { function, event, attempts, due } = postpone;
        self.writes.push(Write {
            key: keys::delivery(event.as_str(), function),
            act: Act::Postpone { attempts: *attempts, due: *due },
            condition: Some((Condition::present(), Otherwise::NotOwed)),
        });
    }
}

/// Puts a row into a partition of an index.
fn list(item: &mut Item, index: Index, part: impl Into<String>, sort: i128) {
    item.insert(index.partition.into(), text(part));
    item.insert(index.sort.into(), number(sort));
}

fn head(event: &Event) -> Item {
    Item::from([("event".into(), text(event.id.as_str()))])
}

/// When the sweep wakes the unit. One that is due is left alone while somebody performs for it; its claim's end wakes
/// it too.
fn wake(write: &UnitWrite) -> Option<Timestamp> {
    let row = &write.row;
    let claimed = row.until.filter(|_| row.claim.is_some());
    let due = row.due.map(|due| claimed.map_or(due, |until| until.max(due)));
    let ends = row.until.filter(|_| !row.todo.is_empty());
    due.into_iter().chain(ends).min()
}
