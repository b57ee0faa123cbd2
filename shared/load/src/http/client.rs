//! A VU's client: its kept connections, and requests on them.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::error::HttpError;
use super::exchange;
use super::head::Head;
use super::names::Names;
use super::stream::Stream;
use super::tls::Tls;
use super::url::Url;
use crate::fiber::{Reactor, Wake};
use crate::limits::Limits;
use crate::options::HttpOptions;

/// What all VUs of a run share.
#[derive(Debug)]
pub(crate) struct Network {
    pub(crate) options: HttpOptions,
    pub(crate) names: Names,
    pub(crate) tls: Tls,
    pub(crate) limits: Limits,
    pace: Option<Pace>,
}

/// The option `rps`: when the next request may begin.
#[derive(Debug)]
struct Pace {
    every: Duration,
    next: Mutex<Option<Instant>>,
}

impl Network {
    pub(crate) fn new(options: HttpOptions, limits: Limits, rps: Option<u64>) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "rates are small")]
        let every = rps.map(|rps| Duration::from_secs_f64(1.0 / rps as f64));
        let pace = every.map(|every| Pace { every, next: Mutex::default() });
        Self { tls: Tls::new(options.insecure), options, names: Names::default(), limits, pace }
    }

    /// Waits for the request's turn.
    fn turn(&self, reactor: &Reactor) -> Result<(), HttpError> {
        let Some(pace) = &self.pace else { return Ok(()) };
        let at = {
            let mut next = pace.next.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let at = next.unwrap_or_else(Instant::now).max(Instant::now());
            *next = Some(at + pace.every);
            at
        };
        match reactor.park(Some(at)) {
            Wake::Stop => Err(HttpError::Interrupted),
            _ => Ok(()),
        }
    }
}

/// One request, without what follows from its answer.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: Cow<'static, str>,
    pub(crate) url: Rc<Url>,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Option<Vec<u8>>,
    pub(crate) deadline: Option<Instant>,
    pub(crate) keep_body: bool,
}

/// The phases of a request, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Timings {
    pub(crate) blocked: f64,
    pub(crate) looking_up: f64,
    pub(crate) connecting: f64,
    pub(crate) tls: f64,
    pub(crate) sending: f64,
    pub(crate) waiting: f64,
    pub(crate) receiving: f64,
}

impl Timings {
    /// From the first byte sent to the last one received.
    pub(crate) fn duration(&self) -> f64 {
        self.sending + self.waiting + self.receiving
    }
}

/// What came back.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) head: Head,
    pub(crate) body: Vec<u8>,
    pub(crate) timings: Timings,
    pub(crate) remote: std::net::SocketAddr,
    /// The version of TLS and the cipher, by k6's names.
    pub(crate) tls: Option<(&'static str, String)>,
}

struct Idle {
    host: String,
    port: u16,
    tls: bool,
    stream: Stream,
}

/// The largest buffer that a VU keeps.
const KEPT: usize = 4 << 10;

/// A VU's connections.
pub(crate) struct Client {
    pub(crate) reactor: Rc<Reactor>,
    pub(crate) network: Arc<Network>,
    idle: RefCell<Vec<Idle>>,
    sent: Cell<u64>,
    received: Cell<u64>,
    buffer: Cell<Vec<u8>>,
    inbox: Cell<Vec<u8>>,
}

impl Client {
    pub(crate) fn new(reactor: Rc<Reactor>, network: Arc<Network>) -> Self {
        let (idle, buffer, inbox) = (RefCell::default(), Cell::default(), Cell::default());
        Self { reactor, network, idle, sent: Cell::new(0), received: Cell::new(0), buffer, inbox }
    }

    /// Sends a request, and takes its answer.
    ///
    /// # Errors
    /// Why there is none, with how long the phases took until then.
    pub(crate) fn send(&self, request: &Request) -> Result<Answer, (HttpError, Timings)> {
        let mut timings = Timings::default();
        let sent = self.network.limits.count().map_err(HttpError::Refused);
        sent.and_then(|()| self.network.turn(&self.reactor)).map_err(|error| (error, timings))?;
        exchange::run(self, request, &mut timings).map_err(|error| (error, timings))
    }

    /// A kept connection to where the URL leads.
    pub(super) fn take_idle(&self, url: &Url) -> Option<Stream> {
        loop {
            let mut all = self.idle.borrow_mut();
            let found = all
                .iter()
                .rposition(|kept| kept.port == url.port && kept.tls == url.tls && kept.host == url.host)?;
            let mut kept = all.swap_remove(found);
            drop(all);
            if kept.stream.is_quiet() {
                return Some(kept.stream);
            }
        }
    }

    /// Keeps a connection for the next request, or closes it.
    pub(super) fn give_back(&self, url: &Url, stream: Stream, keep: bool) {
        let mut all = self.idle.borrow_mut();
        if keep
            && !self.network.options.no_reuse
            && all.len() < self.network.options.batch_per_host.max(6) * 4
        {
            all.push(Idle { host: url.host.clone(), port: url.port, tls: url.tls, stream });
        }
    }

    /// Counts what went over the wire.
    pub(super) fn count(&self, stream: &mut Stream) {
        self.sent.set(self.sent.get() + std::mem::take(&mut stream.sent));
        self.received.set(self.received.get() + std::mem::take(&mut stream.received));
    }

    /// Bytes sent and received since they were last taken.
    pub(crate) fn take_traffic(&self) -> (u64, u64) {
        (self.sent.take(), self.received.take())
    }

    /// Closes all kept connections.
    pub(crate) fn close_idle(&self) {
        self.idle.borrow_mut().clear();
    }

    /// A buffer to write into.
    pub(super) fn take_buffer(&self) -> Vec<u8> {
        self.buffer.take()
    }

    pub(super) fn put_buffer(&self, buffer: Vec<u8>) {
        self.buffer.set(buffer);
    }

    /// A buffer to read into.
    pub(super) fn take_inbox(&self) -> Vec<u8> {
        self.inbox.take()
    }

    /// Keeps it, unless it has grown large.
    pub(super) fn put_inbox(&self, inbox: Vec<u8>) {
        if inbox.len() <= KEPT {
            self.inbox.set(inbox);
        }
    }
}
