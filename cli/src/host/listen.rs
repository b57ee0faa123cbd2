//! Serves the host's address, so that a slow or silent client costs little.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::placed::Placed;
use super::places::{Place, Places};

/// How long a client has to send the head of a request, or to leave a connection idle.
const HEAD: Duration = Duration::from_secs(30);
/// Connections at a time; then those without a request under way give way, then those that keep us waiting for their
/// bytes, and where there is none, who comes waits.
const CONNECTIONS: usize = 512;
/// The most that is read ahead, or kept to be sent, of a connection, in bytes; the head of a request must fit.
const BUFFER: usize = 128 << 10;
/// How long open requests may go on when the host stops.
const GRACE: Duration = Duration::from_secs(4);

/// Serves until it is told to stop; then takes no more, and gives open requests a little time.
pub(super) async fn serve(listener: TcpListener, app: Router, mut stop: watch::Receiver<bool>) {
    let places = Places::new(CONNECTIONS);
    let open = GracefulShutdown::new();
    loop {
        let accepted = async {
            let accepted = listener.accept().await;
            (places.take().await, accepted)
        };
        let (place, stream) = tokio::select! {
            _ = stop.wait_for(|stop| *stop) => break,
            accepted = accepted => accepted,
        };
        match stream {
            Ok((stream, _)) => {
                let served = open.watch(connection(stream, app.clone(), place.clone()));
                tokio::spawn(async move {
                    tokio::select! {
                        ended = served => {
                            let _ = ended.inspect_err(|error| tracing::debug!(%error, "a connection broke off"));
                        }
                        () = place.must_leave() => tracing::debug!("a connection gave way to another"),
                    }
                });
            }
            Err(error) => {
                // Out of files: those that are open must end first.
                tracing::warn!(%error, "cannot accept a connection");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
    drop(listener);
    if timeout(GRACE, open.shutdown()).await.is_err() {
        tracing::warn!("cut off requests that were still open");
    }
}

type Connection = http1::Connection<TokioIo<TcpStream>, Placed<TowerToHyperService<Router>>>;

fn connection(stream: TcpStream, app: Router, place: Arc<Place>) -> Connection {
    // Answers are small and waited for.
    let _ = stream.set_nodelay(true);
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(BUFFER)
        .serve_connection(TokioIo::new(stream), Placed { inner: TowerToHyperService::new(app), place })
}
