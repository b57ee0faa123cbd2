//! The host's repositories over HTTP: clone, fetch and push.

use std::path::PathBuf;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use http_body_util::BodyExt as _;
use longshore_git::{CgiRequest, http_backend};
use tokio::io::AsyncReadExt as _;
use tokio::sync::mpsc;

/// Clone, fetch and push.
pub(super) async fn git_http(
    State(root): State<Arc<PathBuf>>,
    Path(path): Path<String>,
    request: Request,
) -> Response {
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
