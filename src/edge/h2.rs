//! One client connection that speaks HTTP/2 in clear text, known by its preface (RFC 9113 §3.3). Each stream is a trip
//! like any other, and its head meets the rules of HTTP/1.1, since that is what goes upstream.
//! Must never let a connection grow with what its client sends.

use std::convert::Infallible;
use std::error::Error as _;
use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::time::Duration;

use http::header::{self, HeaderMap, HeaderValue};
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::Instant;

use super::accept::{Doorway, Stage};
use super::frames::Framed;
use super::stream::{Pace, Paced, Streams};
use super::unasked::{Closing, Heads, Unasked};
use crate::trip::{Door, HeadFault, serve};
use crate::wire::head::{Limits, check_list};

/// Streams at once: no fewer than RFC 9113 §5.1.2 recommends.
pub(super) const STREAMS: u32 = 100;

/// What a stream may send before it is read. Windows of the connection's streams add up to its own, so that a stream
/// that is not read (it waits for a place, or for a slow upstream) never keeps another one from sending.
const STREAM_WINDOW: u32 = 64 * 1024;
const CONNECTION_WINDOW: u32 = STREAMS * STREAM_WINDOW;

/// What a stream may hold of an answer that its client has no room for.
const SEND_BUFFER: usize = 64 * 1024;

/// Streams that the client may reset before they were looked at; and that the library may reset because they are
/// malformed. Beyond, the connection is closed.
const EARLY_RESETS: usize = 20;
const ERRORS: usize = 128;

/// What a field costs beside its text, as `SETTINGS_MAX_HEADER_LIST_SIZE` counts (RFC 9113 §6.5.2).
const FIELD: usize = 32;

/// How long a client may take to say that it has seen the farewell.
const FAREWELL: Duration = Duration::from_secs(5);

/// Serves one connection to its end; `came` is what was read of it.
pub(super) async fn http2<S>(
    stream: S,
    came: Vec<u8>,
    door: &Arc<Door>,
    doorway: &Arc<Doorway>,
    mut stage: watch::Receiver<Stage>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let opened = *stage.borrow_and_update();
    let streams = Streams::new(doorway, stage.clone());
    let heads = Arc::new(Heads::default());
    let framed = Framed::new(stream, came, doorway.patience, Arc::clone(door), &heads);
    let mut unasked = Unasked::new(&heads);
    let service = {
        let (streams, door) = (streams.clone(), Arc::clone(door));
        let doorway = Arc::clone(doorway);
        service_fn(move |request| {
            heads.asks();
            answer(request, &streams, &door, &doorway)
        })
    };
    let connection = builder(streams, doorway).serve_connection(TokioIo::new(framed), service);
    let mut connection = std::pin::pin!(connection);
    if opened != Stage::Open {
        connection.as_mut().graceful_shutdown();
    }
    let idle = doorway.patience.idle;
    let mut alarm = std::pin::pin!(tokio::time::sleep(idle));
    let mut begun = door.begun();
    let mut leaving = false;
    loop {
        let driven = poll_fn(|cx| {
            unasked.begin();
            let polled = connection.as_mut().poll(cx);
            if polled.is_pending() {
                unasked.settle(door);
            }
            polled
        });
        tokio::select! {
            biased;
            // Its errors are endings of trips, recorded there, or a client that left or broke the protocol.
            ended = driven => {
                unasked.end(door, closing(&ended));
                return;
            }
            changed = stage.changed() => {
                if changed.is_err() {
                    return;
                }
                // An order to cut one tenant is told by the stage as it was; it is for the streams.
                if *stage.borrow_and_update() != Stage::Open {
                    connection.as_mut().graceful_shutdown();
                }
            }
            // As on HTTP/1.1, an idle connection lives between one and two times its limit. Pings are no requests.
            () = alarm.as_mut() => {
                let before = std::mem::replace(&mut begun, door.begun());
                let quiet = before == begun && !door.is_busy();
                if quiet && leaving {
                    return;
                }
                leaving = quiet;
                if quiet {
                    connection.as_mut().graceful_shutdown();
                }
                let wait = if quiet { FAREWELL.min(idle) } else { idle };
                alarm.as_mut().reset(Instant::now() + wait);
            }
        }
    }
}

/// Whether the library closed it because of what the client sent.
fn closing(ended: &Result<(), hyper::Error>) -> Closing {
    let cause = ended.as_ref().err().and_then(|error| error.source());
    match cause.and_then(|cause| cause.downcast_ref::<h2::Error>()) {
        Some(error) if error.is_library() => Closing::Broken,
        _ => Closing::Calm,
    }
}

fn builder(streams: Streams, doorway: &Doorway) -> http2::Builder<Streams> {
    let mut builder = http2::Builder::new(streams);
    // Somewhat more than is allowed, so that most heads that are too large are refused in our shape. Beyond that, the
    // library answers a bare 431.
    let Limits {
        head_bytes, fields, ..
    } = doorway.limits;
    let list = u32::try_from(2 * head_bytes + fields * FIELD).unwrap_or(u32::MAX);
    // A peer that says nothing for so long is asked whether it is there.
    let ask = doorway.patience.idle / 2;
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .max_header_list_size(list)
        .max_pending_accept_reset_streams(EARLY_RESETS)
        .max_local_error_reset_streams(ERRORS)
        .keep_alive_interval(ask)
        .keep_alive_timeout(ask);
    builder
}

/// Begins the trip of one stream.
fn answer(
    request: Request<Incoming>,
    streams: &Streams,
    connection: &Arc<Door>,
    doorway: &Doorway,
) -> impl Future<Output = Result<Response<Paced>, Infallible>> + use<> {
    let door = Door::stream_of(connection);
    let request = checked(request, &door, &doorway.limits);
    let door = Arc::new(door);
    let pace = Pace::new(Arc::clone(&door));
    streams.announce(&pace);
    async move {
        let response = serve(door, request).await;
        pace.hands();
        Ok(response.map(|body| Paced { body, pace }))
    }
}

/// Judges the head and makes it one of HTTP/1.1: crumbs of a cookie become one field again (RFC 9113 §8.2.3).
fn checked(mut request: Request<Incoming>, door: &Door, limits: &Limits) -> Request<Incoming> {
    let judged = check_list(request.method(), request.uri(), request.headers(), limits);
    if let Err(fault) = judged {
        door.condemn(HeadFault {
            code: fault.code,
            what: fault.what,
        });
    }
    join_cookies(request.headers_mut());
    request
}

fn join_cookies(headers: &mut HeaderMap) {
    let crumbs = headers.get_all(header::COOKIE);
    if crumbs.iter().nth(1).is_none() {
        return;
    }
    let crumbs: Vec<&[u8]> = crumbs.iter().map(HeaderValue::as_bytes).collect();
    // Values joined by text are a value.
    if let Ok(whole) = HeaderValue::from_bytes(&crumbs.join(&b"; "[..])) {
        headers.insert(header::COOKIE, whole);
    }
}
