//! The API: what the operator's commands ask.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use longshore_events::{ChainId, EventId};
use longshore_local::journal::{EventQuery, Recorded};
use longshore_ports::{ErrorKind, Journal as _, PortError};
use tokio::time::{Instant, timeout_at};

use super::system::System;
use super::{answers, logs};
use crate::api::{
    ApiError, Down, EventEntry, Events, EventsQuery, LeaseStatus, MAX_WAIT_MS, NewRequest, RequestTaken,
    Status, Timeline, TimelineQuery, UnitStatus, Units,
};

pub(super) type Asked = State<Arc<System>>;
type Answer<T> = Result<Json<T>, Problem>;

/// Why a request was refused.
pub(super) struct Problem(StatusCode, String);

impl From<PortError> for Problem {
    fn from(error: PortError) -> Self {
        let status = match error.kind {
            ErrorKind::NotFound => StatusCode::NOT_FOUND,
            ErrorKind::Invalid | ErrorKind::Conflict | ErrorKind::Denied => StatusCode::UNPROCESSABLE_ENTITY,
            ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self(status, error.to_string())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        (self.0, Json(ApiError { code: None, message: self.1 })).into_response()
    }
}

pub(super) fn missing(what: impl Into<String>) -> Problem {
    Problem(StatusCode::NOT_FOUND, what.into())
}

/// The routes below `/api`.
pub(super) fn api() -> Router<Arc<System>> {
    Router::new()
        .route("/api/status", get(status))
        .route("/api/timeline", get(timeline))
        .route("/api/events", get(events))
        .route("/api/events/{*id}", get(event))
        .route("/api/requests", post(request))
        .route("/api/units", get(units))
        .route("/api/logs/build/{service}", get(logs::build))
        .route("/api/logs/service/{environment}/{service}", get(logs::service))
        .route("/api/down", post(down))
}

async fn status(State(system): Asked) -> Answer<Status> {
    Ok(Json(answers::status(&system).await?))
}

async fn timeline(State(system): Asked, Query(asked): Query<TimelineQuery>) -> Answer<Timeline> {
    let what = asked.service.as_ref().or(asked.commit.as_ref());
    let chain = match (&asked.chain, what) {
        (Some(chain), _) => ChainId::new(chain).map_err(|error| missing(error.to_string()))?,
        (None, Some(what)) => {
            let chains = system.journal.chains_of(what, 1).await?;
            chains.into_iter().next().ok_or_else(|| missing(format!("nothing is known of {what:?} yet")))?
        }
        (None, None) => {
            return Err(Problem(StatusCode::BAD_REQUEST, "name a service, a commit or a chain".into()));
        }
    };
    let query = EventQuery { chain: Some(chain.clone()), limit: 1_000, ..EventQuery::default() };
    let events = system.journal.events(&query).await?;
    if events.is_empty() {
        return Err(missing(format!("there is no chain {chain}")));
    }
    Ok(Json(answers::timeline(chain.as_str(), &events)))
}

async fn events(State(system): Asked, Query(asked): Query<EventsQuery>) -> Answer<Events> {
    let kind = asked.kind.map(|kind| {
        let known = longshore_events::Data::KINDS.iter().find(|known| known.contains(&format!(".{kind}.v")));
        known.map_or(kind, |known| (*known).to_owned())
    });
    let query = EventQuery {
        after: asked.after.unwrap_or(0),
        kind,
        chain: None,
        subject: asked.subject,
        newest: asked.after.is_none(),
        limit: asked.limit.unwrap_or(100).min(1_000),
    };
    let wait = if asked.after.is_some() { asked.wait_ms.unwrap_or(0).min(MAX_WAIT_MS) } else { 0 };
    let found = wait_for(&system, &query, Instant::now() + Duration::from_millis(wait)).await?;
    let next = found.last().map_or(query.after, |last| last.seq);
    let entry = |recorded: &Recorded| EventEntry {
        seq: recorded.seq,
        summary: super::summary::summary(&recorded.event),
        event: serde_json::from_str(&recorded.event.to_json()).unwrap_or_default(),
    };
    Ok(Json(Events { events: found.iter().map(entry).collect(), next }))
}

/// What fits, as soon as something does.
async fn wait_for(system: &System, query: &EventQuery, until: Instant) -> Result<Vec<Recorded>, PortError> {
    let mut news = system.news.subscribe();
    let mut stopping = system.stopping.subscribe();
    loop {
        let found = system.journal.events(query).await?;
        if !found.is_empty() {
            return Ok(found);
        }
        tokio::select! {
            changed = timeout_at(until, news.changed()) => if changed.is_err() { return Ok(found) },
            _ = stopping.wait_for(|stopping| *stopping) => return Ok(found),
        }
    }
}

async fn event(State(system): Asked, Path(id): Path<String>) -> Result<Response, Problem> {
    let known = EventId::new(&id).map_err(|error| missing(error.to_string()))?;
    let event =
        system.journal.event(&known).await?.ok_or_else(|| missing(format!("there is no event {id}")))?;
    Ok(([("content-type", "application/cloudevents+json")], event.to_json()).into_response())
}

async fn request(State(system): Asked, Json(asked): Json<NewRequest>) -> Answer<RequestTaken> {
    let now = longshore_ports::Clock::now(&*system.clock);
    let id = format!("console/{}/{}", asked.target, now.as_nanosecond());
    let body = serde_json::json!({
        "specversion": "1.0", "id": id, "source": "longshore/console", "subject": asked.target,
        "type": "dev.longshore.request.made.v1", "time": now.to_string(),
        "data": { "what": asked.what, "who": asked.who, "target": asked.target, "why": asked.why },
    });
    let answer = system.take_own("application/cloudevents+json", body.to_string().as_bytes()).await?;
    if answer.status >= 400 {
        let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        return Err(Problem(status, answer.message.unwrap_or_default()));
    }
    Ok(Json(RequestTaken { id, note: answer.message }))
}

async fn units(State(system): Asked) -> Answer<Units> {
    let units = system.journal.units(None).await?;
    let leases = system.journal.leases().await?;
    let unit = |unit: longshore_local::journal::Unit| UnitStatus {
        function: unit.function,
        unit: unit.unit,
        version: unit.row.version,
        todo: unit.row.todo.iter().map(|todo| todo.key.to_string()).collect(),
        attempts: unit.row.attempts,
        due: unit.row.due,
        waiting: unit.row.marked.len(),
        state: serde_json::from_str(&unit.row.state).unwrap_or_default(),
    };
    let lease = |(name, row): (String, longshore_ports::journal::LeaseRow)| {
        (name, LeaseStatus { holder: row.holder, generation: row.generation })
    };
    Ok(Json(Units {
        units: units.into_iter().map(unit).collect(),
        leases: leases.into_iter().map(lease).collect(),
    }))
}

async fn down(State(system): Asked, Json(asked): Json<Down>) -> Json<()> {
    system.down.send_replace(Some(asked.services));
    Json(())
}
