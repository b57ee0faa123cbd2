//! Pipeline Hook.

use longshore_events::types::PipelineOutcome;
use serde::Deserialize;

use super::{Project, ids};
use crate::Refusal;
use crate::change::Ran;
use crate::hear::{Heard, Hearing, brief, known};

#[derive(Deserialize)]
struct Body {
    object_attributes: Pipeline,
    merge_request: Option<MergeRequest>,
    project: Project,
}

#[derive(Deserialize)]
struct Pipeline {
    id: u64,
    /// Empty unless the configuration names it.
    name: Option<String>,
    sha: String,
    status: String,
    finished_at: Option<String>,
    url: Option<String>,
}

#[derive(Deserialize)]
struct MergeRequest {
    source_project_id: Option<u64>,
    target_project_id: Option<u64>,
}

impl MergeRequest {
    /// Nobody says where it comes from: not from here.
    fn is_from_elsewhere(&self) -> bool {
        self.source_project_id.is_none() || self.source_project_id != self.target_project_id
    }
}

pub(super) fn translate(hearing: &Hearing<'_>, text: &str) -> Result<Heard, Refusal> {
    let body: Body = serde_json::from_str(text)?;
    let pipeline = &body.object_attributes;
    let outcome = match pipeline.status.as_str() {
        "success" => PipelineOutcome::Succeeded,
        "failed" => PipelineOutcome::Failed,
        "canceled" => PipelineOutcome::Cancelled,
        "skipped" => PipelineOutcome::Skipped,
        other => return Ok(Heard::ignored(format!("ignored: {:?} is no end of a pipeline", brief(other)))),
    };
    let repo = match known(hearing.policy, &body.project.path_with_namespace) {
        Ok(repo) => repo,
        Err(why) => return Ok(Heard::ignored(why)),
    };
    let (number, at) = (pipeline.id.to_string(), pipeline.finished_at.as_deref().unwrap_or_default());
    let (_, id) = ids(hearing, &[repo.as_str(), &number, &pipeline.status, at])?;
    let request = body.merge_request.as_ref();
    let ran = Ran {
        name: pipeline.name.as_deref().filter(|name| !name.is_empty()).unwrap_or("pipeline"),
        commit: &pipeline.sha,
        outcome,
        fork: request.is_some_and(MergeRequest::is_from_elsewhere),
        url: pipeline.url.as_deref(),
        repo,
    };
    Ok(Heard::event(ran.event(hearing, &id)?))
}
