//! The runner's process.

mod api;
mod folder;

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::time::timeout;

use self::api::Api;
use self::folder::Folder;
use crate::changes::Changes;
use crate::config::Config;
use crate::error::{RunnerError, file};
use crate::fleet::Fleet;
use crate::fleet::yard::Yard;
use crate::image::pull::Pulls;
use crate::proxy::{self, Limits};
use crate::wire::Info;

/// How long the API's open calls may go on when the runner ends.
const LAST: Duration = Duration::from_secs(2);

/// Serves until SIGTERM or SIGINT, which leaves the processes running for the next runner, or until it is told to shut
/// down ([`crate::RunnerClient::shutdown`]), which ends them.
///
/// # Errors
/// When it cannot start: another runner serves the data folder, an address is taken, a file is damaged.
pub async fn serve(config: Config) -> Result<(), RunnerError> {
    let folder = Folder::open(&config.data).await?;
    let mut terminate = signal(SignalKind::terminate()).map_err(file("wait for signals in", &config.data))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(file("wait for signals in", &config.data))?;
    let listener = folder.listen(config.proxy).await?;
    let address =
        listener.local_addr().map_err(|source| RunnerError::Listen { address: config.proxy, source })?;
    let changes = Changes::new(folder.count_runner()? << 32);
    let images = Arc::new(Pulls::new(config.pull.clone(), &config.data));
    let yard = Arc::new(Yard::new(&config.data, images, changes));
    let fleet = Arc::new(Fleet::resume(Arc::clone(&yard)).await?);
    let socket = folder::socket(&config.socket)?;
    let stop = watch::Sender::new(false);
    let proxy = tokio::spawn(proxy::serve(
        listener,
        Arc::clone(&yard.table),
        Limits::of_this_process(),
        stop.subscribe(),
    ));
    let info = Info { pid: std::process::id(), proxy: address };
    let app = api::routes(Arc::new(Api { fleet, info, stop: stop.clone() }));
    let mut told = stop.subscribe();
    let until = async move {
        // The sender lives as long as this function.
        let _ = told.wait_for(|stop| *stop).await;
    };
    let mut served =
        tokio::spawn(async move { axum::serve(socket, app).with_graceful_shutdown(until).await });
    tracing::info!(proxy = %address, "ready");
    let mut stopped = stop.subscribe();
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        _ = stopped.wait_for(|stop| *stop) => {}
        failed = &mut served => return failed.unwrap_or_else(|error| Err(error.into())).map_err(file("serve", &config.socket)),
    }
    folder.ends()?;
    stop.send_replace(true);
    // What has not ended in time ends with the runner.
    let _ = timeout(LAST, served).await;
    let _ = proxy.await;
    fs::remove_file(&config.socket).map_err(file("remove", &config.socket))
}
