//! `pull_request`.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::{Repository, User};
use crate::Refusal;
use crate::change::{Became, Proposed};
use crate::hear::{Heard, Hearing, brief, known};

#[derive(Deserialize)]
struct Body {
    action: String,
    number: u64,
    pull_request: PullRequest,
    /// What an edit changed, by name.
    #[serde(default)]
    changes: Changes,
    repository: Repository,
    sender: Option<User>,
}

#[derive(Deserialize)]
struct PullRequest {
    head: Side,
    base: Side,
    #[serde(default)]
    merged: bool,
    html_url: Option<String>,
}

#[derive(Deserialize)]
struct Side {
    #[serde(rename = "ref")]
    git_ref: String,
    sha: String,
    /// `null` when the fork was deleted.
    repo: Option<Repository>,
}

#[derive(Deserialize, Default)]
struct Changes {
    base: Option<IgnoredAny>,
}

pub(super) fn translate(hearing: &Hearing<'_>, text: &str, delivery: &str) -> Result<Heard, Refusal> {
    let body: Body = serde_json::from_str(text)?;
    let change = &body.pull_request;
    let became = match body.action.as_str() {
        "opened" | "reopened" => Became::Opened,
        "synchronize" => Became::Updated,
        "edited" if body.changes.base.is_some() => Became::Updated,
        "closed" if change.merged => Became::Merged,
        "closed" => Became::Closed,
        other => {
            let why = format!("ignored: {:?} changes neither head nor base of a pull request", brief(other));
            return Ok(Heard::ignored(why));
        }
    };
    let repo = match known(hearing.policy, &body.repository.full_name) {
        Ok(repo) => repo,
        Err(why) => return Ok(Heard::ignored(why)),
    };
    let proposed = Proposed {
        number: body.number,
        head: &change.head.sha,
        base: &change.base.git_ref,
        // Nobody says where it comes from: not from here.
        fork: change.head.repo.as_ref().is_none_or(|from| from.full_name != body.repository.full_name),
        actor: body.sender.as_ref().and_then(User::actor),
        url: change.html_url.as_deref(),
        repo,
    };
    Ok(Heard::event(proposed.event(hearing, became, delivery)?))
}
