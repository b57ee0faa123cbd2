//! A connection to a release's process, and those that are kept for the next request.
//!
//! A link is driven by whoever holds it: by the request that waits for an answer, then by the answer's body. There is
//! no task for it, so that a request goes through the proxy without a change of threads.

use std::future::{Future as _, poll_fn};
use std::io;
use std::net::Ipv4Addr;
use std::pin::{Pin, pin};
use std::sync::Mutex;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::{Builder, Connection, SendRequest};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until, timeout};

use super::upload::Upload;
use crate::release::cell::locked;

/// Idle connections kept for each release.
const IDLE: usize = 256;
/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);
/// The longest head of an answer, in bytes, is part of what may be buffered.
const BUFFER: usize = 128 << 10;

/// A connection that takes one request at a time.
#[derive(Debug)]
pub(super) struct Link {
    sender: SendRequest<Upload>,
    connection: Connection<TokioIo<TcpStream>, Upload>,
    over: bool,
    /// Kept from one request to the next: it is set anew only when it has run out.
    alarm: Pin<Box<Sleep>>,
}

/// Why a link brought no answer.
#[derive(Debug)]
pub(super) enum Broken {
    /// The release never saw the request, which is given back.
    Unsent(Box<Request<Upload>>, String),
    /// The release may have acted on it.
    Lost(String),
    /// It did not answer in time.
    Late,
}

impl Link {
    /// Connects to the process on `port`.
    pub(super) async fn open(port: u16) -> io::Result<Box<Self>> {
        let late = |_| io::Error::from(io::ErrorKind::TimedOut);
        let stream =
            timeout(CONNECT, TcpStream::connect((Ipv4Addr::LOCALHOST, port))).await.map_err(late)??;
        stream.set_nodelay(true)?;
        let mut builder = Builder::new();
        builder.max_buf_size(BUFFER);
        let (sender, connection) = builder.handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
        let alarm = Box::pin(sleep_until(Instant::now()));
        Ok(Box::new(Self { sender, connection, over: false, alarm }))
    }

    /// Goes on with what there is to send and to read.
    pub(super) fn drive(&mut self, cx: &mut Context<'_>) {
        // Why it is over is told by the request or the body that waits for it.
        self.over = self.over || self.connection.poll_without_shutdown(cx).is_ready();
    }

    /// Whether it can take another request, as far as is known.
    fn is_idle(&mut self) -> bool {
        let mut nobody = Context::from_waker(Waker::noop());
        self.drive(&mut nobody);
        !self.over && matches!(self.sender.poll_ready(&mut nobody), Poll::Ready(Ok(())))
    }

    /// Sends a request and waits for the head of its answer, no longer than `limit` from when the last of the request
    /// was read from its client.
    pub(super) async fn send(
        &mut self,
        request: Request<Upload>,
        limit: Duration,
    ) -> Result<Response<Incoming>, Broken> {
        let progress = request.body().progress();
        let mut until = Instant::now() + limit;
        let mut answer = pin!(self.sender.try_send_request(request));
        let answered = poll_fn(|cx| {
            self.over = self.over || self.connection.poll_without_shutdown(cx).is_ready();
            if let Poll::Ready(answer) = answer.as_mut().poll(cx) {
                return Poll::Ready(Some(answer));
            }
            while self.alarm.as_mut().poll(cx).is_ready() {
                if progress.as_ref().is_some_and(super::upload::Progress::take) {
                    until = Instant::now() + limit;
                }
                if Instant::now() >= until {
                    return Poll::Ready(None);
                }
                self.alarm.as_mut().reset(until);
            }
            Poll::Pending
        });
        answered.await.ok_or(Broken::Late)?.map_err(broken)
    }

    /// The stream below, with what was read of it too far, once the release has agreed on another protocol.
    pub(super) async fn upgraded(mut self: Box<Self>) -> (TcpStream, bytes::Bytes) {
        poll_fn(|cx| {
            self.drive(cx);
            if self.over { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        let parts = self.connection.into_parts();
        (parts.io.into_inner(), parts.read_buf)
    }
}

fn broken(mut error: TrySendError<Request<Upload>>) -> Broken {
    let unsent = error.take_message();
    let error = error.into_error();
    let why =
        std::error::Error::source(&error).map_or_else(|| error.to_string(), |s| format!("{error}: {s}"));
    match unsent {
        Some(request) => Broken::Unsent(Box::new(request), why),
        None => Broken::Lost(why),
    }
}

/// Idle links, the latest used last.
#[derive(Debug, Default)]
pub(crate) struct Pool(
    #[expect(clippy::vec_box, reason = "a link is large, and goes from hand to hand")] Mutex<Vec<Box<Link>>>,
);

impl Pool {
    /// An idle link that is still open, as far as is known.
    pub(super) fn take(&self) -> Option<Box<Link>> {
        loop {
            let mut link = locked(&self.0).pop()?;
            if link.is_idle() {
                return Some(link);
            }
        }
    }

    /// Keeps a link for another request, if it can take one.
    pub(super) fn keep(&self, mut link: Box<Link>) {
        if link.is_idle() {
            let mut idle = locked(&self.0);
            if idle.len() < IDLE {
                idle.push(link);
            }
        }
    }

    /// Closes all idle links: their process ends.
    pub(crate) fn clear(&self) {
        locked(&self.0).clear();
    }
}
