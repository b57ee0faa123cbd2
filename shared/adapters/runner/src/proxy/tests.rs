//! The proxy in front of releases that are tasks of the test.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use longshore_ports::Phase;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::route::{Lane, Route};
use super::table::Table;
use super::{Limits, serve};
use crate::release::cell::Cell;
use crate::testing::{cell, workload};

const LONG: Duration = Duration::from_mins(1);
const LIMITS: Limits = Limits { connections: 8, head: LONG, answer: LONG, last: LONG };

/// A proxy in front of releases with equal shares.
struct Bench {
    proxy: SocketAddr,
    cells: Vec<Arc<Cell>>,
    stop: watch::Sender<bool>,
    served: JoinHandle<()>,
}

async fn bench(limits: Limits, ports: &[u16]) -> Bench {
    let (table, route) = (Arc::<Table>::default(), Arc::<Route>::default());
    let cells: Vec<Arc<Cell>> = (1..).zip(ports).map(|(number, port)| ready(number, *port)).collect();
    let lane = |cell: &Arc<Cell>| Lane { cell: Arc::clone(cell), share: 50, ordered: 50, trusted: true };
    route.set(cells.iter().map(lane).collect());
    table.set(&workload(), Some(route));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = listener.local_addr().unwrap();
    let stop = watch::Sender::new(false);
    let served = tokio::spawn(serve(listener, table, limits, stop.subscribe()));
    Bench { proxy, cells, stop, served }
}

fn ready(number: u64, port: u16) -> Arc<Cell> {
    let cell = cell(number);
    cell.update(|status| (status.phase, status.port) = (Phase::Ready, Some(port)));
    cell
}

type Body = BoxBody<Bytes, hyper::Error>;

fn full(text: impl Into<Bytes>) -> Body {
    Full::new(text.into()).map_err(|never| match never {}).boxed()
}

/// A release that answers with `answer`; counts its connections.
async fn release<F>(
    answer: impl Fn(Request<Incoming>) -> F + Clone + Send + 'static,
) -> (u16, Arc<AtomicUsize>)
where
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (port, connections) = (listener.local_addr().unwrap().port(), Arc::<AtomicUsize>::default());
    let counted = Arc::clone(&connections);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            let answer = answer.clone();
            let service = service_fn(move |request| {
                let answer = answer(request);
                async move { Ok::<_, Infallible>(answer.await) }
            });
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    (port, connections)
}

/// A release that echoes bodies, and says which headers it got.
async fn echo() -> (u16, Arc<AtomicUsize>) {
    release(async |request: Request<Incoming>| {
        let headers: Vec<String> = request
            .headers()
            .iter()
            .map(|(name, value)| format!("{name}={}", value.to_str().unwrap()))
            .collect();
        Response::builder().header("x-got", headers.join("; ")).body(request.into_body().boxed()).unwrap()
    })
    .await
}

/// A port that nobody listens on.
async fn nobody() -> u16 {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port()
}

async fn exchange(proxy: SocketAddr, text: &str) -> String {
    let mut stream = TcpStream::connect(proxy).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = String::new();
    timeout(LONG, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    answer
}

fn get(extra: &str) -> String {
    format!("GET / HTTP/1.1\r\nhost: shop.localhost\r\nconnection: close\r\n{extra}\r\n")
}

const POST: &str =
    "POST / HTTP/1.1\r\nhost: shop.localhost\r\nconnection: close\r\ncontent-length: 2\r\n\r\nhi";

#[tokio::test]
async fn a_release_that_does_not_answer_in_time_is_told_of_by_504() {
    let (port, _) = release(async |_| std::future::pending().await).await;
    let bench = bench(Limits { answer: Duration::from_millis(50), ..LIMITS }, &[port]).await;
    let answer = exchange(bench.proxy, &get("")).await;
    assert!(answer.starts_with("HTTP/1.1 504 "), "{answer}");
    assert!(answer.contains("LS0404") && answer.contains("within 50 ms"), "{answer}");
    let listed = bench.cells[0].listed(0);
    assert_eq!((listed.open, listed.errors), (0, 1));
}

#[tokio::test]
async fn a_slow_upload_is_no_slow_answer() {
    let (port, _) = release(async |request: Request<Incoming>| {
        Response::new(full(request.into_body().collect().await.unwrap().to_bytes()))
    })
    .await;
    let bench = bench(Limits { answer: Duration::from_secs(1), ..LIMITS }, &[port]).await;
    let mut stream = TcpStream::connect(bench.proxy).await.unwrap();
    let head = "POST / HTTP/1.1\r\nhost: shop.localhost\r\nconnection: close\r\ncontent-length: 4\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    for piece in ["a", "b", "c", "d"] {
        sleep(Duration::from_millis(400)).await;
        stream.write_all(piece.as_bytes()).await.unwrap();
    }
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("\r\nabcd"), "{answer}");
}

#[tokio::test]
async fn a_connection_beyond_those_that_may_be_open_waits_for_one_to_end() {
    let (port, _) = echo().await;
    let bench = bench(Limits { connections: 1, ..LIMITS }, &[port]).await;
    let first = TcpStream::connect(bench.proxy).await.unwrap();
    let mut second = TcpStream::connect(bench.proxy).await.unwrap();
    second.write_all(get("").as_bytes()).await.unwrap();
    let mut answer = String::new();
    let early = timeout(Duration::from_millis(100), second.read_to_string(&mut answer)).await;
    assert!(early.is_err(), "{answer}");
    drop(first);
    timeout(LONG, second.read_to_string(&mut answer)).await.unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

#[tokio::test]
async fn a_client_that_says_nothing_is_left() {
    let bench = bench(Limits { head: Duration::from_millis(50), ..LIMITS }, &[]).await;
    for text in ["", "P", "GET / HTTP/1.1\r\nho"] {
        exchange(bench.proxy, text).await;
    }
}

#[tokio::test]
async fn requests_over_http_2_share_a_connection_and_reach_the_release_as_http_1() {
    let (port, _) = echo().await;
    let bench = bench(LIMITS, &[port]).await;
    let stream = TokioIo::new(TcpStream::connect(bench.proxy).await.unwrap());
    let (sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.unwrap();
    tokio::spawn(connection);
    let ask = |body: &'static str| {
        let mut sender = sender.clone();
        let request =
            Request::post("http://shop.prod.localhost/a?b").header("te", "trailers").body(full(body));
        async move { sender.send_request(request.unwrap()).await.unwrap() }
    };
    let (one, two) = tokio::join!(ask("one"), ask("two"));
    let got = one.headers()["x-got"].to_str().unwrap().to_owned();
    for header in ["host=shop.prod.localhost", "te=trailers", "x-forwarded-host=shop.prod.localhost"] {
        assert!(got.contains(header), "{got}");
    }
    assert_eq!(one.into_body().collect().await.unwrap().to_bytes(), "one");
    assert_eq!(two.into_body().collect().await.unwrap().to_bytes(), "two");
}

#[tokio::test]
async fn a_request_that_was_not_sent_goes_to_another_release() {
    let (port, _) = echo().await;
    let bench = bench(LIMITS, &[nobody().await, port]).await;
    for request in [get(""), POST.to_owned(), get(""), POST.to_owned()] {
        let answer = exchange(bench.proxy, &request).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert!(answer.contains("x-longshore-release: 2"), "{answer}");
    }
}

#[tokio::test]
async fn a_request_that_may_have_been_seen_is_not_sent_twice() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (port, seen) = (listener.local_addr().unwrap().port(), Arc::<AtomicUsize>::default());
    let counted = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 1024]).await;
            counted.fetch_add(1, Ordering::SeqCst);
        }
    });
    let bench = bench(LIMITS, &[port]).await;
    let answer = exchange(bench.proxy, POST).await;
    assert!(answer.starts_with("HTTP/1.1 502 ") && answer.contains("LS0403"), "{answer}");
    assert_eq!(seen.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_link_is_used_again_and_one_that_was_closed_meanwhile_fails_nobody() {
    let (port, connections) = echo().await;
    let here = bench(LIMITS, &[port]).await;
    for _ in 0..20 {
        assert!(exchange(here.proxy, &get("")).await.starts_with("HTTP/1.1 200 "));
    }
    assert_eq!(connections.load(Ordering::SeqCst), 1);
    // This one answers once on each connection, and leaves without a word.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let rude = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 1024]).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi").await;
        }
    });
    let rude = bench(LIMITS, &[rude]).await;
    for request in [get(""), POST.to_owned()].iter().cycle().take(40) {
        let answer = exchange(rude.proxy, request).await;
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("hi"), "{answer}");
    }
}

#[tokio::test]
async fn a_large_body_comes_back_as_it_was_sent() {
    let (port, _) = echo().await;
    let bench = bench(LIMITS, &[port]).await;
    let stream = TokioIo::new(TcpStream::connect(bench.proxy).await.unwrap());
    let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let sent: Bytes = (0..8 << 20).map(|n: u32| n.to_le_bytes()[(n % 3) as usize]).collect();
    for _ in 0..2 {
        let request = Request::post("/").header("host", "shop.localhost").body(full(sent.clone())).unwrap();
        sender.ready().await.unwrap();
        let answer = sender.send_request(request).await.unwrap();
        assert!(answer.into_body().collect().await.unwrap().to_bytes() == sent);
    }
    assert_eq!(bench.cells[0].listed(0).open, 0);
}

#[tokio::test]
async fn what_a_tester_names_answers_and_what_is_not_there_is_told() {
    let ((one, _), (two, _)) = (echo().await, echo().await);
    let bench = bench(LIMITS, &[one, two]).await;
    for (name, release) in [("old", "1"), ("new", "2"), ("1", "1"), ("new", "2")] {
        let answer = exchange(bench.proxy, &get(&format!("x-longshore-release: {name}\r\n"))).await;
        assert!(answer.contains(&format!("x-longshore-release: {release}\r\n")), "{answer}");
    }
    let answer = exchange(bench.proxy, &get("x-longshore-release: 7\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("LS0405"), "{answer}");
}

#[tokio::test]
async fn on_its_way_out_it_takes_nothing_new_and_finishes_what_is_open() {
    let gate = watch::Sender::new(false);
    let wait = gate.subscribe();
    let (port, _) = release(move |_| {
        let mut wait = wait.clone();
        async move {
            wait.wait_for(|open| *open).await.unwrap();
            Response::new(full("done"))
        }
    })
    .await;
    let bench = bench(LIMITS, &[port]).await;
    let text = "GET / HTTP/1.1\r\nhost: shop.localhost\r\n\r\n";
    let open = tokio::spawn(async move { exchange(bench.proxy, text).await });
    while bench.cells[0].listed(0).open == 0 {
        tokio::task::yield_now().await;
    }
    bench.stop.send_replace(true);
    while TcpStream::connect(bench.proxy).await.is_ok() {
        tokio::task::yield_now().await;
    }
    gate.send_replace(true);
    let answer = open.await.unwrap();
    assert!(answer.ends_with("done") && answer.contains("connection: close"), "{answer}");
    timeout(LONG, bench.served).await.unwrap().unwrap();
}

#[tokio::test]
async fn what_does_not_end_in_time_holds_the_end_up_no_longer() {
    let (port, _) = release(async |_| std::future::pending().await).await;
    let bench = bench(Limits { last: Duration::from_millis(20), ..LIMITS }, &[port]).await;
    let open = tokio::spawn(async move { exchange(bench.proxy, &get("")).await });
    while bench.cells[0].listed(0).open == 0 {
        tokio::task::yield_now().await;
    }
    bench.stop.send_replace(true);
    timeout(LONG, bench.served).await.unwrap().unwrap();
    open.abort();
}
