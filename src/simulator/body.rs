//! Bodies: taking a request's, and giving an answer's frame by frame, at the script's pace and with its faults. It
//! must never hold more of a request than [`MOST_TAKEN`], and never wait longer than [`STALL`].

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Sleep, sleep};

use super::complaint::Complaint;
use super::script::{Fault, Pace, Script};

/// The largest request body taken.
const MOST_TAKEN: usize = 64 * 1024 * 1024;
/// How long a silence lasts before the connection is dropped: longer than any client's patience.
pub(super) const STALL: Duration = Duration::from_mins(15);

/// An answer on its way out.
#[derive(Debug)]
pub(super) struct SimBody {
    frames: Frames,
    next: usize,
    /// Where the frames stop, and what comes then.
    stop: usize,
    then: Then,
    first: Duration,
    pace: Pace,
    rest: Rest,
    mark: Mark,
}

/// What the body of an answer is made of.
#[derive(Clone, Debug)]
pub(super) enum Frames {
    Plain(Bytes),
    Stream(Arc<[Bytes]>),
}

/// What comes after the last frame.
#[derive(Debug)]
enum Then {
    End,
    Cut,
    Stall,
    /// A last frame: the provider's error event.
    Say(Bytes),
}

/// The pause before a frame.
#[derive(Debug)]
enum Rest {
    Due,
    Under(Pin<Box<Sleep>>),
    Over,
}

/// The simulator dropped the connection, as it was told to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cut;

impl fmt::Display for Cut {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("the simulated provider dropped the connection")
    }
}

impl std::error::Error for Cut {}

impl SimBody {
    /// `broken` is the provider's error event, for the fault that ends in it.
    pub(super) fn new(frames: Frames, broken: Bytes, script: &Script, mark: Mark) -> Self {
        let whole = frames.len();
        let streamed = matches!(frames, Frames::Stream(_));
        let (stop, then) = match script.fault {
            Some(Fault::Cut) => (whole / 2, Then::Cut),
            Some(Fault::Stall) => (whole / 2, Then::Stall),
            Some(Fault::Event) if streamed => (whole / 2, Then::Say(broken)),
            Some(_) | None => (whole, Then::End),
        };
        let (first, pace) = if streamed {
            (script.first_token_delay, script.pace)
        } else {
            (Duration::ZERO, Pace::AtOnce)
        };
        Self {
            frames,
            next: 0,
            stop,
            then,
            first,
            pace,
            rest: Rest::Due,
            mark,
        }
    }

    /// Waits until the next frame is due.
    fn poll_rest(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let wait = match &mut self.rest {
                Rest::Over => return Poll::Ready(()),
                Rest::Under(sleep) => {
                    ready!(sleep.as_mut().poll(cx));
                    self.rest = Rest::Over;
                    continue;
                }
                Rest::Due => match self.pace {
                    _ if self.next == 0 => self.first,
                    Pace::AtOnce => Duration::ZERO,
                    Pace::Every(pace) => pace,
                    Pace::Yield => {
                        self.rest = Rest::Over;
                        cx.waker().wake_by_ref();
                        return Poll::Pending;
                    }
                },
            };
            self.rest = if wait.is_zero() {
                Rest::Over
            } else {
                Rest::Under(Box::pin(sleep(wait)))
            };
        }
    }

    /// After the last frame: the end, or the fault.
    fn poll_stop(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        match std::mem::replace(&mut self.then, Then::End) {
            Then::End => {
                self.mark.set(Mark::COMPLETE);
                Poll::Ready(None)
            }
            // An error would discard what hyper has not flushed yet; it flushes when a body is not ready.
            Then::Cut if matches!(self.rest, Rest::Due) => {
                self.then = Then::Cut;
                self.rest = Rest::Over;
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Then::Cut => Poll::Ready(Some(Err(Cut))),
            Then::Say(event) => Poll::Ready(Some(Ok(Frame::data(event)))),
            Then::Stall => {
                let mut silence = match std::mem::replace(&mut self.rest, Rest::Due) {
                    Rest::Under(silence) => silence,
                    Rest::Due | Rest::Over => Box::pin(sleep(STALL)),
                };
                let over = silence.as_mut().poll(cx).is_ready();
                self.rest = Rest::Under(silence);
                self.then = if over { Then::Cut } else { Then::Stall };
                if over {
                    Poll::Ready(Some(Err(Cut)))
                } else {
                    Poll::Pending
                }
            }
        }
    }
}

impl Body for SimBody {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let body = &mut *self;
        if body.next >= body.stop {
            return body.poll_stop(cx);
        }
        ready!(body.poll_rest(cx));
        let frame = body.frames.part(body.next, body.stop);
        body.next += frame.taken;
        body.rest = Rest::Due;
        if body.is_end_stream() {
            body.mark.set(Mark::COMPLETE);
        }
        Poll::Ready(Some(Ok(Frame::data(frame.bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.next >= self.stop && matches!(self.then, Then::End)
    }

    fn size_hint(&self) -> SizeHint {
        match &self.frames {
            // A cut answer promises the whole length and breaks the promise.
            Frames::Plain(bytes) => SizeHint::with_exact(
                u64::try_from(bytes.len() - self.next.min(bytes.len())).unwrap_or(0),
            ),
            Frames::Stream(_) if self.is_end_stream() => SizeHint::with_exact(0),
            Frames::Stream(_) => SizeHint::default(),
        }
    }
}

struct Part {
    bytes: Bytes,
    taken: usize,
}

impl Frames {
    /// Bytes of a plain body, frames of a stream: what `next` and `stop` count.
    fn len(&self) -> usize {
        match self {
            Self::Plain(bytes) => bytes.len(),
            Self::Stream(frames) => frames.len(),
        }
    }

    fn part(&self, next: usize, stop: usize) -> Part {
        match self {
            Self::Plain(bytes) => Part {
                bytes: bytes.slice(next..stop),
                taken: stop - next,
            },
            Self::Stream(frames) => Part {
                bytes: frames.get(next).cloned().unwrap_or_default(),
                taken: 1,
            },
        }
    }
}

/// How far an answer got, shared with the record of its request.
#[derive(Clone, Debug, Default)]
pub(super) struct Mark {
    state: Arc<AtomicU8>,
}

impl Mark {
    pub(super) const COMPLETE: u8 = 1;
    pub(super) const DROPPED: u8 = 2;

    /// `open`, then `complete` (every byte was handed over) or `dropped` (somebody hung up first).
    pub(super) fn word(&self) -> &'static str {
        match self.state.load(Ordering::Relaxed) {
            Self::COMPLETE => "complete",
            Self::DROPPED => "dropped",
            _ => "open",
        }
    }

    pub(super) fn set(&self, state: u8) {
        let _first_wins =
            self.state
                .compare_exchange(0, state, Ordering::Relaxed, Ordering::Relaxed);
    }
}

impl Drop for SimBody {
    fn drop(&mut self) {
        self.mark.set(Mark::DROPPED);
    }
}

/// Takes a request's body whole.
pub(super) async fn take<B>(body: &mut B) -> Result<Bytes, Complaint>
where
    B: Body<Data = Bytes> + Unpin,
{
    let mut taken: Option<Bytes> = None;
    while let Some(frame) = std::future::poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await {
        let Ok(frame) = frame else {
            return Err(Complaint::bad_request("the request body broke off"));
        };
        let Ok(data) = frame.into_data() else {
            continue;
        };
        let before = taken.take().unwrap_or_default();
        if before.len() + data.len() > MOST_TAKEN {
            return Err(Complaint::status(413));
        }
        taken = Some(if before.is_empty() {
            data
        } else {
            joined(before, &data)
        });
    }
    Ok(taken.unwrap_or_default())
}

/// Grows in place where it can, so that a long body is not copied once per frame.
fn joined(before: Bytes, data: &Bytes) -> Bytes {
    let mut whole = before
        .try_into_mut()
        .unwrap_or_else(|before| BytesMut::from(&before[..]));
    whole.extend_from_slice(data);
    whole.freeze()
}
