//! The tail of an answer: what comes of it after its caller has hung up, read as if somebody listened. Money, orders, places and
//! patience hold as before; only, nothing goes out. Must never end a trip that could have gone on.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::time::Sleep;

use super::MeteredBody;
use crate::trip::hang_up::{leave, unattended};
use crate::trip::record::Run;
use crate::units::HungUp;

/// An answer that somebody listens to. Dropped before its end, it is left by its caller.
pub struct Listened(Option<Box<MeteredBody>>);

impl Listened {
    /// Somebody does.
    pub(in crate::trip) fn new(body: MeteredBody) -> Self {
        Self(Some(Box::new(body)))
    }

    /// Nobody will; what is done with it is up to who takes it.
    pub(in crate::trip) fn take(&mut self) -> Option<Box<MeteredBody>> {
        self.0.take()
    }

    pub(super) fn body(&self) -> Option<&MeteredBody> {
        self.0.as_deref()
    }

    pub(super) fn body_mut(&mut self) -> Option<&mut MeteredBody> {
        self.0.as_deref_mut()
    }
}

impl Drop for Listened {
    fn drop(&mut self) {
        if let Some(body) = self.0.take()
            && body.live.is_some()
        {
            leave(body);
        }
    }
}

impl MeteredBody {
    /// The trip, if it is still under way.
    pub(in crate::trip) fn run(&mut self) -> Option<&mut Run> {
        self.live.as_mut().map(|live| &mut *live.run)
    }

    /// Leaves the connection of its caller.
    pub(in crate::trip) fn moves_out(&mut self) {
        if let Some(live) = &mut self.live {
            self.door = Arc::clone(live.run.moves_out());
        }
        self.filter = None;
        self.ready.clear();
    }

    /// Ready when the answer is over, or is longer than it may be.
    fn poll_out(&mut self, cx: &mut Context<'_>, most: u64) -> Poll<Option<HungUp>> {
        loop {
            match ready!(self.poll_caught(cx)) {
                Some(Ok(_unheard)) => {}
                Some(Err(_)) | None => return Poll::Ready(None),
            }
            let unheard = self.run().map_or(0, |run| run.unheard());
            if unheard > most {
                return Poll::Ready(Some(HungUp::TooLarge));
            }
        }
    }
}

/// Reads the rest of an answer, as far as the policy lets it.
pub(in crate::trip) async fn read_out(mut body: Box<MeteredBody>, until: Pin<&mut Sleep>) {
    let door = Arc::clone(&body.door);
    let Some(most) = body.run().map(|run| run.policy().drain.bytes) else {
        return;
    };
    let over = unattended(door.ground(), until, |cx| body.poll_out(cx, most));
    let stopped = over.await.unwrap_or(Some(HungUp::TimedOut));
    if let (Some(why), Some(run)) = (stopped, body.run()) {
        run.hangs_up(why);
    }
}
