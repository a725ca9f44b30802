//! Floor 5: the way out to model providers. Takes a [`Pass`], which only a decided, admitted and routed
//! request has; must never dial for anybody else, and never share a connection between tenants.

mod alarm;
mod answer;
mod body;
mod connect;
mod fault;
mod http2;
mod pool;
mod shelf;

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use http::{Request, Response};
use tokio::time::{Instant, timeout, timeout_at};

pub use alarm::Alarm;
pub use answer::{AnswerBody, AnswerFault};
pub use body::{BodyFault, RequestBody, Sent};
pub use fault::Fault;
pub use pool::{Line, Pool};

use crate::config::values::HttpVersion;
use crate::meters::{ConnectResult, Registry};
use crate::spine::Pass;
use crate::units::Clock;
use alarm::FirstByte;
use connect::Dialing;
use http2::{Failed, Session};
use pool::Sender;

/// Sends requests upstream, over the connections of the tenant that the pass names.
pub struct Dialer {
    pool: Arc<Pool>,
    meters: Arc<Registry>,
}

/// An upstream's answer: its head, its body still on the wire, and the connection it comes over.
pub struct Answer {
    /// Status, headers and the running body.
    pub response: Response<AnswerBody>,
    /// The connection, to be given back when the body has ended cleanly.
    pub line: Line,
}

impl Dialer {
    /// A dialer with an empty pool that keeps at most `idle` connections open between requests.
    pub fn new(idle: usize, clock: Arc<dyn Clock>, meters: Arc<Registry>) -> Self {
        Self {
            pool: Pool::new(idle, clock, Arc::clone(&meters)),
            meters,
        }
    }

    /// The pool, for its keeper.
    pub fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    /// Sends one request and waits for the answer's head.
    ///
    /// A pooled connection that turns out closed before the request was written is replaced, once per such
    /// connection. A request of which a byte may have left is sent again only if the upstream says that it did not look
    /// at it, which HTTP/2 can say; then once, over another connection, and only if its body is still whole.
    ///
    /// How long it waited for new connections is told to `sent`.
    ///
    /// # Errors
    /// [`Fault`]: the name, the connection, TLS, the time or the answer.
    pub async fn send(
        &self,
        pass: &Pass,
        request: Request<RequestBody>,
        sent: &Sent,
    ) -> Result<Answer, Fault> {
        let mut request = request;
        let mut refused_by: Option<Arc<Session>> = None;
        loop {
            let (mut line, reused) = match self.pool.take(pass.key(), refused_by.as_ref()) {
                Some(line) => (line, true),
                // Boxed, because it is rare and large: every trip would carry room for it.
                None => Box::pin(self.open(pass, refused_by.as_ref(), sent)).await?,
            };
            if !is_ready(&mut line, reused).await {
                if reused {
                    continue;
                }
                return Err(Fault::Broken(
                    "the upstream closed a new connection at once",
                ));
            }
            let patience = pass.upstream().patience.first_byte;
            let mut first_byte = FirstByte::new(patience, request.body());
            let sender = match line.sender() {
                Sender::Alone(sender) => sender,
                Sender::Shared(session) => {
                    let session = Arc::clone(session);
                    let (alarm, upstream) = (line.alarm(), pass.upstream());
                    // Boxed for the same reason.
                    let asked =
                        Box::pin(http2::ask(&session, alarm, upstream, request, first_byte));
                    match asked.await {
                        Ok(response) => {
                            let response = AnswerBody::http2(response);
                            return Ok(Answer { response, line });
                        }
                        Err(Failed::Unsent(back)) if reused => request = back,
                        Err(Failed::Refused(back, _)) if refused_by.is_none() => {
                            request = back;
                            refused_by = Some(session);
                        }
                        Err(failed) => return Err(failed.into_fault()),
                    }
                    continue;
                }
            };
            let mut sending = pin!(sender.try_send_request(request));
            let answered = poll_fn(|cx| match sending.as_mut().poll(cx) {
                Poll::Ready(answered) => Poll::Ready(Some(answered)),
                Poll::Pending => first_byte.poll(line.alarm(), cx).map(|()| None),
            });
            match answered.await.ok_or(Fault::FirstByteTimeout)? {
                Ok(response) => {
                    let response = AnswerBody::http1(response);
                    return Ok(Answer { response, line });
                }
                Err(mut unsent) => match unsent.take_message() {
                    Some(back) if reused => request = back,
                    _ => return Err(Fault::of_send(&unsent.into_error())),
                },
            }
        }
    }

    /// A connection, new or (where several waited for one that they can share) another's; whether it is another's.
    async fn open(
        &self,
        pass: &Pass,
        shunned: Option<&Arc<Session>>,
        sent: &Sent,
    ) -> Result<(Line, bool), Fault> {
        let _dialing = Dialing::begin(&self.pool, sent);
        let deadline = Instant::now() + pass.upstream().patience.connect;
        let certain = pass.upstream().origin.http == HttpVersion::Two;
        let turn = self.pool.turn(pass.key(), certain);
        let _turn = match &turn {
            None => None,
            Some(turn) => {
                let turn = timeout_at(deadline, turn.lock()).await;
                let turn = turn.map_err(|_| Fault::ConnectTimeout)?;
                if let Some(line) = self.pool.take(pass.key(), shunned) {
                    return Ok((line, true));
                }
                Some(turn)
            }
        };
        let opened = timeout_at(deadline, connect::open(pass, &self.pool, shunned)).await;
        let opened = opened.unwrap_or(Err(Fault::ConnectTimeout));
        self.meters.process().upstream_connect(result_of(&opened));
        opened.map(|line| (line, false))
    }
}

/// How long a pooled connection may take to finish what it was last used for: an answer can be over before the
/// request is, and whoever still sends that must not hold up the next one.
const SETTLING: Duration = Duration::from_millis(100);

async fn is_ready(line: &mut Line, reused: bool) -> bool {
    let mut ready = pin!(line.ready());
    match poll_fn(|cx| Poll::Ready(ready.as_mut().poll(cx))).await {
        Poll::Ready(ready) => ready,
        Poll::Pending if reused => timeout(SETTLING, ready).await.unwrap_or(false),
        Poll::Pending => ready.await,
    }
}

fn result_of(opened: &Result<Line, Fault>) -> ConnectResult {
    match opened {
        Ok(_) => ConnectResult::Ok,
        Err(Fault::Resolve(_)) => ConnectResult::Resolve,
        Err(Fault::Connect(_)) => ConnectResult::Refused,
        Err(Fault::ConnectTimeout | Fault::FirstByteTimeout | Fault::Dead) => {
            ConnectResult::Timeout
        }
        Err(Fault::Tls(_)) => ConnectResult::Tls,
        Err(Fault::Refused | Fault::Broken(_) | Fault::Caller(_)) => ConnectResult::Other,
    }
}
