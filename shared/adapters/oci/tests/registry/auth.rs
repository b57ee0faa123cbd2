//! Credentials, before a registry that wants them.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Router,
    body::Body,
    extract::Request,
    http::{HeaderMap, StatusCode, header},
    middleware::{Next, from_fn},
    response::{IntoResponse, Response},
    routing::get,
};
use longshore_oci::{
    client::{Client, ClientError, Credentials},
    server::{Store, router},
};
use tempfile::TempDir;

use crate::harness::{Witness, reference, repository};

const BASIC: &str = "Basic bWU6aHVzaA==";

fn shown(headers: &HeaderMap) -> &str {
    headers.get(header::AUTHORIZATION).map_or("", |value| value.to_str().unwrap())
}

/// A registry that answers only those who show `wanted`, and asks for it with `challenge`.
async fn guarded(folder: &TempDir, wanted: &'static str, challenge: fn(SocketAddr) -> String) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let guard = move |request: Request<Body>, next: Next| async move {
        if shown(request.headers()) == wanted {
            return next.run(request).await;
        }
        (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, challenge(address))]).into_response()
    };
    let token = |headers: HeaderMap, request: Request<Body>| async move {
        let query = request.uri().query().unwrap_or_default().to_owned();
        let good = shown(&headers) == BASIC
            && query.contains("service=port")
            && query.contains("scope=repository%3Ashop");
        let body = if good { r#"{"token":"t0ken"}"# } else { r#"{"token":"none"}"# };
        Response::new(Body::from(body))
    };
    let store = Store::open(folder.path()).unwrap();
    let app = router(store, Arc::new(Witness::default())).layer(from_fn(guard));
    let app = Router::new().route("/token", get(token)).merge(app);
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    address
}

fn basic(_: SocketAddr) -> String {
    "Basic realm=\"port\"".to_owned()
}

fn bearer(address: SocketAddr) -> String {
    format!("Bearer realm=\"http://{address}/token\",service=\"port\",scope=\"repository:shop:pull\"")
}

fn elsewhere(_: SocketAddr) -> String {
    "Bearer realm=\"http://example.org/token\"".to_owned()
}

fn client(address: SocketAddr, password: &str) -> Client {
    let credentials = Credentials { user: "me".to_owned(), password: password.to_owned() };
    Client::new(&address.to_string(), Some(credentials)).unwrap()
}

#[tokio::test]
async fn a_password_is_shown_when_it_is_wanted() {
    let folder = TempDir::new().unwrap();
    let address = guarded(&folder, BASIC, basic).await;
    let shop = repository("shop");
    client(address, "hush").push_bytes(&shop, b"x").await.unwrap();
    let error = client(address, "wrong").push_bytes(&shop, b"x").await.unwrap_err();
    assert!(matches!(error, ClientError::Denied { status: 401, .. }) && !error.is_temporary(), "{error}");
    assert!(!error.to_string().contains("wrong"));
    let nobody = Client::new(&address.to_string(), None).unwrap();
    assert!(matches!(nobody.tags(&shop).await, Err(ClientError::Denied { .. })));
}

#[tokio::test]
async fn a_token_is_fetched_where_the_registry_says() {
    let folder = TempDir::new().unwrap();
    let address = guarded(&folder, "Bearer t0ken", bearer).await;
    let shop = repository("shop");
    let client = client(address, "hush");
    client.push_bytes(&shop, b"x").await.unwrap();
    assert!(client.resolve(&shop, &reference("main")).await.unwrap().is_none());
}

#[tokio::test]
async fn a_password_is_not_sent_away_in_clear_text() {
    let folder = TempDir::new().unwrap();
    let address = guarded(&folder, "Bearer t0ken", elsewhere).await;
    let error = client(address, "hush").tags(&repository("shop")).await.unwrap_err();
    assert!(error.to_string().contains("clear text"), "{error}");
}
