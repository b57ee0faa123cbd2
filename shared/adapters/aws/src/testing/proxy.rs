//! A proxy before moto: counts the calls, plays the faults of AWS, and knows transactions' tokens, as AWS does.
//! What it adds to moto's CodeBuild stands in [`super::codebuild`].

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response, StatusCode, server::conn::http1, service::service_fn};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::codebuild::Builds;
use super::record::{self, Asked};

/// What happens to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Refused before anything is done: status, code and message.
    Refused(u16, &'static str, &'static str),
    /// Answered with this, and not done.
    Said(&'static str),
    /// The transaction is cancelled: another one holds its first row.
    Contended,
    /// Done, and answered with 500.
    BrokenAfter,
    /// Done, and the connection ends without an answer.
    CutAfter,
    /// Done, and never answered.
    SilentAfter,
    /// Of PutEvents only the first entries are done: so many.
    Partial(usize),
    /// Of BatchGetItem only the first keys are read: so many.
    Undone(usize),
}

/// What becomes of the calls to come.
#[derive(Default)]
struct Script {
    /// Each takes the next call of its action.
    next: VecDeque<(&'static str, Fault)>,
    /// Faults that come by themselves, by a seed.
    weather: Option<u64>,
    /// Also to what is sent again because its answer was lost.
    harsh: bool,
    calls: Vec<String>,
    asked: Vec<Asked>,
    builds: Builds,
    /// By digest, what is said of a scan in place of moto's words.
    scans: HashMap<String, Value>,
    done: HashMap<String, (StatusCode, Bytes)>,
}

/// The proxy. It ends with the test's runtime.
#[derive(Clone)]
pub struct Proxy {
    script: Arc<Mutex<Script>>,
    client: Client<HttpConnector, Full<Bytes>>,
    /// moto does one thing at a time, or loses some of it: of DynamoDB, and of the queues and the bus that fills them.
    alone: Arc<[tokio::sync::Mutex<()>; 2]>,
    moto: String,
    /// `http://host:port`.
    pub endpoint: String,
}

impl Proxy {
    /// Starts one before the moto at `host:port`.
    pub async fn start(moto: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Self {
            script: Arc::default(),
            client: Client::builder(TokioExecutor::new()).build_http(),
            alone: Arc::default(),
            moto: moto.to_owned(),
            endpoint: format!("http://{}", listener.local_addr().unwrap()),
        };
        let serving = proxy.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let proxy = serving.clone();
                let serve = service_fn(move |request| proxy.clone().answer(request));
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), serve));
            }
        });
        proxy
    }

    /// The next call of `action`, e.g. `PutEvents`, ends so.
    pub fn next(&self, action: &'static str, fault: Fault) {
        self.script().next.push_back((action, fault));
    }

    /// From now on about one call in three meets a fault; in harsh weather also one that was sent again.
    pub fn weather(&self, seed: u64, harsh: bool) {
        let mut script = self.script();
        (script.weather, script.harsh) = (Some(seed), harsh);
    }

    /// From now on the builds of a service, or of a commit, stand so: `state` is what CodeBuild says of them in place of
    /// moto's. What is said of a commit counts more.
    pub fn build(&self, what: &str, state: Value) {
        self.script().builds.stand(what, state);
    }

    /// From now on a scan of this digest, once it was begun, stands so.
    pub fn scan(&self, digest: &str, answer: Value) {
        self.script().scans.insert(digest.to_owned(), answer);
    }

    /// The starts of builds so far, as they were asked for.
    pub fn builds(&self) -> Vec<Value> {
        self.script().builds.started.clone()
    }

    /// Only what is asked for from now on.
    pub fn calm(&self) {
        let mut script = self.script();
        (script.weather, script.next) = (None, VecDeque::new());
    }

    /// The actions since the last time.
    pub fn calls(&self) -> Vec<String> {
        std::mem::take(&mut self.script().calls)
    }

    /// All calls since the last time, with who made them.
    pub fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.script().asked)
    }

    fn script(&self) -> std::sync::MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn answer(self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Cut> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map_err(|_| Cut)?.to_bytes();
        let target = parts.headers.get("x-amz-target").map(|target| target.to_str().unwrap_or_default());
        let action = target.and_then(|target| target.rsplit('.').next());
        let action = action.unwrap_or(parts.method.as_str()).to_owned();
        let fault = self.script().fault(&action, token(&action, &body).as_deref());
        let call = Call { proxy: &self, parts: &parts, action: &action };
        Ok(match fault {
            None => call.forward(body).await,
            Some(Fault::Refused(status, code, message)) => refusal(status, code, message),
            Some(Fault::Said(body)) => plain(StatusCode::OK, body.into()),
            Some(Fault::Contended) => cancelled(&body),
            Some(Fault::BrokenAfter) => {
                call.forward(body).await;
                refusal(500, "InternalServerError", "it fails just now")
            }
            Some(Fault::CutAfter) => {
                call.forward(body).await;
                return Err(Cut);
            }
            Some(Fault::SilentAfter) => {
                call.forward(body).await;
                std::future::pending().await
            }
            Some(Fault::Partial(most)) => call.partial(&body, most).await,
            Some(Fault::Undone(most)) => call.undone(&body, most).await,
        })
    }
}

/// A call on its way.
struct Call<'a> {
    proxy: &'a Proxy,
    parts: &'a hyper::http::request::Parts,
    action: &'a str,
}

impl Call<'_> {
    /// What was done under a token is answered as it was then.
    async fn forward(&self, body: Bytes) -> Response<Full<Bytes>> {
        let Self { proxy, parts, action } = self;
        let target = parts.headers.get("x-amz-target");
        let of = |service: &[u8]| target.is_some_and(|target| target.as_bytes().starts_with(service));
        let [table, queues] = &*proxy.alone;
        let _alone = if of(b"DynamoDB") {
            Some(table.lock().await)
        } else if of(b"AmazonSQS") || of(b"AWSEvents") {
            Some(queues.lock().await)
        } else {
            None
        };
        let token = token(action, &body);
        let done = token.as_ref().and_then(|token| proxy.script().done.get(token).cloned());
        if let Some((status, body)) = done {
            return plain(status, body);
        }
        let asked = target.is_some_and(|target| target.as_bytes().starts_with(b"CodeBuild"));
        let asked: Option<Value> = asked.then(|| serde_json::from_slice(&body).unwrap_or_default());
        if let Some(known) = asked.as_ref().and_then(|asked| proxy.script().builds.known(action, asked)) {
            return match known {
                Ok(answer) => said(200, &answer),
                Err(why) => refusal(400, "InvalidInputException", why),
            };
        }
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        let mut request =
            Request::builder().method(&parts.method).uri(format!("http://{}{path}", proxy.moto));
        for (name, value) in
            parts.headers.iter().filter(|(name, _)| *name != "host" && *name != "content-length")
        {
            request = request.header(name, value);
        }
        let answer = proxy.client.request(request.body(Full::new(body.clone())).unwrap()).await.unwrap();
        let (head, answer) = answer.into_parts();
        let answer = answer.collect().await.unwrap().to_bytes();
        if let Some(asked) = record::asked(parts, &body) {
            proxy.script().asked.push(Asked { answered: answer.len(), ..asked });
        }
        if let Some(token) = token.filter(|_| head.status.is_success()) {
            proxy.script().done.insert(token, (head.status, answer.clone()));
        }
        if let Some(asked) = asked.filter(|_| head.status.is_success()) {
            let mut answer = serde_json::from_slice(&answer).unwrap();
            proxy.script().builds.complete(action, &asked, &mut answer);
            return said(200, &answer);
        }
        if *action == "DescribeImageScanFindings" && head.status.is_success() {
            let (asked, answer) =
                (serde_json::from_slice(&body).unwrap(), serde_json::from_slice(&answer).unwrap());
            return said(200, &proxy.script().scanned(&asked, answer));
        }
        Response::from_parts(head, Full::new(answer))
    }

    async fn partial(&self, body: &Bytes, most: usize) -> Response<Full<Bytes>> {
        let mut asked: Value = serde_json::from_slice(body).unwrap();
        let entries = asked["Entries"].as_array_mut().unwrap();
        let failed = entries.len().saturating_sub(most);
        entries.truncate(most);
        let none = entries.is_empty();
        let mut answer = if none {
            json!({ "Entries": [] })
        } else {
            read(self.forward(asked.to_string().into()).await).await
        };
        let entries = answer["Entries"].as_array_mut().unwrap();
        for _ in 0..failed {
            entries.push(json!({ "ErrorCode": "ThrottlingException", "ErrorMessage": "rate exceeded" }));
        }
        answer["FailedEntryCount"] = json!(failed);
        said(200, &answer)
    }

    async fn undone(&self, body: &Bytes, most: usize) -> Response<Full<Bytes>> {
        let mut asked: Value = serde_json::from_slice(body).unwrap();
        let mut left = asked["RequestItems"].clone();
        let table = left.as_object().unwrap().keys().next().unwrap().clone();
        let keys = asked["RequestItems"][&table]["Keys"].as_array_mut().unwrap();
        let rest = keys.split_off(most.min(keys.len()));
        let none = keys.is_empty();
        let mut answer = if none {
            json!({ "Responses": { &table: [] } })
        } else {
            read(self.forward(asked.to_string().into()).await).await
        };
        left[&table]["Keys"] = json!(rest);
        answer["UnprocessedKeys"] = if rest.is_empty() { json!({}) } else { left };
        said(200, &answer)
    }
}

impl Script {
    /// What is said of a scan; moto says the same of every image.
    fn scanned(&self, asked: &Value, answer: Value) -> Value {
        let digest = asked["imageId"]["imageDigest"].as_str().unwrap_or_default();
        self.scans.get(digest).cloned().unwrap_or(answer)
    }

    fn fault(&mut self, action: &str, token: Option<&str>) -> Option<Fault> {
        self.calls.push(action.to_owned());
        let place = self.next.iter().position(|(wanted, _)| *wanted == action);
        if let Some((_, fault)) = place.and_then(|place| self.next.remove(place)) {
            return Some(fault);
        }
        // Any generator will do that a seed repeats: this is Knuth's of MMIX.
        let again = token.is_some_and(|token| self.done.contains_key(token));
        let seed = self.weather.as_mut().filter(|_| self.harsh || !again)?;
        *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let roll = *seed >> 33;
        let busy = Fault::Refused(400, "ProvisionedThroughputExceededException", "slow down");
        let any = [busy, Fault::BrokenAfter, Fault::CutAfter];
        let fault = match (action, roll / 3 % 4) {
            ("TransactWriteItems", 3) => Fault::Contended,
            ("BatchGetItem", 3) => Fault::Undone(1),
            ("PutEvents", 3) => Fault::Partial(1),
            (_, other) => any[usize::try_from(other % 3).unwrap_or_default()],
        };
        roll.is_multiple_of(3).then_some(fault)
    }
}

/// Under which a transaction is done once.
fn token(action: &str, body: &Bytes) -> Option<String> {
    let body: Value = (action == "TransactWriteItems").then(|| serde_json::from_slice(body).ok())??;
    body["ClientRequestToken"].as_str().map(str::to_owned)
}

/// The connection ends.
#[derive(Debug)]
struct Cut;

impl std::fmt::Display for Cut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("cut")
    }
}

impl std::error::Error for Cut {}

fn plain(status: StatusCode, body: Bytes) -> Response<Full<Bytes>> {
    let answer = Response::builder().status(status).header("content-type", "application/x-amz-json-1.0");
    answer.body(Full::new(body)).unwrap()
}

fn said(status: u16, body: &Value) -> Response<Full<Bytes>> {
    plain(StatusCode::from_u16(status).unwrap(), body.to_string().into())
}

fn refusal(status: u16, code: &str, message: &str) -> Response<Full<Bytes>> {
    said(status, &json!({ "__type": code, "message": message }))
}

fn cancelled(body: &Bytes) -> Response<Full<Bytes>> {
    let rows = serde_json::from_slice::<Value>(body).unwrap()["TransactItems"].as_array().unwrap().len();
    let held = json!({ "Code": "TransactionConflict", "Message": "Transaction is ongoing for the item" });
    let reason = |row| if row == 0 { held.clone() } else { json!({ "Code": "None" }) };
    let reasons: Vec<_> = (0..rows).map(reason).collect();
    let body = json!({
        "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
        "Message": "Transaction cancelled, please refer cancellation reasons for specific reasons",
        "CancellationReasons": reasons,
    });
    said(400, &body)
}

async fn read(answer: Response<Full<Bytes>>) -> Value {
    serde_json::from_slice(&answer.into_body().collect().await.unwrap().to_bytes()).unwrap()
}
