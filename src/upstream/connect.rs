//! Opening a connection: resolve, connect, TLS, and the task that drives it.
//! Must never be reached without a pass.

use std::sync::Arc;

use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;

use super::pool::{Line, Pool};
use super::{Fault, RequestBody};
use crate::host;
use crate::spine::Pass;

pub(super) async fn open(pass: &Pass, pool: &Arc<Pool>) -> Result<Line, Fault> {
    let upstream = pass.upstream();
    let origin = &upstream.origin;
    let stream = host::net::connect(&origin.host, origin.port, upstream.patience.connect)
        .await
        .map_err(|error| match error {
            host::net::ConnectError::Resolve(detail) => Fault::Resolve(detail),
            host::net::ConnectError::Timeout => Fault::ConnectTimeout,
            other => Fault::Connect(other.to_string()),
        })?;
    let sender = match &upstream.server_name {
        None => handshake(stream, pool).await?,
        Some(name) => {
            let connector = TlsConnector::from(Arc::clone(pass.tls().map_err(Fault::Tls)?));
            let stream = connector
                .connect(name.clone(), stream)
                .await
                .map_err(|error| Fault::Tls(error.to_string()))?;
            handshake(stream, pool).await?
        }
    };
    Ok(Line::new(
        sender,
        pass.key().clone(),
        upstream.patience.idle,
        pool,
    ))
}

async fn handshake<S>(stream: S, pool: &Arc<Pool>) -> Result<http1::SendRequest<RequestBody>, Fault>
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
    Ok(sender)
}
