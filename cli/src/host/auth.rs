//! Who may use the API, Git and the registry: whoever knows the token.

use axum::extract::{Request, State};
use axum::http::header;
use axum::middleware::Next;
use axum::response::Response;
use longshore_console::{Refused, Reply, opens};
use longshore_ports::Secret;

use super::routes::response;

/// Lets a request through that carries the token, as a bearer or as a password.
pub(super) async fn need_token(State(token): State<Secret>, request: Request, next: Next) -> Response {
    let given = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    if given.is_some_and(|given| opens(given, std::slice::from_ref(&token))) {
        return next.run(request).await;
    }
    let mut response = response(Reply::from(Refused::without_token()));
    let basic = header::HeaderValue::from_static(r#"Basic realm="longshore""#);
    response.headers_mut().insert(header::WWW_AUTHENTICATE, basic);
    response
}
