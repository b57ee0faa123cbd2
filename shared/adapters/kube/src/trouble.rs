//! What keeps pods from being ready, in words, as early as it can be told.
//!
//! Source: "Pod Lifecycle" and "Debug Pods" of Kubernetes' documentation; the reasons are the kubelet's own words.

use jiff::{SignedDuration, Timestamp};
use longshore_ports::Phase;
use serde_json::Value;

use crate::object::Object;
use crate::standing::{condition, text, time};

/// After so many restarts a container that crashes will crash again.
const CRASHES: u64 = 3;
/// What a container cannot be made of for so long does not come by itself.
const PATIENCE: SignedDuration = SignedDuration::from_secs(20);
/// A container that runs for so long should have answered its probe.
const SLOW: SignedDuration = SignedDuration::from_secs(5);

/// What a pull says that trying again does not mend.
const NO_SUCH_IMAGE: &[&str] =
    &["not found", "manifest unknown", "unauthorized", "denied", "no match for platform"];

/// What keeps a release from being ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trouble {
    /// How the release stands because of it.
    pub(crate) phase: Phase,
    /// What it is.
    pub(crate) said: String,
    /// Where more is said.
    pub(crate) look: Option<Look>,
}

/// Where more is said about a trouble.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Look {
    /// The last lines of a container that ended.
    Log { pod: String, container: String },
    /// What was noted of a pod.
    Events { pod: String },
}

/// What is told of a release's pods.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Pods {
    /// How often containers were started again.
    pub(crate) restarts: u64,
    /// The worst of what is wrong.
    pub(crate) trouble: Option<Trouble>,
}

/// What is told of these pods, which are one release's.
pub(crate) fn look_at<'a>(pods: impl Iterator<Item = &'a Object>, now: Timestamp) -> Pods {
    let mut told = Pods::default();
    for pod in pods.filter(|pod| !pod.is_going()) {
        let restarts = containers(pod).filter_map(|one| one.get("restartCount")?.as_u64()).sum::<u64>();
        told.restarts += restarts;
        let trouble = trouble(pod, now);
        let is_worse = |new: &Trouble| told.trouble.as_ref().is_none_or(|old| rank(new) > rank(old));
        if let Some(new) = trouble.filter(is_worse) {
            told.trouble = Some(new);
        }
    }
    told
}

fn rank(trouble: &Trouble) -> u8 {
    match trouble.phase {
        Phase::Failed => 3,
        Phase::Backoff => 2,
        Phase::Pulling => 1,
        _ => 0,
    }
}

fn containers(pod: &Object) -> impl Iterator<Item = &Value> {
    let first = pod.items("/status/initContainerStatuses").iter();
    first.chain(pod.items("/status/containerStatuses"))
}

fn trouble(pod: &Object, now: Timestamp) -> Option<Trouble> {
    if let Some(said) = unscheduled(pod) {
        return Some(Trouble { phase: Phase::Starting, said, look: None });
    }
    let of = |container: &Value| container_trouble(pod, container, now);
    containers(pod).filter_map(of).max_by_key(rank)
}

/// Why no node takes it: too little room, no such node, a volume that is not there yet.
fn unscheduled(pod: &Object) -> Option<String> {
    let scheduled = condition(pod, "PodScheduled").filter(|one| text(one, "status") == "False")?;
    Some(format!("it cannot be scheduled: {}", text(scheduled, "message")))
}

fn container_trouble(pod: &Object, container: &Value, now: Timestamp) -> Option<Trouble> {
    let name = text(container, "name");
    let state = container.get("state")?;
    if let Some(waiting) = state.get("waiting") {
        return waits(pod, container, waiting, now);
    }
    if let Some(ended) = state.get("terminated").filter(|ended| ended["exitCode"] != 0) {
        let log = Look::Log { pod: pod.name().into(), container: name.into() };
        return Some(Trouble { phase: Phase::Backoff, said: exit(name, ended), look: Some(log) });
    }
    let running = state.get("running").filter(|_| container.get("ready") == Some(&Value::Bool(false)))?;
    let started = time(running, "startedAt")?;
    if now < started + SLOW {
        return None;
    }
    let said = format!("the container {name} runs, and is not ready");
    Some(Trouble { phase: Phase::Starting, said, look: Some(Look::Events { pod: pod.name().into() }) })
}

fn waits(pod: &Object, container: &Value, waiting: &Value, now: Timestamp) -> Option<Trouble> {
    let (name, reason, message) =
        (text(container, "name"), text(waiting, "reason"), text(waiting, "message"));
    let created = time(&pod.0["metadata"], "creationTimestamp");
    let lasts = created.is_some_and(|created| now >= created + PATIENCE);
    let events = Some(Look::Events { pod: pod.name().into() });
    let failed_if = |failed: bool, otherwise| if failed { Phase::Failed } else { otherwise };
    let said = format!("{reason}: {message}");
    match reason {
        "ErrImagePull" | "ImagePullBackOff" => {
            let hopeless = NO_SUCH_IMAGE.iter().any(|word| message.contains(word));
            // The back-off repeats no cause.
            let look = events.filter(|_| message.starts_with("Back-off"));
            Some(Trouble { phase: failed_if(hopeless, Phase::Pulling), said, look })
        }
        "InvalidImageName" | "ErrImageNeverPull" => Some(Trouble { phase: Phase::Failed, said, look: None }),
        "CrashLoopBackOff" => {
            let count = container.get("restartCount").and_then(Value::as_u64).unwrap_or(0);
            let ended = &container["lastState"]["terminated"];
            let said = format!("CrashLoopBackOff: {}, {count} times", exit(name, ended));
            let log = Look::Log { pod: pod.name().into(), container: name.into() };
            Some(Trouble { phase: failed_if(count >= CRASHES, Phase::Backoff), said, look: Some(log) })
        }
        "CreateContainerConfigError" | "CreateContainerError" | "RunContainerError" => {
            Some(Trouble { phase: failed_if(lasts, Phase::Starting), said, look: None })
        }
        // It is being made; what takes long is noted in its events: a volume, a secret that is not there.
        _ if lasts => Some(Trouble {
            phase: Phase::Starting,
            said: format!("the container {name} waits: {reason}"),
            look: events,
        }),
        _ => None,
    }
}

fn exit(name: &str, ended: &Value) -> String {
    let (code, reason) = (ended["exitCode"].as_i64().unwrap_or(-1), text(ended, "reason"));
    match reason {
        "OOMKilled" => format!("the container {name} was killed: it had used up its memory"),
        _ => format!("the container {name} exited with {code}"),
    }
}

/// How a release stands once more is known: an image that is not there will not come.
pub(crate) fn with_words(phase: Phase, said: &str) -> Phase {
    let hopeless = phase == Phase::Pulling && NO_SUCH_IMAGE.iter().any(|word| said.contains(word));
    if hopeless { Phase::Failed } else { phase }
}

#[cfg(test)]
#[path = "trouble_tests.rs"]
mod tests;
