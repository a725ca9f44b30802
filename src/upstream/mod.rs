//! Floor 5: the way out to model providers. Takes a [`Pass`], which only a decided, admitted and routed
//! request has; must never dial for anybody else, and never share a connection between tenants.

mod alarm;
mod body;
mod connect;
mod fault;
mod pool;

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use tokio::time::{Instant, timeout};

pub use alarm::Alarm;
pub use body::{BodyFault, RequestBody, Sent};
pub use fault::Fault;
pub use pool::{Line, Pool};

use crate::meters::{ConnectResult, Registry};
use crate::spine::Pass;
use crate::units::Clock;

/// Sends requests upstream, over the connections of the tenant that the pass names.
pub struct Dialer {
    pool: Arc<Pool>,
    meters: Arc<Registry>,
}

/// An upstream's answer: its head, its body still on the wire, and the connection it comes over.
pub struct Answer {
    /// Status, headers and the running body.
    pub response: Response<Incoming>,
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
    /// connection; a request of which a byte may have left is never sent twice.
    ///
    /// # Errors
    /// [`Fault`]: the name, the connection, TLS, the time or the answer.
    pub async fn send(&self, pass: &Pass, request: Request<RequestBody>) -> Result<Answer, Fault> {
        let mut request = request;
        let deadline = Instant::now() + pass.upstream().patience.first_byte;
        loop {
            let (mut line, reused) = match self.pool.take(pass.key()) {
                Some(line) => (line, true),
                // Boxed, because it is rare and large: every trip would carry room for it.
                None => (Box::pin(self.open(pass)).await?, false),
            };
            if !is_ready(&mut line, reused).await {
                if reused {
                    continue;
                }
                return Err(Fault::Broken(
                    "the upstream closed a new connection at once",
                ));
            }
            let mut sent = pin!(line.send(request));
            let answered = poll_fn(|cx| match sent.as_mut().poll(cx) {
                Poll::Ready(answered) => Poll::Ready(Some(answered)),
                Poll::Pending => line.alarm().poll(cx, deadline).map(|()| None),
            });
            match answered.await.ok_or(Fault::FirstByteTimeout)? {
                Ok(response) => return Ok(Answer { response, line }),
                Err(mut unsent) => match unsent.take_message() {
                    Some(back) if reused => request = back,
                    _ => return Err(Fault::of_send(&unsent.into_error())),
                },
            }
        }
    }

    async fn open(&self, pass: &Pass) -> Result<Line, Fault> {
        let limit = pass.upstream().patience.connect;
        let opened = match timeout(limit, connect::open(pass, &self.pool)).await {
            Ok(opened) => opened,
            Err(_) => Err(Fault::ConnectTimeout),
        };
        self.meters.process().upstream_connect(result_of(&opened));
        opened
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
        Err(Fault::ConnectTimeout | Fault::FirstByteTimeout) => ConnectResult::Timeout,
        Err(Fault::Tls(_)) => ConnectResult::Tls,
        Err(Fault::Broken(_) | Fault::Caller(_)) => ConnectResult::Other,
    }
}
