//! Merge Request Hook.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::{Project, User, ids};
use crate::Refusal;
use crate::change::{Became, Proposed};
use crate::hear::{Heard, Hearing, brief, known};

#[derive(Deserialize)]
struct Body {
    user: Option<User>,
    project: Project,
    object_attributes: MergeRequest,
    #[serde(default)]
    changes: Changes,
}

#[derive(Deserialize)]
struct MergeRequest {
    iid: u64,
    target_branch: String,
    source_project_id: Option<u64>,
    target_project_id: Option<u64>,
    /// `null` for one without commits.
    last_commit: Option<LastCommit>,
    /// The head before, when an update brings another.
    oldrev: Option<String>,
    action: Option<String>,
    updated_at: Option<String>,
    url: Option<String>,
}

#[derive(Deserialize)]
struct LastCommit {
    id: String,
}

#[derive(Deserialize, Default)]
struct Changes {
    target_branch: Option<IgnoredAny>,
}

pub(super) fn translate(hearing: &Hearing<'_>, text: &str) -> Result<Heard, Refusal> {
    let body: Body = serde_json::from_str(text)?;
    let request = &body.object_attributes;
    let moved = request.oldrev.is_some() || body.changes.target_branch.is_some();
    // The system hooks' test button sends none.
    let action = request.action.as_deref().unwrap_or_default();
    let became = match action {
        "open" | "reopen" => Became::Opened,
        "update" if moved => Became::Updated,
        "merge" => Became::Merged,
        "close" => Became::Closed,
        other => {
            let why = format!("ignored: {:?} changes neither head nor base of a merge request", brief(other));
            return Ok(Heard::ignored(why));
        }
    };
    let Some(LastCommit { id: head }) = &request.last_commit else {
        return Ok(Heard::ignored("ignored: the merge request has no commit"));
    };
    let repo = match known(hearing.policy, &body.project.path_with_namespace) {
        Ok(repo) => repo,
        Err(why) => return Ok(Heard::ignored(why)),
    };
    let (number, at) = (request.iid.to_string(), request.updated_at.as_deref().unwrap_or_default());
    let content = [repo.as_str(), &number, action, head, at];
    let (_, id) = ids(hearing, &content)?;
    let proposed = Proposed {
        number: request.iid,
        head,
        base: &request.target_branch,
        // Nobody says where it comes from: not from here.
        fork: request.source_project_id.is_none() || request.source_project_id != request.target_project_id,
        actor: body.user.as_ref().and_then(|user| user.username.as_deref()),
        url: request.url.as_deref(),
        repo,
    };
    Ok(Heard::event(proposed.event(hearing, became, &id)?))
}
