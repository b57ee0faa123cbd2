//! A proxy before a cluster's API server: plays the faults that a client must live with, and notes every request.
//!
//! It has a certificate of the cluster's authority, and passes on who asks: bearer tokens, but no client's certificates.

mod answer;
mod record;

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::{HeaderMap, Request, Response, Uri, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use self::answer::{Answer, Cut, Kept};
use super::api::Api;
use super::cluster::Cluster;
use super::pki::{ADMIN, Pair};

pub use record::Asked;

/// What happens to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Refused with this status before anything is done, in the words of an API server: e.g. 401 as for a token that has
    /// expired, 409, 410, 500, 503.
    Refused(u16),
    /// Refused with 429 before anything is done, and asked to come back in so many seconds.
    Busy(u32),
    /// The connection ends before anything is done.
    Cut,
    /// Done, and the connection ends without an answer.
    CutAfter,
    /// Done, and answered with 500.
    BrokenAfter,
    /// Done twice, as by a client that sends again what it got no answer to; the second answer is told.
    Twice,
    /// Done, and answered so much later.
    Slow(Duration),
    /// Done once [`FaultProxy::let_go`] is called for its namespace.
    Held,
    /// Answered as the same question was before, and not asked. The first time there is nothing but the truth.
    Stale,
}

/// What comes by itself. Nothing that only a mistake of the client's own brings.
const WEATHER: [Fault; 8] = [
    Fault::Refused(500),
    Fault::Refused(503),
    Fault::Busy(1),
    Fault::Cut,
    Fault::CutAfter,
    Fault::BrokenAfter,
    Fault::Twice,
    Fault::Stale,
];

/// Which requests a fault is for. A text of `*` is any.
#[derive(Debug, Clone)]
struct Rule {
    verb: &'static str,
    resource: &'static str,
    fault: Fault,
    /// Else it takes the next request alone.
    always: bool,
}

#[derive(Default)]
struct Script {
    rules: Vec<Rule>,
    /// For each namespace, after how many of its writes a fault comes.
    writes: HashMap<String, (usize, Fault)>,
    /// Namespaces of which a request is held.
    held: HashSet<String>,
    /// Faults that come by themselves, by a seed.
    weather: Option<u64>,
    asked: Vec<Asked>,
    /// By path, what was read last.
    read: HashMap<String, Kept>,
}

/// The proxy. It ends with the test's runtime.
#[derive(Clone)]
pub struct FaultProxy {
    script: Arc<Mutex<Script>>,
    api: Api,
    /// `https://host:port`.
    server: String,
    kubeconfig: PathBuf,
}

impl FaultProxy {
    /// Starts one on the machine's loopback.
    pub async fn start(cluster: &Cluster) -> Self {
        let pair = cluster.authority.pair("proxy", None, vec!["127.0.0.1".to_owned()]);
        let acceptor = TlsAcceptor::from(Arc::new(server_config(&pair)));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = format!("https://{}", listener.local_addr().unwrap());
        let kubeconfig = cluster.new_kubeconfig(&server, ADMIN);
        let proxy = Self { script: Arc::default(), api: cluster.api.clone(), server, kubeconfig };
        let serving = proxy.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (proxy, acceptor) = (serving.clone(), acceptor.clone());
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let serve = service_fn(move |request| proxy.clone().answer(request));
                    // It ends with an error where a fault cuts it.
                    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), serve).await;
                });
            }
        });
        proxy
    }

    /// A kubeconfig of one who may do everything, by way of the proxy.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// A kubeconfig of whoever has this token of the cluster, by way of the proxy.
    pub fn kubeconfig_of(&self, cluster: &Cluster, token: &str) -> PathBuf {
        cluster.new_kubeconfig(&self.server, token)
    }

    /// The next request with this verb (e.g. `patch`) of this resource (e.g. `deployments` or `pods/eviction`) ends so;
    /// `*` is any.
    pub fn next(&self, verb: &'static str, resource: &'static str, fault: Fault) {
        self.script().rules.push(Rule { verb, resource, fault, always: false });
    }

    /// As [`FaultProxy::next`], for all from now on.
    pub fn always(&self, verb: &'static str, resource: &'static str, fault: Fault) {
        self.script().rules.push(Rule { verb, resource, fault, always: true });
    }

    /// The `number`-th write in this namespace, from now on and from 1, ends so. No rule is for it then.
    pub fn nth_write(&self, namespace: &str, number: usize, fault: Fault) {
        self.script().writes.insert(namespace.to_owned(), (number, fault));
    }

    /// Whether the write has come that [`FaultProxy::nth_write`] was told of.
    pub fn has_come(&self, namespace: &str) -> bool {
        !self.script().writes.contains_key(namespace)
    }

    /// The request that is held in this namespace goes on.
    pub fn let_go(&self, namespace: &str) {
        self.script().held.remove(namespace);
    }

    /// From now on about one request in four meets a fault, whichever comes of the seed, unless a rule is for it.
    pub fn weather(&self, seed: u64) {
        self.script().weather = Some(seed);
    }

    /// No more faults.
    pub fn calm(&self) {
        let mut script = self.script();
        (script.rules, script.weather) = (Vec::new(), None);
    }

    /// All requests since the last time, in the order in which their answers began.
    pub fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.script().asked)
    }

    /// The same of one namespace.
    pub fn asked_in(&self, namespace: &str) -> Vec<Asked> {
        let script = &mut *self.script();
        let all = std::mem::take(&mut script.asked).into_iter();
        let (found, others) = all.partition(|asked| asked.namespace == namespace);
        script.asked = others;
        found
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn answer(self, request: Request<Incoming>) -> Result<Response<Answer>, Cut> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map_err(|_| Cut)?.to_bytes();
        let mut asked = Asked::read(&parts.method, &parts.uri, body.len());
        let fault = self.script().fault(&asked);
        let call = Call { api: &self.api, parts: &parts, body };
        let answered = self.played(fault, &call, &asked).await;
        if let Ok(answer) = &answered {
            asked.status = answer.status().as_u16();
            asked.answered = answer::size(answer);
        }
        self.script().asked.push(asked);
        answered
    }

    async fn played(
        &self,
        fault: Option<Fault>,
        call: &Call<'_>,
        asked: &Asked,
    ) -> Result<Response<Answer>, Cut> {
        match fault {
            None => self.passed_on(call, asked).await,
            Some(Fault::Refused(status)) => Ok(answer::refusal(status, None)),
            Some(Fault::Busy(seconds)) => Ok(answer::refusal(429, Some(seconds))),
            Some(Fault::Cut) => Err(Cut),
            Some(Fault::CutAfter) => {
                call.send().await?;
                Err(Cut)
            }
            Some(Fault::BrokenAfter) => {
                call.send().await?;
                Ok(answer::refusal(500, None))
            }
            Some(Fault::Twice) => {
                call.send().await?;
                self.passed_on(call, asked).await
            }
            Some(Fault::Slow(late)) => {
                let answer = self.passed_on(call, asked).await;
                tokio::time::sleep(late).await;
                answer
            }
            Some(Fault::Held) => {
                while self.script().held.contains(&asked.namespace) {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                self.passed_on(call, asked).await
            }
            Some(Fault::Stale) => {
                let before = self.script().read.get(&asked.path).cloned();
                match before {
                    Some(before) => Ok(before.into()),
                    None => self.passed_on(call, asked).await,
                }
            }
        }
    }

    /// What the API server answers. What goes on for as long as somebody reads is passed on as it comes.
    async fn passed_on(&self, call: &Call<'_>, asked: &Asked) -> Result<Response<Answer>, Cut> {
        let answer = call.send().await?;
        if asked.verb == "watch" || asked.path.contains("follow=true") {
            return Ok(answer.map(Answer::Streamed));
        }
        let kept = Kept::read(answer).await?;
        if matches!(asked.verb, "get" | "list") && kept.is_good() {
            self.script().read.insert(asked.path.clone(), kept.clone());
        }
        Ok(kept.into())
    }
}

impl Script {
    /// What comes with this write of its namespace, or what the first rule says that is for this request, or the weather.
    fn fault(&mut self, asked: &Asked) -> Option<Fault> {
        let fault = self.counted(asked).or_else(|| self.ruled(asked)).or_else(|| self.weathered());
        if fault == Some(Fault::Held) {
            self.held.insert(asked.namespace.clone());
        }
        fault
    }

    fn counted(&mut self, asked: &Asked) -> Option<Fault> {
        let (left, fault) = self.writes.get_mut(&asked.namespace).filter(|_| asked.is_write())?;
        *left -= 1;
        let fault = (*left == 0).then_some(*fault)?;
        self.writes.remove(&asked.namespace);
        Some(fault)
    }

    fn weathered(&mut self) -> Option<Fault> {
        let seed = self.weather.as_mut()?;
        // Any generator will do that a seed repeats: this is Knuth's of MMIX.
        *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let roll = usize::try_from(*seed >> 33).unwrap_or_default();
        WEATHER.get(roll % (4 * WEATHER.len())).copied()
    }

    fn ruled(&mut self, asked: &Asked) -> Option<Fault> {
        let fits = |wanted: &str, is: &str| wanted == "*" || wanted == is;
        let fits = |rule: &Rule| fits(rule.verb, asked.verb) && fits(rule.resource, &asked.resource);
        let place = self.rules.iter().position(fits)?;
        let rule = &self.rules[place];
        let fault = rule.fault;
        if !rule.always {
            self.rules.remove(place);
        }
        Some(fault)
    }
}

/// A request on its way.
struct Call<'a> {
    api: &'a Api,
    parts: &'a http::request::Parts,
    body: Bytes,
}

impl Call<'_> {
    /// To the API server, whose silence is passed on, too.
    async fn send(&self) -> Result<Response<Incoming>, Cut> {
        let mut request = Request::new(Full::new(self.body.clone()));
        *request.method_mut() = self.parts.method.clone();
        *request.uri_mut() = Uri::clone(&self.parts.uri);
        *request.headers_mut() = passed(&self.parts.headers);
        self.api.send(request).await.map_err(|_| Cut)
    }
}

/// The headers that are meant for the API server.
fn passed(headers: &HeaderMap) -> HeaderMap {
    let mut passed = headers.clone();
    // To be read and counted, answers must not be compressed.
    for own in [header::HOST, header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::ACCEPT_ENCODING] {
        passed.remove(own);
    }
    passed
}

fn server_config(pair: &Pair) -> ServerConfig {
    let certificate = CertificateDer::from_pem_slice(pair.certificate.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()));
    let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    config.with_single_cert(vec![certificate], key).unwrap()
}
