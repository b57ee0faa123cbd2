//! GitLab: pushes, merge requests and pipelines; whatever else it sends is ignored.
//!
//! Source: GitLab's "Webhook events" and "Webhooks".

mod change;
mod pipeline;

use serde::Deserialize;

use crate::Refusal;
use crate::hear::{Heard, Hearing, brief, known, stands_for};
use crate::paths::{ListedCommits, Paths};
use crate::push::{Draft, commit};

#[derive(Deserialize)]
struct Push {
    #[serde(rename = "ref")]
    git_ref: String,
    before: String,
    after: String,
    checkout_sha: Option<String>,
    user_username: Option<String>,
    project: Project,
    #[serde(default)]
    commits: ListedCommits,
    total_commits_count: Option<u64>,
}

#[derive(Deserialize)]
struct Project {
    path_with_namespace: String,
    git_http_url: Option<String>,
}

/// Who did it.
#[derive(Deserialize)]
struct User {
    username: Option<String>,
}

/// Translates a verified delivery.
pub(crate) fn translate(hearing: &Hearing<'_>, body: &[u8]) -> Result<Heard, Refusal> {
    let event = hearing.needed("X-Gitlab-Event")?;
    let text = hearing.json(body, "application/json")?;
    match event {
        "Push Hook" | "Tag Push Hook" => push(hearing, serde_json::from_str(text)?),
        "Merge Request Hook" => change::translate(hearing, text),
        "Pipeline Hook" => pipeline::translate(hearing, text),
        other => Ok(hearing.nothing_of(other)),
    }
}

fn push(hearing: &Hearing<'_>, mut push: Push) -> Result<Heard, Refusal> {
    let repo = match known(hearing.policy, &push.project.path_with_namespace) {
        Ok(repo) => repo,
        Err(why) => return Ok(Heard::ignored(why)),
    };
    let (before, pushed) = (commit(&push.before)?, commit(&push.after)?);
    let (created, deleted) = (pushed.is_some() && before.is_none(), pushed.is_none());
    // `after` of an annotated tag is the tag object; its commit is in `checkout_sha`.
    let after = match &push.checkout_sha {
        _ if deleted => None,
        Some(checkout) if push.git_ref.starts_with("refs/tags/") => commit(checkout)?,
        _ => pushed,
    };
    let parts = [&push.project.path_with_namespace, &push.git_ref, &push.before, &push.after];
    let (delivery, id) = ids(hearing, &parts.map(String::as_str))?;
    let count = push.total_commits_count.unwrap_or(0);
    let paths = paths(&mut push, created, count);
    let draft = Draft {
        delivery,
        clone_url: push.project.git_http_url.as_deref(),
        git_ref: &push.git_ref,
        created,
        deleted,
        // GitLab does not say so, but a branch that moved without a commit of its own went back. A diverged push
        // stays unseen; it needs no flag to be followed, since it is no ancestor of what ran.
        forced: count == 0 && push.commits.count == 0 && before != after,
        actor: push.user_username.as_deref().map(brief),
        paths,
        before,
        after,
    };
    Ok(Heard::event(draft.event(hearing, repo, &id)?))
}

/// GitLab lists the newest 20 commits, and counts all of them.
fn paths(push: &mut Push, created: bool, count: u64) -> Paths {
    let listed = push.commits.count as u64;
    let partial = created || listed == 0 || count > listed;
    push.commits.paths(partial)
}

/// The provider's id of the delivery, and the last part of the event's id.
///
/// `Idempotency-Key` and `webhook-id` are the same for each retry of one delivery, and for nothing else.
/// `X-Gitlab-Event-UUID` is shared by the webhooks that one webhook led to, so what happened is added to it.
fn ids(hearing: &Hearing<'_>, content: &[&str]) -> Result<(Option<String>, String), Refusal> {
    for name in ["Idempotency-Key", "webhook-id"] {
        if let Some(id) = hearing.id(name)? {
            return Ok((Some(id.clone()), id));
        }
    }
    let content = stands_for(content);
    match hearing.id("X-Gitlab-Event-UUID")? {
        Some(uuid) => {
            let id = format!("{uuid}/{content}");
            Ok((Some(uuid), id))
        }
        None => Ok((None, content)),
    }
}
