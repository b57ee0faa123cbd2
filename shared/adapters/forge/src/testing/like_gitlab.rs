//! As GitLab answers.

use std::sync::Arc;

use axum::extract::{Path, RawQuery, State};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};

use super::repository::{Differs, Named};
use super::{RENAMED, Shared, Shown, lock, page, parameter, parameters, refused};

type Stand = State<Arc<Shared>>;

pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/api/v4/projects/{id}", get(project))
        .route("/api/v4/projects/{id}/statuses/{commit}", post(status))
        .route("/api/v4/projects/{id}/repository/{what}", get(repository))
        .route("/api/v4/projects/{id}/repository/{list}/{name}", get(named))
}

fn no_project() -> Response {
    refused(StatusCode::NOT_FOUND, "404 Project Not Found")
}

async fn project(State(shared): Stand, Path(id): Path<String>) -> Response {
    if id == shared.name || id == "1" {
        return Json(json!({ "id": 1, "path_with_namespace": shared.name })).into_response();
    }
    no_project()
}

async fn status(
    State(shared): Stand,
    Path((id, commit)): Path<(String, String)>,
    Json(body): Json<Value>,
) -> Response {
    if id != shared.name && id != "1" {
        return no_project();
    }
    if !shared.repository.has(&commit) {
        return refused(StatusCode::NOT_FOUND, "404 Commit Not Found");
    }
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    let (context, state, description) = (text("name"), text("state"), text("description"));
    if !["pending", "running", "success", "failed", "canceled"].contains(&state.as_str()) {
        return refused(StatusCode::BAD_REQUEST, "state does not have a valid value");
    }
    let mut statuses = lock(&shared.statuses);
    let last = statuses.iter().rfind(|shown| shown.commit == commit && shown.context == context);
    if last.is_some_and(|last| last.state == state) {
        let why = format!(
            "Cannot transition status via :run from :{state} (Reason(s): Status cannot transition via \"run\")"
        );
        return refused(StatusCode::BAD_REQUEST, &why);
    }
    statuses.push(Shown { commit, context, state, description });
    (StatusCode::CREATED, Json(body)).into_response()
}

async fn repository(
    State(shared): Stand,
    uri: Uri,
    Path((id, what)): Path<(String, String)>,
    RawQuery(query): RawQuery,
) -> Response {
    let query = query.unwrap_or_default();
    if id == RENAMED {
        return Redirect::permanent(&format!("/api/v4/projects/1/repository/{what}?{query}")).into_response();
    }
    if id != shared.name && id != "1" {
        return no_project();
    }
    match what.as_str() {
        "branches" => page(&shared, uri.path(), &query, &list(&shared, "heads")),
        "tags" => page(&shared, uri.path(), &query, &list(&shared, "tags")),
        "merge_base" => merge_base(&shared, &query),
        "compare" => compare(&shared, &query),
        _ => refused(StatusCode::NOT_FOUND, "404 Not Found"),
    }
}

async fn named(State(shared): Stand, Path((id, list, name)): Path<(String, String, String)>) -> Response {
    if id != shared.name && id != "1" {
        return no_project();
    }
    let (kind, what) = if list == "branches" { ("heads", "Branch") } else { ("tags", "Tag") };
    let found = shared.repository.refs(kind).into_iter().find(|one| one.name == name);
    found.map_or_else(
        || refused(StatusCode::NOT_FOUND, &format!("404 {what} Not Found")),
        |one| Json(entity(one)).into_response(),
    )
}

fn entity(one: Named) -> Value {
    let target = one.tag.unwrap_or_else(|| one.commit.clone());
    json!({ "name": one.name, "target": target, "commit": { "id": one.commit } })
}

fn list(shared: &Shared, kind: &str) -> Vec<Value> {
    shared.repository.refs(kind).into_iter().map(entity).collect()
}

fn merge_base(shared: &Shared, query: &str) -> Response {
    let refs: Vec<&str> = parameters(query, "refs%5B%5D").collect();
    if let Some(missing) = refs.iter().find(|commit| !shared.repository.has(commit)) {
        return refused(
            StatusCode::BAD_REQUEST,
            &format!("400 (Bad request) \"Could not find ref: {missing}\" not given"),
        );
    }
    let &[a, b] = refs.as_slice() else { return refused(StatusCode::BAD_REQUEST, "Provide at least 2 refs") };
    shared.repository.merge_base(a, b).map_or_else(
        || refused(StatusCode::NOT_FOUND, "404 Merge Base Not Found"),
        |id| Json(json!({ "id": id })).into_response(),
    )
}

fn compare(shared: &Shared, query: &str) -> Response {
    let commit = |name| parameter(query, name).filter(|commit| shared.repository.has(commit));
    let (Some(from), Some(to)) = (commit("from"), commit("to")) else {
        return refused(StatusCode::NOT_FOUND, "404 Ref Not Found");
    };
    let base = match parameter(query, "straight") {
        Some("true") => Some(from.to_owned()),
        _ => shared.repository.merge_base(from, to),
    };
    let diffs: Vec<Value> =
        base.map(|base| shared.repository.differs(&base, to)).unwrap_or_default().iter().map(diff).collect();
    let same = from == to;
    Json(json!({ "commits": [], "diffs": diffs, "compare_timeout": false, "compare_same_ref": same }))
        .into_response()
}

fn diff(differs: &Differs) -> Value {
    json!({
        "old_path": differs.old,
        "new_path": differs.new,
        "diff": "@@ -1 +1 @@",
        "new_file": differs.status == "A",
        "deleted_file": differs.status == "D",
        "renamed_file": differs.status.starts_with('R'),
    })
}
