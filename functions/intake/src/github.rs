//! GitHub: `push`, `create`, `delete`, `ping`; whatever else it sends is ignored.
//!
//! Source: GitHub's "Webhook events and payloads".

use std::borrow::Cow;

use serde::Deserialize;

use crate::push::{Draft, Heard, Hearing, ListedCommit, Paths, commit, known};
use crate::{Refusal, percent};

/// GitHub lists at most so many commits in a push.
const MAX_COMMITS: usize = 2048;

#[derive(Deserialize)]
struct Push {
    #[serde(rename = "ref")]
    git_ref: String,
    before: String,
    after: String,
    #[serde(default)]
    created: bool,
    #[serde(default)]
    deleted: bool,
    #[serde(default)]
    forced: bool,
    #[serde(default)]
    commits: Vec<ListedCommit>,
    head_commit: Option<HeadCommit>,
    repository: Repository,
    pusher: Option<Pusher>,
    sender: Option<Sender>,
}

#[derive(Deserialize)]
struct HeadCommit {
    id: String,
}

#[derive(Deserialize)]
struct Repository {
    full_name: String,
    clone_url: Option<String>,
}

#[derive(Deserialize)]
struct Pusher {
    name: String,
}

#[derive(Deserialize)]
struct Sender {
    login: String,
}

/// The body of `create` and `delete`.
#[derive(Deserialize)]
struct Change {
    #[serde(rename = "ref")]
    git_ref: String,
    ref_type: String,
    repository: Repository,
    sender: Option<Sender>,
}

/// Translates a verified delivery.
pub(crate) fn translate(hearing: &Hearing<'_>, body: &[u8]) -> Result<Heard, Refusal> {
    let event =
        hearing.headers.get("x-github-event").ok_or(Refusal::header("X-GitHub-Event", "it is missing"))?;
    let json = json(hearing, body)?;
    let text = std::str::from_utf8(&json).map_err(|_| Refusal::NotUtf8)?;
    match event {
        "push" => push(hearing, &serde_json::from_str(text)?),
        "create" | "delete" => change(hearing, event == "delete", &serde_json::from_str(text)?),
        "ping" => Ok(Heard::ignored("pong")),
        other => Ok(Heard::ignored(format!(
            "ignored: Longshore makes nothing of GitHub's {:?} events",
            brief(other)
        ))),
    }
}

/// GitHub sends JSON as it is, or in the field `payload` of a form, as the webhook's settings say.
fn json<'a>(hearing: &Hearing<'_>, body: &'a [u8]) -> Result<Cow<'a, [u8]>, Refusal> {
    match hearing.headers.media_type().as_str() {
        "application/json" => Ok(Cow::Borrowed(body)),
        "application/x-www-form-urlencoded" => percent::form_field(body, "payload")
            .and_then(|field| percent::decode(field, true))
            .map(Cow::Owned)
            .ok_or_else(|| Refusal::NotJson("the form has no field `payload` that can be decoded".into())),
        other => Err(Refusal::ContentType {
            given: brief(other),
            wanted: "application/json or application/x-www-form-urlencoded",
        }),
    }
}

fn push(hearing: &Hearing<'_>, push: &Push) -> Result<Heard, Refusal> {
    let repo = match known(hearing.policy, &push.repository.full_name) {
        Ok(repo) => repo,
        Err(why) => return Ok(Heard::ignored(why)),
    };
    let (before, pushed) = (commit(&push.before)?, commit(&push.after)?);
    let deleted = push.deleted || pushed.is_none();
    let created = !deleted && (push.created || before.is_none());
    // `after` of an annotated tag is the tag object; its commit is in `head_commit`.
    let after = match &push.head_commit {
        _ if deleted => None,
        Some(head) if push.git_ref.starts_with("refs/tags/") => commit(&head.id)?,
        _ => pushed,
    };
    let delivery = delivery(hearing)?;
    let draft = Draft {
        provider: "github",
        delivery: delivery.clone(),
        clone_url: push.repository.clone_url.as_deref(),
        git_ref: &push.git_ref,
        before,
        after,
        created,
        deleted,
        forced: push.forced,
        actor: actor(push.sender.as_ref(), push.pusher.as_ref()),
        paths: if deleted { Paths::default() } else { paths(push, created) },
    };
    finish(hearing, draft, repo, delivery)
}

/// A new or forced ref's commits do not say how its tree differs from the one before.
fn paths(push: &Push, created: bool) -> Paths {
    let commits = &push.commits;
    let partial = created || push.forced || commits.is_empty() || commits.len() >= MAX_COMMITS;
    Paths::of_commits(commits, partial)
}

/// `create` and `delete` name no commit: they say that the ref is worth a look.
fn change(hearing: &Hearing<'_>, deleted: bool, change: &Change) -> Result<Heard, Refusal> {
    let folder = match change.ref_type.as_str() {
        "branch" => "refs/heads/",
        "tag" => "refs/tags/",
        other => return Ok(Heard::ignored(format!("ignored: a {} is no branch and no tag", brief(other)))),
    };
    let repo = match known(hearing.policy, &change.repository.full_name) {
        Ok(repo) => repo,
        Err(why) => return Ok(Heard::ignored(why)),
    };
    let delivery = delivery(hearing)?;
    let git_ref = format!("{folder}{}", change.git_ref);
    let draft = Draft {
        provider: "github",
        delivery: delivery.clone(),
        clone_url: change.repository.clone_url.as_deref(),
        git_ref: &git_ref,
        created: !deleted,
        deleted,
        actor: actor(change.sender.as_ref(), None),
        paths: if deleted { Paths::default() } else { Paths::unknown() },
        ..Draft::default()
    };
    finish(hearing, draft, repo, delivery)
}

fn finish(
    hearing: &Hearing<'_>,
    draft: Draft<'_>,
    repo: longshore_events::RepositoryName,
    delivery: Option<String>,
) -> Result<Heard, Refusal> {
    let id = delivery.ok_or(Refusal::header("X-GitHub-Delivery", "it is missing"))?;
    Ok(Heard { events: vec![draft.event(repo, &id, hearing.now)?], ignored: Vec::new() })
}

fn delivery(hearing: &Hearing<'_>) -> Result<Option<String>, Refusal> {
    hearing.headers.get("x-github-delivery").map(|id| checked("X-GitHub-Delivery", id)).transpose()
}

/// A provider's id, fit to be part of an event's id.
pub(crate) fn checked(name: &'static str, id: &str) -> Result<String, Refusal> {
    let fits = (1..=200).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic());
    if fits {
        Ok(id.to_owned())
    } else {
        Err(Refusal::header(name, "not 1 to 200 printable ASCII characters"))
    }
}

fn actor(sender: Option<&Sender>, pusher: Option<&Pusher>) -> Option<String> {
    sender.map(|sender| brief(&sender.login)).or_else(|| pusher.map(|pusher| brief(&pusher.name)))
}

/// The start of a text that a stranger may have made long.
pub(crate) fn brief(text: &str) -> String {
    text.chars().take(100).collect()
}
