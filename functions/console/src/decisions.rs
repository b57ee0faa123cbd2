//! What was decided, and of what: all that is needed to decide it once more.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::{SignedDuration, Timestamp};
use longshore_events::{ChainId, Event, EventId, ServiceName};
use longshore_frame::replay::{blob, refers, state_before};
use longshore_ports::ErrorKind;
use longshore_ports::history::{DecisionQuery, EventQuery, LOOKED};
use longshore_ports::journal::{DecisionRow, Open};

use crate::api::{DecisionEntry, Decisions, DecisionsQuery, Trail};
use crate::{Console, Refused};

/// Decisions of one unit in an answer, at most.
const ROWS: usize = 300;
/// Decisions that are read at a time.
const LOT: usize = 100;
/// Events of a chain whose takers are looked for, at most.
const EVENTS: usize = 200;
/// What may be in one answer, in bytes: Lambda takes 6 MB.
const BYTES: usize = 4 << 20;
/// So long after the last event of a chain a unit's decisions still belong to it, if nothing else was told meanwhile.
const AFTERWARDS: SignedDuration = SignedDuration::from_mins(15);

/// Events by their ids.
type Known = HashMap<EventId, Event>;
/// By function and unit: where a chain's decisions begin.
type Starts = BTreeMap<(String, String), BTreeSet<u64>>;

impl Console {
    /// The decisions of a unit, or those that units took in a chain.
    pub(crate) async fn decisions(&self, asked: &DecisionsQuery) -> Result<Decisions, Refused> {
        let mut answer = Decisions {
            chain: None,
            poll_ms: self.setup.poll_ms,
            builder: self.setup.builder.clone(),
            trails: Vec::new(),
            cut: false,
        };
        let mut known = Known::new();
        if let Some((function, unit, state)) = self.unit_named(&asked.of).await? {
            let limit = asked.limit.unwrap_or(LOT).min(ROWS);
            let query = DecisionQuery { function, unit, from: None, limit };
            let mut rows = self.journal.decisions(&query).await?;
            rows.retain(|row| row.version <= state.0);
            let trail = self.trail(rows, Some(state.1), &mut known).await?;
            answer.trails.extend(trail);
            return Ok(answer);
        }
        let chain = self.chain_named(&asked.of).await?;
        let query = EventQuery { chain: Some(chain.clone()), limit: EVENTS, ..EventQuery::default() };
        let events = self.journal.events(&query).await?.events;
        let last = events.iter().map(|found| found.event.time).max().unwrap_or_default();
        known.extend(events.into_iter().map(|found| (found.event.id.clone(), found.event)));
        let ids: BTreeSet<EventId> = known.keys().cloned().collect();
        let until = last.saturating_add(AFTERWARDS).unwrap_or(Timestamp::MAX);
        for ((function, unit), starts) in self.starts(&known).await? {
            let mut next = 0;
            for from in starts {
                if from < next {
                    continue;
                }
                let query = DecisionQuery {
                    function: function.clone(),
                    unit: unit.clone(),
                    from: Some(from),
                    limit: LOT,
                };
                let (rows, left) = self.part(query, &ids, until).await?;
                next = rows.last().map_or(from, |row| row.version) + 1;
                answer.trails.extend(self.trail(rows, left, &mut known).await?);
            }
        }
        answer.chain = Some(chain.to_string());
        answer.cut = cut(&mut answer.trails);
        Ok(answer)
    }

    /// A unit that is named as `function/unit`: its version and its state.
    async fn unit_named(&self, name: &str) -> Result<Option<(String, String, (u64, String))>, Refused> {
        let Some((function, unit)) = name.split_once('/') else { return Ok(None) };
        if !self.routes.0.iter().any(|(known, _)| *known == function) {
            return Ok(None);
        }
        let row = self.unit(function, unit).await?;
        Ok(row.map(|row| (function.to_owned(), unit.to_owned(), row)))
    }

    async fn unit(&self, function: &str, unit: &str) -> Result<Option<(u64, String)>, Refused> {
        let ask = Open { function: function.into(), unit: unit.into(), ..Open::default() };
        Ok(self.journal.open(&ask).await?.unit.map(|row| (row.version, row.state)))
    }

    /// The chain of a service, of a commit, or of that name.
    async fn chain_named(&self, name: &str) -> Result<ChainId, Refused> {
        let service = ServiceName::new(name).ok().and_then(|name| self.policy.service(&name));
        if service.is_some() {
            let chain = self.chain_of_service(name).await?;
            return chain.ok_or_else(|| Refused::missing(format!("nothing is known of {name:?} yet")));
        }
        if let Some(chain) = self.chains_of_commit(name).await?.pop() {
            return Ok(chain);
        }
        let none = || {
            Refused::missing(format!(
                "{name:?} is no unit (`deploy/production/shop`), no service, no commit and no chain; \
                 `longshore timeline` shows the chain of a change"
            ))
        };
        let chain = ChainId::new(name).map_err(|_| none())?;
        let query = EventQuery { chain: Some(chain.clone()), limit: 1, ..EventQuery::default() };
        if self.journal.events(&query).await?.events.is_empty() {
            return Err(none());
        }
        Ok(chain)
    }

    /// Which units took these events, or said them, and by which of their decisions first.
    async fn starts(&self, events: &Known) -> Result<Starts, Refused> {
        let mut starts = Starts::new();
        for event in events.values() {
            for taken in self.journal.taken(&event.id).await? {
                let found = match taken.version {
                    Some(version) => Some(version),
                    None => self.version_of(&taken.function, &taken.unit, &event.id).await?,
                };
                starts.entry((taken.function, taken.unit)).or_default().extend(found);
            }
            if let Some((function, unit, version)) = self.who_said(event) {
                starts.entry((function, unit)).or_default().insert(version);
            }
        }
        Ok(starts)
    }

    /// The decision that said an event: its id names it.
    fn who_said(&self, event: &Event) -> Option<(String, String, u64)> {
        let (function, rest) = event.id.as_str().split_once('/')?;
        let known = self.routes.0.iter().any(|(known, _)| *known == function);
        let mut parts = rest.rsplitn(3, '/');
        let (_, version, unit) = (parts.next()?, parts.next()?.parse().ok()?, parts.next()?);
        let own = event.source == format!("longshore/{function}");
        (known && own).then(|| (function.to_owned(), unit.to_owned(), version))
    }

    /// An older release did not note by which version an event was taken: it is looked for among the last decisions.
    async fn version_of(&self, function: &str, unit: &str, event: &EventId) -> Result<Option<u64>, Refused> {
        let query = DecisionQuery { function: function.into(), unit: unit.into(), from: None, limit: LOOKED };
        let rows = self.journal.decisions(&query).await?;
        Ok(rows.iter().find(|row| told(row) == Some(event.as_str())).map(|row| row.version))
    }

    /// A unit's decisions from one on, as long as they belong to a chain, and the state that the last of them left.
    async fn part(
        &self,
        mut query: DecisionQuery,
        chain: &BTreeSet<EventId>,
        until: Timestamp,
    ) -> Result<(Vec<DecisionRow>, Option<String>), Refused> {
        let now = self.unit(&query.function, &query.unit).await?;
        let version = now.as_ref().map_or(0, |(version, _)| *version);
        let other =
            |row: &DecisionRow| told(row).is_some_and(|id| !chain.iter().any(|known| known.as_str() == id));
        let (mut rows, mut rest) = (Vec::new(), Vec::new());
        loop {
            let lot = self.journal.decisions(&query).await?;
            let is_last = lot.len() < query.limit;
            query.from = lot.last().map(|row| row.version + 1);
            for mut row in lot.into_iter().filter(|row| row.version <= version) {
                let ends = !rest.is_empty() || rows.len() == ROWS || row.at > until || other(&row);
                self.bring(&mut row.record).await?;
                if ends { rest.push(row) } else { rows.push(row) }
            }
            let last = now.as_ref().filter(|_| is_last).map(|(_, state)| state.clone());
            let left = state_before(&rest, last);
            // What is not known after so many has a gap: nothing further would tell it.
            if is_last || rest.len() >= LOT || (left.is_some() && !rest.is_empty()) {
                return Ok((rows, left));
            }
        }
    }

    /// Puts what lies in Blobs in the place of its reference. What is gone stays a reference.
    async fn bring(&self, text: &mut Option<String>) -> Result<(), Refused> {
        let Some(place) = text.as_deref().and_then(blob) else { return Ok(()) };
        match self.blobs.get(&place).await {
            Ok(content) => *text = Some(String::from_utf8_lossy(&content).into_owned()),
            Err(error) if error.kind == ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Rows with the events that they refer to.
    async fn trail(
        &self,
        rows: Vec<DecisionRow>,
        left: Option<String>,
        known: &mut Known,
    ) -> Result<Option<Trail>, Refused> {
        let Some(first) = rows.first() else { return Ok(None) };
        let mut trail =
            Trail { function: first.function.clone(), unit: first.unit.clone(), decisions: Vec::new(), left };
        for mut row in rows {
            let mut seen = Some(std::mem::take(&mut row.seen));
            self.bring(&mut seen).await?;
            self.bring(&mut row.record).await?;
            let refers = refers(&row);
            let mut said = Vec::new();
            for id in &refers.said {
                said.extend(self.event_of(id, known).await?);
            }
            let told = match told(&row).and_then(|id| EventId::new(id).ok()) {
                Some(id) => self.event_of(&id, known).await?,
                None => None,
            };
            trail.decisions.push(DecisionEntry {
                version: row.version,
                at: row.at,
                cause: row.cause,
                seen: seen.unwrap_or_default(),
                record: row.record,
                told,
                said,
            });
        }
        Ok(Some(trail))
    }

    /// An event as JSON. One that only a newer build can read is none here.
    async fn event_of(&self, id: &EventId, known: &mut Known) -> Result<Option<serde_json::Value>, Refused> {
        if !known.contains_key(id) {
            let found = self.journal.event(id).await;
            let found = found.inspect_err(|error| tracing::warn!(event = %id, %error, "it cannot be shown"));
            known.extend(found.ok().flatten().map(|event| (id.clone(), event)));
        }
        Ok(known.get(id).and_then(|event| serde_json::from_str(&event.to_json()).ok()))
    }
}

/// The event that a decision was told, as its row names it.
fn told(row: &DecisionRow) -> Option<&str> {
    row.cause.strip_prefix("told ")
}

/// Leaves out the oldest decisions where there are too many for one answer; says whether it did.
fn cut(trails: &mut [Trail]) -> bool {
    let size = |entry: &DecisionEntry| {
        let events = entry.told.iter().chain(&entry.said).map(|event| event.to_string().len());
        entry.seen.len() + entry.record.as_ref().map_or(0, String::len) + events.sum::<usize>()
    };
    let all: usize = trails.iter().flat_map(|trail| &trail.decisions).map(size).sum();
    let mut excess = all.saturating_sub(BYTES);
    let cut = excess > 0;
    while excess > 0 {
        let oldest = trails.iter_mut().filter(|trail| !trail.decisions.is_empty());
        let Some(trail) = oldest.min_by_key(|trail| trail.decisions.first().map(|entry| entry.at)) else {
            break;
        };
        excess = excess.saturating_sub(size(&trail.decisions.remove(0)));
    }
    cut
}
