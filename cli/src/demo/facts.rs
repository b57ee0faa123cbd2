//! What the host's events say: how a commit fares, and what Longshore's own work took.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use longshore_events::{
    CommitId, Data, Event,
    types::{BuildOutcome, BuildTimes, DeploymentFinished, DeploymentOutcome, VerificationFinished},
};

/// How a commit came to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It runs, or ran until a newer one did.
    Ran,
    /// It was not let in, or was taken back; with the reason.
    Refused(String),
}

/// The events so far, in order.
#[derive(Debug, Clone, Default)]
pub struct Facts(pub Vec<Event>);

impl Facts {
    /// The rollouts of `commit` that began, by name.
    fn deployments<'a>(&'a self, commit: &str) -> Vec<&'a str> {
        let of = |event: &'a Event| match &event.data {
            Data::DeploymentStarted(fact) if is(fact.commit.as_ref(), commit) => {
                Some(fact.deployment.as_str())
            }
            _ => None,
        };
        self.0.iter().filter_map(of).collect()
    }

    /// Whether a rollout of `commit` began.
    pub fn started(&self, commit: &str) -> bool {
        !self.deployments(commit).is_empty()
    }

    /// Whether `commit` was given a share of the traffic.
    pub fn has_traffic(&self, commit: &str) -> bool {
        let deployments = self.deployments(commit);
        self.0.iter().any(|event| match &event.data {
            Data::DeploymentAdvanced(fact) => {
                fact.weight > 0 && deployments.contains(&fact.deployment.as_str())
            }
            _ => false,
        })
    }

    /// What was found of `commit` under traffic, step by step.
    pub fn verified<'a>(&'a self, commit: &str) -> Vec<&'a VerificationFinished> {
        let deployments = self.deployments(commit);
        let of = |event: &'a Event| match &event.data {
            Data::VerificationFinished(fact) if deployments.contains(&fact.deployment.as_str()) => Some(fact),
            _ => None,
        };
        self.0.iter().filter_map(of).collect()
    }

    /// How `commit` came to its end, when it has. One that was overtaken by a newer one has no fate of its own.
    pub fn fate(&self, commit: &str) -> Option<Fate> {
        self.0.iter().rev().find_map(|event| match &event.data {
            Data::BuildFinished(fact)
                if fact.outcome == BuildOutcome::Failed && is(Some(&fact.commit), commit) =>
            {
                fact.reason.clone().map(Fate::Refused)
            }
            Data::DeploymentFinished(fact) if is(fact.commit.as_ref(), commit) => ended(fact),
            _ => None,
        })
    }

    /// From the begin of the first rollout of `commit` until it was rolled back.
    pub fn rolled_back_within(&self, commit: &str) -> Option<(Timestamp, Timestamp)> {
        let began = self.0.iter().find_map(|event| match &event.data {
            Data::DeploymentStarted(fact) if is(fact.commit.as_ref(), commit) => Some(event.time),
            _ => None,
        })?;
        let (ended, _) = finished(&self.0, commit, DeploymentOutcome::RolledBack).next()?;
        Some((began, ended))
    }

    /// The commits whose rollouts succeeded, and when each did first: from then on it ran alone.
    pub fn alone_at(&self) -> BTreeMap<String, Timestamp> {
        let mut alone = BTreeMap::new();
        for event in &self.0 {
            if let Data::DeploymentFinished(fact) = &event.data
                && let (DeploymentOutcome::Succeeded, Some(commit)) = (fact.outcome, &fact.commit)
            {
                alone.entry(commit.to_string()).or_insert(event.time);
            }
        }
        alone
    }

    /// The commits that were rolled back.
    pub fn rolled_back(&self) -> BTreeSet<String> {
        let back = |event: &Event| match &event.data {
            Data::DeploymentFinished(fact) if fact.outcome == DeploymentOutcome::RolledBack => {
                fact.commit.as_ref().map(ToString::to_string)
            }
            _ => None,
        };
        self.0.iter().filter_map(back).collect()
    }

    /// The digests that were accepted for each commit.
    pub fn digests(&self) -> BTreeMap<String, BTreeSet<String>> {
        let mut digests: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for event in &self.0 {
            if let Data::ImagePushed(image) = &event.data
                && let Some(commit) = &image.commit
            {
                digests.entry(commit.to_string()).or_default().insert(image.digest.to_string());
            }
        }
        digests
    }
}

/// From the acceptance of the push of `commit` to its first answer, in milliseconds, less the time of git, of `prepare`
/// and `test`, and of the service from spawn to listen: what is left is Longshore's own. `None` when the events do not
/// say all of it.
pub fn overhead_ms(events: &[Event], commit: &str, answered: Timestamp) -> Option<u64> {
    let pushed = events.iter().find(|event| match &event.data {
        Data::PushReceived(push) => is(push.after.as_ref(), commit),
        _ => false,
    })?;
    let BuildTimes { git_ms, prepare_ms, test_ms, .. } =
        events.iter().find_map(|event| match &event.data {
            Data::BuildFinished(fact) if is(Some(&fact.commit), commit) => fact.times,
            _ => None,
        })?;
    let boot_ms =
        finished(events, commit, DeploymentOutcome::Succeeded).find_map(|(_, fact)| fact.boot_ms)?;
    let whole = answered.as_millisecond() - pushed.time.as_millisecond();
    Some(u64::try_from(whole).unwrap_or(0).saturating_sub(git_ms + prepare_ms + test_ms + boot_ms))
}

fn finished<'a>(
    events: &'a [Event],
    commit: &'a str,
    outcome: DeploymentOutcome,
) -> impl Iterator<Item = (Timestamp, &'a DeploymentFinished)> {
    events.iter().filter_map(move |event| match &event.data {
        Data::DeploymentFinished(fact) if fact.outcome == outcome && is(fact.commit.as_ref(), commit) => {
            Some((event.time, fact))
        }
        _ => None,
    })
}

fn is(known: Option<&CommitId>, commit: &str) -> bool {
    known.is_some_and(|known| known.as_str() == commit)
}

fn ended(fact: &DeploymentFinished) -> Option<Fate> {
    match fact.outcome {
        DeploymentOutcome::Succeeded => Some(Fate::Ran),
        DeploymentOutcome::Superseded => None,
        DeploymentOutcome::RolledBack | DeploymentOutcome::Removed | DeploymentOutcome::Refused => {
            fact.failure.clone().map(Fate::Refused)
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const COMMIT: &str = "89e6c98d92887913cadf06b2adb97f26cde4849b";

    fn event(kind: &str, second: u32, data: &serde_json::Value) -> Event {
        let text = json!({
            "specversion": "1.0", "id": format!("{kind}/{second}"), "source": "test", "subject": "hello",
            "type": format!("dev.longshore.{kind}.v1"), "time": format!("2026-11-24T08:00:{second:02}Z"), "data": data,
        });
        Event::from_json(&text.to_string()).unwrap()
    }

    fn finished(second: u32, outcome: &str, failure: Option<&str>) -> Event {
        let to = format!("sha256:{}", "a".repeat(64));
        let data = json!({ "deployment": "local/hello/1", "environment": "local", "service": "hello", "to": to,
            "outcome": outcome, "commit": COMMIT, "failure": failure, "boot_ms": 100 });
        event("deployment.finished", second, &data)
    }

    #[test]
    fn a_refusal_needs_a_reason() {
        assert_eq!(Facts::default().fate(COMMIT), None);
        assert_eq!(Facts(vec![finished(1, "rolled_back", None)]).fate(COMMIT), None);
        let facts = Facts(vec![finished(1, "rolled_back", Some("never ready"))]);
        assert_eq!(facts.fate(COMMIT), Some(Fate::Refused("never ready".into())));
        assert_eq!(facts.rolled_back(), BTreeSet::from([COMMIT.to_owned()]));
    }

    #[test]
    fn the_last_word_decides() {
        let facts = Facts(vec![finished(1, "superseded", None), finished(2, "succeeded", None)]);
        assert_eq!(facts.fate(COMMIT), Some(Fate::Ran));
        assert_eq!(facts.alone_at()[COMMIT], "2026-11-24T08:00:02Z".parse().unwrap());
    }

    #[test]
    fn the_overhead_is_what_is_left_of_the_whole() {
        let push = json!({ "provider": "longshore", "repo": "hello", "ref": "refs/heads/main", "ref_kind": "branch",
            "after": COMMIT });
        let times = json!({ "git_ms": 100, "prepare_ms": 1000, "test_ms": 0, "pack_ms": 9, "push_ms": 9 });
        let build = json!({ "service": "hello", "repo": "hello", "commit": COMMIT, "builder": "packer",
            "outcome": "succeeded", "times": times });
        let facts = Facts(vec![
            event("push.received", 0, &push),
            event("build.finished", 2, &build),
            finished(3, "succeeded", None),
        ]);
        let answered = "2026-11-24T08:00:02.500Z".parse().unwrap();
        assert_eq!(overhead_ms(&facts.0, COMMIT, answered), Some(1300));
    }
}
