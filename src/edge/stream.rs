//! One stream of an HTTP/2 connection: its task, its answer's pace, and its end when its caller stops taking it.
//! Must never let one stream wait for another.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::rt::Executor;
use tokio::sync::watch;

use super::accept::{Doorway, Stage};
use super::stall::Stall;
use crate::host;
use crate::trip::{BodyAbort, Door, OutBody};
use crate::units::Code;

/// Who is waited for: the caller, as long as the sidecar does not say that it works itself.
pub(super) struct Pace {
    pub(super) door: Arc<Door>,
    works: AtomicBool,
    /// How often the caller has come for more.
    taken: AtomicU32,
}

impl Pace {
    pub(super) fn new(door: Arc<Door>) -> Arc<Self> {
        Arc::new(Self {
            door,
            works: AtomicBool::new(true),
            taken: AtomicU32::new(0),
        })
    }

    /// The answer's head is made, or a piece of its body.
    pub(super) fn hands(&self) {
        self.works.store(false, Ordering::Relaxed);
    }
}

/// An answer on a stream. The library asks for a piece only when it has got rid of the one before.
pub(super) struct Paced {
    pub(super) body: OutBody,
    pub(super) pace: Arc<Pace>,
}

impl Body for Paced {
    type Data = Bytes;
    type Error = BodyAbort;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyAbort>>> {
        let this = self.get_mut();
        this.pace.taken.fetch_add(1, Ordering::Relaxed);
        let polled = Pin::new(&mut this.body).poll_frame(cx);
        let works = polled.is_pending();
        this.pace.works.store(works, Ordering::Relaxed);
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Starts the streams of one connection.
#[derive(Clone)]
pub(super) struct Streams {
    doorway: Arc<Doorway>,
    stage: watch::Receiver<Stage>,
    next: Arc<Mutex<Option<Arc<Pace>>>>,
}

impl Streams {
    pub(super) fn new(doorway: &Arc<Doorway>, stage: watch::Receiver<Stage>) -> Self {
        Self {
            doorway: Arc::clone(doorway),
            stage,
            next: Arc::default(),
        }
    }

    /// The library asks the service for a stream's future, and right after it hands that to be started: on the same
    /// task, so this is the pace of the next stream that is.
    pub(super) fn announce(&self, pace: &Arc<Pace>) {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        *next = Some(Arc::clone(pace));
    }
}

impl<F> Executor<F> for Streams
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, future: F) {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(pace) = next.take() else {
            // Only a tunnel would come without a request, and none is ever opened.
            return;
        };
        let running = run(future, pace, Arc::clone(&self.doorway), self.stage.clone());
        host::spawn("client-stream", running);
    }
}

/// Drives a stream to its end, or to that of its caller's time. Dropping its future resets the stream.
async fn run<F: Future<Output = ()>>(
    future: F,
    pace: Arc<Pace>,
    doorway: Arc<Doorway>,
    mut stage: watch::Receiver<Stage>,
) {
    let mut future = std::pin::pin!(future);
    let mut stall = Stall::new(doorway.patience.write);
    let mut taken = 0;
    let mut cut = std::pin::pin!(async {
        // Without a sender there is no sidecar any more.
        let _ = stage.wait_for(|stage| *stage == Stage::Cutting).await;
    });
    let mut cutting = false;
    let severed = poll_fn(|cx| {
        // Before the stream, whose poll then sees it.
        cutting = cutting || cut.as_mut().poll(cx).is_ready();
        if future.as_mut().poll(cx).is_ready() {
            return Poll::Ready(None);
        }
        if pace.works.load(Ordering::Relaxed) {
            return Poll::Pending;
        }
        if cutting {
            return Poll::Ready(Some(Code::Draining));
        }
        // The stage is told again to wake whoever has something under way.
        if pace.door.is_cut() {
            return Poll::Ready(Some(Code::TenantSuspended));
        }
        let now = pace.taken.load(Ordering::Relaxed);
        if std::mem::replace(&mut taken, now) != now {
            stall.moves();
        }
        stall.poll(cx).map(|()| Some(Code::CallerStalled))
    });
    if let Some(why) = severed.await {
        pace.door.sever(why);
        doorway.ground.registry.process().severed(why);
    }
}
