//! The runner's process: its lock, its socket's API, its proxy.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Query, State as Shared};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use longshore_ports::{Desired, Observed, Workload};
use serde::Deserialize;
use tokio::net::{TcpListener, UnixListener};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;

use crate::changes::Changes;
use crate::config::Config;
use crate::error::{Refused, RunnerError, file};
use crate::fleet::Fleet;
use crate::images::Store;
use crate::proxy;
use crate::pull::Pulls;
use crate::wire::{Changed, Info, Listed, Refusal};

/// The longest that a look for changes waits.
const LONG_POLL: Duration = Duration::from_secs(25);

struct Api {
    fleet: Arc<Fleet>,
    info: Info,
    ended: Notify,
}

type Answer<T> = Result<Json<T>, (StatusCode, Json<Refusal>)>;

/// Serves until it is told to shut down, or by SIGTERM to end and leave the processes running.
///
/// # Errors
/// When it cannot start: another runner serves the data folder, or an address is taken.
pub async fn serve(config: Config) -> Result<(), RunnerError> {
    std::fs::create_dir_all(&config.data).map_err(file("make", &config.data))?;
    let _lock = lock(&config.data)?;
    let proxy_listener = listen(&config).await?;
    let address = proxy_listener.local_addr().map_err(file("look at", &config.data))?;
    let source = Arc::new(Pulls::new(config.pull.clone(), &config.data));
    let store = Arc::new(Store::new(&config.data, source));
    let changes = Arc::new(Changes::new(lives(&config.data)? << 32));
    let fleet = Arc::new(Fleet::new(&config.data, store, changes));
    fleet.resume()?;
    tokio::spawn(proxy::serve(proxy_listener, Arc::clone(&fleet)));
    let info = Info { pid: std::process::id(), proxy: address };
    let api = Arc::new(Api { fleet, info, ended: Notify::new() });
    let _ = std::fs::remove_file(&config.socket);
    let socket = UnixListener::bind(&config.socket).map_err(file("listen on", &config.socket))?;
    private(&config.socket)?;
    tracing::info!(proxy = %address, "ready");
    let app = routes(Arc::clone(&api));
    let mut term = signal(SignalKind::terminate()).map_err(file("wait for signals in", &config.data))?;
    let ended = async move {
        tokio::select! {
            _ = term.recv() => {}
            () = api.ended.notified() => {}
        }
    };
    tokio::select! {
        served = async { axum::serve(socket, app).await } => served.map_err(file("serve", &config.socket))?,
        () = ended => tokio::time::sleep(Duration::from_millis(50)).await,
    }
    let _ = std::fs::remove_file(&config.socket);
    Ok(())
}

fn routes(api: Arc<Api>) -> Router {
    Router::new()
        .route("/v1/info", get(info))
        .route("/v1/apply", post(apply))
        .route("/v1/observe", get(observe))
        .route("/v1/list", get(list))
        .route("/v1/changes", get(changes))
        .route("/v1/log", get(log))
        .route("/v1/shutdown", post(shutdown))
        .with_state(api)
}

async fn info(Shared(api): Shared<Arc<Api>>) -> Json<Info> {
    Json(api.info.clone())
}

async fn apply(Shared(api): Shared<Arc<Api>>, Json(order): Json<Desired>) -> Answer<()> {
    // A task of its own: a client that goes away does not leave the order half taken.
    let taken = tokio::spawn(async move { api.fleet.apply(order).await }).await;
    let lost = |error: tokio::task::JoinError| Err(Refused::Unavailable(error.to_string()));
    taken.unwrap_or_else(lost).map(Json).map_err(|refused| {
        let status = match &refused {
            Refused::Conflict(_) => StatusCode::CONFLICT,
            Refused::Invalid(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Refused::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        (status, Json(Refusal { message: refused.to_string() }))
    })
}

async fn observe(Shared(api): Shared<Arc<Api>>, Query(workload): Query<Workload>) -> Json<Observed> {
    Json(api.fleet.observe(&workload))
}

async fn list(Shared(api): Shared<Arc<Api>>) -> Json<Vec<Listed>> {
    Json(api.fleet.list())
}

#[derive(Deserialize)]
struct Since {
    since: u64,
}

async fn changes(Shared(api): Shared<Arc<Api>>, Query(asked): Query<Since>) -> Json<Changed> {
    Json(api.fleet.changes.since(asked.since, LONG_POLL).await)
}

#[derive(Deserialize)]
struct Log {
    environment: longshore_events::EnvironmentName,
    service: longshore_events::ServiceName,
    release: Option<u64>,
}

async fn log(Shared(api): Shared<Arc<Api>>, Query(asked): Query<Log>) -> Json<Option<std::path::PathBuf>> {
    let workload = Workload { environment: asked.environment, service: asked.service };
    Json(api.fleet.log(&workload, asked.release))
}

async fn shutdown(Shared(api): Shared<Arc<Api>>) -> Json<()> {
    // It goes on although its client may not wait for it.
    let ending = tokio::spawn(async move {
        api.fleet.shutdown().await;
        api.ended.notify_one();
    });
    let _ = ending.await;
    Json(())
}

fn lock(data: &Path) -> Result<File, RunnerError> {
    let path = data.join("lock");
    let mut options = OpenOptions::new();
    let mut lock = options
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(&path)
        .map_err(file("open", &path))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let pid = std::fs::read_to_string(&path).unwrap_or_default().trim().to_owned();
            return Err(RunnerError::Locked { data: data.to_owned(), pid });
        }
        Err(TryLockError::Error(error)) => return Err(file("lock", &path)(error)),
    }
    lock.set_len(0).and_then(|()| writeln!(lock, "{}", std::process::id())).map_err(file("write", &path))?;
    Ok(lock)
}

/// Counts the lives of the runner, so that the numbers of changes never repeat.
fn lives(data: &Path) -> Result<u64, RunnerError> {
    let path = data.join("lives");
    let before =
        std::fs::read_to_string(&path).ok().and_then(|text| text.trim().parse::<u64>().ok()).unwrap_or(0);
    std::fs::write(&path, (before + 1).to_string()).map_err(file("write", &path))?;
    Ok(before + 1)
}

/// Only the owner of the data folder talks to the runner.
fn private(socket: &Path) -> Result<(), RunnerError> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(socket, std::fs::Permissions::from_mode(0o600)).map_err(file("protect", socket))
}

/// The proxy's socket. A free port, once chosen, is kept: what bookmarks and tests know goes on working.
async fn listen(config: &Config) -> Result<TcpListener, RunnerError> {
    let path = config.data.join("proxy-port");
    let kept = std::fs::read_to_string(&path).ok().and_then(|text| text.trim().parse::<u16>().ok());
    let mut address = config.proxy;
    if address.port() == 0
        && let Some(kept) = kept
    {
        address.set_port(kept);
    }
    let taken = |source| RunnerError::Listen { address, source };
    let mut bound = TcpListener::bind(address).await;
    // The last runner's connections may linger for a moment.
    for _ in 0..20 {
        if bound.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
        bound = TcpListener::bind(address).await;
    }
    let listener = bound.map_err(taken)?;
    let port = listener.local_addr().map_err(taken)?.port();
    std::fs::write(&path, port.to_string()).map_err(file("write", &path))?;
    Ok(listener)
}
