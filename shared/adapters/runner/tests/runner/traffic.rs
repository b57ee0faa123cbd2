//! Requests through the proxy, and a steady load of them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::Request;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Clients of the proxy.
#[derive(Clone)]
pub(crate) struct Traffic {
    pub(crate) proxy: SocketAddr,
    http: Client<HttpConnector, Empty<Bytes>>,
}

/// An answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) release: Option<String>,
    pub(crate) body: String,
}

impl Traffic {
    pub(crate) fn to(proxy: SocketAddr) -> Self {
        Self { proxy, http: Client::builder(TokioExecutor::new()).build_http() }
    }

    /// One GET, never repeated.
    pub(crate) async fn ask(&self, host: &str, path: &str) -> Result<Answer, String> {
        let request = Request::get(format!("http://{}{path}", self.proxy)).header("host", host);
        let request = request.body(Empty::new()).unwrap();
        let response = self.http.request(request).await.map_err(|error| error.to_string())?;
        let status = response.status().as_u16();
        let release = response.headers().get("x-longshore-release");
        let release = release.map(|release| release.to_str().unwrap().to_owned());
        let body = response.into_body().collect().await.map_err(|error| error.to_string())?.to_bytes();
        Ok(Answer { status, release, body: String::from_utf8_lossy(&body).into_owned() })
    }

    /// The body of a GET to `prod/shop` that is answered well.
    pub(crate) async fn get(&self, path: &str) -> String {
        let answer = self.ask("shop.prod.localhost", path).await.unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.body
    }

    /// Asks all the time, over `clients` connections, until it is stopped.
    pub(crate) fn load(&self, clients: usize) -> Load {
        let stop = Arc::new(AtomicBool::new(false));
        let answered = watch::Sender::new(0);
        let one = |_| {
            let (traffic, stop, answered) = (Self::to(self.proxy), Arc::clone(&stop), answered.clone());
            tokio::spawn(async move {
                let mut answers = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    answers.push(traffic.ask("shop.localhost", "/").await);
                    answered.send_modify(|answered| *answered += 1);
                }
                answers
            })
        };
        Load { tasks: (0..clients).map(one).collect(), stop, answered: answered.subscribe() }
    }
}

/// A load that goes on.
pub(crate) struct Load {
    tasks: Vec<JoinHandle<Vec<Result<Answer, String>>>>,
    stop: Arc<AtomicBool>,
    answered: watch::Receiver<usize>,
}

impl Load {
    /// Waits until so many more requests were answered.
    pub(crate) async fn more(&mut self, requests: usize) {
        let until = *self.answered.borrow() + requests;
        let reached = self.answered.wait_for(|answered| *answered >= until);
        timeout(Duration::from_mins(1), reached).await.unwrap().unwrap();
    }

    /// Ends it; what each client was answered, in its order.
    pub(crate) async fn end(self) -> Vec<Vec<Result<Answer, String>>> {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Vec::new();
        for task in self.tasks {
            all.push(task.await.unwrap());
        }
        all
    }
}
