//! What is measured at a step.

use longshore_events::Measure;
use longshore_frame::span;
use longshore_policy::Plan;
use longshore_ports::{Measured, PortError, Question, Window, Workload};
use serde::{Deserialize, Serialize};

use crate::{Deploy, Release, Rollout, Stage, State};

/// What was measured of a release since the step is held.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// The release.
    pub release: u64,
    /// What was asked.
    pub measure: Measure,
    /// What was answered.
    pub answer: Measured,
    /// Nobody answered, and somebody may when asked again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub silent: bool,
}

impl Deploy {
    /// Asks all that the checks of the step need. Whoever does not answer leaves it unknown: a rollout is looked after also
    /// while nobody measures.
    pub(crate) async fn measured(&self, workload: &Workload, state: &State) -> Vec<Answer> {
        let plan = self.policy.environment(&workload.environment).and_then(|place| place.strategy.plan());
        let mut answers: Vec<Answer> = Vec::new();
        let asked = plan.zip(state.rollout.as_ref()).map(|(plan, rollout)| asked(plan, rollout, workload));
        for question in asked.into_iter().flatten() {
            let Question { release, measure, .. } = question.clone();
            if answers.iter().any(|known| known.release == release && known.measure == measure) {
                continue;
            }
            let answered = self.metrics.measure(&question).await;
            let silent = answered.as_ref().is_err_and(PortError::is_temporary);
            let answer = answered.unwrap_or_else(|error| Measured::unknown(one_line(&error.to_string())));
            answers.push(Answer { release, measure, answer, silent });
            // Whoever does not answer once is not waited for again and again.
            if silent {
                break;
            }
        }
        answers
    }
}

/// What the checks of the step that is held need to know.
fn asked(plan: &Plan, rollout: &Rollout, workload: &Workload) -> Vec<Question> {
    let Stage::Step(held) = &rollout.stage else { return Vec::new() };
    let Some(since) = held.since else { return Vec::new() };
    let Some(step) = plan.step(held.number) else { return Vec::new() };
    // Whatever is waited for lies within it.
    let until = since + span(step.hold_ms.saturating_add(plan.patience_ms));
    let window = Window { from: since, until };
    let question = |release: &Release, measure: &Measure| Question {
        workload: workload.clone(),
        release: release.release,
        digest: release.image.digest.clone(),
        measure: measure.clone(),
        window,
    };
    let mut questions = Vec::new();
    for check in &step.checks {
        questions.push(question(&rollout.to, &check.measure));
        let running = rollout.from.as_ref().filter(|_| check.increase.is_some());
        questions.extend(running.map(|running| question(running, &check.measure)));
    }
    questions
}

/// The start of an error, without what would break a line.
fn one_line(error: &str) -> String {
    let words: Vec<_> = error.split(|c: char| c.is_whitespace() || c.is_control()).collect();
    words.join(" ").chars().take(200).collect()
}
