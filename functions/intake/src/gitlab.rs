//! GitLab: Push Hook and Tag Push Hook; whatever else it sends is ignored.
//!
//! Source: GitLab's "Webhook events" and "Webhooks".

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use crate::Refusal;
use crate::github::{brief, checked};
use crate::push::{Draft, Heard, Hearing, ListedCommit, Paths, commit, known};

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
    commits: Vec<ListedCommit>,
    total_commits_count: Option<u64>,
}

#[derive(Deserialize)]
struct Project {
    path_with_namespace: String,
    git_http_url: Option<String>,
}

/// Translates a verified delivery.
pub(crate) fn translate(hearing: &Hearing<'_>, body: &[u8]) -> Result<Heard, Refusal> {
    let event =
        hearing.headers.get("x-gitlab-event").ok_or(Refusal::header("X-Gitlab-Event", "it is missing"))?;
    let media = hearing.headers.media_type();
    if media != "application/json" {
        return Err(Refusal::ContentType { given: brief(&media), wanted: "application/json" });
    }
    let text = std::str::from_utf8(body).map_err(|_| Refusal::NotUtf8)?;
    match event {
        "Push Hook" | "Tag Push Hook" => push(hearing, &serde_json::from_str(text)?),
        other => Ok(Heard::ignored(format!(
            "ignored: Longshore makes nothing of GitLab's {:?} events",
            brief(other)
        ))),
    }
}

fn push(hearing: &Hearing<'_>, push: &Push) -> Result<Heard, Refusal> {
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
    let (delivery, id) = ids(hearing, push)?;
    let count = push.total_commits_count.unwrap_or(0);
    let draft = Draft {
        provider: "gitlab",
        delivery,
        clone_url: push.project.git_http_url.as_deref(),
        git_ref: &push.git_ref,
        created,
        deleted,
        // GitLab does not say so, but a branch that moved without a commit of its own went back. A diverged push
        // stays unseen; it needs no flag to be followed, since it is no ancestor of what ran.
        forced: count == 0 && push.commits.is_empty() && before != after,
        actor: push.user_username.as_deref().map(brief),
        paths: if deleted { Paths::default() } else { paths(push, created, count) },
        before,
        after,
    };
    Ok(Heard { events: vec![draft.event(repo, &id, hearing.now)?], ignored: Vec::new() })
}

/// GitLab lists the newest 20 commits, and counts all of them.
fn paths(push: &Push, created: bool, count: u64) -> Paths {
    let listed = push.commits.len() as u64;
    let partial = created || listed == 0 || count > listed;
    Paths::of_commits(&push.commits, partial)
}

/// The provider's id of the delivery, and the last part of the event's id.
///
/// `Idempotency-Key` and `webhook-id` are the same for each retry of one delivery, and for nothing else.
/// `X-Gitlab-Event-UUID` is shared by the webhooks that one webhook led to, so what was pushed is added to it.
fn ids(hearing: &Hearing<'_>, push: &Push) -> Result<(Option<String>, String), Refusal> {
    for name in ["Idempotency-Key", "webhook-id"] {
        if let Some(id) = hearing.headers.get(name) {
            let id = checked(name, id)?;
            return Ok((Some(id.clone()), id));
        }
    }
    let content = content(push);
    match hearing.headers.get("x-gitlab-event-uuid") {
        Some(uuid) => {
            let uuid = checked("X-Gitlab-Event-UUID", uuid)?;
            Ok((Some(uuid.clone()), format!("{uuid}/{content}")))
        }
        None => Ok((None, content)),
    }
}

fn content(push: &Push) -> String {
    use std::fmt::Write as _;
    let parts = [&push.project.path_with_namespace, &push.git_ref, &push.before, &push.after];
    let hash = Sha256::digest(parts.map(|part| format!("{}:{part}", part.len())).concat());
    hash.iter().take(16).fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
