//! Falco's `http_output`, and what falcosidekick makes of it: one detection in one message.
//!
//! Neither sends again what was not taken, and falcosidekick mints a `uuid` for each sending: a detection is known by
//! its rule, its time, its words and its host.
//!
//! Source: Falco's "Output channels"; falcosidekick's `outputs/webhook.go`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use longshore_events::types::DetectionRaised;
use longshore_events::{Event, ServiceName};
use longshore_policy::Policy;
use serde::Deserialize;
use serde_json::Value;

use crate::Refusal;
use crate::few::Few;
use crate::hear::{Heard, Hearing, brief, first, shown, stands_for};

/// Of more fields or tags than these, or longer ones, the rest is dropped: an event has room for 200 KB.
const MAX_FIELDS: usize = 100;
const MAX_TAGS: usize = 50;
const MAX_TEXT: usize = 1_000;

/// Where the names of pod, namespace and service are looked for, first things first.
const POD: [&str; 2] = ["k8s.pod.name", "ka.target.pod.name"];
const NAMESPACE: [&str; 2] = ["k8s.ns.name", "ka.target.namespace"];
const SERVICE: [&str; 4] = [
    "k8s.pod.label.app.kubernetes.io/name",
    "k8s.pod.label[app.kubernetes.io/name]",
    "k8s.pod.label.app",
    "container.name",
];

#[derive(Deserialize)]
struct Message {
    output: String,
    priority: String,
    rule: String,
    time: Timestamp,
    #[serde(default)]
    output_fields: Option<BTreeMap<String, Value>>,
    /// Older ones leave it out; falcosidekick then says `syscalls`.
    source: Option<String>,
    #[serde(default)]
    tags: Few<String, MAX_TAGS>,
    hostname: Option<String>,
}

/// Translates a verified message.
pub(crate) fn translate(hearing: &Hearing<'_>, body: &[u8]) -> Result<Heard, Refusal> {
    let message: Message = serde_json::from_str(hearing.json(body, "application/json")?)?;
    Ok(Heard::event(message.event(hearing)?))
}

impl Message {
    fn event(self, hearing: &Hearing<'_>) -> Result<Event, Refusal> {
        let host = self.hostname.as_deref().unwrap_or_default();
        let time = self.time.to_string();
        let id = stands_for(&[&self.rule, &time, &self.output, host]);
        let (pod, namespace) = (self.field(&POD).or_else(|| self.audited("pods")), self.field(&NAMESPACE));
        let place = [namespace, pod, self.field(&["container.id"])].map(Option::unwrap_or_default);
        let fingerprint = stands_for(&[&[self.rule.as_str(), host], place.as_slice()].concat());
        let origin = self.source.as_deref().filter(|source| !source.is_empty() && *source != "syscalls");
        let mut detection = DetectionRaised {
            provider: hearing.provider.to_owned(),
            fingerprint,
            rule: brief(&self.rule),
            severity: brief(&self.priority).to_lowercase(),
            origin: brief(origin.unwrap_or("syscall")),
            seen_at: self.time,
            summary: shown(&self.output, MAX_TEXT),
            host: self.hostname.as_deref().map(brief),
            namespace: namespace.map(brief),
            pod: pod.map(brief),
            service: self.service(hearing.policy),
            fields: BTreeMap::new(),
            tags: self.tags.items.iter().map(|tag| brief(tag)).collect(),
            truncated: self.tags.cut(),
        };
        for (name, value) in self.output_fields.into_iter().flatten() {
            keep(&mut detection, &name, value);
        }
        let source = format!("{}/{}", hearing.provider, hearing.source);
        let subject = format!("{}/{}", hearing.source, detection.fingerprint);
        first(format!("{source}/{id}"), source, subject, self.time, detection.into())
    }

    /// The first of these fields that says something.
    fn field(&self, names: &[&str]) -> Option<&str> {
        let fields = self.output_fields.as_ref()?;
        let text = |name: &&str| fields.get(*name).and_then(Value::as_str);
        names.iter().filter_map(text).find(|text| !matches!(*text, "" | "<NA>"))
    }

    /// The name of what the Kubernetes audit log speaks of, when it is of that kind.
    fn audited(&self, kind: &str) -> Option<&str> {
        self.field(&["ka.target.name"]).filter(|_| self.field(&["ka.target.resource"]) == Some(kind))
    }

    fn service(&self, policy: &Policy) -> Option<ServiceName> {
        let named = SERVICE.iter().filter_map(|name| ServiceName::new(self.field(&[name])?).ok());
        named.into_iter().find(|name| policy.service(name).is_some())
    }
}

/// Keeps a field as it is, as far as there is room: numbers stay numbers.
fn keep(detection: &mut DetectionRaised, name: &str, value: Value) {
    let kept = match value {
        Value::String(text) => {
            detection.truncated |= text.chars().nth(MAX_TEXT).is_some();
            Some(Value::String(text.chars().take(MAX_TEXT).collect()))
        }
        Value::Array(_) | Value::Object(_) if value.to_string().len() > MAX_TEXT => None,
        other => Some(other),
    };
    match kept {
        Some(kept) if detection.fields.len() < MAX_FIELDS => {
            detection.fields.insert(brief(name), kept);
        }
        _ => detection.truncated = true,
    }
}
