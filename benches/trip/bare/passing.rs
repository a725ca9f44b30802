//! The answer's body on its way through. It must never give a connection back before its answer has ended.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;

use super::Pool;

/// Gives the connection back when the last frame has passed; one of HTTP/2 was shared all the time.
pub(super) struct Passing {
    inner: Incoming,
    alone: Option<(SendRequest<Incoming>, Arc<Pool>)>,
}

impl Passing {
    pub(super) fn new(inner: Incoming, alone: Option<(SendRequest<Incoming>, Arc<Pool>)>) -> Self {
        let mut passing = Self { inner, alone };
        passing.finish_if_ended();
        passing
    }

    /// hyper does not poll a body past its announced length, so the end is asked for after each frame.
    fn finish_if_ended(&mut self) {
        if self.inner.is_end_stream() {
            self.finish();
        }
    }

    fn finish(&mut self) {
        if let Some((sender, pool)) = self.alone.take() {
            pool.give_back(sender);
        }
    }
}

impl Body for Passing {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = ready!(Pin::new(&mut self.inner).poll_frame(context));
        match &polled {
            Some(Ok(_)) => self.finish_if_ended(),
            None => self.finish(),
            // The connection is broken: dropped with the body, never given back.
            Some(Err(_)) => {}
        }
        Poll::Ready(polled)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
