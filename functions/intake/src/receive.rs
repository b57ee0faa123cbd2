//! The one way in: cap, source, signature, translation, commit, answer, in this order.

use std::sync::Arc;

use longshore_events::types::RequestKind;
use longshore_events::{Data, Event};
use longshore_policy::{Policy, Provider, Source};
use longshore_ports::journal::{Commit, CommitError, SwitchWrite};
use longshore_ports::{Clock, Journal, PortError, Secrets};

use crate::push::{Heard, Hearing};
use crate::verify::verify;
use crate::{Answer, Refusal, Request, cloudevents, github, gitlab};

/// Events in one commit: with what each owes, a transaction of 100 items has room for them.
const LOT: usize = 20;

/// Takes what providers send.
pub struct Intake {
    /// Where events are kept.
    pub journal: Arc<dyn Journal>,
    /// The sources' secrets.
    pub secrets: Arc<dyn Secrets>,
    /// The time, for signatures and for events that name none.
    pub clock: Arc<dyn Clock>,
    /// The sources, repositories and environments.
    pub policy: Arc<Policy>,
}

impl Intake {
    /// Verifies, translates and commits a request, and says what to answer. With 2xx all of its events are durable;
    /// with 4xx nothing was written; after 503 the sender shall send it again.
    ///
    /// The caller caps the body at [`longshore_policy::Host::max_body`] while it reads it; it is checked here again.
    pub async fn receive(&self, request: &Request<'_>) -> Answer {
        match self.take(request).await {
            Ok(heard) => {
                tracing::info!(
                    source = request.source,
                    events = heard.events.len(),
                    ignored = heard.ignored.len(),
                    "webhook taken"
                );
                Answer::heard(&heard)
            }
            Err(refusal) => {
                tracing::warn!(source = request.source, code = refusal.code(), "webhook refused");
                Answer::refused(&refusal)
            }
        }
    }

    async fn take(&self, request: &Request<'_>) -> Result<Heard, Refusal> {
        let (size, limit) = (request.body.len(), self.policy.host.max_body);
        if size > limit {
            return Err(Refusal::TooLarge { what: "the body".into(), size, limit });
        }
        let source = self.source(request.source)?;
        let secrets = self.secrets.get(&source.secret).await.map_err(Refusal::Secrets)?;
        let now = self.clock.now();
        verify(source.provider, &secrets, &request.headers, request.body, now)?;
        let hearing = Hearing { policy: &self.policy, headers: &request.headers, now };
        let heard = match source.provider {
            Provider::Github => github::translate(&hearing, request.body),
            Provider::Gitlab => gitlab::translate(&hearing, request.body),
            Provider::CloudEvents => cloudevents::translate(&hearing, request.body),
        }?;
        let missing = match source.provider {
            Provider::CloudEvents => self.missing(&heard.events).await?,
            // The provider's delivery id is part of the event's: it cannot stand for anything else.
            Provider::Github | Provider::Gitlab => heard.events.clone(),
        };
        self.keep(missing).await?;
        Ok(heard)
    }

    fn source(&self, name: &str) -> Result<&Source, Refusal> {
        let found = self.policy.sources.iter().find(|source| source.name == name);
        found.ok_or_else(|| Refusal::UnknownSource(github::brief(name)))
    }

    /// The events that are not kept yet. Strangers choose the ids here: one that stands for another event is refused
    /// rather than lost, and a switch is not set again by a late redelivery.
    async fn missing(&self, events: &[Event]) -> Result<Vec<Event>, Refusal> {
        let mut missing: Vec<Event> = Vec::new();
        for event in events {
            let kept = match missing.iter().find(|earlier| earlier.id == event.id) {
                Some(earlier) => Some(earlier.clone()),
                None => self.journal.event(&event.id).await.map_err(Refusal::Journal)?,
            };
            match kept {
                None => missing.push(event.clone()),
                Some(kept) if kept.source == event.source && kept.data == event.data => {}
                Some(_) => return Err(Refusal::IdTaken(event.id.to_string())),
            }
        }
        Ok(missing)
    }

    async fn keep(&self, events: Vec<Event>) -> Result<(), Refusal> {
        for (switch, events) in lots(events) {
            let commit = Commit { at: self.clock.now(), events, switch, ..Commit::default() };
            let committed = self.journal.commit(&commit).await.map_err(failed)?;
            if let Err(error) = self.journal.publish(&committed).await {
                tracing::warn!(%error, "the bus was not told; the sweep will tell it");
            }
        }
        Ok(())
    }
}

fn failed(error: CommitError) -> Refusal {
    Refusal::Journal(match error {
        CommitError::Port(error) => error,
        conflict @ CommitError::Conflict(_) => PortError::unavailable("commit events", conflict),
    })
}

/// Lots for one commit each: at most [`LOT`] events, and at most one switch.
fn lots(events: Vec<Event>) -> Vec<(Option<SwitchWrite>, Vec<Event>)> {
    let mut lots: Vec<(Option<SwitchWrite>, Vec<Event>)> = Vec::new();
    for event in events {
        let switch = switch(&event);
        match lots.last_mut() {
            Some((set, lot)) if lot.len() < LOT && !(set.is_some() && switch.is_some()) => {
                *set = set.take().or(switch);
                lot.push(event);
            }
            _ => lots.push((switch, vec![event])),
        }
    }
    lots
}

/// The switch that a request sets. A dry run sets none.
pub fn switch(event: &Event) -> Option<SwitchWrite> {
    match &event.data {
        Data::RequestMade(request) if !event.dryrun => {
            let stop = match request.what {
                RequestKind::Stop => true,
                RequestKind::Resume => false,
                RequestKind::RollBack => return None,
            };
            Some(SwitchWrite { name: request.target.clone(), stop })
        }
        _ => None,
    }
}
