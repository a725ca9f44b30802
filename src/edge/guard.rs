//! The head guard around a client's socket: bytes reach the HTTP library only after `wire/head` has followed
//! them. A head is held back until it is whole; a bad one is replaced by a marker request, so that its
//! refusal comes out in its turn, in our shape, through a trip like any other.
//! Must never let a byte of a faulty message through, nor wait for one without a limit.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::hangup::HangUp;
use super::stall::Stall;
use crate::trip::{Door, HeadFault, MARKER};
use crate::units::Code;
use crate::wire::frames::PREFACE;
use crate::wire::head::{Fault, Guard, Limits, State};

/// How long a connection may make the sidecar wait.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For a head, from its first byte to its last.
    pub head: Duration,
    /// Without a request.
    pub idle: Duration,
    /// For a caller that takes nothing of what is written.
    pub write: Duration,
}

/// A connection that says nothing for so long gives its buffers back.
const REST: Duration = Duration::from_secs(5);

impl Patience {
    /// How long a connection is kept ready for its next request.
    pub(super) fn rest(&self) -> Duration {
        REST.min(self.idle / 4)
    }
}

/// What becomes of a connection after HTTP/1.1.
pub(super) enum After<S> {
    /// Nothing.
    Over,
    /// It said nothing for a while, and may go on.
    Rest(Box<Guarded<S>>),
    /// It speaks HTTP/2; what has come of it.
    Http2(S, Vec<u8>),
}

/// A guarded socket.
pub(super) struct Guarded<S> {
    inner: S,
    guard: Guard,
    door: Arc<Door>,
    /// The beginning of a head that is not whole yet, or what was sent behind the message under way.
    held: Vec<u8>,
    /// Whether `held` waits for the answer to the message before it.
    queued: bool,
    /// What goes to the HTTP library before anything is read again.
    release: Vec<u8>,
    given: usize,
    fate: Fate,
    patience: Patience,
    alarm: Option<Pin<Box<Sleep>>>,
    /// Whether bytes moved since the alarm was set.
    stirred: bool,
    /// Whether a body was left unread in the middle.
    in_body: bool,
    /// What may still be read and thrown away while closing; `None` before the close.
    linger: Option<usize>,
    stall: Stall,
    hang_up: HangUp,
}

/// How much may be held of what is sent behind a request that is being answered.
const QUEUED_BYTES: usize = 65_536;

/// How long, and for how much, a client that is still sending is listened to after its answer, so that the
/// reset which an early close would bring does not overtake the answer (RFC 9112 §9.6).
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: usize = 1 << 20;

/// What becomes of the connection's input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It is read.
    Open,
    /// A body broke its framing: the next read fails.
    Broken,
    /// Nothing more is read; the answer under way ends the connection.
    Deaf,
    /// It has said nothing for a while: the next read ends what reads HTTP/1.1.
    Resting,
    /// It speaks HTTP/2: the next read ends what reads HTTP/1.1.
    Http2,
}

impl<S> Guarded<S> {
    pub(super) fn new(inner: S, limits: Limits, patience: Patience, door: Arc<Door>) -> Self {
        Self {
            inner,
            guard: Guard::new(limits),
            door,
            held: Vec::new(),
            queued: false,
            release: Vec::new(),
            given: 0,
            fate: Fate::Open,
            patience,
            alarm: None,
            stirred: false,
            in_body: false,
            linger: None,
            stall: Stall::new(patience.write),
            hang_up: HangUp::default(),
        }
    }

    /// The socket.
    pub(super) fn socket(&self) -> &S {
        &self.inner
    }

    /// What becomes of the connection, once what reads HTTP/1.1 has ended.
    pub(super) fn after(mut self) -> After<S> {
        match self.fate {
            Fate::Http2 => After::Http2(self.inner, self.held),
            Fate::Resting => {
                self.fate = Fate::Open;
                self.alarm = None;
                After::Rest(Box::new(self))
            }
            Fate::Open | Fate::Broken | Fate::Deaf => After::Over,
        }
    }

    /// Looks at bytes just read into `buf` after `before`; keeps back what may not go on yet.
    fn inspect(&mut self, buf: &mut ReadBuf<'_>, before: usize) {
        let fresh = &buf.filled()[before..];
        match self.guard.advance_message(fresh) {
            Ok(progress) => {
                if progress.release < fresh.len() {
                    self.held.extend_from_slice(&fresh[progress.release..]);
                    self.queued = progress.state == State::Idle;
                    if !self.queued {
                        self.alarm_at(Instant::now() + self.patience.head);
                    }
                }
                self.in_body = progress.state == State::InBody;
                buf.set_filled(before + progress.release);
            }
            Err(_) if self.may_be_http2(fresh) => {
                self.held.extend_from_slice(fresh);
                buf.set_filled(before);
                self.alarm_at(Instant::now() + self.patience.head);
                self.note_http2();
            }
            Err(fault) => {
                buf.set_filled(before + fault.release);
                self.condemn(&fault);
            }
        }
    }

    /// Whether a connection that is not HTTP/1.1 began as HTTP/2 does (RFC 9113 §3.4), so far as it has come.
    #[cold]
    fn may_be_http2(&self, came: &[u8]) -> bool {
        let first = &came[..came.len().min(PREFACE.len())];
        self.guard.is_at_start() && PREFACE.starts_with(first)
    }

    fn note_http2(&mut self) {
        if self.held.len() >= PREFACE.len() {
            self.fate = Fate::Http2;
        }
    }

    /// Looks at what is held again: there is more of it, or its turn has come.
    fn inspect_held(&mut self) {
        let its_turn = std::mem::take(&mut self.queued);
        match self.guard.advance_message(&self.held) {
            Ok(progress) => {
                self.in_body = progress.state == State::InBody;
                self.release.extend(self.held.drain(..progress.release));
                self.queued = progress.state == State::Idle && !self.held.is_empty();
                if progress.state != State::InHead {
                    self.alarm_at(Instant::now() + self.patience.rest());
                } else if progress.release > 0 || its_turn {
                    self.alarm_at(Instant::now() + self.patience.head);
                }
            }
            Err(_) if self.may_be_http2(&self.held) => self.note_http2(),
            Err(fault) => {
                self.release.extend(self.held.drain(..fault.release));
                self.held = Vec::new();
                self.condemn(&fault);
            }
        }
    }

    fn condemn(&mut self, fault: &Fault) {
        self.door.condemn(HeadFault {
            code: fault.code,
            what: fault.what,
        });
        if fault.in_body {
            self.fate = Fate::Broken;
        } else {
            self.fate = Fate::Deaf;
            self.release.extend_from_slice(MARKER);
        }
    }

    fn alarm_at(&mut self, when: Instant) {
        self.stirred = false;
        match &mut self.alarm {
            Some(alarm) => alarm.as_mut().reset(when),
            None => self.alarm = Some(Box::pin(tokio::time::sleep_until(when))),
        }
    }

    /// Nothing can be read now: whether that has lasted too long. Ready if the fate has changed.
    ///
    /// The alarm for a rest is not set anew with each request; it rings, sees that bytes moved, and waits once more. So
    /// a connection rests after one to two times its span, and an answer never touches the timer.
    fn poll_alarm(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if self.alarm.is_none() {
                self.alarm_at(Instant::now() + self.patience.rest());
            }
            let Some(alarm) = &mut self.alarm else {
                return Poll::Pending;
            };
            ready!(alarm.as_mut().poll(cx));
            if !self.held.is_empty() && !self.queued {
                self.held = Vec::new();
                // In a body, only a part of a trailer is ever held.
                let (code, what) = if self.in_body {
                    (Code::BodyTimeout, "the trailers did not arrive in time")
                } else {
                    (Code::HeadTimeout, "the request head did not arrive in time")
                };
                self.condemn(&Fault {
                    code,
                    release: 0,
                    what,
                    in_body: self.in_body,
                });
                return Poll::Ready(());
            }
            if !self.stirred && !self.door.is_busy() && !self.stall.is_blocked() {
                self.fate = Fate::Resting;
                return Poll::Ready(());
            }
            self.alarm_at(Instant::now() + self.patience.rest());
        }
    }

    fn give(&mut self, buf: &mut ReadBuf<'_>) {
        let left = &self.release[self.given..];
        let now = left.len().min(buf.remaining());
        buf.put_slice(&left[..now]);
        self.given += now;
        if self.given == self.release.len() {
            self.release.clear();
            self.given = 0;
        }
    }
}

impl<S: AsyncRead + Unpin> Guarded<S> {
    fn poll_socket(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<usize>> {
        let before = buf.filled().len();
        match self.hang_up.poll_read(&mut self.inner, cx, buf, None) {
            Poll::Ready(outcome) => {
                self.stirred = true;
                Poll::Ready(outcome.map(|()| buf.filled().len() - before))
            }
            Poll::Pending if self.hang_up.has_come() => Poll::Pending,
            // The alarm may have changed the fate: zero bytes then mean "look again", not the end.
            Poll::Pending => self.poll_alarm(cx).map(|()| Ok(0)),
        }
    }
}

impl<S: AsyncRead + Unpin> Guarded<S> {
    /// While an answer is under way, what was sent behind its request waits here, and the socket is read on for one
    /// reason only: to see the caller hang up. Ready at that end; what comes besides is held, up to a bound.
    fn poll_hang_up(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.held.len() < QUEUED_BYTES {
            let mut space = [0; 4096];
            let mut more = ReadBuf::new(&mut space);
            match ready!(self.poll_socket(cx, &mut more))? {
                0 if self.fate == Fate::Open => return Poll::Ready(Ok(())),
                _ => self.held.extend_from_slice(more.filled()),
            }
        }
        // The end of the answer brings the connection back here.
        Poll::Pending
    }

    /// Reads on and throws away, until the client has closed, or has had its moment.
    fn poll_linger(&mut self, cx: &mut Context<'_>, mut left: usize) -> Poll<io::Result<()>> {
        let mut space = [0; 4096];
        while left > 0 {
            self.linger = Some(left);
            let mut rest = ReadBuf::new(&mut space);
            match Pin::new(&mut self.inner).poll_read(cx, &mut rest) {
                Poll::Ready(Ok(())) if !rest.filled().is_empty() => {
                    left = left.saturating_sub(rest.filled().len());
                }
                Poll::Ready(_) => break,
                Poll::Pending => {
                    let alarm = self.alarm.as_mut().map(|alarm| alarm.as_mut().poll(cx));
                    if alarm.is_some_and(|alarm| alarm.is_pending()) {
                        return Poll::Pending;
                    }
                    break;
                }
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            if !this.release.is_empty() {
                this.give(buf);
                return Poll::Ready(Ok(()));
            }
            match this.fate {
                Fate::Open => {}
                Fate::Broken => {
                    return Poll::Ready(Err(io::Error::from(io::ErrorKind::InvalidData)));
                }
                Fate::Deaf => return Poll::Pending,
                Fate::Resting | Fate::Http2 => return Poll::Ready(Ok(())),
            }
            if this.queued {
                if this.door.wake_after(this.guard.messages(), cx.waker()) {
                    return this.poll_hang_up(cx);
                }
                this.inspect_held();
                continue;
            }
            let before = buf.filled().len();
            if this.held.is_empty() {
                let read = ready!(this.poll_socket(cx, buf))?;
                if read > 0 {
                    this.inspect(buf, before);
                } else if this.fate == Fate::Open {
                    return Poll::Ready(Ok(()));
                }
                if buf.filled().len() > before {
                    return Poll::Ready(Ok(()));
                }
            } else {
                let mut space = [0; 4096];
                let mut more = ReadBuf::new(&mut space);
                let read = ready!(this.poll_socket(cx, &mut more))?;
                if read > 0 {
                    this.held.extend_from_slice(more.filled());
                    this.inspect_held();
                } else if this.fate == Fate::Open {
                    return Poll::Ready(Ok(()));
                }
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.stirred = true;
        let written = Pin::new(&mut this.inner).poll_write(cx, buf);
        this.stall.judge(cx, &this.door, written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.stirred = true;
        let written = Pin::new(&mut this.inner).poll_write_vectored(cx, bufs);
        this.stall.judge(cx, &this.door, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if matches!(this.fate, Fate::Http2 | Fate::Resting) {
            // Only the reader of HTTP/1.1 is at its end.
            return Poll::Ready(Ok(()));
        }
        let left = if let Some(left) = this.linger {
            left
        } else {
            ready!(Pin::new(&mut this.inner).poll_shutdown(cx))?;
            if !this.in_body && this.fate == Fate::Open {
                return Poll::Ready(Ok(()));
            }
            this.alarm_at(Instant::now() + LINGER);
            LINGER_BYTES
        };
        this.poll_linger(cx, left)
    }
}
