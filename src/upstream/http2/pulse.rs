//! Whether the other side of a connection is still there: a ping now and then while answers are awaited. Must never
//! ping an idle connection, which servers take for abuse; an idle one that died is found out when it is used.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use h2::{Ping, PingPong};
use tokio::time::{Instant, Sleep, sleep};

/// How often a used connection is asked.
pub(super) const EVERY: Duration = Duration::from_secs(30);

/// How long the answer may take. A ping overtakes everything but what is already on its way.
pub(super) const PATIENCE: Duration = Duration::from_secs(15);

/// The pings of one connection.
pub(super) struct Pulse {
    pings: PingPong,
    sleep: Pin<Box<Sleep>>,
    asked: bool,
}

impl Pulse {
    pub(super) fn new(pings: PingPong) -> Self {
        Self {
            pings,
            sleep: Box::pin(sleep(EVERY)),
            asked: false,
        }
    }

    /// Ready once the other side is known to be gone.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, used: bool) -> Poll<()> {
        loop {
            if self.asked {
                // An error is the connection's own, which says so itself.
                if self.pings.poll_pong(cx).is_ready() {
                    self.asked = false;
                    self.wait(EVERY);
                }
            }
            ready!(self.sleep.as_mut().poll(cx));
            if self.asked {
                return Poll::Ready(());
            }
            let sent = used && self.pings.send_ping(Ping::opaque()).is_ok();
            self.asked = sent;
            self.wait(if sent { PATIENCE } else { EVERY });
        }
    }

    fn wait(&mut self, span: Duration) {
        self.sleep.as_mut().reset(Instant::now() + span);
    }
}
