//! The timeline: the events of a chain, or of all chains about a commit.

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
/// Events about a commit whose chains are told, at most.
const NEWEST: usize = 100;

impl Console {
    pub(crate) async fn timeline(&self, asked: &TimelineQuery) -> Result<Timeline, Refused> {
        let chains = match asked {
            TimelineQuery { chain: Some(chain), .. } => {
                vec![ChainId::new(chain).map_err(|error| Refused::missing(error.to_string()))?]
            }
            TimelineQuery { service: Some(service), .. } => {
                vec![self.chain_of_service(service).await?.ok_or_else(|| unknown(service))?]
            }
            TimelineQuery { commit: Some(commit), .. } => {
                let chains = self.chains_of_commit(commit).await?;
                if chains.is_empty() {
                    return Err(unknown(commit));
                }
                chains
            }
            _ => {
                let message = "name a service, a commit or a chain".into();
                return Err(Refused { status: 400, code: None, message });
            }
        };
        let mut events = Vec::new();
        for chain in &chains {
            let query = EventQuery { chain: Some(chain.clone()), limit: EVENTS, ..EventQuery::default() };
            events.extend(self.journal.events(&query).await?.events);
        }
        let first = chains.first().map_or("", ChainId::as_str);
        if events.is_empty() {
            return Err(Refused::missing(format!("there is no chain {first}")));
        }
        events.sort_by_key(|recorded| recorded.seq);
        Ok(told(first, &events))
    }

    /// The chain of the newest fact about a service, found by the heads of what is said about services.
    pub(crate) async fn chain_of_service(&self, name: &str) -> Result<Option<ChainId>, Refused> {
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

    /// The chains of the newest events about the commit that begins so; 4 digits at least. There are several where a push
    /// was heard of in more than one way, or a service was taken back; the newest chain is the last.
    pub(crate) async fn chains_of_commit(&self, digits: &str) -> Result<Vec<ChainId>, Refused> {
        let is_digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if digits.len() < 4 || !digits.bytes().all(is_digit) {
            return Ok(Vec::new());
        }
        let commit = Some(digits.to_owned());
        let query = EventQuery { commit, newest: true, limit: NEWEST, ..EventQuery::default() };
        let mut found = self.journal.events(&query).await?.events;
        found.sort_by_key(|recorded| recorded.seq);
        let mut chains: Vec<ChainId> = Vec::new();
        for Recorded { event, .. } in found {
            if !chains.contains(&event.link.chain) {
                chains.push(event.link.chain);
            }
        }
        Ok(chains)
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
