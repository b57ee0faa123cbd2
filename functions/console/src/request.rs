//! What somebody asks for is a fact: committed, then told to the bus.

use longshore_events::types::RequestMade;
use longshore_events::{ChainId, Event, EventId, InvalidName, Link};
use longshore_ports::PortError;
use longshore_ports::journal::{Commit, CommitError, SwitchWrite};

use crate::api::{NewRequest, RequestTaken};
use crate::{Console, Refused};

/// The longest name and the longest reason, in bytes.
const WHO: usize = 200;
const WHY: usize = 2_000;

impl Console {
    pub(crate) async fn request(&self, asked: &NewRequest) -> Result<RequestTaken, Refused> {
        self.policy
            .check_target(asked.what, &asked.target)
            .map_err(|why| Refused::unusable("LS0210", why))?;
        for (name, text, most) in [("who", Some(&asked.who), WHO), ("why", asked.why.as_ref(), WHY)] {
            if text.is_some_and(|text| text.len() > most || text.chars().any(char::is_control)) {
                let why = format!("{name} has more than {most} bytes, or control characters");
                return Err(Refused::unusable("LS0210", why));
            }
        }
        let now = self.clock.now();
        let id = format!("console/{}/{}", asked.target, now.as_nanosecond());
        let data = RequestMade {
            what: asked.what,
            who: asked.who.clone(),
            target: asked.target.clone(),
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
