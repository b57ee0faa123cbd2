//! The proxy: one port in front of everything that runs, by the `Host` header and by weight.
//!
//! HTTP/1.1 and HTTP/2 (without TLS) to clients, HTTP/1.1 to releases; bodies are streamed both ways, and upgraded
//! connections are passed through. What a client can make it hold is bounded: connections, the size of a request's
//! head, the time to send it, and the time that a release has to answer.

mod download;
mod forward;
mod headers;
mod link;
mod rarely;
mod refusal;
pub(crate) mod route;
pub(crate) mod table;
#[cfg(test)]
mod tests;
mod tunnel;
mod upload;

use std::convert::Infallible;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use hyper::header::HeaderValue;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{sleep, timeout};

pub(crate) use self::link::Pool;
use self::rarely::Rarely;
use self::table::Table;

/// The longest head of a request, in bytes.
const HEAD_SIZE: usize = 64 << 10;
/// Between two questions whether a client of HTTP/2 is still there, and how long it has to say so.
const PING: Duration = Duration::from_secs(20);
/// After this long another connection is accepted, when that failed.
const ACCEPT_AGAIN: Duration = Duration::from_millis(50);

/// What the proxy bounds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Connections at a time; more wait to be accepted.
    pub(crate) connections: u32,
    /// How long a client may take to send the head of a request, and be idle.
    pub(crate) head: Duration,
    /// How long a release may take to begin its answer.
    pub(crate) answer: Duration,
    /// How long open requests may go on when the runner ends.
    pub(crate) last: Duration,
}

impl Limits {
    /// For a process that may open as many files as this one: a request takes two, and others are needed, too.
    pub(crate) fn of_this_process() -> Self {
        let files = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(u64::MAX);
        Self {
            connections: u32::try_from(files.saturating_sub(200) / 2).unwrap_or(u32::MAX).clamp(64, 4096),
            head: Duration::from_mins(1),
            answer: Duration::from_mins(1),
            last: Duration::from_secs(5),
        }
    }
}

/// One connection of a client.
#[derive(Debug, Clone)]
struct Client {
    /// Where it comes from.
    address: HeaderValue,
    /// Its place among those that may be open.
    place: Arc<OwnedSemaphorePermit>,
}

/// What all connections share.
struct Proxy {
    table: Arc<Table>,
    limits: Limits,
    builder: Builder<TokioExecutor>,
}

/// Serves until `stop`, then until open requests end, but not for long.
pub(crate) async fn serve(
    listener: TcpListener,
    table: Arc<Table>,
    limits: Limits,
    mut stop: watch::Receiver<bool>,
) {
    let free = Arc::new(Semaphore::new(limits.connections as usize));
    let proxy = Arc::new(Proxy { table, limits, builder: builder(limits) });
    let told = stop.clone();
    tokio::select! {
        () = accept(&listener, &proxy, &free, &told) => {}
        () = stopped(&mut stop) => {}
    }
    drop(listener);
    // Whether all have ended or the time is up, the runner ends now.
    let _ = timeout(limits.last, free.acquire_many(limits.connections)).await;
}

fn builder(limits: Limits) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(limits.head).max_buf_size(HEAD_SIZE);
    let mut http2 = builder.http2();
    http2.timer(TokioTimer::new()).keep_alive_interval(PING).keep_alive_timeout(PING);
    http2.max_header_list_size(u32::try_from(HEAD_SIZE).unwrap_or(u32::MAX));
    builder
}

async fn accept(
    listener: &TcpListener,
    proxy: &Arc<Proxy>,
    free: &Arc<Semaphore>,
    stop: &watch::Receiver<bool>,
) {
    while let Ok(place) = Arc::clone(free).acquire_owned().await {
        match listener.accept().await {
            Ok((stream, peer)) => {
                tokio::spawn(connection(stream, peer, place, Arc::clone(proxy), stop.clone()));
            }
            Err(error) => {
                // Out of descriptors: others end in a moment.
                tracing::warn!(%error, "the proxy cannot accept a connection");
                sleep(ACCEPT_AGAIN).await;
            }
        }
    }
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    place: OwnedSemaphorePermit,
    proxy: Arc<Proxy>,
    mut stop: watch::Receiver<bool>,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot turn delays off");
    }
    let address =
        HeaderValue::from_str(&peer.ip().to_string()).unwrap_or(HeaderValue::from_static("unknown"));
    let client = Client { address, place: Arc::new(place) };
    let began = AtomicBool::new(false);
    let service = service_fn(|request| {
        began.store(true, Ordering::Relaxed);
        let (proxy, client) = (Arc::clone(&proxy), client.clone());
        async move {
            Ok::<_, Infallible>(forward::answer(&proxy.table, &client, proxy.limits.answer, request).await)
        }
    });
    let mut served = pin!(proxy.builder.serve_connection_with_upgrades(TokioIo::new(stream), service));
    let task = poll_fn(|cx| Poll::Ready(cx.waker().clone())).await;
    let mut leave = Rarely::new(task, leave(&proxy, &began, &mut stop));
    let watched = poll_fn(|cx| match Future::poll(served.as_mut(), cx) {
        Poll::Ready(ended) => Poll::Ready(Err(ended)),
        Poll::Pending => leave.poll().map(Ok),
    });
    let ended = match watched.await {
        Err(ended) => ended,
        Ok(Leave::Silent) => return,
        Ok(Leave::Stopped) => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%peer, error, "a client's connection ended early");
    }
}

/// Why a connection is left, other than by its client.
enum Leave {
    /// It said nothing at all, or not enough to tell its version by.
    Silent,
    /// The runner ends.
    Stopped,
}

async fn leave(proxy: &Proxy, began: &AtomicBool, stop: &mut watch::Receiver<bool>) -> Leave {
    if timeout(proxy.limits.head, stopped(stop)).await.is_ok() {
        return Leave::Stopped;
    }
    if !began.load(Ordering::Relaxed) {
        return Leave::Silent;
    }
    stopped(stop).await;
    Leave::Stopped
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error means that the runner is gone: a stop as well.
    let _ = stop.wait_for(|stop| *stop).await;
}
