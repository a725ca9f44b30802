//! The socket of an HTTP/2 connection: its frames are followed in both directions, and what is not part of a request or
//! an answer is counted against an allowance. Must never change a byte, nor hold one.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::guard::Patience;
use super::hangup::HangUp;
use super::stall::Stall;
use super::unasked::Heads;
use crate::trip::Door;
use crate::units::Code;
use crate::wire::frames::{Frame, Frames, Kind};

/// A socket whose frames are followed.
pub(super) struct Framed<S> {
    inner: S,
    /// What came before it was known to be HTTP/2.
    first: Vec<u8>,
    given: usize,
    door: Arc<Door>,
    patience: Patience,
    inbound: Frames,
    outbound: Frames,
    chatter: Chatter,
    stall: Stall,
    hang_up: HangUp,
    heads: Arc<Heads>,
    /// For what was begun and is not whole: what it is, and when it is late.
    late: Option<(u64, Pin<Box<Sleep>>)>,
}

impl<S> Framed<S> {
    pub(super) fn new(
        inner: S,
        first: Vec<u8>,
        patience: Patience,
        door: Arc<Door>,
        heads: &Arc<Heads>,
    ) -> Self {
        Self {
            inner,
            first,
            given: 0,
            door,
            patience,
            inbound: Frames::of_client(),
            outbound: Frames::of_server(),
            chatter: Chatter::new(),
            stall: Stall::new(patience.write),
            hang_up: HangUp::default(),
            heads: Arc::clone(heads),
            late: None,
        }
    }

    /// Bytes came.
    fn comes(&mut self, bytes: &[u8]) -> io::Result<()> {
        let chatter = &mut self.chatter;
        let mut fine = true;
        self.inbound.advance(bytes, |frame| {
            fine = fine && chatter.spend(cost(frame));
        });
        let (whole, opening) = (self.inbound.heads(), self.inbound.is_opening());
        self.heads.come(whole, opening);
        if fine {
            return Ok(());
        }
        self.door.sever(Code::ConnectionFlooded);
        Err(io::ErrorKind::InvalidData.into())
    }

    /// Bytes went.
    fn goes(&mut self, bytes: &[u8]) {
        let (chatter, heads) = (&mut self.chatter, &self.heads);
        self.outbound.advance(bytes, |frame| match frame.kind {
            Kind::Data => chatter.refund(DATA_PAYS),
            Kind::Headers => {
                chatter.refund(HEADERS_PAY);
                if frame.length < OURS {
                    heads.answers();
                }
            }
            // A stream that is refused, or given up by the sidecar. What it costs is taken from what is to come.
            Kind::Reset => {
                chatter.spend(1);
            }
            Kind::GoAway => heads.farewell(),
            Kind::Continuation | Kind::Control => {}
        });
        self.heads.refuses(self.outbound.refusals());
    }

    /// Bytes went, or have to wait.
    fn written(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        self.heads.blocks(written.is_pending());
        self.stall.judge(cx, &self.door, written)
    }

    /// Nothing can be read now: ready when something that was begun is late.
    fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.inbound.is_amid() {
            return Poll::Pending;
        }
        let which = self.inbound.whole();
        let due = || Instant::now() + self.patience.head;
        let (known, alarm) = self
            .late
            .get_or_insert_with(|| (which, Box::pin(tokio::time::sleep_until(due()))));
        if *known != which {
            *known = which;
            alarm.as_mut().reset(due());
        }
        ready!(alarm.as_mut().poll(cx));
        self.door.sever(Code::HeadTimeout);
        Poll::Ready(())
    }
}

/// No head of an answer of ours is shorter: each has an id of its own.
const OURS: u32 = 16;

/// What a client may send besides its requests. Each frame costs; answers and time pay. A client that cancels now and
/// then, pings and opens windows stays far below; one that does nothing else is a flood.
struct Chatter {
    left: u32,
    since: Option<Instant>,
}

/// What may be spent at once.
const CHATTER: u32 = 1024;
/// What a second pays.
const SECOND_PAYS: u32 = 128;
/// What a frame of an answer pays: a window update for its stream, one for the connection, and as much again.
const DATA_PAYS: u32 = 4;
/// What the head of an answer pays.
const HEADERS_PAY: u32 = 2;
/// What a stream costs that the client gives up: a request was begun for it, and perhaps sent on.
const RESET: u32 = 8;

/// What a frame of a client costs.
fn cost(frame: Frame) -> u32 {
    match frame.kind {
        Kind::Headers => 0,
        Kind::Data if frame.length > 0 || frame.ends_stream() => 0,
        Kind::Data | Kind::Continuation | Kind::GoAway | Kind::Control => 1,
        Kind::Reset => RESET,
    }
}

impl Chatter {
    const fn new() -> Self {
        Self {
            left: CHATTER,
            since: None,
        }
    }

    fn refund(&mut self, amount: u32) {
        self.left = self.left.saturating_add(amount).min(CHATTER);
    }

    /// Takes so much; false if there is not so much. The clock is read only when it runs short.
    fn spend(&mut self, amount: u32) -> bool {
        if self.left < amount {
            self.let_time_pay();
        }
        let fine = self.left >= amount;
        self.left = self.left.saturating_sub(amount);
        fine
    }

    #[cold]
    fn let_time_pay(&mut self) {
        let now = Instant::now();
        let Some(since) = self.since.replace(now) else {
            return;
        };
        let passed = u32::try_from(now.duration_since(since).as_millis()).unwrap_or(u32::MAX);
        self.refund(passed.saturating_mul(SECOND_PAYS) / 1000);
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Framed<S> {
    /// Says why before the connection is dropped, if that can be said at once and between two frames.
    fn say_goodbye(&mut self, cx: &mut Context<'_>) {
        if self.outbound.is_between() {
            let _ = Pin::new(&mut self.inner).poll_write(cx, GOAWAY);
        }
    }
}

/// GOAWAY with `ENHANCE_YOUR_CALM` (RFC 9113 §6.8, §7), and no stream that could be tried again.
const GOAWAY: &[u8] = &[
    0, 0, 8, 7, 0, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0xb,
];

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Framed<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        if this.given < this.first.len() {
            let now = (this.first.len() - this.given).min(buf.remaining());
            buf.put_slice(&this.first[this.given..this.given + now]);
            this.given += now;
        } else {
            this.first = Vec::new();
            this.given = 0;
            let turn = Some(this.heads.turn());
            match this.hang_up.poll_read(&mut this.inner, cx, buf, turn) {
                Poll::Ready(outcome) => outcome?,
                Poll::Pending if this.hang_up.has_come() => {
                    this.heads.hang_up();
                    return Poll::Pending;
                }
                Poll::Pending => {
                    ready!(this.poll_late(cx));
                    this.say_goodbye(cx);
                    return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
                }
            }
        }
        let came = this.comes(&buf.filled()[before..]);
        if came.is_err() {
            this.say_goodbye(cx);
        }
        Poll::Ready(came)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Framed<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.inner).poll_write(cx, buf);
        let count = ready!(this.written(cx, written))?;
        this.goes(&buf[..count]);
        Poll::Ready(Ok(count))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.inner).poll_write_vectored(cx, bufs);
        let count = ready!(this.written(cx, written))?;
        let mut left = count;
        for buf in bufs {
            let now = left.min(buf.len());
            this.goes(&buf[..now]);
            left -= now;
        }
        Poll::Ready(Ok(count))
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(cx)
    }
}
