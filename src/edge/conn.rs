//! One client connection, from accept to close. Must never outlive the drain's deadline.

use std::convert::Infallible;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::timeout;

use super::accept::{Doorway, Stage};
use super::guard::Guarded;
use super::h2::http2;
use crate::trip::{Door, serve};
use crate::units::Code;

/// What the HTTP library may buffer of a connection at least.
const HEAD_BUFFER: usize = 400 * 1024;

/// How long a connection may take to write the end of what is cut.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Serves one connection to its end. Its first bytes decide: the preface of HTTP/2 (RFC 9113 §3.4), or anything else.
pub(super) async fn connection<S>(
    stream: S,
    door: Arc<Door>,
    doorway: Arc<Doorway>,
    stage: watch::Receiver<Stage>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let other = http1(stream, &door, &doorway, stage.clone()).await;
    if let Some((stream, came)) = other {
        // Boxed, since most connections never need the room.
        Box::pin(http2(stream, came, &door, &doorway, stage)).await;
    }
    if let Some(why) = door.severed() {
        doorway.ground.registry.process().severed(why);
    }
}

/// Serves HTTP/1.1; gives back the socket and what came, if it is HTTP/2.
async fn http1<S>(
    stream: S,
    door: &Arc<Door>,
    doorway: &Doorway,
    mut stage: watch::Receiver<Stage>,
) -> Option<(S, Vec<u8>)>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let guarded = Guarded::new(stream, doorway.limits, doorway.patience, Arc::clone(door));
    let severing = door;
    let door = Arc::clone(door);
    let service = service_fn(move |request| {
        let door = Arc::clone(&door);
        async move { Ok::<_, Infallible>(serve(door, request).await) }
    });
    // Somebody who connects while the sidecar drains is served once.
    let keep_alive = *stage.borrow_and_update() == Stage::Open;
    // The guard's limit is the one that counts: the library must never refuse a head by itself.
    let buffer = doorway.limits.head_bytes.max(HEAD_BUFFER) + HEAD_BUFFER / 8;
    let mut connection = http1::Builder::new()
        .keep_alive(keep_alive)
        .max_buf_size(buffer)
        .header_read_timeout(None)
        .serve_connection(TokioIo::new(guarded), service);
    loop {
        tokio::select! {
            biased;
            // Its errors are endings of trips, recorded there, or a client that left between two requests.
            _ = &mut connection => break,
            changed = stage.changed() => {
                if changed.is_err() {
                    return None;
                }
                // Draining: no further request. Cutting: the poll that follows lets the running answer see it, as it does
                // the order to cut one tenant, which is told by the stage that is as it was.
                let now = *stage.borrow_and_update();
                if now != Stage::Open {
                    Pin::new(&mut connection).graceful_shutdown();
                }
                if now == Stage::Cutting {
                    // An answer that waits for its caller is not asked any more, and sees nothing.
                    if timeout(LAST_WORDS, &mut connection).await.is_err() {
                        severing.sever(Code::Draining);
                    }
                    break;
                }
                if severing.is_cut() {
                    // It has the same moment to say so; then the connection may serve on.
                    let end = poll_fn(|cx| match Pin::new(&mut connection).poll(cx) {
                        Poll::Pending if severing.is_cut() => Poll::Pending,
                        polled => Poll::Ready(polled.is_ready()),
                    });
                    match timeout(LAST_WORDS, end).await {
                        Ok(false) => {}
                        Ok(true) => break,
                        Err(_) => {
                            severing.sever(Code::TenantSuspended);
                            break;
                        }
                    }
                }
            }
        }
    }
    connection.into_parts().io.into_inner().into_http2()
}
