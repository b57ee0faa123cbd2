//! DORA's four figures, from the journal alone: what it takes is read backwards, as far as the window goes.

mod figures;

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use longshore_events::types::{
    BuildFinished, BuildOutcome, DeploymentFinished, DeploymentOutcome, DeploymentStarted, DigestQuarantined,
};
use longshore_events::{ChainId, Data, Event, EventId, Fact};
use longshore_ports::history::EventQuery;

use crate::api::{Dora, DoraEnvironment, DoraQuery, DoraService};
use crate::{Console, Refused};
use figures::{Bad, End, Happened, Measured, Origin};

/// The window where none is given.
const WINDOW: SignedDuration = SignedDuration::from_hours(30 * 24);
/// Events of one type that are read for one answer, at most.
const READ: usize = 20_000;
const PAGE: usize = 1_000;

/// A window, which grows shorter when there is too much to read.
struct Window {
    from: Timestamp,
    until: Timestamp,
    cut: bool,
}

impl Console {
    /// The figures of a window.
    ///
    /// # Errors
    /// When the journal cannot be read, or something is asked for that the configuration does not name.
    pub(crate) async fn dora(&self, asked: &DoraQuery) -> Result<Dora, Refused> {
        self.named(asked.environment.as_deref(), asked.service.as_deref())?;
        let until = asked.until.unwrap_or_else(|| self.clock.now());
        let from = asked.from.unwrap_or_else(|| until.saturating_sub(WINDOW).unwrap_or(Timestamp::MIN));
        if from >= until {
            return Err(Refused::unusable(
                "LS0221",
                format!("the window begins at {from}, and ends at {until}"),
            ));
        }
        let mut window =
            Window { from: from.max(self.first_event().await?.unwrap_or(from)), until, cut: false };
        let happened = self.happened(&mut window).await?;
        let measured = happened.measured();
        let length = until.duration_since(window.from);
        let wanted = |given: &Option<String>, name: &str| given.as_ref().is_none_or(|given| given == name);
        let mut environments = Vec::new();
        for environment in &self.policy.environments {
            let name = environment.name.as_str();
            if !wanted(&asked.environment, name) {
                continue;
            }
            let (mut all, mut services) = (Measured::default(), Vec::new());
            for ((_, service), one) in measured.iter().filter(|((of, service), _)| {
                *of == environment.name && wanted(&asked.service, service.as_str())
            }) {
                all.and(one);
                services.push(DoraService { name: service.to_string(), figures: one.figures(length) });
            }
            if !services.is_empty() {
                let all = all.figures(length);
                environments.push(DoraEnvironment { name: name.to_owned(), all, services });
            }
        }
        Ok(Dora { from: window.from, until, cut: window.cut, environments })
    }

    async fn first_event(&self) -> Result<Option<Timestamp>, Refused> {
        let query = EventQuery { limit: 1, ..EventQuery::default() };
        Ok(self.journal.events(&query).await?.events.first().map(|first| first.event.time))
    }

    /// Reads what happened; of different types, as far back as all of them can be read.
    async fn happened(&self, window: &mut Window) -> Result<Happened, Refused> {
        let finished = self.read::<DeploymentFinished>(window).await?;
        let started = self.read::<DeploymentStarted>(window).await?;
        let builds = self.read::<BuildFinished>(window).await?;
        let bad = self.read::<DigestQuarantined>(window).await?;
        let began: HashMap<_, _> =
            started.into_iter().map(|(event, fact)| (fact.deployment, event.time)).collect();
        let mut origins = Origins { console: self, known: HashMap::new() };
        let mut happened = Happened::default();
        for (event, fact) in finished {
            let origin = origins.of(&event.link.chain).await?;
            if let (DeploymentOutcome::Superseded, Origin::Change(pushed)) = (fact.outcome, origin) {
                happened.overtaken.push((fact.service.clone(), pushed));
            }
            happened.ends.push(End {
                at: event.time,
                began: began.get(&fact.deployment).copied(),
                place: (fact.environment, fact.service),
                outcome: fact.outcome,
                digest: fact.to,
                runs: fact.running.is_some(),
                origin,
            });
        }
        for (event, fact) in builds.into_iter().filter(|(_, fact)| fact.outcome == BuildOutcome::Superseded) {
            if let Origin::Change(pushed) = origins.of(&event.link.chain).await? {
                happened.overtaken.push((fact.service, pushed));
            }
        }
        // One that was overtaken in several environments is one change.
        happened.overtaken.sort();
        happened.overtaken.dedup();
        happened.ends.retain(|end| end.at >= window.from);
        happened.ends.sort_by_key(|end| end.at);
        happened.bad = bad
            .into_iter()
            .map(|(event, fact)| Bad {
                at: event.time,
                place: (fact.environment, fact.service),
                digest: fact.digest,
            })
            .collect();
        Ok(happened)
    }

    /// The events of a type within the window, which begins later when there are too many.
    async fn read<F: Fact>(&self, window: &mut Window) -> Result<Vec<(Event, F)>, Refused> {
        let (mut read, mut before, mut looked) = (Vec::new(), None, 0);
        loop {
            let kind = Some(F::KIND.to_owned());
            let query = EventQuery { kind, newest: true, before, limit: PAGE, ..EventQuery::default() };
            let page = self.journal.events(&query).await?;
            looked += page.events.len();
            let oldest = page.events.first().map(|first| first.event.time);
            let within = page.events.into_iter().map(|found| found.event);
            let within = within.filter(|event| window.from <= event.time && event.time <= window.until);
            read.extend(
                within.filter_map(|event| F::from_data(&event.data).cloned().map(|fact| (event, fact))),
            );
            before = page.before;
            match oldest {
                _ if before.is_none() => break,
                Some(oldest) if oldest < window.from => break,
                Some(oldest) if looked >= READ => {
                    (window.from, window.cut) = (oldest, true);
                    break;
                }
                _ => {}
            }
        }
        Ok(read)
    }
}

/// What chains began with.
struct Origins<'a> {
    console: &'a Console,
    known: HashMap<ChainId, Origin>,
}

impl Origins<'_> {
    async fn of(&mut self, chain: &ChainId) -> Result<Origin, Refused> {
        if let Some(known) = self.known.get(chain) {
            return Ok(*known);
        }
        // The first event of a chain has its name.
        let first = match EventId::new(chain.as_str()) {
            Ok(first) => self.console.journal.event(&first).await?,
            Err(_) => None,
        };
        let origin = match first.as_ref().map(|first| (&first.data, first.time)) {
            Some((Data::PushReceived(_) | Data::ImagePushed(_), at)) => Origin::Change(at),
            Some((Data::RequestMade(_), _)) => Origin::Asked,
            _ => Origin::Unknown,
        };
        self.known.insert(chain.clone(), origin);
        Ok(origin)
    }
}
