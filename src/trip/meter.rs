//! METER: the answer's body on its way to the caller. Each frame passes the tally and goes on at once; at the
//! end, however it comes, the run is dropped and with it the trip recorded.
//! Must never hold a frame, collect an answer, or end a broken stream as if it were whole.

mod tail;

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::Instant;

use super::record::{Affords, Run};
use super::{Door, stop, tell_panic};
use crate::config::values::OnMismatch;
use crate::journal::Written;
use crate::process::panicked_at;
use crate::units::{Code, Ending, RequestId};
use crate::upstream::{AnswerBody, Line};
use crate::wire::dialect::usage_chunk::UsageChunkFilter;
use crate::wire::error_body;
pub use tail::Listened;
pub(super) use tail::read_out;

/// The body of whatever answer the caller gets.
pub enum OutBody {
    /// None.
    Empty,
    /// A refusal of ours.
    Full(Option<Bytes>),
    /// An upstream's, metered.
    Metered(Listened),
}

/// Why the connection to the caller is broken off in the middle of an answer.
#[derive(Debug)]
pub struct BodyAbort(&'static str);

impl std::fmt::Display for BodyAbort {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for BodyAbort {}

/// An upstream's answer as it streams through.
pub struct MeteredBody {
    inner: AnswerBody,
    /// Bytes that go out before the next frame is asked for.
    ready: VecDeque<Bytes>,
    filter: Option<Box<UsageChunkFilter>>,
    /// What the filter just passed; kept for its capacity.
    passed: Vec<Bytes>,
    /// Gone when the trip has ended.
    live: Option<Live>,
    /// For what a panic leaves to be told.
    door: Arc<Door>,
    id: RequestId,
    patience: Duration,
    /// When the silence becomes too long; `None` while something comes.
    deadline: Option<Instant>,
    /// What must be on record before anything more goes out.
    awaited: Option<Pin<Box<Written>>>,
    /// The answer is to be broken off as soon as what came of it has left.
    abort: Option<BodyAbort>,
}

struct Live {
    run: Box<Run>,
    line: Line,
}

impl MeteredBody {
    /// Takes the run over: from here on the body is the trip.
    pub(super) fn new(
        mut run: Box<Run>,
        inner: AnswerBody,
        line: Line,
        filter: Option<Box<UsageChunkFilter>>,
        patience: Duration,
    ) -> Self {
        run.commits();
        let (door, id) = (Arc::clone(run.door()), run.spine().id());
        let live = Some(Live { run, line });
        Self {
            inner,
            ready: VecDeque::new(),
            filter,
            passed: Vec::new(),
            live,
            door,
            id,
            patience,
            deadline: None,
            awaited: None,
            abort: None,
        }
    }

    /// A panic in here ends this answer and nothing else.
    fn poll_caught(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyAbort>>> {
        let caught = catch_unwind(AssertUnwindSafe(|| self.poll_next(cx)));
        caught.unwrap_or_else(|_payload| self.broken(cx, &panicked_at()))
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyAbort>>> {
        loop {
            if let Some(written) = &mut self.awaited {
                let recorded = ready!(written.as_mut().poll(cx));
                self.awaited = None;
                // What is whole has ended already; its last pieces go out.
                if recorded.is_err() && self.live.is_some() {
                    self.ready.clear();
                    let what = "what this answer goes on to cost cannot be recorded";
                    return self.cut(cx, Code::JournalUnavailable, Ending::CutOff, what);
                }
            }
            if let Some(bytes) = self.ready.pop_front() {
                return Poll::Ready(Some(Ok(self.deliver(bytes))));
            }
            let Some(live) = &self.live else {
                return Poll::Ready(self.abort.take().map(Err));
            };
            if live.run.ground().shutdown.is_cutting() {
                return self.cut(
                    cx,
                    Code::Draining,
                    Ending::Drained,
                    "the sidecar is shutting down",
                );
            }
            if live.run.is_cut() {
                return self.cut(cx, Code::TenantSuspended, Ending::CutOff, stop::CUT);
            }
            match Pin::new(&mut self.inner).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => {
                        if self.strays(&data) {
                            let what = "the model ran where this tenant's policy does not let it";
                            return self.cut(cx, Code::RegionDenied, Ending::CutOff, what);
                        }
                        let affords = self.live.as_mut().map(|live| live.run.affords());
                        match affords {
                            Some(Affords::No) => {
                                let what = "a budget that this answer is paid from is used up";
                                return self.cut(cx, Code::BudgetExhausted, Ending::CutOff, what);
                            }
                            Some(Affords::Once(written)) => self.awaited = Some(Box::pin(written)),
                            Some(Affords::Yes) | None => {}
                        }
                        if let Some(data) = self.take(data) {
                            if self.awaited.is_some() {
                                self.ready.push_back(data);
                                continue;
                            }
                            return Poll::Ready(Some(Ok(self.deliver(data))));
                        }
                    }
                    // The last frame there is; hyper does not ask for one more.
                    Err(trailers) => {
                        self.complete(0);
                        if self.ready.is_empty() {
                            return Poll::Ready(Some(Ok(trailers)));
                        }
                    }
                },
                Poll::Ready(Some(Err(fault))) => {
                    return self.cut(cx, fault.code(), Ending::UpstreamFailed, fault.text());
                }
                Poll::Ready(None) => self.complete(0),
                Poll::Pending if self.is_patient(cx) => return Poll::Pending,
                Poll::Pending => {
                    let what = "the upstream went silent in the middle of its answer";
                    return self.cut(cx, Code::UpstreamTimeout, Ending::UpstreamFailed, what);
                }
            }
        }
    }

    /// Tallies one frame; whether it says that the answer must go no further.
    fn strays(&mut self, data: &Bytes) -> bool {
        let Some(live) = &mut self.live else {
            return false;
        };
        live.run.tally(data);
        live.run.strays() == Some(OnMismatch::Cut)
    }

    /// What of a tallied frame goes on at once, or nothing if the filter has put it in the queue.
    fn take(&mut self, data: Bytes) -> Option<Bytes> {
        self.deadline = None;
        let next = match &mut self.filter {
            None => Some(data),
            Some(filter) => {
                filter.push(&data, &mut self.passed);
                self.ready.extend(self.passed.drain(..));
                None
            }
        };
        // hyper does not ask again once a declared length is reached: the end is here, not at the next poll.
        if self.inner.is_end_stream() {
            self.complete(next.as_ref().map_or(0, Bytes::len));
        }
        next
    }

    /// The upstream's answer is whole; its last `passing` bytes are on their way. What the filter still holds goes
    /// out, and the connection goes back.
    fn complete(&mut self, passing: usize) {
        if let Some(filter) = &mut self.filter {
            filter.finish(&mut self.passed);
            self.ready.extend(self.passed.drain(..));
        }
        if let Some(Live { mut run, line }) = self.live.take() {
            run.delivered(self.ready.iter().map(Bytes::len).sum::<usize>() + passing);
            run.ends(Ending::Complete);
            line.put_back(run.ground().dialer.pool());
        }
    }

    fn deliver(&mut self, bytes: Bytes) -> Frame<Bytes> {
        if let Some(live) = &mut self.live {
            live.run.delivered(bytes.len());
        }
        Frame::data(bytes)
    }

    /// Stops in mid-answer. A stream of events gets the dialect's own error event, so that the SDK raises; any
    /// other answer is broken off, so that nobody takes it for whole. So is a stream whose length was declared: the
    /// event would only fill up what is missing.
    fn cut(
        &mut self,
        cx: &mut Context<'_>,
        cause: Code,
        ending: Ending,
        what: &'static str,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyAbort>>> {
        let Some(Live { mut run, .. }) = self.live.take() else {
            return Poll::Ready(None);
        };
        run.cuts(cause, ending);
        let declared = self.filter.is_none() && self.inner.size_hint().exact().is_some();
        let says_so = run.is_event_stream() && !declared;
        let upstream = run.upstream().filter(|_| says_so);
        let Some(dialect) = upstream.map(|upstream| upstream.dialect) else {
            // hyper throws away what it has not flushed, the head included, and flushes when nothing more is there.
            self.abort = Some(BodyAbort(what));
            cx.waker().wake_by_ref();
            return Poll::Pending;
        };
        let id = run.spine().id();
        let event = error_body::cut(dialect, run.endpoint(), Code::Cut, what, id, run.events());
        run.delivered(event.len());
        Poll::Ready(Some(Ok(Frame::data(Bytes::from(event)))))
    }

    /// What a panic leaves behind is not touched again: nothing but the end of the answer goes out.
    fn broken(
        &mut self,
        cx: &mut Context<'_>,
        at: &str,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyAbort>>> {
        const WHAT: &str = "an error inside Outrigger ended this answer";
        self.ready.clear();
        tell_panic(self.door.ground(), self.id, "answer", at);
        if self.live.is_some() {
            return self.cut(cx, Code::Internal, Ending::Broken, WHAT);
        }
        Poll::Ready(Some(Err(BodyAbort(WHAT))))
    }

    /// Whether the upstream may still be silent.
    fn is_patient(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(live) = &mut self.live else {
            return true;
        };
        let deadline = *self.deadline.get_or_insert_with(|| {
            live.run.pauses();
            Instant::now() + self.patience
        });
        live.line.alarm().poll(cx, deadline).is_pending()
    }
}

impl Body for OutBody {
    type Data = Bytes;
    type Error = BodyAbort;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyAbort>>> {
        match self.get_mut() {
            Self::Empty => Poll::Ready(None),
            Self::Full(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Metered(answer) => match answer.body_mut() {
                Some(body) => body.poll_caught(cx),
                None => Poll::Ready(None),
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Full(bytes) => bytes.is_none(),
            Self::Metered(answer) => answer.body().is_none_or(|body| {
                body.live.is_none() && body.ready.is_empty() && body.abort.is_none()
            }),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Full(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Self::Metered(answer) => match answer.body() {
                Some(body) if body.filter.is_none() => body.inner.size_hint(),
                Some(_) | None => SizeHint::default(),
            },
        }
    }
}
