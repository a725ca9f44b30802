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
use super::guard::{After, Guarded};
use super::h2::http2;
use crate::host::Readable;
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
    S: Readable + AsyncRead + AsyncWrite + Unpin + Send + Sync + 'static,
{
    let idle = doorway.patience.idle;
    let mut guarded = Guarded::new(stream, doorway.limits, doorway.patience, Arc::clone(&door));
    let mut waits = Waits::New(idle);
    // Until a byte comes there is nothing but the socket: the HTTP library's buffers and the room of a trip, which are
    // boxed for that, are made when they are needed, and given back by a connection that rests.
    while comes(guarded.socket(), waits, stage.clone()).await {
        let _awake = doorway.wake();
        match Box::pin(http1(guarded, &door, &doorway, stage.clone())).await {
            After::Over => break,
            After::Rest(rested) => guarded = *rested,
            After::Http2(stream, came) => {
                Box::pin(http2(stream, came, &door, &doorway, stage)).await;
                break;
            }
        }
        waits = Waits::Again(idle.saturating_sub(doorway.patience.rest()));
    }
    door.vacate();
    if let Some(why) = door.severed() {
        doorway.ground.registry.process().severed(why);
    }
}

/// How long a connection may say nothing.
#[derive(Clone, Copy, Debug)]
enum Waits {
    /// It is new: while the sidecar drains it is served once.
    New(Duration),
    /// It was served, and rests: while the sidecar drains it is not needed.
    Again(Duration),
}

/// Waits for bytes without reading them; false if the connection may go.
async fn comes<S: Readable>(stream: &S, waits: Waits, mut stage: watch::Receiver<Stage>) -> bool {
    let (Waits::New(patience) | Waits::Again(patience)) = waits;
    let mut alarm = std::pin::pin!(tokio::time::sleep(patience));
    loop {
        if *stage.borrow_and_update() != Stage::Open {
            return matches!(waits, Waits::New(_));
        }
        tokio::select! {
            biased;
            // An error is for whoever reads.
            _ = poll_fn(|cx| stream.poll_readable(cx)) => return true,
            changed = stage.changed() => {
                if changed.is_err() {
                    return false;
                }
            }
            () = alarm.as_mut() => return false,
        }
    }
}

/// Serves HTTP/1.1, to the end of the connection or until it rests or turns out to be HTTP/2.
async fn http1<S>(
    guarded: Guarded<S>,
    door: &Arc<Door>,
    doorway: &Doorway,
    mut stage: watch::Receiver<Stage>,
) -> After<S>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
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
                    return After::Over;
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
    connection.into_parts().io.into_inner().after()
}
