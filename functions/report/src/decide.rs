//! What is said of which event.

use longshore_events::types::{
    BuildFinished, BuildOutcome, DeploymentFinished, DeploymentOutcome, EventDeadlettered,
};
use longshore_events::{CommitId, EnvironmentName, EventId, Fact as _, RepositoryName, ServiceName};
use longshore_frame::{Cause, Decision, Function as _, Told};
use longshore_policy::Policy;
use longshore_ports::{BlobRef, CommitStatus, MAX_DESCRIPTION, Notice, StatusState};

use crate::found::{self, Scanned};
use crate::{Input, Report, Say, State, What};

/// After so many statuses of one thing only failures are written; GitHub takes a thousand for a commit and a context.
const MANY: u64 = 900;
const MOST: u64 = 1_000;
/// The longest text of a notice, in characters.
const TEXT: usize = 2_000;

/// What the configuration says about who is told.
pub(crate) struct Subjects<'a> {
    pub(crate) policy: &'a Policy,
    /// People are told of failures.
    pub(crate) notifies: bool,
}

impl Subjects<'_> {
    /// The units that an event concerns.
    pub(crate) fn of(&self, input: &Input) -> Vec<String> {
        if let Input::ImageScanned(scan) = input {
            let unit = found::unit(self.policy, scan).filter(|_| self.notifies);
            return unit.into_iter().collect();
        }
        self.all(input).into_iter().map(|(unit, _)| unit).collect()
    }

    /// What an event says, by unit.
    fn all(&self, input: &Input) -> Vec<(String, What)> {
        match input {
            Input::BuildStarted(build) => {
                let status = self.build(&build.repo, &build.service, &build.commit);
                status.pending(&format!("the {} builds it", build.builder)).into_iter().collect()
            }
            Input::BuildFinished(build) => self.built(build).into_iter().collect(),
            Input::DeploymentStarted(begun) => {
                let status = self.deployment(&begun.environment, &begun.service, begun.commit.as_ref());
                let how = format!("it is being deployed ({})", begun.strategy);
                status.and_then(|status| status.pending(&how)).into_iter().collect()
            }
            Input::DeploymentFinished(end) => self.deployed(end),
            Input::EventDeadlettered(dead) => self.dead(dead).into_iter().collect(),
            // What it says is not in the event: the newest scan counts, and who runs the image.
            Input::ImageScanned(_) => Vec::new(),
        }
    }

    fn build(&self, repo: &RepositoryName, service: &ServiceName, commit: &CommitId) -> Place {
        Place {
            unit: format!("build/{service}@{commit}"),
            repo: self.shows(repo).then(|| repo.clone()),
            commit: commit.clone(),
            context: format!("longshore/{service}"),
        }
    }

    fn deployment(
        &self,
        environment: &EnvironmentName,
        service: &ServiceName,
        commit: Option<&CommitId>,
    ) -> Option<Place> {
        let commit = commit?.clone();
        let repo = &self.policy.service(service)?.source.as_ref()?.repository;
        Some(Place {
            unit: format!("deployment/{environment}/{service}@{commit}"),
            repo: self.shows(repo).then(|| repo.clone()),
            commit,
            context: format!("longshore/{environment}/{service}"),
        })
    }

    /// Whether statuses of a repository are shown: it lies at a forge, and there is a token.
    fn shows(&self, repo: &RepositoryName) -> bool {
        let forge = self.policy.repository(repo).and_then(|repository| repository.forge.as_ref());
        forge.is_some_and(|forge| forge.token.is_some())
    }

    fn built(&self, build: &BuildFinished) -> Option<(String, What)> {
        let place = self.build(&build.repo, &build.service, &build.commit);
        let why = build.reason.as_deref().unwrap_or_default();
        match build.outcome {
            BuildOutcome::Succeeded => place.status(StatusState::Success, "it is built"),
            BuildOutcome::Unchanged => place.status(StatusState::Success, "it changes nothing that is built"),
            BuildOutcome::Failed => place.status(StatusState::Failure, why),
            BuildOutcome::Superseded => {
                place.status(StatusState::Success, "not built: a newer commit is the tip")
            }
        }
    }

    fn deployed(&self, end: &DeploymentFinished) -> Vec<(String, What)> {
        let DeploymentFinished { environment, service, deployment, .. } = end;
        let why = end.failure.clone().unwrap_or_else(|| "somebody asked for it".into());
        let (verb, failed) = match end.outcome {
            DeploymentOutcome::Succeeded => ("runs", false),
            DeploymentOutcome::Superseded => ("made way for a newer release", false),
            DeploymentOutcome::RolledBack => ("was rolled back", true),
            DeploymentOutcome::Removed => ("was taken away", true),
            DeploymentOutcome::Refused => ("was refused", true),
        };
        let place = self.deployment(environment, service, end.commit.as_ref());
        let status = place.and_then(|place| {
            if failed {
                place.status(StatusState::Failure, &format!("it {verb}: {why}"))
            } else {
                place.status(StatusState::Success, &format!("it {verb}"))
            }
        });
        let notice = (failed && self.notifies).then(|| {
            let commit =
                end.commit.as_ref().map_or_else(String::new, |commit| format!(" of commit {commit}"));
            let text = format!(
                "{} {commit} {verb}: {why}\nlongshore timeline {service} shows how it came to this.",
                end.to
            );
            let title = format!("{service} {verb} in {environment}");
            (format!("failure/{deployment}"), What::Notice(Notice { title, text: cut(&text, TEXT) }))
        });
        status.into_iter().chain(notice).collect()
    }

    fn dead(&self, dead: &EventDeadlettered) -> Option<(String, What)> {
        if !self.notifies || dead.function == Report::NAME {
            return None;
        }
        let original = dead.original.as_ref().map_or("", EventId::as_str);
        let unit = dead.unit.as_deref().unwrap_or_default();
        let sum = BlobRef::of(format!("{original}\n{unit}").as_bytes()).0;
        let text = format!(
            "after {} attempts: {}\nunit: {unit}\nevent: {original}\n\
             longshore events list --type {} names it, and longshore events redrive sends it again.",
            dead.attempts,
            dead.error,
            EventDeadlettered::KIND
        );
        let title = format!("{} gave up", dead.function);
        let notice = Notice { title, text: cut(&text, TEXT) };
        Some((format!("dead/{}/{}", dead.function, &sum.hex()[..16]), What::Notice(notice)))
    }
}

/// Where a status is shown.
struct Place {
    unit: String,
    /// `None` when the repository shows none.
    repo: Option<RepositoryName>,
    commit: CommitId,
    context: String,
}

impl Place {
    fn pending(self, description: &str) -> Option<(String, What)> {
        self.status(StatusState::Pending, description)
    }

    fn status(self, state: StatusState, description: &str) -> Option<(String, What)> {
        let description = cut(&line(description), MAX_DESCRIPTION);
        let (repo, commit, context) = (self.repo?, self.commit, self.context);
        Some((self.unit, What::Status(CommitStatus { repo, commit, context, state, description })))
    }
}

/// A text in one line that does nothing to a terminal.
fn line(text: &str) -> String {
    let words: Vec<_> =
        text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()).collect();
    words.join(" ")
}

/// At most so many characters.
fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most - 1).chain(['…']).collect()
}

/// The next decision.
pub(crate) fn decide(
    subjects: &Subjects<'_>,
    unit: &str,
    state: State,
    cause: Cause<Input>,
    scanned: Option<&Scanned>,
) -> Decision<State, Say> {
    let Cause::Told(told) = cause else { return Decision::rest(state) };
    if let Input::ImageScanned(_) = told.input {
        return scanned.map_or_else(|| Decision::rest(state.clone()), |scanned| find(state.clone(), scanned));
    }
    let what = subjects.all(&told.input).into_iter().find(|(of, _)| of == unit).map(|(_, what)| what);
    match what {
        Some(What::Status(status)) => show(state, &told, status),
        Some(notice @ What::Notice(_)) => say(state, notice),
        None => Decision::rest(state),
    }
}

/// Shows a status, unless it is older than the one that is shown, or the same.
fn show(mut state: State, told: &Told<Input>, status: CommitStatus) -> Decision<State, Say> {
    let is_older = state.happened.is_some_and(|happened| told.time < happened);
    // What began and ended at the same moment has ended.
    let is_before = state.happened == Some(told.time) && status.state == StatusState::Pending;
    if is_older || is_before {
        return Decision::rest(state);
    }
    state.happened = Some(told.time);
    let is_shown = state.said.as_ref() == Some(&status);
    let is_failure = status.state == StatusState::Failure;
    if is_shown || state.number >= MOST || (state.number >= MANY && !is_failure) {
        return Decision::rest(state);
    }
    state.said = Some(status.clone());
    say(state, What::Status(status))
}

/// Tells of what is new in an image that runs.
fn find(mut state: State, scanned: &Scanned) -> Decision<State, Say> {
    let (known, notice) = found::news(state.known.as_ref(), scanned);
    state.known = Some(known);
    match notice {
        Some(Notice { title, text }) => say(state, What::Notice(Notice { title, text: cut(&text, TEXT) })),
        None => Decision::rest(state),
    }
}

fn say(mut state: State, what: What) -> Decision<State, Say> {
    state.number += 1;
    let number = state.number;
    Decision::rest(state).effect(Say { number, what })
}

#[cfg(test)]
#[path = "decide_tests.rs"]
mod tests;
