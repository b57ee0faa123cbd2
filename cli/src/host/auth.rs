//! Who may use the API, Git and the registry: whoever knows the host's token. The API is also for people with their own.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use longshore_console::{Caller, Refused, Reply, caller, opens};
use longshore_ports::{BlobRef, Secret};

use super::routes::{Problem, response};
use super::system::System;

/// Lets a request through that carries the host's token, as a bearer or as a password.
pub(super) async fn need_token(State(token): State<Secret>, request: Request, next: Next) -> Response {
    if given(&request).is_some_and(|given| opens(given, std::slice::from_ref(&token))) {
        return next.run(request).await;
    }
    refused()
}

/// The same; who only reads may also have what clusters pull with.
pub(super) async fn need_token_or_pull(
    State(token): State<Secret>,
    request: Request,
    next: Next,
) -> Response {
    let mut taken = vec![token];
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        taken.push(pull_password(&taken[0]));
    }
    if given(&request).is_some_and(|given| opens(given, &taken)) {
        return next.run(request).await;
    }
    refused()
}

/// What clusters pull images with: it reads the registry, and nothing else. Made from the host's token, so that it need not be
/// kept; the token cannot be told from it.
pub(super) fn pull_password(token: &Secret) -> Secret {
    let made = BlobRef::of(&[b"longshore pull\n", token.expose()].concat());
    Secret::new(made.0.hex())
}

/// The same, or a person's token; who it is goes with the request.
pub(super) async fn need_caller(
    State(system): State<Arc<System>>,
    mut request: Request,
    next: Next,
) -> Response {
    let Some(given) = given(&request) else { return refused() };
    let host = std::slice::from_ref(&system.token);
    let known = match caller(given, host, &system.policy, &*system.secrets).await {
        Ok(Some(known)) => known,
        Ok(None) => return refused(),
        Err(error) => return Problem::from(error).into_response(),
    };
    request.extensions_mut().insert::<Caller>(known);
    next.run(request).await
}

fn given(request: &Request) -> Option<&str> {
    request.headers().get(header::AUTHORIZATION)?.to_str().ok()
}

fn refused() -> Response {
    let mut response = response(Reply::from(Refused::without_token()));
    let basic = header::HeaderValue::from_static(r#"Basic realm="longshore""#);
    response.headers_mut().insert(header::WWW_AUTHENTICATE, basic);
    response
}
