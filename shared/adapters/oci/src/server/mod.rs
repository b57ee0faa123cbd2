//! The host's own registry: the OCI distribution specification 1.1 over files, as an axum router.
//!
//! Content streams to disk and is visible only after its digest matched and it was flushed. Memory per request is
//! bounded by one chunk of the body (a manifest: 4 MiB). There is no authentication here: the host puts a layer
//! before it. Blobs are shared by all repositories, since one machine has one owner: deleting a blob that a manifest of
//! any of them names is refused, and what nothing refers to is taken by [`Store::collect`].

mod answer;
mod blobs;
mod collect;
mod delete;
mod file;
mod lists;
mod manifests;
mod records;
mod route;
mod sink;
mod store;
mod take;
mod through;
mod upload;
mod uploads;

use std::{error::Error, sync::Arc};

use async_trait::async_trait;
use axum::{
    Router,
    body::Body,
    extract::{Path, RawQuery, State},
    http::{HeaderMap, Method, StatusCode},
    response::{IntoResponse, Response},
    routing::any,
};
use longshore_events::{Digest, types::PlatformDigest};

use self::{answer::Fault, route::Route, uploads::Uploads};
pub use self::{
    collect::Collected,
    records::Stored,
    store::{Store, StoreError},
    through::BringError,
};
use crate::names::Repository;

/// Is told of every change, before the client is answered.
#[async_trait]
pub trait Watcher: Send + Sync + 'static {
    /// A manifest was stored, and its tag, if any, points to it. Told again when the client repeats its push.
    ///
    /// # Errors
    /// The client is answered 500 and pushes again; what it pushed stays.
    async fn stored(&self, change: &Change) -> Result<(), Box<dyn Error + Send + Sync>>;

    /// A tag, or a manifest, is about to be deleted. Of a manifest that has tags, each of them is told first. Told again
    /// when the client repeats its request.
    ///
    /// # Errors
    /// The client is answered 500, and nothing is deleted.
    async fn deleted(&self, change: &Change) -> Result<(), Box<dyn Error + Send + Sync>>;
}

/// Nobody is told.
#[async_trait]
impl Watcher for () {
    async fn stored(&self, _: &Change) -> Result<(), Box<dyn Error + Send + Sync>> {
        Ok(())
    }

    async fn deleted(&self, _: &Change) -> Result<(), Box<dyn Error + Send + Sync>> {
        Ok(())
    }
}

/// What changed in the registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The repository.
    pub repository: Repository,
    /// The tag that was used, if one was.
    pub tag: Option<String>,
    /// The manifest.
    pub digest: Digest,
    /// Its media type.
    pub media_type: String,
    /// The manifests of an index, by platform.
    pub platforms: Vec<PlatformDigest>,
    /// The manifest that it says it is about, such as the one that it signs.
    pub subject: Option<Digest>,
}

/// What the handlers share.
struct Registry {
    store: Store,
    uploads: Uploads,
    watcher: Arc<dyn Watcher>,
}

/// The registry's routes, all below `/v2/`.
///
/// ```no_run
/// # use longshore_oci::server::{Store, StoreError, Watcher, router};
/// # fn registry(watcher: std::sync::Arc<dyn Watcher>) -> Result<axum::Router, StoreError> {
/// let store = Store::open(std::path::Path::new("data/registry"))?;
/// Ok(router(store, watcher))
/// # }
/// ```
pub fn router(store: Store, watcher: Arc<dyn Watcher>) -> Router {
    let uploads = Uploads::new(store.clone());
    let registry = Arc::new(Registry { store, uploads, watcher });
    Router::new()
        .route("/v2", any(version))
        .route("/v2/", any(version))
        .route("/v2/{*path}", any(dispatch))
        .with_state(registry)
}

async fn version() -> impl IntoResponse {
    ([(answer::API_VERSION, "registry/2.0"), (axum::http::header::CONTENT_TYPE, "application/json")], "{}")
}

async fn dispatch(
    State(registry): State<Arc<Registry>>,
    method: Method,
    Path(path): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let query = query.unwrap_or_default();
    let answered = match Route::parse(&path) {
        Ok(route) => registry.answer(&method, route, &query, &headers, body).await,
        Err(fault) => Err(fault),
    };
    let mut response = answered.unwrap_or_else(IntoResponse::into_response);
    response.headers_mut().insert(answer::API_VERSION, axum::http::HeaderValue::from_static("registry/2.0"));
    response
}

impl Registry {
    async fn answer(
        self: Arc<Self>,
        method: &Method,
        route: Route,
        query: &str,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<Response, Fault> {
        match (method.as_str(), route) {
            ("GET", Route::Blob(_, digest)) => blobs::get(&self.store, &digest, headers),
            ("HEAD", Route::Blob(_, digest)) => blobs::head(&self.store, &digest),
            ("DELETE", Route::Blob(_, digest)) => self.delete_blob(digest).await,
            ("POST", Route::Uploads(repository)) => self.start_upload(repository, query, body).await,
            ("PATCH", Route::Upload(repository, id)) => self.patch(repository, &id, headers, body).await,
            ("PUT", Route::Upload(repository, id)) => {
                self.finish(repository, &id, query, headers, body).await
            }
            ("GET", Route::Upload(repository, id)) => self.upload_status(&repository, &id).await,
            ("DELETE", Route::Upload(repository, id)) => self.cancel(&repository, &id).await,
            ("GET" | "HEAD", Route::Manifest(repository, reference)) => {
                self.get_manifest(repository, reference).await
            }
            ("PUT", Route::Manifest(repository, reference)) => {
                self.put_manifest(repository, reference, headers, body).await
            }
            ("DELETE", Route::Manifest(repository, reference)) => {
                self.delete_manifest(repository, reference).await
            }
            ("GET", Route::Tags(repository)) => self.tags(repository, query).await,
            ("GET", Route::Referrers(repository, digest)) => self.referrers(repository, digest, query).await,
            (method, _) => Err(Fault::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "UNSUPPORTED",
                format!("{method} is not supported here"),
            )),
        }
    }
}
