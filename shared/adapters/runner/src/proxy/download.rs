//! The body of an answer on its way to a client. It keeps its request open until its last byte, drives the link that
//! it comes through, and gives it back when it was read to its end.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};

use super::link::Link;
use crate::release::cell::Open;

/// An answer's body.
#[derive(Debug)]
pub(super) struct Download {
    body: Incoming,
    ended: bool,
    held: Option<(Open, Box<Link>)>,
}

impl Download {
    /// The body of the answer to `open`, which comes through `link`.
    pub(super) fn new(body: Incoming, open: Open, link: Box<Link>) -> Self {
        Self { body, ended: false, held: Some((open, link)) }
    }
}

impl Body for Download {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        if let Some((_, link)) = &mut self.held {
            link.drive(cx);
        }
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        self.ended |= matches!(polled, Poll::Ready(None));
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Download {
    fn drop(&mut self) {
        // A client that left before the end closes the link, which tells the release.
        if let Some((open, link)) = self.held.take()
            && (self.ended || self.body.is_end_stream())
        {
            open.cell.pool.keep(link);
        }
    }
}
