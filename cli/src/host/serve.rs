//! The host's one address: webhooks, events, Git, the registry, the API.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Path, RawQuery, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use axum::{Json, Router};
use longshore_intake::{Answer, Headers, Request as Hook};
use longshore_oci::server::{Store, router};
use tokio::time::timeout;

use super::auth::{need_caller, need_token, need_token_or_pull};
use super::git::git_http;
use super::pushes::Pushes;
use super::routes;
use super::system::System;
use crate::api::ApiError;

/// How long a webhook or a question of the API may take, its body and the longest wait for events included.
const LIMIT: Duration = Duration::from_secs(45);

/// Everything behind the host's address.
pub(super) fn app(system: &Arc<System>, store: Store, git: PathBuf) -> Router {
    let guard = from_fn_with_state(system.token.clone(), need_token);
    let max_body = system.policy.host.max_body;
    let pushes = Pushes {
        policy: system.policy.clone(),
        clock: system.clock.clone(),
        journal: system.journal.clone(),
        hints: Arc::new(system.bus.clone()),
    };
    let readers = from_fn_with_state(system.token.clone(), need_token_or_pull);
    let registry = router(store, Arc::new(pushes)).layer(readers);
    let git = Router::new()
        .route("/git/{*path}", any(git_http))
        .layer(DefaultBodyLimit::disable())
        .layer(guard.clone())
        .with_state(Arc::new(git));
    let hooks = Router::new().route("/hooks/{source}", post(hook));
    let api = routes::api().layer(from_fn_with_state(system.clone(), need_caller));
    let api = api.merge(routes::host().route("/events", post(events)).layer(guard));
    let bounded = hooks.merge(api).layer(DefaultBodyLimit::max(max_body)).layer(from_fn(in_time));
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .merge(bounded.with_state(system.clone()))
        .merge(git)
        .merge(registry)
}

/// A body that comes too slowly does not hold a connection for ever.
async fn in_time(request: Request, next: Next) -> Response {
    let late = |_| refused(StatusCode::REQUEST_TIMEOUT, None, "the request took too long; send it again");
    timeout(LIMIT, next.run(request)).await.unwrap_or_else(late)
}

async fn hook(
    State(system): State<Arc<System>>,
    Path(source): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let _asked = system.bus.load.webhook();
    let body = match body {
        Ok(body) => body,
        Err(broken) => return unread(&broken, system.policy.host.max_body),
    };
    let fields = headers.iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
    let query = query.as_deref().unwrap_or_default();
    let hook = Hook { source: &source, query, headers: fields.collect::<Headers>(), body: &body };
    answered(&system.intake.receive(&hook).await)
}

/// CloudEvents from whoever knows the token.
async fn events(
    State(system): State<Arc<System>>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let body = match body {
        Ok(body) => body,
        Err(broken) => return unread(&broken, system.policy.host.max_body),
    };
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    match system.take_own(kind.unwrap_or("application/cloudevents+json"), &body).await {
        Ok(answer) => answered(&answer),
        Err(error) => routes::Problem::from(error).into_response(),
    }
}

/// A body that could not be read whole: too large, or broken off.
fn unread(broken: &BytesRejection, limit: usize) -> Response {
    if broken.status() == StatusCode::PAYLOAD_TOO_LARGE {
        let message =
            format!("the body has more than {limit} bytes; the ref check finds the push all the same");
        return refused(StatusCode::PAYLOAD_TOO_LARGE, Some("LS0202"), &message);
    }
    refused(StatusCode::BAD_REQUEST, None, "the body broke off; send it again")
}

fn refused(status: StatusCode, code: Option<&str>, message: &str) -> Response {
    let error = ApiError { code: code.map(ToOwned::to_owned), message: message.to_owned() };
    (status, Json(error)).into_response()
}

fn answered(answer: &Answer) -> Response {
    json(StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), answer.json())
}

fn json(status: StatusCode, body: String) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}
