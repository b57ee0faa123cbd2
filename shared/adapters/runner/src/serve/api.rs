//! The runner's HTTP API, on its socket.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Query, State as Shared};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use longshore_events::{EnvironmentName, ServiceName};
use longshore_ports::{Desired, Measured, Observed, Question, Workload};
use serde::Deserialize;
use tokio::sync::watch;

use crate::error::Refused;
use crate::fleet::Fleet;
use crate::wire::{Changed, Info, Listed, Refusal};

/// The longest that a look for changes waits.
const LONG_POLL: Duration = Duration::from_secs(25);

/// What the API answers from.
pub(crate) struct Api {
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) info: Info,
    /// Set once the runner shall end.
    pub(crate) stop: watch::Sender<bool>,
}

type Answer<T> = Result<Json<T>, (StatusCode, Json<Refusal>)>;

/// The API's routes.
pub(crate) fn routes(api: Arc<Api>) -> Router {
    Router::new()
        .route("/v1/info", get(info))
        .route("/v1/apply", post(apply))
        .route("/v1/observe", get(observe))
        .route("/v1/measure", post(measure))
        .route("/v1/list", get(list))
        .route("/v1/changes", get(changes))
        .route("/v1/log", get(log))
        .route("/v1/shutdown", post(shutdown))
        .with_state(api)
}

async fn info(Shared(api): Shared<Arc<Api>>) -> Json<Info> {
    Json(api.info.clone())
}

/// A task of its own: an order that was made durable is also followed when its sender has gone away meanwhile.
async fn apply(Shared(api): Shared<Arc<Api>>, Json(order): Json<Desired>) -> Answer<()> {
    let applied = tokio::spawn(async move { api.fleet.apply(order).await }).await;
    applied
        .unwrap_or_else(|error| Err(Refused::Unavailable(error.to_string())))
        .map(Json)
        .map_err(|refused| refusal(&refused))
}

fn refusal(refused: &Refused) -> (StatusCode, Json<Refusal>) {
    let status = match refused {
        Refused::Conflict(_) => StatusCode::CONFLICT,
        Refused::Invalid(_) => StatusCode::UNPROCESSABLE_ENTITY,
        Refused::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, Json(Refusal { message: refused.to_string() }))
}

async fn observe(Shared(api): Shared<Arc<Api>>, Query(workload): Query<Workload>) -> Json<Observed> {
    Json(api.fleet.observe(&workload).await)
}

async fn measure(Shared(api): Shared<Arc<Api>>, Json(question): Json<Question>) -> Answer<Measured> {
    api.fleet.measure(&question).await.map(Json).map_err(|refused| refusal(&refused))
}

async fn list(Shared(api): Shared<Arc<Api>>) -> Json<Vec<Listed>> {
    Json(api.fleet.list().await)
}

#[derive(Deserialize)]
struct Since {
    since: u64,
}

async fn changes(Shared(api): Shared<Arc<Api>>, Query(asked): Query<Since>) -> Json<Changed> {
    let mut stop = api.stop.subscribe();
    // Who waits is told when the runner ends, rather than holding it up.
    let wait = tokio::select! {
        changed = api.fleet.yard().changes.since(asked.since, LONG_POLL) => return Json(changed),
        _ = stop.wait_for(|stop| *stop) => Duration::ZERO,
    };
    Json(api.fleet.yard().changes.since(asked.since, wait).await)
}

#[derive(Deserialize)]
struct Log {
    environment: EnvironmentName,
    service: ServiceName,
    release: Option<u64>,
}

async fn log(Shared(api): Shared<Arc<Api>>, Query(asked): Query<Log>) -> Json<Option<PathBuf>> {
    let workload = Workload { environment: asked.environment, service: asked.service };
    Json(api.fleet.log(&workload, asked.release).await)
}

/// A task of its own, too: once begun it is finished.
async fn shutdown(Shared(api): Shared<Arc<Api>>) -> Answer<()> {
    let closed = tokio::spawn(async move {
        api.fleet.close().await;
        api.stop.send_replace(true);
    });
    closed.await.map(Json).map_err(|error| refusal(&Refused::Unavailable(error.to_string())))
}
