//! `workflow_run` and `check_suite`.

use longshore_events::types::PipelineOutcome;
use serde::Deserialize;

use super::Repository;
use crate::Refusal;
use crate::change::Ran;
use crate::hear::{Heard, Hearing, brief, known};

#[derive(Deserialize)]
struct WorkflowBody {
    action: String,
    workflow_run: WorkflowRun,
    repository: Repository,
}

#[derive(Deserialize)]
struct WorkflowRun {
    name: Option<String>,
    head_sha: String,
    conclusion: Option<String>,
    html_url: Option<String>,
    head_repository: Option<Repository>,
}

#[derive(Deserialize)]
struct SuiteBody {
    action: String,
    check_suite: CheckSuite,
    repository: Repository,
}

#[derive(Deserialize)]
struct CheckSuite {
    head_sha: String,
    /// `null` for a branch of a fork.
    head_branch: Option<String>,
    conclusion: Option<String>,
    app: Option<App>,
}

#[derive(Deserialize)]
struct App {
    name: String,
}

pub(super) fn workflow_run(hearing: &Hearing<'_>, text: &str, delivery: &str) -> Result<Heard, Refusal> {
    let body: WorkflowBody = serde_json::from_str(text)?;
    let run = &body.workflow_run;
    let from = run.head_repository.as_ref();
    let seen = Seen {
        action: &body.action,
        name: run.name.as_deref().unwrap_or("workflow"),
        commit: &run.head_sha,
        conclusion: run.conclusion.as_deref(),
        fork: from.is_none_or(|from| from.full_name != body.repository.full_name),
        url: run.html_url.as_deref(),
    };
    finished(hearing, &body.repository, &seen, delivery)
}

pub(super) fn check_suite(hearing: &Hearing<'_>, text: &str, delivery: &str) -> Result<Heard, Refusal> {
    let body: SuiteBody = serde_json::from_str(text)?;
    let suite = &body.check_suite;
    let seen = Seen {
        action: &body.action,
        name: suite.app.as_ref().map_or("check suite", |app| &app.name),
        commit: &suite.head_sha,
        conclusion: suite.conclusion.as_deref(),
        fork: suite.head_branch.is_none(),
        url: None,
    };
    finished(hearing, &body.repository, &seen, delivery)
}

struct Seen<'a> {
    action: &'a str,
    name: &'a str,
    commit: &'a str,
    conclusion: Option<&'a str>,
    fork: bool,
    url: Option<&'a str>,
}

fn finished(
    hearing: &Hearing<'_>,
    repository: &Repository,
    seen: &Seen<'_>,
    delivery: &str,
) -> Result<Heard, Refusal> {
    if seen.action != "completed" {
        return Ok(Heard::ignored(format!("ignored: {:?} is no end of a pipeline", brief(seen.action))));
    }
    let repo = match known(hearing.policy, &repository.full_name) {
        Ok(repo) => repo,
        Err(why) => return Ok(Heard::ignored(why)),
    };
    let ran = Ran {
        name: seen.name,
        commit: seen.commit,
        outcome: outcome(seen.conclusion),
        fork: seen.fork,
        url: seen.url,
        repo,
    };
    Ok(Heard::event(ran.event(hearing, delivery)?))
}

/// `stale`, `action_required` and whatever comes later is neither good nor bad.
fn outcome(conclusion: Option<&str>) -> PipelineOutcome {
    match conclusion {
        Some("success") => PipelineOutcome::Succeeded,
        Some("failure" | "timed_out" | "startup_failure") => PipelineOutcome::Failed,
        Some("cancelled") => PipelineOutcome::Cancelled,
        Some("neutral" | "skipped") => PipelineOutcome::Skipped,
        _ => PipelineOutcome::Unknown,
    }
}
