//! Opening a connection: resolve, connect, TLS, and the task that drives it.
//! Must never be reached without a pass.

use std::sync::Arc;

use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;

use super::http2::{self, Session};
use super::pool::{Line, Pool};
use super::{Fault, Sent};
use crate::config::values::HttpVersion;
use crate::host;
use crate::spine::Pass;
use crate::units::Boot;

/// Measures how long a request waits for a connection that is not there yet: until this is dropped, whatever comes of it.
pub(super) struct Dialing<'a> {
    pool: &'a Pool,
    sent: &'a Sent,
    since: Boot,
}

impl<'a> Dialing<'a> {
    pub(super) fn begin(pool: &'a Pool, sent: &'a Sent) -> Self {
        let since = pool.now();
        Self { pool, sent, since }
    }
}

impl Drop for Dialing<'_> {
    fn drop(&mut self) {
        self.sent.connected(self.pool.now().since(self.since));
    }
}

pub(super) async fn open(
    pass: &Pass,
    pool: &Arc<Pool>,
    shunned: Option<&Arc<Session>>,
) -> Result<Line, Fault> {
    let upstream = pass.upstream();
    let origin = &upstream.origin;
    let stream = host::net::connect(&origin.host, origin.port, upstream.patience.connect)
        .await
        .map_err(|error| match error {
            host::net::ConnectError::Resolve(detail) => Fault::Resolve(detail),
            host::net::ConnectError::Timeout => Fault::ConnectTimeout,
            other => Fault::Connect(other.to_string()),
        })?;
    let Some(name) = &upstream.server_name else {
        return match origin.http {
            HttpVersion::Auto | HttpVersion::One => alone(stream, pass, pool).await,
            HttpVersion::Two => shared(stream, pass, pool, shunned).await,
        };
    };
    let connector = TlsConnector::from(Arc::clone(pass.tls().map_err(Fault::Tls)?));
    let connected = connector.connect(name.clone(), stream).await;
    let stream = connected.map_err(|error| Fault::Tls(error.to_string()))?;
    match (origin.http, stream.get_ref().1.alpn_protocol()) {
        (_, Some(b"h2")) => shared(stream, pass, pool, shunned).await,
        (HttpVersion::Auto | HttpVersion::One, _) => alone(stream, pass, pool).await,
        // It let the offer pass in silence; RFC 9113 §3.2 wants it to be taken.
        (HttpVersion::Two, _) => Err(Fault::Tls(
            "it does not offer HTTP/2; hint: set `http = \"auto\"` for it".to_owned(),
        )),
    }
}

async fn alone<S>(stream: S, pass: &Pass, pool: &Arc<Pool>) -> Result<Line, Fault>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = http1::Builder::new()
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|_| Fault::Broken("the upstream closed the connection at once"))?;
    // Its errors reach whoever waits for the answer; there is nothing else to tell.
    let open = pool.opened();
    host::tasks::spawn("upstream-connection", async move {
        let _ = connection.await;
        drop(open);
    });
    let keep = pass.upstream().patience.idle;
    Ok(Line::new(sender, pass.key().clone(), keep))
}

async fn shared<S>(
    stream: S,
    pass: &Pass,
    pool: &Arc<Pool>,
    shunned: Option<&Arc<Session>>,
) -> Result<Line, Fault>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let session = http2::open(stream, pool).await?;
    let keep = pass.upstream().patience.idle;
    // An upstream may allow no streams at all for a while.
    pool.share(pass.key(), session, keep, shunned)
        .ok_or(Fault::Refused)
}
