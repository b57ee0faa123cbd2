//! Talks to the runner over its socket.

use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use longshore_ports::{
    Desired, ErrorKind, Measured, Metrics, Observed, PortError, Question, Workload, Workloads,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::time::timeout;

use crate::wire::{Changed, Info, Listed, Refusal};

/// How long an answer may take, unless it is one that waits.
const LIMIT: Duration = Duration::from_secs(10);
/// How long one may that waits: for changes, or for everything to end.
const LONG: Duration = Duration::from_mins(1);

/// The runner behind a socket.
#[derive(Debug, Clone)]
pub struct RunnerClient {
    socket: PathBuf,
}

impl RunnerClient {
    /// The runner that listens on `socket`, now or later.
    pub fn new(socket: PathBuf) -> Self {
        Self { socket }
    }

    /// The runner itself.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn info(&self) -> Result<Info, PortError> {
        self.get("ask the runner", "/v1/info", LIMIT).await
    }

    /// All workloads.
    ///
    /// # Errors
    /// When the runner does not answer.
    pub async fn list(&self) -> Result<Vec<Listed>, PortError> {
        self.get("list what runs", "/v1/list", LIMIT).await
    }

    /// What changed since change number `since`; waits a while for a change.
    ///
    /// # Errors
    /// When the runner does not answer.
    pub async fn changes(&self, since: u64) -> Result<Changed, PortError> {
        self.get("wait for changes", &format!("/v1/changes?since={since}"), LONG).await
    }

    /// The log of a release, or of the newest one.
    ///
    /// # Errors
    /// When the runner does not answer.
    pub async fn log(&self, workload: &Workload, release: Option<u64>) -> Result<Option<PathBuf>, PortError> {
        let Workload { environment, service } = workload;
        let release = release.map(|release| format!("&release={release}")).unwrap_or_default();
        let path = format!("/v1/log?environment={environment}&service={service}{release}");
        self.get("find a log", &path, LIMIT).await
    }

    /// Ends everything that runs, and the runner.
    ///
    /// # Errors
    /// When the runner does not answer.
    pub async fn shutdown(&self) -> Result<(), PortError> {
        self.ask("shut the runner down", "POST", "/v1/shutdown", String::new(), LONG).await
    }

    async fn get<T: DeserializeOwned>(
        &self,
        operation: &str,
        path: &str,
        limit: Duration,
    ) -> Result<T, PortError> {
        self.ask(operation, "GET", path, String::new(), limit).await
    }

    async fn post<T: DeserializeOwned>(
        &self,
        operation: &str,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, PortError> {
        let body = serde_json::to_string(body).map_err(|error| PortError::invalid(operation, error))?;
        self.ask(operation, "POST", path, body, LIMIT).await
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        operation: &str,
        method: &str,
        path: &str,
        body: String,
        limit: Duration,
    ) -> Result<T, PortError> {
        let late = |_| PortError::unavailable(operation, "the runner does not answer in time");
        let (status, bytes) =
            timeout(limit, self.exchange(operation, method, path, body)).await.map_err(late)??;
        if status.is_success() {
            return serde_json::from_slice(&bytes).map_err(|error| PortError::unavailable(operation, error));
        }
        let refusal = serde_json::from_slice::<Refusal>(&bytes).map(|refusal| refusal.message);
        let message = refusal.unwrap_or_else(|_| String::from_utf8_lossy(&bytes).into_owned());
        let kind = match status {
            StatusCode::CONFLICT => ErrorKind::Conflict,
            StatusCode::UNPROCESSABLE_ENTITY | StatusCode::BAD_REQUEST => ErrorKind::Invalid,
            _ => ErrorKind::Unavailable,
        };
        Err(PortError::new(kind, operation, message))
    }

    async fn exchange(
        &self,
        operation: &str,
        method: &str,
        path: &str,
        body: String,
    ) -> Result<(StatusCode, Bytes), PortError> {
        let lost = |error: hyper::Error| PortError::unavailable(operation, error);
        let stream = UnixStream::connect(&self.socket).await;
        let stream = stream.map_err(|error| PortError::unavailable(operation, error))?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(lost)?;
        tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "runner")
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| PortError::invalid(operation, error))?;
        let response = sender.send_request(request).await.map_err(lost)?;
        let status = response.status();
        Ok((status, response.into_body().collect().await.map_err(lost)?.to_bytes()))
    }
}

#[async_trait]
impl Workloads for RunnerClient {
    async fn observe(&self, workload: &Workload) -> Result<Observed, PortError> {
        let Workload { environment, service } = workload;
        let path = format!("/v1/observe?environment={environment}&service={service}");
        self.get(&format!("observe {workload}"), &path, LIMIT).await
    }

    async fn apply(&self, desired: &Desired) -> Result<(), PortError> {
        self.post(&format!("apply {}", desired.workload), "/v1/apply", desired).await
    }
}

#[async_trait]
impl Metrics for RunnerClient {
    async fn measure(&self, question: &Question) -> Result<Measured, PortError> {
        let operation = format!("measure the {} of {}", question.measure, question.workload);
        self.post(&operation, "/v1/measure", question).await
    }
}
