//! Dead letters: what a function gave up is sent again, once.

use longshore_events::{Data, Event, EventId, Link};
use longshore_ports::BlobRef;

use crate::api::{Redrive, Redriven};
use crate::{Console, Refused};

impl Console {
    /// Says the original of a dead letter once more, under an id that follows from the dead letter's: to send it again
    /// twice is the same as once. A unit that has taken the original would not take it again under its own id.
    pub(crate) async fn redrive(&self, asked: &Redrive) -> Result<Redriven, Refused> {
        let letter = self.event(&asked.id).await?;
        let Data::EventDeadlettered(dead) = &letter.data else {
            let why = format!(
                "{} is no dead letter; `longshore events list --type event.deadlettered` lists them",
                asked.id
            );
            return Err(Refused::unusable("LS0302", why));
        };
        let Some(original) = &dead.original else {
            let why =
                format!("{} gave up work that no event asked for: nothing can be sent again", dead.function);
            return Err(Refused::unusable("LS0303", why));
        };
        let original = self.event(original.as_str()).await?;
        let id = again(&letter.id)?;
        let new = self.journal.event(&id).await?.is_none();
        if new {
            let link = Link { chain: original.link.chain.clone(), cause: Some(letter.id.clone()) };
            let event = Event { id: id.clone(), link, time: self.clock.now(), ..original.clone() };
            self.keep(event).await?;
        }
        Ok(Redriven {
            id: id.to_string(),
            original: original.id.to_string(),
            function: dead.function.clone(),
            new,
        })
    }
}

/// The id under which the original of a dead letter is said again. Ids of dead letters hold those of what they are
/// about: one made of them would grow with each round.
fn again(letter: &EventId) -> Result<EventId, Refused> {
    let sum = BlobRef::of(letter.as_str().as_bytes()).0;
    let digits = &sum.hex()[..32];
    EventId::new(format!("redrive/{digits}")).map_err(|error| Refused::unusable("LS0210", error.to_string()))
}
