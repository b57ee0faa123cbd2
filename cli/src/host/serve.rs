//! The host's one address: webhooks, events, Git, the registry, the API.

use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use http_body_util::BodyExt as _;
use longshore_git::{CgiRequest, http_backend};
use longshore_intake::{Answer, Headers, Request as Hook};
use longshore_oci::server::{Store, Watcher, router};
use tokio::io::AsyncReadExt as _;
use tokio::sync::mpsc;

use super::auth::need_token;
use super::routes;
use super::system::System;

/// Everything behind the host's address.
pub(super) fn app(system: &Arc<System>, store: Store, watcher: Arc<dyn Watcher>, git: PathBuf) -> Router {
    let guard = from_fn_with_state(system.token.clone(), need_token);
    let registry = router(store, watcher).layer(guard.clone());
    let hooks = Router::new()
        .route("/hooks/{source}", post(hook))
        .layer(DefaultBodyLimit::max(system.policy.host.max_body))
        .with_state(system.clone());
    let git = Router::new()
        .route("/git/{*path}", any(git_http))
        .layer(DefaultBodyLimit::disable())
        .layer(guard.clone())
        .with_state(Arc::new(git));
    let api =
        routes::api(system.clone()).route("/events", post(events)).layer(guard).with_state(system.clone());
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .merge(hooks)
        .merge(git)
        .merge(api)
        .merge(registry)
}

async fn hook(
    State(system): State<Arc<System>>,
    Path(source): Path<String>,
    headers: HeaderMap,
    body: Result<Bytes, axum::extract::rejection::BytesRejection>,
) -> Response {
    let body = match body {
        Ok(body) => body,
        Err(_) => {
            let limit = system.policy.host.max_body;
            let message =
                format!("the body is larger than {limit} bytes; the ref check finds the push all the same");
            let body = serde_json::json!({ "code": "LS0204", "message": message }).to_string();
            return json(StatusCode::PAYLOAD_TOO_LARGE, body);
        }
    };
    let fields = headers.iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
    let answer = system
        .intake
        .receive(&Hook { source: &source, headers: fields.collect::<Headers>(), body: &body })
        .await;
    if answer.status >= 400 {
        tracing::warn!(source, status = answer.status, code = answer.code, "webhook refused");
    }
    answered(&answer)
}

/// CloudEvents from whoever knows the token.
async fn events(State(system): State<Arc<System>>, headers: HeaderMap, body: Bytes) -> Response {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    match system.take_own(kind.unwrap_or("application/cloudevents+json"), &body).await {
        Ok(answer) => answered(&answer),
        Err(error) => routes::Problem::from(error).into_response(),
    }
}

fn answered(answer: &Answer) -> Response {
    json(StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), answer.json())
}

fn json(status: StatusCode, body: String) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// Clone, fetch and push.
async fn git_http(State(root): State<Arc<PathBuf>>, Path(path): Path<String>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let text =
        |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok()).map(ToOwned::to_owned);
    let cgi = CgiRequest {
        method: parts.method.to_string(),
        path: format!("/{path}"),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        content_type: text("content-type"),
        content_encoding: text("content-encoding"),
        git_protocol: text("git-protocol"),
        user: crate::api::TOKEN_USER.to_owned(),
    };
    let (pieces, from) = mpsc::channel(8);
    tokio::spawn(feed(body, pieces));
    let answer = match http_backend(&root, &cgi, from).await {
        Ok(answer) => answer,
        Err(error) => return (StatusCode::BAD_REQUEST, format!("{error}\n")).into_response(),
    };
    let mut response = Response::builder().status(answer.status);
    for (name, value) in &answer.headers {
        response = response.header(name, value);
    }
    response
        .body(Body::new(rest(answer.begin, answer.rest)))
        .unwrap_or_else(|_| StatusCode::BAD_GATEWAY.into_response())
}

async fn feed(mut body: Body, pieces: mpsc::Sender<Bytes>) {
    while let Some(Ok(frame)) = body.frame().await {
        if let Ok(data) = frame.into_data()
            && pieces.send(data).await.is_err()
        {
            return;
        }
    }
}

/// A body of what was read and what is still to come.
fn rest(begin: Bytes, mut from: impl tokio::io::AsyncRead + Send + Unpin + 'static) -> Body {
    let (to, pieces) = mpsc::channel::<Result<Bytes, std::io::Error>>(8);
    tokio::spawn(async move {
        if !begin.is_empty() && to.send(Ok(begin)).await.is_err() {
            return;
        }
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let read = match from.read(&mut buffer).await {
                Ok(0) => return,
                Ok(read) => Ok(Bytes::copy_from_slice(&buffer[..read])),
                Err(error) => Err(error),
            };
            let failed = read.is_err();
            if to.send(read).await.is_err() || failed {
                return;
            }
        }
    });
    Body::new(Pieces(pieces))
}

/// The pieces of a body, as they come.
struct Pieces(mpsc::Receiver<Result<Bytes, std::io::Error>>);

impl axum::body::HttpBody for Pieces {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<hyper::body::Frame<Bytes>, std::io::Error>>> {
        self.0.poll_recv(cx).map(|piece| piece.map(|piece| piece.map(hyper::body::Frame::data)))
    }
}
