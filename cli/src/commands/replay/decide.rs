//! Every function of the frame by its name, over an outside that answers nothing.

use std::sync::Arc;

use longshore_build::Build;
use longshore_deploy::Deploy;
use longshore_events::Event;
use longshore_frame::Function;
use longshore_frame::replay::{Past, Twice, Unreplayable, again, states};
use longshore_gate::Gate;
use longshore_intake::RefCheck;
use longshore_policy::Policy;
use longshore_ports::journal::DecisionRow;
use longshore_report::Report;
use longshore_scan::Scan;
use serde_json::Value;

use super::silent::Silent;
use super::{Outcome, Replayed};
use crate::api::{DecisionEntry, Trail};
use crate::commands::timeline::short_kind;

type Decider = Box<dyn Fn(&Past<'_>) -> Result<Twice, Unreplayable>>;

/// The functions that can decide once more.
pub(super) struct Deciders(Vec<(&'static str, Decider)>);

impl Deciders {
    /// The functions by a configuration, set up as they are where it was decided.
    pub(super) fn new(policy: Policy, poll_ms: u64, builder: &str) -> Self {
        let (policy, silent) = (Arc::new(policy), Arc::new(Silent));
        let build = Build {
            policy: policy.clone(),
            builder: silent.clone(),
            builder_name: builder.to_owned(),
            git: silent.clone(),
            facts: silent.clone(),
            poll_ms,
        };
        let deploy = Deploy {
            policy: policy.clone(),
            workloads: silent.clone(),
            metrics: silent.clone(),
            git: silent.clone(),
            registry: silent.clone(),
            facts: silent.clone(),
            poll_ms,
        };
        let scan = Scan { policy: policy.clone(), scanner: silent.clone(), facts: silent.clone(), poll_ms };
        let gate = Gate {
            policy: policy.clone(),
            facts: silent.clone(),
            blobs: silent.clone(),
            signatures: silent.clone(),
        };
        let report = Report {
            policy: policy.clone(),
            forge: silent.clone(),
            notify: Some(silent.clone()),
            facts: silent.clone(),
            blobs: silent.clone(),
        };
        let refcheck = RefCheck { git: silent, policy };
        Self(vec![
            decider(build),
            decider(deploy),
            decider(gate),
            decider(refcheck),
            decider(report),
            decider(scan),
        ])
    }

    /// Makes the decisions of a unit once more.
    pub(super) fn replay(&self, trail: &Trail) -> Vec<Replayed> {
        let rows: Vec<DecisionRow> = trail.decisions.iter().map(|entry| row(trail, entry)).collect();
        let states = states(&rows, trail.left.clone());
        let all = trail.decisions.iter().zip(&rows).zip(&states);
        all.map(|((entry, row), states)| Replayed {
            at: entry.at,
            function: trail.function.clone(),
            unit: trail.unit.clone(),
            version: entry.version,
            cause: cause(entry),
            result: self.one(entry, row, states.as_ref()),
        })
        .collect()
    }

    fn one(&self, entry: &DecisionEntry, row: &DecisionRow, states: Option<&(String, String)>) -> Outcome {
        let Some((_, decide)) = self.0.iter().find(|(name, _)| *name == row.function) else {
            return Outcome::Not { not_replayable: format!("this build has no function {}", row.function) };
        };
        let event = |json: &Value| Event::from_json(&json.to_string()).ok();
        let told = entry.told.as_ref().and_then(event);
        let said: Vec<Event> = entry.said.iter().filter_map(event).collect();
        match decide(&Past { row, states, told: told.as_ref(), said: &said }) {
            Ok(twice) => Outcome::Twice { differs: twice.differs(), then: twice.then, now: twice.now },
            Err(error) => Outcome::Not { not_replayable: error.to_string() },
        }
    }
}

fn decider<F: Function>(function: F) -> (&'static str, Decider) {
    (F::NAME, Box::new(move |past| again(&function, past)))
}

fn row(trail: &Trail, entry: &DecisionEntry) -> DecisionRow {
    DecisionRow {
        function: trail.function.clone(),
        unit: trail.unit.clone(),
        version: entry.version,
        at: entry.at,
        cause: entry.cause.clone(),
        seen: entry.seen.clone(),
        record: entry.record.clone(),
    }
}

/// What made the unit look, with the type of what it was told.
fn cause(entry: &DecisionEntry) -> String {
    let kind = entry.told.as_ref().and_then(|event| event["type"].as_str());
    kind.map_or_else(|| entry.cause.clone(), |kind| format!("told {}", short_kind(kind)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::routes;

    #[test]
    fn every_function_of_the_host_can_decide_once_more() {
        let policy = longshore_policy::check(longshore_policy::SAMPLE, "sample").unwrap();
        let known: Vec<_> = Deciders::new(policy, 1, "b").0.into_iter().map(|(name, _)| name).collect();
        let hosted: Vec<_> = routes().0.into_iter().map(|(name, _)| name).collect();
        assert_eq!(known, hosted);
    }
}
