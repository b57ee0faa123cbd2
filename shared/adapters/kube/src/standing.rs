//! How something with pods stands: whether its newest template runs, and whether it is ready.
//!
//! Source: "Deployments", "StatefulSets", "DaemonSet" and "Jobs" of Kubernetes' documentation; `kubectl rollout status` asks the
//! same fields.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::mark;
use crate::object::Object;

/// What makes no pods for so long is no passing trouble.
const PATIENCE: SignedDuration = SignedDuration::from_secs(10);

/// How it stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Standing {
    /// Its controller has brought the newest template to run, everywhere, at least once.
    pub(crate) complete: bool,
    /// It is complete, and enough of it is ready now.
    pub(crate) ready: bool,
    /// Instances that shall run.
    pub(crate) wanted: u64,
    /// Instances of the newest template.
    pub(crate) updated: u64,
    /// Instances that are ready.
    pub(crate) available: u64,
    /// It will not become ready by itself, and why.
    pub(crate) failed: Option<String>,
    /// Since when its controller has got nowhere.
    pub(crate) since: Option<Timestamp>,
}

/// How an object stands. What has no pods always stands well.
pub(crate) fn standing(object: &Object, now: Timestamp) -> Standing {
    match object.kind() {
        "Deployment" => deployment(object, now),
        "StatefulSet" => stateful_set(object),
        "DaemonSet" => daemon_set(object),
        "Job" => job(object),
        _ => Standing { complete: true, ready: true, ..Standing::default() },
    }
}

/// Whether its controller has seen the newest template.
fn is_current(object: &Object) -> bool {
    let since = object.annotation(mark::TEMPLATE_SINCE).and_then(|since| since.parse().ok());
    object.number("/status/observedGeneration") >= since.or(object.number("/metadata/generation"))
}

fn deployment(object: &Object, now: Timestamp) -> Standing {
    let count = |name| object.number(&format!("/status/{name}")).unwrap_or(0);
    let wanted = object.number("/spec/replicas").unwrap_or(1);
    let (updated, all, available) = (count("updatedReplicas"), count("replicas"), count("availableReplicas"));
    let progress = condition(object, "Progressing");
    // Without a deadline there is no such condition.
    let arrived = progress.map_or(updated >= wanted && available >= wanted, |progress| {
        text(progress, "reason") == "NewReplicaSetAvailable"
    });
    let complete = is_current(object) && arrived && updated == all;
    let enough = match object.annotation(mark::NEEDS).and_then(|needs| needs.parse::<u64>().ok()) {
        Some(needs) => available >= needs,
        None => condition(object, "Available").is_none_or(|one| text(one, "status") == "True"),
    };
    let late = progress.filter(|progress| text(progress, "reason") == "ProgressDeadlineExceeded");
    let late = late.map(|_| "its controller gave up: progressDeadlineSeconds is over".to_owned());
    let stuck = condition(object, "ReplicaFailure").filter(|one| text(one, "status") == "True");
    let stuck = stuck.filter(|one| since(one).is_some_and(|since| now >= since + PATIENCE));
    let stuck = stuck.map(|one| format!("no pod can be made: {}", text(one, "message")));
    let failed = stuck.or(late).filter(|_| is_current(object) && !complete);
    let since = progress.and_then(|one| time(one, "lastUpdateTime")).filter(|_| !complete);
    Standing { complete, ready: complete && enough, wanted, updated, available, failed, since }
}

fn stateful_set(object: &Object) -> Standing {
    let count = |name| object.number(&format!("/status/{name}")).unwrap_or(0);
    let wanted = object.number("/spec/replicas").unwrap_or(1);
    let (updated, available) = (count("updatedReplicas"), count("readyReplicas"));
    let revisions = object.text("/status/currentRevision") == object.text("/status/updateRevision");
    let complete = is_current(object) && revisions && available >= wanted;
    let by_hand = object.text("/spec/updateStrategy/type") == "OnDelete" && !complete;
    let failed =
        by_hand.then(|| "its updateStrategy is OnDelete: a pod is replaced when somebody deletes it".into());
    Standing { complete, ready: complete, wanted, updated, available, failed, since: None }
}

fn daemon_set(object: &Object) -> Standing {
    let count = |name| object.number(&format!("/status/{name}")).unwrap_or(0);
    let wanted = count("desiredNumberScheduled");
    let (updated, available) = (count("updatedNumberScheduled"), count("numberAvailable"));
    let complete = is_current(object) && updated >= wanted && available >= wanted;
    Standing { complete, ready: complete, wanted, updated, available, ..Standing::default() }
}

fn job(object: &Object) -> Standing {
    let is = |kind| condition(object, kind).filter(|one| text(one, "status") == "True");
    let complete = is("Complete").is_some();
    let failed = is("Failed").map(|one| format!("the job failed: {}", text(one, "message")));
    let wanted = object.number("/spec/completions").unwrap_or(1);
    let available = object.number("/status/succeeded").unwrap_or(0);
    Standing { complete, ready: complete, wanted, updated: wanted, available, failed, since: None }
}

pub(crate) fn condition<'a>(object: &'a Object, kind: &str) -> Option<&'a Value> {
    object.items("/status/conditions").iter().find(|condition| text(condition, "type") == kind)
}

pub(crate) fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

pub(crate) fn time(value: &Value, key: &str) -> Option<Timestamp> {
    text(value, key).parse().ok()
}

fn since(condition: &Value) -> Option<Timestamp> {
    time(condition, "lastTransitionTime")
}

#[cfg(test)]
#[path = "standing_tests.rs"]
mod tests;
