//! The timeline: the events of a chain.

use std::collections::HashMap;

use longshore_events::types::{
    BuildFinished, BuildStarted, DeploymentFinished, DeploymentStarted, ImagePushed, RequestMade,
};
use longshore_events::{ChainId, Fact as _, ServiceName};
use longshore_ports::history::{EventQuery, Recorded};

use crate::api::{Timeline, TimelineEntry, TimelineQuery};
use crate::summary::summary;
use crate::{Console, Refused};

/// Events of one timeline, at most.
const EVENTS: usize = 1_000;

impl Console {
    pub(crate) async fn timeline(&self, asked: &TimelineQuery) -> Result<Timeline, Refused> {
        let chain = match asked {
            TimelineQuery { chain: Some(chain), .. } => {
                ChainId::new(chain).map_err(|error| Refused::missing(error.to_string()))?
            }
            TimelineQuery { service: Some(service), .. } => {
                self.chain_of_service(service).await?.ok_or_else(|| unknown(service))?
            }
            TimelineQuery { commit: Some(commit), .. } => {
                self.chain_of_commit(commit).await?.ok_or_else(|| unknown(commit))?
            }
            _ => {
                let message = "name a service, a commit or a chain".into();
                return Err(Refused { status: 400, code: None, message });
            }
        };
        let query = EventQuery { chain: Some(chain.clone()), limit: EVENTS, ..EventQuery::default() };
        let page = self.journal.events(&query).await?;
        if page.events.is_empty() {
            return Err(Refused::missing(format!("there is no chain {chain}")));
        }
        Ok(told(chain.as_str(), &page.events))
    }

    /// The chain of the newest fact about a service, found by the heads of what is said about services.
    async fn chain_of_service(&self, name: &str) -> Result<Option<ChainId>, Refused> {
        let Some(service) = ServiceName::new(name).ok().and_then(|name| self.policy.service(&name)) else {
            return Ok(None);
        };
        let mut heads = vec![
            (BuildStarted::KIND, name.to_owned()),
            (BuildFinished::KIND, name.to_owned()),
            (ImagePushed::KIND, service.image.to_string()),
        ];
        for environment in self.policy.environments_of(&service.name) {
            let subject = format!("{}/{name}", environment.name);
            let kinds = [DeploymentStarted::KIND, DeploymentFinished::KIND, RequestMade::KIND];
            heads.extend(kinds.map(|kind| (kind, subject.clone())));
        }
        let mut newest = None;
        for (kind, subject) in heads {
            newest = newest.max(self.journal.latest(kind, &subject).await?.map(|e| (e.time, e.link.chain)));
        }
        Ok(newest.map(|(_, chain)| chain))
    }

    /// The chain of the newest event about the commit that begins so; 4 digits at least.
    async fn chain_of_commit(&self, digits: &str) -> Result<Option<ChainId>, Refused> {
        let is_digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if digits.len() < 4 || !digits.bytes().all(is_digit) {
            return Ok(None);
        }
        let commit = Some(digits.to_owned());
        let query = EventQuery { commit, newest: true, limit: 1, ..EventQuery::default() };
        let found = self.journal.events(&query).await?.events.pop();
        Ok(found.map(|found| found.event.link.chain))
    }
}

fn unknown(what: &str) -> Refused {
    Refused::missing(format!("nothing is known of {what:?} yet"))
}

/// The events of a chain, by time, each as deep as it stands below its cause.
fn told(chain: &str, events: &[Recorded]) -> Timeline {
    let first = events.first().map(|first| first.event.time).unwrap_or_default();
    let mut depths: HashMap<String, usize> = HashMap::new();
    let entry = |recorded: &Recorded| {
        let event = &recorded.event;
        let cause = event.link.cause.as_ref().map(ToString::to_string);
        let depth = cause.as_ref().and_then(|cause| depths.get(cause)).map_or(0, |depth| depth + 1);
        depths.insert(event.id.to_string(), depth);
        TimelineEntry {
            id: event.id.to_string(),
            seq: recorded.seq,
            time: event.time,
            ms: event.time.as_millisecond() - first.as_millisecond(),
            kind: event.kind().to_owned(),
            subject: event.subject.clone(),
            summary: summary(event),
            cause,
            depth,
        }
    };
    Timeline { chain: chain.to_owned(), entries: events.iter().map(entry).collect() }
}
