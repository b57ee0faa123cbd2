//! Logs over the API: of builds and of services, piece by piece, so that one who follows asks for what is new.

use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse as _, Response};
use longshore_events::ServiceName;
use longshore_ports::Workload;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};

use super::routes::{Asked, Problem, missing};
use crate::api::{LogQuery, MAY_GROW, NEXT_OFFSET};

/// The most of a log in one answer, in bytes.
const LOG_PIECE: u64 = 1 << 20;

/// The log of a service's last build, or of that of a commit.
pub(super) async fn build(
    State(system): Asked,
    Path(service): Path<String>,
    Query(asked): Query<LogQuery>,
) -> Result<Response, Problem> {
    let name = ServiceName::new(&service).map_err(|error| missing(error.to_string()))?;
    let found = system.builder.log(&name, asked.commit.as_deref());
    let (path, grows) = found.ok_or_else(|| missing(format!("{service} was not built here yet")))?;
    piece(&path, asked.offset, grows).await
}

/// The log of a release, or of the newest one.
pub(super) async fn service(
    State(system): Asked,
    Path((environment, service)): Path<(String, String)>,
    Query(asked): Query<LogQuery>,
) -> Result<Response, Problem> {
    let named = || Some(Workload { environment: environment.parse().ok()?, service: service.parse().ok()? });
    let workload = named().ok_or_else(|| missing(format!("{environment}/{service} is no service")))?;
    let path = system.runner.log(&workload, asked.release).await?;
    let path = path.ok_or_else(|| missing(format!("nothing of {workload} runs")))?;
    piece(&path, asked.offset, true).await
}

/// A piece of a log, and where the next one begins.
async fn piece(path: &std::path::Path, offset: u64, grows: bool) -> Result<Response, Problem> {
    let lost = |error: std::io::Error| missing(format!("there is no log: {error}"));
    let mut file = tokio::fs::File::open(path).await.map_err(lost)?;
    let length = file.metadata().await.map_err(lost)?.len();
    // A log that was cut in between begins anew.
    let offset = if offset > length { 0 } else { offset };
    file.seek(std::io::SeekFrom::Start(offset)).await.map_err(lost)?;
    let mut text = Vec::new();
    let read = file.take(LOG_PIECE).read_to_end(&mut text).await.map_err(lost)?;
    let next = offset + read as u64;
    let headers = [
        (NEXT_OFFSET, next.to_string()),
        (MAY_GROW, (grows || next < length).to_string()),
        ("content-type", "text/plain; charset=utf-8".to_owned()),
    ];
    Ok((headers, text).into_response())
}
