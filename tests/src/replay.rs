//! Every decision of a simulated run, made once more from what the journal kept of it.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use longshore_build::Build;
use longshore_deploy::Deploy;
use longshore_events::Event;
use longshore_frame::Function as _;
use longshore_frame::replay::{Past, Twice, Unreplayable, again, blob, refers, states};
use longshore_gate::Gate;
use longshore_intake::RefCheck;
use longshore_policy::{Policy, check};
use longshore_ports::Journal as _;
use longshore_ports::journal::{DecisionRow, Open};
use longshore_report::Report as Reporter;
use longshore_scan::Scan;

use crate::drill::Drill;
use crate::spine::{Run, Spine, config, play};

/// Runs the spine, then makes every decision once more by its configuration with `change` made to it. Says how many
/// decisions there were, and what is decided otherwise or cannot be replayed.
///
/// # Panics
/// When the configuration is wrong after the change.
pub fn replay(run: &Run, change: (&str, &str)) -> (usize, Vec<String>) {
    let (spine, _) = play(run);
    spine.air.calm();
    let policy = match check(&config(run.seed).replace(change.0, change.1), "replay.toml") {
        Ok(policy) => Arc::new(policy),
        Err(faults) => panic!("the configuration to replay by: {faults:?}"),
    };
    let mut units: BTreeMap<(String, String), Vec<DecisionRow>> = BTreeMap::new();
    for row in spine.journal.all_decisions() {
        units.entry((row.function.clone(), row.unit.clone())).or_default().push(spine.whole(row));
    }
    let mut differ = Vec::new();
    for rows in units.values() {
        let states = states(rows, spine.state(rows));
        for (row, states) in rows.iter().zip(&states) {
            let name = format!("{}/{} {} ({})", row.function, row.unit, row.version, row.cause);
            match spine.again(&policy, row, states.as_ref()) {
                Ok(twice) if !twice.differs() => {}
                Ok(twice) => differ.push(format!("{name}: then {}, now {}", twice.then, twice.now)),
                Err(error) => differ.push(format!("{name}: {error}")),
            }
        }
    }
    (units.values().map(Vec::len).sum(), differ)
}

impl Spine {
    /// The row with what lies in Blobs in its place.
    fn whole(&self, row: DecisionRow) -> DecisionRow {
        let bring = |text: String| match blob(&text).map(|blob| wait(self.frame.blobs.get(&blob))) {
            Some(Ok(content)) => String::from_utf8_lossy(&content).into_owned(),
            _ => text,
        };
        DecisionRow { seen: bring(row.seen), record: row.record.map(bring), ..row }
    }

    /// The state that the last of a unit's rows left.
    fn state(&self, rows: &[DecisionRow]) -> Option<String> {
        let last = rows.last()?;
        let ask = Open { function: last.function.clone(), unit: last.unit.clone(), ..Open::default() };
        wait(self.journal.open(&ask)).ok()?.unit.map(|row| row.state)
    }

    fn again(
        &self,
        policy: &Arc<Policy>,
        row: &DecisionRow,
        states: Option<&(String, String)>,
    ) -> Result<Twice, Unreplayable> {
        let event = |id| wait(self.journal.event(id)).ok().flatten();
        let refers = refers(row);
        let told = refers.told.as_ref().and_then(event);
        let said: Vec<Event> = refers.said.iter().filter_map(event).collect();
        let past = Past { row, states, told: told.as_ref(), said: &said };
        match row.function.as_str() {
            Build::NAME => {
                let Build { builder, builder_name, git, facts, poll_ms, .. } = &*self.build;
                let (builder, builder_name, git) = (builder.clone(), builder_name.clone(), git.clone());
                let (policy, facts, poll_ms) = (policy.clone(), facts.clone(), *poll_ms);
                again(&Build { policy, builder, builder_name, git, facts, poll_ms }, &past)
            }
            Deploy::NAME => {
                let Deploy { workloads, metrics, git, registry, facts, poll_ms, .. } = &*self.deploy;
                let (workloads, git, registry) = (workloads.clone(), git.clone(), registry.clone());
                let (policy, metrics, facts) = (policy.clone(), metrics.clone(), facts.clone());
                let poll_ms = *poll_ms;
                again(&Deploy { policy, workloads, metrics, git, registry, facts, poll_ms }, &past)
            }
            RefCheck::NAME => {
                again(&RefCheck { git: self.refcheck.git.clone(), policy: policy.clone() }, &past)
            }
            Gate::NAME => {
                let Gate { facts, blobs, signatures, .. } = &*self.gate;
                let (policy, facts, blobs) = (policy.clone(), facts.clone(), blobs.clone());
                again(&Gate { policy, facts, blobs, signatures: signatures.clone() }, &past)
            }
            Scan::NAME => {
                let Scan { scanner, facts, poll_ms, .. } = &*self.scan;
                let (policy, scanner, facts) = (policy.clone(), scanner.clone(), facts.clone());
                again(&Scan { policy, scanner, facts, poll_ms: *poll_ms }, &past)
            }
            Reporter::NAME => {
                let Reporter { forge, notify, facts, blobs, .. } = &*self.reporter;
                let (policy, forge, notify) = (policy.clone(), forge.clone(), notify.clone());
                again(&Reporter { policy, forge, notify, facts: facts.clone(), blobs: blobs.clone() }, &past)
            }
            _ => again::<Drill>(&self.drill, &past),
        }
    }
}

/// Waits for what waits for nothing but the air.
fn wait<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(answer) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return answer;
        }
    }
}
