//! One client connection, from accept to close. Must never outlive the drain's deadline.

use std::convert::Infallible;
use std::sync::Arc;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;

use super::accept::{Doorway, Stage};
use super::guard::Guarded;
use crate::trip::{Door, serve};

/// What the HTTP library may buffer of a connection at least.
const HEAD_BUFFER: usize = 400 * 1024;

/// Serves one connection to its end.
pub(super) async fn connection<S>(
    stream: S,
    door: Arc<Door>,
    doorway: Arc<Doorway>,
    mut stage: watch::Receiver<Stage>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let guarded = Guarded::new(stream, doorway.limits, doorway.patience, Arc::clone(&door));
    let service = service_fn(move |request| {
        let door = Arc::clone(&door);
        async move { Ok::<_, Infallible>(serve(door, request).await) }
    });
    // Somebody who connects while the sidecar drains is served once.
    let keep_alive = *stage.borrow_and_update() == Stage::Open;
    // The guard's limit is the one that counts: the library must never refuse a head by itself.
    let buffer = doorway.limits.head_bytes.max(HEAD_BUFFER) + HEAD_BUFFER / 8;
    let connection = http1::Builder::new()
        .keep_alive(keep_alive)
        .max_buf_size(buffer)
        .header_read_timeout(None)
        .serve_connection(TokioIo::new(guarded), service);
    let mut connection = std::pin::pin!(connection);
    loop {
        tokio::select! {
            biased;
            // Its errors are endings of trips, recorded there, or a client that left between two requests.
            _ = connection.as_mut() => return,
            changed = stage.changed() => {
                if changed.is_err() {
                    return;
                }
                // Draining: no further request. Cutting: the poll that follows lets the running answer see it.
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}
