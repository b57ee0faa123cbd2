//! The one way in: cap, source, signature, translation, commit, answer, in this order.

use std::sync::Arc;

use longshore_events::Event;
use longshore_policy::{Policy, Provider, Source};
use longshore_ports::journal::{Commit, CommitError, SwitchWrite};
use longshore_ports::{Clock, Hints, Journal, PortError, Registry, Secrets};

use crate::hear::{Heard, Hearing, brief};
use crate::verify::verify;
use crate::{Answer, Headers, Refusal, Request, protocol};

/// Events in one commit: with what each owes, a transaction of 100 items has room for them.
const LOT: usize = 20;

/// The most that one event may have, in bytes: a bus takes no more.
const MAX_EVENT: usize = 200 * 1024;

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
    /// Asked what a tag names when a hub says only that it was pushed.
    pub registry: Arc<dyn Registry>,
    /// Told when work that a function started elsewhere came to its end.
    pub hints: Arc<dyn Hints>,
}

impl Intake {
    /// Verifies, translates and commits a request, and says what to answer. With 2xx all of its events are durable;
    /// with 4xx nothing was written; after 503 the sender shall send it again.
    ///
    /// The caller caps the body at [`longshore_policy::Host::max_body`] while it reads it; it is checked here again.
    pub async fn receive(&self, request: &Request<'_>) -> Answer {
        answer(request.source, self.take(request).await)
    }

    /// As [`Intake::receive`], for what AWS brings by an invocation and not over HTTP: who may invoke says the platform,
    /// so there is no secret. It comes in the name of the first source of AWS in the configuration, else of `aws`.
    pub async fn invoked(&self, payload: &[u8]) -> Answer {
        let source = self.policy.sources.iter().find(|source| source.provider == Provider::Aws);
        let name = source.map_or(Provider::Aws.name(), |source| &source.name);
        let headers = Headers::from_iter([("content-type", "application/json")]);
        answer(name, self.hear(Provider::Aws, name, &headers, payload).await)
    }

    async fn take(&self, request: &Request<'_>) -> Result<Heard, Refusal> {
        bounded(request.body, self.policy.host.max_body)?;
        let source = self.source(request.source)?;
        let protocol = protocol::of(source.provider);
        bounded(request.body, protocol.max_body)?;
        let secrets = self.secrets.get(&source.secret).await.map_err(Refusal::Secrets)?;
        verify(&protocol.proof, &secrets, request, self.clock.now())?;
        self.hear(source.provider, &source.name, &request.headers, request.body).await
    }

    /// Translates what is genuine, and keeps what follows from it.
    async fn hear(
        &self,
        provider: Provider,
        source: &str,
        headers: &Headers,
        body: &[u8],
    ) -> Result<Heard, Refusal> {
        let protocol = protocol::of(provider);
        bounded(body, protocol.max_body)?;
        let (policy, now) = (&*self.policy, self.clock.now());
        let hearing = Hearing { policy, headers, now, source, provider: provider.name() };
        let mut heard = (protocol.translate)(&hearing, body)?;
        for tagged in std::mem::take(&mut heard.tags) {
            match self.pushed(&hearing, tagged, &heard.events).await? {
                Ok(event) => heard.events.push(event),
                Err(why) => heard.ignore(why),
            }
        }
        for event in &heard.events {
            fits(event)?;
        }
        let missing = match provider {
            Provider::CloudEvents => self.missing(&heard.events).await?,
            // The id follows from what the provider says, or from its delivery: it cannot stand for anything else.
            _ => heard.events.clone(),
        };
        self.keep(missing).await?;
        heard.hints.iter().for_each(|(function, unit)| self.hints.hint(function, unit));
        Ok(heard)
    }

    fn source(&self, name: &str) -> Result<&Source, Refusal> {
        let found = self.policy.sources.iter().find(|source| source.name == name);
        found.ok_or_else(|| Refusal::UnknownSource(brief(name)))
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

fn answer(source: &str, taken: Result<Heard, Refusal>) -> Answer {
    match taken {
        Ok(heard) => {
            let (events, ignored) = (heard.events.len(), heard.ignored.len());
            tracing::info!(source, events, ignored, "webhook taken");
            Answer::heard(&heard)
        }
        Err(refusal) => {
            tracing::warn!(source, code = refusal.code(), "webhook refused");
            Answer::refused(&refusal)
        }
    }
}

fn bounded(body: &[u8], limit: usize) -> Result<(), Refusal> {
    match body.len() {
        size if size > limit => Err(Refusal::TooLarge { what: "the body".into(), size, limit }),
        _ => Ok(()),
    }
}

/// Refuses what no bus takes.
fn fits(event: &Event) -> Result<(), Refusal> {
    match event.to_json().len() {
        size if size > MAX_EVENT => {
            Err(Refusal::TooLarge { what: format!("event {:?}", event.id), size, limit: MAX_EVENT })
        }
        _ => Ok(()),
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
        let switch = SwitchWrite::of(&event);
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
