//! Serves one connection in its place, and tells the place whom the bodies wait for.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::http::{Request, Response};
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::service::Service;

use super::places::{Place, Transfer};

/// A request under way, until its answer is sent.
struct Busy(Arc<Place>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.idles();
    }
}

/// Serves one connection.
pub(super) struct Placed<S> {
    pub(super) inner: S,
    pub(super) place: Arc<Place>,
}

type Answer<T> = Pin<Box<dyn Future<Output = Result<T, Infallible>> + Send>>;

impl<S> Service<Request<Incoming>> for Placed<S>
where
    S: Service<Request<Sent>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response<Taken>;
    type Error = Infallible;
    type Future = Answer<Self::Response>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        self.place.works();
        let place = self.place.clone();
        let busy = Busy(place.clone());
        let answer = self.inner.call(request.map(|body| Sent { body, transfer: place.transfers() }));
        Box::pin(async move {
            Ok(answer.await?.map(|body| Taken { body, transfer: place.transfers(), _busy: busy }))
        })
    }
}

type Polled<E> = Poll<Option<Result<Frame<Bytes>, E>>>;

/// What a client sends: it is waited for from when we ask for bytes until they are there.
pub(super) struct Sent {
    body: Incoming,
    transfer: Transfer,
}

impl HttpBody for Sent {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Polled<hyper::Error> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        match &polled {
            Poll::Pending => self.transfer.waits(),
            Poll::Ready(frame) => {
                self.transfer.goes_on();
                count(&self.transfer, frame.as_ref());
            }
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// What a client takes: it is waited for from when it has bytes until it asks for more.
pub(super) struct Taken {
    body: Body,
    transfer: Transfer,
    _busy: Busy,
}

impl HttpBody for Taken {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Polled<axum::Error> {
        self.transfer.goes_on();
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(frame) = &polled {
            count(&self.transfer, frame.as_ref());
            self.transfer.waits();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

fn count<E>(transfer: &Transfer, frame: Option<&Result<Frame<Bytes>, E>>) {
    let data = frame.and_then(|frame| frame.as_ref().ok()).and_then(Frame::data_ref);
    transfer.bytes(data.map_or(0, Bytes::len));
}
