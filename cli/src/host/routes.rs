//! The API: what the operator's commands ask. The console answers it; what only one machine has is answered here.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::{HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use axum::{Extension, Json, Router};
use longshore_console::{Ask, Caller, Refused, Reply};
use longshore_ports::PortError;
use tokio::time::{Instant, timeout_at};

use super::logs;
use super::system::System;
use crate::api::{Down, Events, EventsQuery, MAX_WAIT_MS};

pub(super) type Asked = State<Arc<System>>;

/// Why a request was refused.
pub(super) struct Problem(Refused);

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        Self(refused)
    }
}

impl From<PortError> for Problem {
    fn from(error: PortError) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        response(self.0.into())
    }
}

pub(super) fn missing(what: impl Into<String>) -> Problem {
    Problem(Refused::missing(what))
}

/// An answer of the console.
pub(super) fn response(reply: Reply) -> Response {
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, reply.body).into_response();
    for (name, value) in reply.headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// The routes below `/api`.
pub(super) fn api() -> Router<Arc<System>> {
    Router::new()
        .route("/api/events", get(events))
        .route("/api/logs/build/{service}", get(logs::build))
        .route("/api/logs/service/{environment}/{service}", get(logs::service))
        .route("/api/{*path}", any(console))
}

/// What is for whoever runs the host alone.
pub(super) fn host() -> Router<Arc<System>> {
    Router::new().route("/api/down", post(down))
}

async fn console(
    State(system): Asked,
    Extension(caller): Extension<Caller>,
    method: Method,
    uri: Uri,
    body: Bytes,
) -> Response {
    let person = caller.person();
    let (path, query) = (uri.path(), uri.query().unwrap_or_default());
    response(system.console.reply(&Ask { method: method.as_str(), path, query, body: &body, person }).await)
}

/// What fits, as soon as something does.
async fn events(State(system): Asked, Query(asked): Query<EventsQuery>) -> Result<Json<Events>, Problem> {
    let wait = if asked.after.is_some() { asked.wait_ms.unwrap_or(0).min(MAX_WAIT_MS) } else { 0 };
    let until = Instant::now() + Duration::from_millis(wait);
    let mut news = system.news.subscribe();
    let mut stopping = system.stopping.subscribe();
    loop {
        let found = system.console.events(&asked).await?;
        if !found.events.is_empty() {
            return Ok(Json(found));
        }
        tokio::select! {
            changed = timeout_at(until, news.changed()) => if changed.is_err() { return Ok(Json(found)) },
            _ = stopping.wait_for(|stopping| *stopping) => return Ok(Json(found)),
        }
    }
}

async fn down(State(system): Asked, Json(asked): Json<Down>) -> Json<()> {
    system.down.send_replace(Some(asked.services));
    Json(())
}
