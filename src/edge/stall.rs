//! How long a caller may take nothing of what is written to it. Kept by a timer that exists only once a write had to
//! wait. Must never count against a caller that takes a byte now and then.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

use crate::trip::Door;
use crate::units::Code;

/// The watch on one writer.
pub(super) struct Stall {
    patience: Duration,
    alarm: Option<Pin<Box<Sleep>>>,
    /// Whether something was taken since the alarm was set.
    moved: bool,
    /// Whether a write waits.
    blocked: bool,
}

impl Stall {
    pub(super) const fn new(patience: Duration) -> Self {
        Self {
            patience,
            alarm: None,
            moved: false,
            blocked: false,
        }
    }

    /// Something was taken.
    pub(super) fn moves(&mut self) {
        self.moved = true;
    }

    /// Whether the last write has to wait.
    pub(super) const fn is_blocked(&self) -> bool {
        self.blocked
    }

    /// What became of a write to a socket; a write that has waited for too long breaks the connection off.
    #[inline]
    pub(super) fn judge<T>(
        &mut self,
        cx: &mut Context<'_>,
        door: &Door,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        self.blocked = written.is_pending();
        if written.is_ready() {
            self.moves();
            return written;
        }
        ready!(self.poll(cx));
        door.sever(Code::CallerStalled);
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    /// Nothing can be written now: ready if that has lasted too long, which is noticed between one and two times the
    /// limit. The alarm is not set anew with each write; it rings, sees that something moved, and waits once more.
    #[cold]
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let patience = self.patience;
            let alarm = self.alarm.get_or_insert_with(|| {
                self.moved = false;
                Box::pin(tokio::time::sleep(patience))
            });
            ready!(alarm.as_mut().poll(cx));
            if !std::mem::take(&mut self.moved) {
                return Poll::Ready(());
            }
            alarm.as_mut().reset(Instant::now() + patience);
        }
    }
}
