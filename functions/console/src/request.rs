//! What somebody asks for is a fact: committed, then told to the bus.

use std::collections::BTreeSet;

use longshore_events::types::{RequestKind, RequestMade};
use longshore_events::{ChainId, Digest, Event, EventId, InvalidName, Link};
use longshore_ports::PortError;
use longshore_ports::journal::{Commit, CommitError, Open, SwitchWrite};

use crate::api::{NewRequest, RequestTaken};
use crate::approval::digits;
use crate::stored::Deployed;
use crate::{Console, Refused};

/// The longest name and the longest reason, in bytes.
const WHO: usize = 200;
const WHY: usize = 2_000;

/// Texts of people are bounded, and can be shown.
pub(crate) fn checked(texts: &[(&str, Option<&str>)]) -> Result<(), Refused> {
    for (name, text) in texts {
        let most = if *name == "who" { WHO } else { WHY };
        if text.is_some_and(|text| text.len() > most || text.chars().any(char::is_control)) {
            let why = format!("{name} has more than {most} bytes, or control characters");
            return Err(Refused::unusable("LS0210", why));
        }
    }
    Ok(())
}

impl Console {
    /// Refuses names that the configuration does not know.
    pub(crate) fn named(&self, environment: Option<&str>, service: Option<&str>) -> Result<(), Refused> {
        let environments = self.policy.environments.iter().map(|environment| environment.name.as_str());
        let services = self.policy.services.iter().map(|service| service.name.as_str());
        let known = [
            ("environment", environment, environments.collect::<Vec<_>>()),
            ("service", service, services.collect()),
        ];
        for (what, given, names) in known {
            if let Some(given) = given.filter(|given| !names.contains(given)) {
                let why = format!("there is no {what} {given:?}; there are: {}", names.join(", "));
                return Err(Refused::unusable("LS0221", why));
            }
        }
        Ok(())
    }

    pub(crate) async fn request(&self, asked: &NewRequest, who: &str) -> Result<RequestTaken, Refused> {
        self.policy
            .check_target(asked.what, &asked.target)
            .map_err(|why| Refused::unusable("LS0210", why))?;
        checked(&[("who", Some(who)), ("why", asked.why.as_deref())])?;
        let to = match asked.what {
            RequestKind::RollBack => self.release_before(&asked.target, asked.to.as_deref()).await?,
            RequestKind::Stop | RequestKind::Resume => None,
        };
        let now = self.clock.now();
        let id = format!("console/{}/{}", asked.target, now.as_nanosecond());
        let data = RequestMade {
            what: asked.what,
            who: who.to_owned(),
            target: asked.target.clone(),
            to,
            why: asked.why.clone(),
        };
        let name = |error: InvalidName| Refused::unusable("LS0210", error.to_string());
        let event = Event {
            link: Link { chain: ChainId::new(&id).map_err(name)?, cause: None },
            id: EventId::new(&id).map_err(name)?,
            source: "longshore/console".into(),
            subject: asked.target.clone(),
            time: now,
            traceparent: None,
            dryrun: false,
            data: data.into(),
        };
        self.keep(event).await?;
        Ok(RequestTaken { id, note: None })
    }

    /// The release of a service that ran before and whose digest begins so; `None` is the one before. `deploy` looks once more.
    async fn release_before(&self, target: &str, to: Option<&str>) -> Result<Option<Digest>, Refused> {
        let ask = Open { function: "deploy".into(), unit: target.to_owned(), ..Open::default() };
        let state = self.journal.open(&ask).await?.unit.map(|row| row.state).unwrap_or_default();
        let deployed: Deployed = serde_json::from_str(&state).unwrap_or_default();
        let to = to.map(|to| named(target, &deployed, to)).transpose()?;
        // What is on its way in may go back out.
        let way = deployed.in_the_way(to.as_ref()).filter(|_| deployed.rollout.is_none());
        way.map_or(Ok(to), |past| {
            let why = format!("{target} cannot go back: {past} declares no_rollback_past; fix forward");
            Err(Refused::unusable("LS0220", why))
        })
    }

    /// Commits an event, unless it is there, and tells the bus.
    pub(crate) async fn keep(&self, event: Event) -> Result<(), Refused> {
        let switch = SwitchWrite::of(&event);
        let commit = Commit { at: self.clock.now(), switch, events: vec![event], ..Commit::default() };
        let committed = self.journal.commit(&commit).await.map_err(|error| match error {
            CommitError::Port(error) => error,
            conflict @ CommitError::Conflict(_) => PortError::unavailable("keep a request", conflict),
        })?;
        if let Err(error) = self.journal.publish(&committed).await {
            tracing::warn!(%error, "the bus was not told; the sweep will tell it");
        }
        Ok(())
    }
}

/// The release that ran before and whose digest begins so.
fn named(target: &str, deployed: &Deployed, to: &str) -> Result<Digest, Refused> {
    let begins = digits(to)?;
    let before: BTreeSet<Digest> = deployed.before().cloned().collect();
    let meant: Vec<_> = before.iter().filter(|digest| digest.hex().starts_with(begins)).collect();
    if let [digest] = meant.as_slice() {
        return Ok((*digest).clone());
    }
    let known: Vec<_> = before.iter().map(|digest| &digest.hex()[..12]).collect();
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    let why = format!("{target} has no such release to go back to; those that ran before: {known}");
    Err(Refused::unusable("LS0219", why))
}
