//! The body of an answer, which keeps its request open until its last byte.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};

use super::pool::Connection;
use crate::release::cell::Open;

/// A request that is open, with the connection that it occupies.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) open: Open,
    pub(super) connection: Option<Connection>,
}

impl Drop for Held {
    fn drop(&mut self) {
        let cell = Arc::clone(&self.open.cell);
        let (Some(mut connection), Ok(runtime)) =
            (self.connection.take(), tokio::runtime::Handle::try_current())
        else {
            return;
        };
        // It is ready again once the answer was read to its end; if the client left before, it is closed instead.
        runtime.spawn(async move {
            if connection.ready().await.is_ok() {
                cell.pool.keep(connection);
            }
        });
    }
}

/// An answer's body.
#[derive(Debug)]
pub(super) struct Streamed {
    pub(super) body: Incoming,
    pub(super) held: Option<Held>,
}

impl Body for Streamed {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if matches!(polled, Poll::Ready(None)) {
            self.held = None;
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
