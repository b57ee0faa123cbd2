//! A server on the loopback that answers as GitHub's or GitLab's API does, out of a repository on disk: for tests of
//! this adapter and of what uses it.
//!
//! Shapes and status codes are after the documentation that the crate names; what they say is computed by git.

mod like_github;
mod like_gitlab;
mod repository;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::{Json, Router};
use longshore_policy::{Forge, ForgeKind};
use serde_json::{Value, json};

use repository::OnDisk;

/// An answer that is given instead of the true one.
pub type Canned = (u16, Vec<(&'static str, String)>, String);

/// What the repository was called before; it leads to the one of now.
pub const RENAMED: &str = "acme/before";

/// The server. It ends with the runtime that it was started on.
pub struct LikeForge {
    address: SocketAddr,
    kind: ForgeKind,
    shared: Arc<Shared>,
}

pub(crate) struct Shared {
    name: String,
    repository: OnDisk,
    address: SocketAddr,
    token: Mutex<Option<String>>,
    canned: Mutex<VecDeque<Canned>>,
    asked: Mutex<Vec<String>>,
    statuses: Mutex<Vec<Shown>>,
}

/// A status that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// The commit.
    pub commit: String,
    /// GitHub's context, GitLab's name.
    pub context: String,
    /// As the forge calls it.
    pub state: String,
    /// The description.
    pub description: String,
}

impl LikeForge {
    /// Starts one on a free port, which has one repository: it is named `name`, and lies in `folder`.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start(kind: ForgeKind, name: &str, folder: PathBuf) -> std::io::Result<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let repository = OnDisk(folder);
        let shared = Arc::new(Shared {
            name: name.to_owned(),
            repository,
            address,
            token: Mutex::default(),
            canned: Mutex::default(),
            asked: Mutex::default(),
            statuses: Mutex::default(),
        });
        let routes: Router<Arc<Shared>> = match kind {
            ForgeKind::Github => like_github::routes(),
            ForgeKind::Gitlab => like_gitlab::routes(),
        };
        let routes =
            routes.layer(middleware::from_fn_with_state(shared.clone(), first)).with_state(shared.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Ok(Self { address, kind, shared })
    }

    /// How a configuration names it.
    pub fn forge(&self, token: Option<&str>) -> Forge {
        let path = if self.kind == ForgeKind::Gitlab { "/api/v4" } else { "" };
        Forge {
            kind: self.kind,
            api: format!("http://{}{path}", self.address),
            token: token.map(str::to_owned),
        }
    }

    /// From now on only this token is taken.
    pub fn demand(&self, token: &str) {
        *lock(&self.shared.token) = Some(token.to_owned());
    }

    /// Gives this answer to the next question that has no canned one yet.
    pub fn answer_next(&self, canned: Canned) {
        lock(&self.shared.canned).push_back(canned);
    }

    /// The statuses that were written, in order.
    pub fn statuses(&self) -> Vec<Shown> {
        lock(&self.shared.statuses).clone()
    }

    /// What was asked since the last time, as paths with their queries.
    pub fn asked(&self) -> Vec<String> {
        std::mem::take(&mut lock(&self.shared.asked))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Before anything else: canned answers, and who asks.
async fn first(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    lock(&shared.asked).push(request.uri().to_string());
    if let Some((status, headers, body)) = lock(&shared.canned).pop_front() {
        let mut response = (StatusCode::from_u16(status).unwrap_or_default(), body).into_response();
        for (name, value) in headers {
            if let Ok(value) = value.parse() {
                response.headers_mut().insert(name, value);
            }
        }
        return response;
    }
    let wanted = lock(&shared.token).clone().map(|token| format!("Bearer {token}"));
    let given = request.headers().get(header::AUTHORIZATION).and_then(|given| given.to_str().ok());
    if wanted.is_some_and(|wanted| given != Some(&wanted)) {
        return refused(StatusCode::UNAUTHORIZED, "Bad credentials");
    }
    next.run(request).await
}

fn refused(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({ "message": message, "status": status.as_u16().to_string() }))).into_response()
}

/// One page of a list, and where the next one is.
fn page(shared: &Shared, path: &str, query: &str, all: &[Value]) -> Response {
    let number = |name: &str, otherwise: usize| {
        parameter(query, name).and_then(|n| n.parse().ok()).unwrap_or(otherwise)
    };
    let (size, at) = (number("per_page", 30).clamp(1, 100), number("page", 1).max(1));
    let from = ((at - 1) * size).min(all.len());
    let to = (from + size).min(all.len());
    let mut headers = HeaderMap::new();
    if to < all.len() {
        let url = |page: usize| format!("http://{}{path}?per_page={size}&page={page}", shared.address);
        let last = all.len().div_ceil(size);
        let link = format!("<{}>; rel=\"next\", <{}>; rel=\"last\"", url(at + 1), url(last));
        if let Ok(link) = link.parse() {
            headers.insert(header::LINK, link);
        }
    }
    (headers, Json(&all[from..to])).into_response()
}

/// The first parameter of that name; commits and numbers need no decoding.
fn parameter<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    parameters(query, name).next()
}

fn parameters<'a>(query: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let name = format!("{name}=");
    query.split('&').filter_map(move |pair| pair.strip_prefix(name.as_str()))
}
