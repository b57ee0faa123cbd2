//! DORA's four figures out of what ended: pure. `docs/dora.md` has the definitions.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use longshore_events::{Digest, EnvironmentName, ServiceName, types::DeploymentOutcome};

use crate::api::DoraFigures;

/// A service in an environment.
pub(super) type Place = (EnvironmentName, ServiceName);

const DAY_S: f64 = 86_400.0;

/// What happened in a window.
#[derive(Debug, Default)]
pub(super) struct Happened {
    /// Rollouts that ended, by time.
    pub(super) ends: Vec<End>,
    /// When changes were pushed that a later one of their service overtook.
    pub(super) overtaken: Vec<(ServiceName, Timestamp)>,
    /// Digests that were found bad.
    pub(super) bad: Vec<Bad>,
}

/// A rollout that ended.
#[derive(Debug, Clone)]
pub(super) struct End {
    pub(super) at: Timestamp,
    pub(super) place: Place,
    pub(super) outcome: DeploymentOutcome,
    pub(super) digest: Digest,
    /// A release has the traffic afterwards.
    pub(super) runs: bool,
    /// When it began, where that is known.
    pub(super) began: Option<Timestamp>,
    pub(super) origin: Origin,
}

/// Why something was rolled out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// A change, pushed at that time.
    Change(Timestamp),
    /// Somebody asked for a release that ran before.
    Asked,
    /// Nobody knows any more.
    Unknown,
}

/// A digest was found bad.
#[derive(Debug, Clone)]
pub(super) struct Bad {
    pub(super) at: Timestamp,
    pub(super) place: Place,
    pub(super) digest: Digest,
}

/// What the figures of one place, or of several together, are made of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Measured {
    deployments: usize,
    succeeded: usize,
    failed: usize,
    leads: Vec<SignedDuration>,
    restores: Vec<SignedDuration>,
}

impl Happened {
    /// What was measured, by place.
    pub(super) fn measured(&self) -> BTreeMap<Place, Measured> {
        let mut places: BTreeMap<Place, Vec<&End>> = BTreeMap::new();
        for end in &self.ends {
            places.entry(end.place.clone()).or_default().push(end);
        }
        places.into_iter().map(|(place, ends)| (place.clone(), self.at(&place, &ends))).collect()
    }

    fn at(&self, place: &Place, ends: &[&End]) -> Measured {
        let is_live = |end: &&&End| end.outcome == DeploymentOutcome::Succeeded;
        let of_changes = || ends.iter().filter(|end| end.origin != Origin::Asked);
        let live = |since: Timestamp| ends.iter().filter(is_live).map(|end| end.at).find(|at| *at > since);
        let mut measured = Measured { leads: self.leads(place, ends), ..Measured::default() };
        for end in of_changes() {
            // Since when users suffer, and until when.
            let failure = match end.outcome {
                DeploymentOutcome::Superseded | DeploymentOutcome::Refused => continue,
                DeploymentOutcome::Succeeded => {
                    measured.succeeded += 1;
                    self.found_bad(end, ends).map(|found| (found, live(found)))
                }
                DeploymentOutcome::RolledBack | DeploymentOutcome::Removed => {
                    let until = if end.runs { Some(end.at) } else { live(end.at) };
                    Some((end.began.unwrap_or(end.at), until))
                }
            };
            measured.deployments += 1;
            if let Some((since, until)) = failure {
                measured.failed += 1;
                measured.restores.extend(until.map(|until| until.duration_since(since)));
            }
        }
        measured
    }

    /// When the release of a rollout that succeeded was found bad, before another of the same digest succeeded.
    fn found_bad(&self, end: &End, ends: &[&End]) -> Option<Timestamp> {
        let again = ends.iter().filter(|other| {
            other.at > end.at && other.digest == end.digest && other.outcome == DeploymentOutcome::Succeeded
        });
        let until = again.map(|other| other.at).min();
        let its = self.bad.iter().filter(|bad| bad.place == end.place && bad.digest == end.digest);
        let its = its.filter(|bad| bad.at > end.at && until.is_none_or(|until| bad.at < until));
        its.map(|bad| bad.at).min()
    }

    /// From each change's push until it was live; one that was overtaken is live with the first later change that is.
    fn leads(&self, (_, service): &Place, ends: &[&End]) -> Vec<SignedDuration> {
        let live: Vec<(Timestamp, Timestamp)> = ends
            .iter()
            .filter_map(|end| match (end.outcome, end.origin) {
                (DeploymentOutcome::Succeeded, Origin::Change(pushed)) => Some((pushed, end.at)),
                _ => None,
            })
            .collect();
        let own = live.iter().map(|(pushed, at)| at.duration_since(*pushed));
        let overtaken = self.overtaken.iter().filter(|(of, _)| of == service).filter_map(|(_, pushed)| {
            let (_, at) = live.iter().find(|(later, at)| later > pushed && at > pushed)?;
            Some(at.duration_since(*pushed))
        });
        own.chain(overtaken).collect()
    }
}

impl Measured {
    /// Both together.
    pub(super) fn and(&mut self, other: &Self) {
        self.deployments += other.deployments;
        self.succeeded += other.succeeded;
        self.failed += other.failed;
        self.leads.extend_from_slice(&other.leads);
        self.restores.extend_from_slice(&other.restores);
    }

    /// The figures, in a window that is so long.
    pub(super) fn figures(&self, window: SignedDuration) -> DoraFigures {
        let days = window.as_secs_f64() / DAY_S;
        let failed = (self.deployments > 0).then(|| 100.0 * float(self.failed) / float(self.deployments));
        DoraFigures {
            deployments: self.deployments,
            per_day: (days >= 1.0).then(|| hundredths(float(self.succeeded) / days)),
            changes: self.leads.len(),
            lead_time_ms: median(&self.leads),
            failed: self.failed,
            change_failure_percent: failed.map(hundredths),
            restored: self.restores.len(),
            time_to_restore_ms: median(&self.restores),
        }
    }
}

fn float(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

fn hundredths(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

/// The median in milliseconds; between two values in the middle, the mean of them.
fn median(values: &[SignedDuration]) -> Option<i64> {
    let mut ms: Vec<i64> =
        values.iter().map(|value| i64::try_from(value.as_millis()).unwrap_or(i64::MAX)).collect();
    ms.sort_unstable();
    let (low, high) = (ms.get(ms.len().checked_sub(1)? / 2)?, ms.get(ms.len() / 2)?);
    Some(low.midpoint(*high))
}

#[cfg(test)]
#[path = "figures_tests.rs"]
mod tests;
