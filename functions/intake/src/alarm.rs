//! What monitors have in common: an alarm in their words becomes `alarm.raised` or `alarm.cleared`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use longshore_events::types::{AlarmCleared, AlarmRaised};
use longshore_events::{EnvironmentName, Event, ServiceName};
use longshore_policy::Policy;

use crate::Refusal;
use crate::hear::{Hearing, brief, first, in_chain, shown, without_credentials};

/// Of more labels than these, or longer ones, the rest is dropped: an event has room for 200 KB.
const MAX_LABELS: usize = 60;
const MAX_LABEL: usize = 500;

/// The labels that may name a service, and an environment.
const SERVICE: [&str; 2] = ["service", "app"];
const ENVIRONMENT: [&str; 2] = ["environment", "env"];

/// An alarm in the words of its monitor.
pub(crate) struct Alarm<'a> {
    /// Tells it from others of its source; fit to be part of an event's id.
    pub(crate) fingerprint: String,
    pub(crate) name: &'a str,
    pub(crate) started_at: Option<Timestamp>,
    /// `None` while it is raised.
    pub(crate) ended_at: Option<Timestamp>,
    pub(crate) summary: Option<&'a str>,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) url: Option<&'a str>,
}

impl Alarm<'_> {
    /// The event. Its id says which alarm, raised when, and whether it is over: what comes again is the same event.
    /// Raised and over are one chain.
    pub(crate) fn event(self, hearing: &Hearing<'_>) -> Result<Event, Refusal> {
        let subject = format!("{}/{}", hearing.source, self.fingerprint);
        let start = self.started_at.map(|at| format!("/{at}")).unwrap_or_default();
        let chain = format!("{}/{subject}{start}", hearing.provider);
        let (id, time) = match (self.ended_at, self.started_at) {
            (Some(end), Some(_)) => (format!("{chain}/resolved"), end),
            (Some(end), None) => (format!("{chain}/{end}/resolved"), end),
            (None, start) => (format!("{chain}/firing"), start.unwrap_or(hearing.now)),
        };
        let data = match self.ended_at {
            Some(end) => self.cleared(hearing, end).into(),
            None => self.raised(hearing, time).into(),
        };
        let source = format!("{}/{}", hearing.provider, hearing.source);
        in_chain(first(id, source, subject, time, data)?, &chain)
    }

    fn raised(self, hearing: &Hearing<'_>, started_at: Timestamp) -> AlarmRaised {
        let (service, environment) = about(hearing.policy, &self.labels);
        AlarmRaised {
            provider: hearing.provider.to_owned(),
            fingerprint: self.fingerprint,
            name: brief(self.name),
            severity: self.labels.get("severity").map(|severity| brief(severity)),
            service,
            environment,
            started_at,
            summary: self.summary.map(|summary| shown(summary, MAX_LABEL)),
            labels: bounded(&self.labels),
            url: self.url.and_then(without_credentials),
        }
    }

    fn cleared(self, hearing: &Hearing<'_>, ended_at: Timestamp) -> AlarmCleared {
        let (service, environment) = about(hearing.policy, &self.labels);
        AlarmCleared {
            provider: hearing.provider.to_owned(),
            fingerprint: self.fingerprint,
            name: brief(self.name),
            service,
            environment,
            started_at: self.started_at,
            ended_at,
        }
    }
}

/// The service and the environment that the labels name, if the configuration knows them.
fn about(
    policy: &Policy,
    labels: &BTreeMap<String, String>,
) -> (Option<ServiceName>, Option<EnvironmentName>) {
    let service = SERVICE.iter().filter_map(|key| ServiceName::new(labels.get(*key)?).ok());
    let environment = ENVIRONMENT.iter().filter_map(|key| EnvironmentName::new(labels.get(*key)?).ok());
    (
        service.into_iter().find(|name| policy.service(name).is_some()),
        environment.into_iter().find(|name| policy.environment(name).is_some()),
    )
}

fn bounded(labels: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let cut = |(key, value): (&String, &String)| (brief(key), shown(value, MAX_LABEL));
    labels.iter().take(MAX_LABELS).map(cut).collect()
}
