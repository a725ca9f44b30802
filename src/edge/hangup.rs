//! The end of what a client sends. It is told one poll late: the HTTP libraries look at nothing more of a connection once
//! they know, not even at a request that came right before. Must never keep back anything else.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, ReadBuf};

/// A poll of whoever reads; two equal ones are the same. `None` where each read is one.
pub(super) type Turn = Option<u64>;

/// Whether the end has come: in which turn, and how, until it is told.
#[derive(Default)]
pub(super) struct HangUp(Option<(Turn, Option<io::Error>)>);

impl HangUp {
    /// Reads from the socket; its end, or its error, wakes the task and is told in another turn.
    pub(super) fn poll_read<S: AsyncRead + Unpin>(
        &mut self,
        socket: &mut S,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
        now: Turn,
    ) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Some((came, _)) if now.is_some() && *came == now => return Poll::Pending,
            Some((_, end)) => return Poll::Ready(end.take().map_or(Ok(()), Err)),
            None => {}
        }
        let before = buf.filled().len();
        match Pin::new(socket).poll_read(cx, buf) {
            Poll::Ready(Ok(())) if buf.filled().len() > before => Poll::Ready(Ok(())),
            Poll::Ready(end) => {
                self.0 = Some((now, end.err()));
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Poll::Pending => Poll::Pending,
        }
    }

    /// Whether it has come, told or not.
    pub(super) const fn has_come(&self) -> bool {
        self.0.is_some()
    }
}
