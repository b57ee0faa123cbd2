//! As GitHub answers.

use std::sync::Arc;

use axum::extract::{Path, RawQuery, State};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};

use super::repository::{Differs, Entry, Named};
use super::{RENAMED, Shared, Shown, lock, page, parameter, refused};

/// Of a comparison so many files are listed.
const MAX_FILES: usize = 300;

type Stand = State<Arc<Shared>>;

pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/repos/{owner}/{name}", get(repository))
        .route("/repos/{owner}/{name}/{*rest}", get(rest))
        .route("/repos/{owner}/{name}/statuses/{commit}", post(status))
        .route("/repositories/1/{*rest}", get(renamed))
}

async fn repository(State(shared): Stand, Path((owner, name)): Path<(String, String)>) -> Response {
    match format!("{owner}/{name}") {
        known if known == shared.name => Json(json!({ "id": 1, "full_name": known })).into_response(),
        _ => refused(StatusCode::NOT_FOUND, "Not Found"),
    }
}

async fn rest(
    State(shared): Stand,
    uri: Uri,
    Path((owner, name, rest)): Path<(String, String, String)>,
    RawQuery(query): RawQuery,
) -> Response {
    let query = query.unwrap_or_default();
    match format!("{owner}/{name}") {
        known if known == shared.name => answer(&shared, uri.path(), &rest, &query),
        known if known == RENAMED => {
            Redirect::permanent(&format!("/repositories/1/{rest}?{query}")).into_response()
        }
        _ => refused(StatusCode::NOT_FOUND, "Not Found"),
    }
}

async fn renamed(
    State(shared): Stand,
    uri: Uri,
    Path(rest): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    answer(&shared, uri.path(), &rest, &query.unwrap_or_default())
}

async fn status(
    State(shared): Stand,
    Path((owner, name, commit)): Path<(String, String, String)>,
    Json(body): Json<Value>,
) -> Response {
    if format!("{owner}/{name}") != shared.name {
        return refused(StatusCode::NOT_FOUND, "Not Found");
    }
    if !shared.repository.has(&commit) {
        return refused(StatusCode::UNPROCESSABLE_ENTITY, &format!("No commit found for SHA: {commit}"));
    }
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    let (context, state, description) = (text("context"), text("state"), text("description"));
    let known = ["pending", "success", "failure", "error"].contains(&state.as_str());
    if !known || description.chars().count() > 140 {
        return refused(StatusCode::UNPROCESSABLE_ENTITY, "Validation Failed");
    }
    lock(&shared.statuses).push(Shown { commit, context, state, description });
    (StatusCode::CREATED, Json(body)).into_response()
}

fn answer(shared: &Shared, path: &str, rest: &str, query: &str) -> Response {
    let missing = || refused(StatusCode::NOT_FOUND, "Not Found");
    match rest.split_once('/') {
        None if rest == "branches" => page(shared, path, query, &list(shared, "heads")),
        None if rest == "tags" => page(shared, path, query, &list(shared, "tags")),
        Some(("compare", both)) => {
            both.split_once("...").map_or_else(missing, |(a, b)| compare(shared, a, b, query))
        }
        Some(("git", one)) => match one.split_once('/') {
            Some(("ref", name)) => reference(shared, name).unwrap_or_else(missing),
            Some(("tags", tag)) => tag_object(shared, tag).unwrap_or_else(missing),
            Some(("trees", commit)) => tree(shared, commit).unwrap_or_else(missing),
            _ => missing(),
        },
        _ => missing(),
    }
}

fn list(shared: &Shared, kind: &str) -> Vec<Value> {
    let named = |one: Named| json!({ "name": one.name, "commit": { "sha": one.commit }, "protected": false });
    shared.repository.refs(kind).into_iter().map(named).collect()
}

fn reference(shared: &Shared, name: &str) -> Option<Response> {
    let (kind, short) = name.split_once('/')?;
    let found = shared.repository.refs(kind).into_iter().find(|one| one.name == short)?;
    let (kind, sha) = found.tag.map_or(("commit", found.commit), |tag| ("tag", tag));
    let object = json!({ "type": kind, "sha": sha });
    Some(Json(json!({ "ref": format!("refs/{name}"), "object": object })).into_response())
}

fn tag_object(shared: &Shared, tag: &str) -> Option<Response> {
    let found = shared.repository.refs("tags").into_iter().find(|one| one.tag.as_deref() == Some(tag))?;
    let object = json!({ "type": "commit", "sha": found.commit });
    Some(Json(json!({ "sha": tag, "tag": found.name, "object": object })).into_response())
}

/// The whole tree of a commit: `recursive` is always asked for.
fn tree(shared: &Shared, commit: &str) -> Option<Response> {
    let entry = |one: Entry| json!({ "path": one.path, "mode": one.mode, "type": one.kind, "sha": one.id });
    let entries: Vec<Value> = shared.repository.tree(commit)?.into_iter().map(entry).collect();
    Some(Json(json!({ "sha": commit, "tree": entries, "truncated": false })).into_response())
}

fn compare(shared: &Shared, base: &str, head: &str, query: &str) -> Response {
    let git = &shared.repository;
    if !git.has(base) || !git.has(head) {
        return refused(StatusCode::NOT_FOUND, "Not Found");
    }
    let Some(ancestor) = git.merge_base(base, head) else {
        let message = format!("No common ancestor between {base} and {head}.");
        return refused(StatusCode::NOT_FOUND, &message);
    };
    let (ahead, behind) = (git.count(&format!("{base}..{head}")), git.count(&format!("{head}..{base}")));
    let status = match (ahead, behind) {
        (0, 0) => "identical",
        (_, 0) => "ahead",
        (0, _) => "behind",
        _ => "diverged",
    };
    let mut answer = json!({
        "status": status,
        "ahead_by": ahead,
        "behind_by": behind,
        "total_commits": ahead,
        "base_commit": { "sha": base },
        "merge_base_commit": { "sha": ancestor },
        "commits": [],
    });
    if parameter(query, "page").is_none_or(|page| page == "1") {
        answer["files"] = git.differs(&ancestor, head).iter().take(MAX_FILES).map(file).collect();
    }
    Json(answer).into_response()
}

fn file(differs: &Differs) -> Value {
    let status = match differs.status.as_bytes().first() {
        Some(b'A') => "added",
        Some(b'D') => "removed",
        Some(b'R') => "renamed",
        Some(b'C') => "copied",
        Some(b'T') => "changed",
        _ => "modified",
    };
    let mut file = json!({ "filename": differs.new, "status": status, "patch": "@@ -1 +1 @@" });
    if differs.old != differs.new {
        file["previous_filename"] = differs.old.as_str().into();
    }
    file
}
