//! One request: sent on to a release, and to another one only while none has seen it.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper::header::{HOST, HeaderValue};
use hyper::http::uri::PathAndQuery;
use hyper::{HeaderMap, Method, Request, Response, StatusCode, Uri, Version};
use tokio::time::sleep;

use super::download::Download;
use super::link::{Broken, Link};
use super::refusal::Refusal;
use super::route::Route;
use super::table::Table;
use super::upload::Upload;
use super::{Client, headers, tunnel};
use crate::release::cell::Open;

/// What the client gets: a release's answer, or one of our own.
pub(super) type Answer = Response<Either<Download, Full<Bytes>>>;

/// How often it is tried to reach a release before the client is told.
const TRIES: usize = 3;
/// Between two tries: a process that was found gone is noticed meanwhile, or back.
const AGAIN: Duration = Duration::from_millis(20);

/// Answers a client's request.
pub(super) async fn answer(
    table: &Table,
    client: &Client,
    limit: Duration,
    mut request: Request<Incoming>,
) -> Answer {
    if request.method() == Method::CONNECT {
        return Refusal::NoTunnel.answer().map(Either::Right);
    }
    let route = match table.find(host(&request)) {
        Ok(route) => route,
        Err(known) => return Refusal::Unknown(known).answer().map(Either::Right),
    };
    let authority = request.uri().authority();
    let authority = authority.and_then(|authority| HeaderValue::from_str(authority.as_str()).ok());
    let upgrades = headers::request(request.headers_mut(), &client.address, authority);
    let upgrade = upgrades.then(|| hyper::upgrade::on(&mut request));
    // HTTP/1.1 to a server: the path alone, whatever the client's version and form.
    if request.uri().authority().is_some() {
        let path = request.uri().path_and_query().cloned();
        *request.uri_mut() = Uri::from(path.unwrap_or(PathAndQuery::from_static("/")));
    }
    *request.version_mut() = Version::HTTP_11;
    let (mut response, open, link) = match send(&route, request.map(Upload::of), limit).await {
        Ok(answered) => answered,
        Err(refused) => return refused.answer().map(Either::Right),
    };
    open.answered(response.status().is_server_error());
    let switched = response.status() == StatusCode::SWITCHING_PROTOCOLS;
    headers::response(response.headers_mut(), &open.cell, switched);
    if !switched {
        return response.map(|body| Either::Left(Download::new(body, open, link)));
    }
    let Some(upgrade) = upgrade else {
        return Refusal::Lost("it switched to another protocol unasked".into()).answer().map(Either::Right);
    };
    tokio::spawn(tunnel::join(upgrade, link, open, client.place.clone()));
    response.map(|_| Either::Right(Full::default()))
}

fn host(request: &Request<Incoming>) -> &str {
    let named = || request.headers().get(HOST)?.to_str().ok();
    request.uri().authority().map(hyper::http::uri::Authority::as_str).or_else(named).unwrap_or_default()
}

type Answered = (Response<Incoming>, Open, Box<Link>);

/// Sends it until a release has seen it.
async fn send(route: &Route, mut request: Request<Upload>, limit: Duration) -> Result<Answered, Refusal> {
    let (mut avoid, mut why) = (None, None);
    for again in 0..TRIES {
        if again > 0 {
            sleep(AGAIN).await;
        }
        let Some(open) = enter(route, request.headers(), avoid)? else { break };
        match attempt(&open, request, limit).await {
            Ok((response, link)) => return Ok((response, open, link)),
            Err(Broken::Unsent(unsent, broken)) => {
                open.failed();
                avoid = Some(open.cell.release);
                (request, why) = (*unsent, Some(broken));
            }
            Err(Broken::Lost(broken)) => {
                open.failed();
                return Err(Refusal::Lost(broken));
            }
            Err(Broken::Late) => {
                open.failed();
                return Err(Refusal::Late(limit));
            }
        }
    }
    Err(why.map_or(Refusal::NotReady, Refusal::Lost))
}

fn enter(route: &Route, headers: &HeaderMap, avoid: Option<u64>) -> Result<Option<Open>, Refusal> {
    let Some(named) = headers.get(headers::RELEASE) else { return Ok(route.enter(avoid)) };
    let name = named.to_str().unwrap_or_default().trim();
    route.enter_named(name).map(Some).ok_or_else(|| Refusal::NotNamed(name.to_owned()))
}

async fn attempt(
    open: &Open,
    request: Request<Upload>,
    limit: Duration,
) -> Result<(Response<Incoming>, Box<Link>), Broken> {
    // A kept link may be closed just now by a process that is well, when it is not known whether that has seen the
    // request. What must not be done twice is not risked.
    if request.body().is_none() && request.method().is_idempotent() {
        while let Some(mut link) = open.cell.pool.take() {
            match link.send(same(&request), limit).await {
                Ok(response) => return Ok((response, link)),
                Err(Broken::Late) => return Err(Broken::Late),
                Err(Broken::Lost(_) | Broken::Unsent(..)) => {}
            }
        }
    }
    let mut link = match Link::open(open.port).await {
        Ok(link) => link,
        Err(error) => return Err(Broken::Unsent(Box::new(request), error.to_string())),
    };
    let response = link.send(request, limit).await?;
    Ok((response, link))
}

/// Another one like a request without a body.
fn same(request: &Request<Upload>) -> Request<Upload> {
    let mut same = Request::new(Upload::default());
    same.method_mut().clone_from(request.method());
    same.uri_mut().clone_from(request.uri());
    same.headers_mut().clone_from(request.headers());
    same
}
