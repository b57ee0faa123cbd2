//! The proxy: one port in front of everything that runs, by the `Host` header and by weight.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Empty, Full};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::header::{CONNECTION, CONTENT_TYPE, HOST, HeaderName, HeaderValue, UPGRADE};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};

use crate::cell::Open;
use crate::fleet::{Fleet, Unroutable};

/// A client may take so long to send the head of a request.
const HEAD_LIMIT: Duration = Duration::from_secs(30);

type Sent = BoxBody<Bytes, hyper::Error>;

/// Connections to one release's process.
#[derive(Debug, Clone)]
pub(crate) struct Pool(Client<HttpConnector, Sent>);

impl Default for Pool {
    fn default() -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(Duration::from_secs(5)));
        let builder = Client::builder(TokioExecutor::new()).pool_timer(TokioTimer::new()).build(connector);
        Self(builder)
    }
}

/// Serves for ever.
pub(crate) async fn serve(listener: TcpListener, fleet: Arc<Fleet>) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                let _ = stream.set_nodelay(true);
                tokio::spawn(connection(stream, peer.ip().to_string(), Arc::clone(&fleet)));
            }
            Err(error) => {
                // Out of descriptors: others end in a moment.
                tracing::warn!(%error, "cannot accept");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, peer: String, fleet: Arc<Fleet>) {
    let service = service_fn(move |request| {
        let (fleet, peer) = (Arc::clone(&fleet), peer.clone());
        async move { Ok::<_, Infallible>(answer(&fleet, request, &peer).await) }
    });
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_LIMIT).max_headers(128);
    // A client that goes away is no fault of ours.
    let _ = builder.serve_connection(TokioIo::new(stream), service).with_upgrades().await;
}

async fn answer(
    fleet: &Fleet,
    request: Request<Incoming>,
    peer: &str,
) -> Response<BoxBody<Bytes, hyper::Error>> {
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default().to_owned();
    let (mut parts, body) = request.into_parts();
    let upgrade = parts.headers.contains_key(UPGRADE);
    let upgraded = upgrade.then(|| parts.extensions.remove::<hyper::upgrade::OnUpgrade>()).flatten();
    forwarded(&mut parts.headers, peer);
    // Only a request that is surely the same twice may be sent twice.
    let bodyless = body.is_end_stream();
    let mut body = Some(body.boxed());
    for last in [false, true] {
        let open = match fleet.route(&host) {
            Ok(open) => open,
            Err(why) => return refusal(why),
        };
        let sent = if bodyless {
            Empty::new().map_err(|never| match never {}).boxed()
        } else {
            body.take().unwrap_or_else(empty)
        };
        let mut again = Request::new(sent);
        *again.method_mut() = parts.method.clone();
        *again.headers_mut() = parts.headers.clone();
        *again.uri_mut() = target(open.port, &parts.uri);
        match open.cell.pool.0.request(again).await {
            Ok(response) => return passed_on(response, open, upgraded),
            Err(error) => {
                open.failed();
                // A connection that was never made carried nothing that could be done twice.
                let may_repeat = bodyless && (parts.method.is_idempotent() || error.is_connect());
                if last || !may_repeat {
                    return lost(&error);
                }
            }
        }
        // The next one is chosen anew; the same process may be back in a moment.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    refusal(Unroutable::NotReady)
}

fn empty() -> Sent {
    Empty::new().map_err(|never| match never {}).boxed()
}

fn target(port: u16, uri: &Uri) -> Uri {
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let built =
        Uri::builder().scheme("http").authority(format!("127.0.0.1:{port}")).path_and_query(path).build();
    built.unwrap_or_default()
}

fn forwarded(headers: &mut hyper::HeaderMap, peer: &str) {
    if let Ok(peer) = HeaderValue::from_str(peer) {
        headers.append(HeaderName::from_static("x-forwarded-for"), peer);
    }
    headers.insert(HeaderName::from_static("x-forwarded-proto"), HeaderValue::from_static("http"));
    if !headers.contains_key(UPGRADE) {
        headers.remove(CONNECTION);
    }
}

/// The answer goes on; the request counts as open until its last byte, or the end of what it was upgraded to.
fn passed_on(
    mut response: Response<Incoming>,
    open: Open,
    upgraded: Option<hyper::upgrade::OnUpgrade>,
) -> Response<BoxBody<Bytes, hyper::Error>> {
    if response.status().is_server_error() {
        open.cell.errors.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }
    let (release, digest) = (open.cell.release, open.cell.digest.to_string());
    let mut open = Some(open);
    if response.status() == StatusCode::SWITCHING_PROTOCOLS
        && let Some(client) = upgraded
    {
        let (server, held) = (hyper::upgrade::on(&mut response), open.take());
        tokio::spawn(async move {
            if let (Ok(client), Ok(server)) = tokio::join!(client, server) {
                let (mut client, mut server) = (TokioIo::new(client), TokioIo::new(server));
                let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            }
            drop(held);
        });
    } else {
        response.headers_mut().remove(CONNECTION);
    }
    let headers = response.headers_mut();
    headers.insert(HeaderName::from_static("x-longshore-release"), HeaderValue::from(release));
    if let Ok(digest) = HeaderValue::from_str(&digest) {
        headers.insert(HeaderName::from_static("x-longshore-digest"), digest);
    }
    response.map(|body| Counted { body, _open: open }.boxed())
}

/// A body that keeps its request open.
struct Counted {
    body: Incoming,
    _open: Option<Open>,
}

impl Body for Counted {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

fn refusal(why: Unroutable) -> Response<BoxBody<Bytes, hyper::Error>> {
    match why {
        Unroutable::NotReady => {
            problem(StatusCode::SERVICE_UNAVAILABLE, "LS0401", "no release of this service is ready")
        }
        Unroutable::Unknown(known) => {
            let known = if known.is_empty() { "none yet".to_owned() } else { known.join(", ") };
            problem(
                StatusCode::NOT_FOUND,
                "LS0402",
                &format!("no service has that host name; known are: {known}"),
            )
        }
    }
}

fn lost(error: &hyper_util::client::legacy::Error) -> Response<BoxBody<Bytes, hyper::Error>> {
    problem(StatusCode::BAD_GATEWAY, "LS0403", &format!("the release did not answer: {error}"))
}

fn problem(status: StatusCode, code: &str, message: &str) -> Response<BoxBody<Bytes, hyper::Error>> {
    let body = serde_json::json!({ "code": code, "message": message }).to_string();
    let mut response = Response::new(Full::from(body).map_err(|never| match never {}).boxed());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
