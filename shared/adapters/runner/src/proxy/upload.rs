//! The body of a request on its way to a release.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};

/// What is sent on: the client's own body, or none.
#[derive(Debug, Default)]
pub(super) struct Upload(Option<(Incoming, Progress)>);

/// Whether more of a body was sent on since somebody looked.
#[derive(Debug, Clone, Default)]
pub(super) struct Progress(Arc<AtomicBool>);

impl Progress {
    /// Whether there was any since the last call.
    pub(super) fn take(&self) -> bool {
        self.0.swap(false, Ordering::Relaxed)
    }
}

impl Upload {
    /// Sends a client's body on.
    pub(super) fn of(body: Incoming) -> Self {
        Self((!body.is_end_stream()).then(|| (body, Progress::default())))
    }

    /// Whether there is no body, so that another one like it can be made.
    pub(super) fn is_none(&self) -> bool {
        self.0.is_none()
    }

    /// Tells how it gets on, if there is anything to be sent.
    pub(super) fn progress(&self) -> Option<Progress> {
        self.0.as_ref().map(|(_, progress)| progress.clone())
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some((body, progress)) = &mut self.0 else { return Poll::Ready(None) };
        let polled = Pin::new(body).poll_frame(cx);
        if polled.is_ready() {
            progress.0.store(true, Ordering::Relaxed);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(|(body, _)| body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.0.as_ref().map_or_else(|| SizeHint::with_exact(0), |(body, _)| body.size_hint())
    }
}
