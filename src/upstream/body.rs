//! The body of a request on its way to an upstream: held and replayed byte for byte, or streamed straight
//! through. Must never change a byte, and never hold one that the caller of `trip/peek` did not hold.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use crate::limits::Lease;
use crate::units::Code;

/// What has gone towards the upstream, and what the way there took; shared with the request's record.
#[derive(Clone, Debug, Default)]
pub struct Sent(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    bytes: AtomicU64,
    /// Microseconds.
    connecting: AtomicU32,
}

impl Sent {
    /// The body's bytes so far.
    pub fn bytes(&self) -> u64 {
        self.0.bytes.load(Ordering::Relaxed)
    }

    /// How long it took to get connections that were not there yet, whether they came about or not; nothing where one
    /// was kept. In microseconds.
    pub fn connecting(&self) -> u32 {
        self.0.connecting.load(Ordering::Relaxed)
    }

    fn add(&self, bytes: usize) {
        self.0.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn connected(&self, after: Duration) {
        let micros = u32::try_from(after.as_micros()).unwrap_or(u32::MAX);
        self.0.connecting.fetch_add(micros, Ordering::Relaxed);
    }
}

/// A request body on its way out.
pub enum RequestBody {
    /// None.
    Empty,
    /// Scanned and held; the pieces are sent in order.
    Held {
        /// What is sent next; most bodies are one piece.
        next: Option<Bytes>,
        /// What follows.
        pieces: VecDeque<Bytes>,
        /// Bytes still to be sent.
        left: u64,
        /// The count for the record.
        sent: Sent,
        /// The room it takes, if it is not small; goes back with it.
        _lease: Option<Arc<Lease>>,
    },
    /// Passed through as it arrives.
    Streamed {
        /// The caller's body.
        from: Incoming,
        /// The count for the record.
        sent: Sent,
    },
}

/// Why a caller's body could not be passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyFault {
    /// It broke off.
    BrokenOff,
}

impl BodyFault {
    /// The refusal code.
    pub const fn code(self) -> Code {
        match self {
            Self::BrokenOff => Code::BodyMalformed,
        }
    }

    /// What to say.
    pub const fn text(self) -> &'static str {
        match self {
            Self::BrokenOff => "the request body broke off",
        }
    }
}

impl std::fmt::Display for BodyFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.text())
    }
}

impl std::error::Error for BodyFault {}

impl RequestBody {
    /// A held body.
    pub fn held(pieces: VecDeque<Bytes>, sent: Sent, lease: Option<Arc<Lease>>) -> Self {
        let left = pieces.iter().map(|piece| piece.len() as u64).sum();
        let mut pieces = pieces;
        Self::Held {
            next: pieces.pop_front(),
            pieces,
            left,
            sent,
            _lease: lease,
        }
    }

    /// The count of a body that passes through as it comes.
    pub(super) fn passing(&self) -> Option<&Sent> {
        match self {
            Self::Streamed { sent, .. } => Some(sent),
            Self::Empty | Self::Held { .. } => None,
        }
    }

    /// The same body once more, for a request that was not looked at: what is held can be sent again, what the caller
    /// still sends cannot.
    pub(super) fn copy(&self) -> Option<Self> {
        match self {
            Self::Empty => Some(Self::Empty),
            Self::Held {
                next,
                pieces,
                left,
                sent,
                _lease: lease,
            } => Some(Self::Held {
                next: next.clone(),
                pieces: pieces.clone(),
                left: *left,
                sent: sent.clone(),
                _lease: lease.clone(),
            }),
            Self::Streamed { .. } => None,
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyFault;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyFault>>> {
        match self.get_mut() {
            Self::Empty => Poll::Ready(None),
            Self::Held {
                next,
                pieces,
                left,
                sent,
                ..
            } => Poll::Ready(next.take().map(|piece| {
                *next = pieces.pop_front();
                *left = left.saturating_sub(piece.len() as u64);
                sent.add(piece.len());
                Ok(Frame::data(piece))
            })),
            Self::Streamed { from, sent } => Pin::new(from).poll_frame(cx).map(|next| {
                next.map(|frame| {
                    let frame = frame.map_err(|_| BodyFault::BrokenOff)?;
                    if let Some(data) = frame.data_ref() {
                        sent.add(data.len());
                    }
                    Ok(frame)
                })
            }),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Held { next, .. } => next.is_none(),
            Self::Streamed { from, .. } => from.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Held { left, .. } => SizeHint::with_exact(*left),
            Self::Streamed { from, .. } => from.size_hint(),
        }
    }
}
