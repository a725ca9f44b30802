//! The small server behind the telemetry and admin doors: short requests, whole answers, few connections.
//! Must never serve a tenant.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

/// How long one connection may stay: scrapers come back, and who does not read its answer gives the place back.
const LONGEST: Duration = Duration::from_mins(1);
const HEAD: Duration = Duration::from_secs(10);
/// How much of a connection is buffered at most, so how long a head may be. Bodies are not read at all.
const HEAD_BYTES: usize = 16 * 1024;

/// An answer.
pub(super) enum Page {
    /// Whole.
    Whole(Option<Bytes>),
    /// Made while it is sent: each piece when there is room for it.
    Pieces(Box<dyn FnMut() -> Option<Bytes> + Send>),
}

impl Body for Page {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let next = match self.get_mut() {
            Self::Whole(bytes) => bytes.take(),
            Self::Pieces(next) => next(),
        };
        Poll::Ready(next.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Self::Pieces(_) => SizeHint::default(),
        }
    }
}

/// An answer of that status, content type and text.
pub(super) fn page(
    status: StatusCode,
    kind: &'static str,
    text: impl Into<Bytes>,
) -> Response<Page> {
    answer(status, kind, Page::Whole(Some(text.into())))
}

/// An answer that comes in pieces, until there is none.
pub(super) fn pieces(
    status: StatusCode,
    kind: &'static str,
    next: Box<dyn FnMut() -> Option<Bytes> + Send>,
) -> Response<Page> {
    answer(status, kind, Page::Pieces(next))
}

fn answer(status: StatusCode, kind: &'static str, body: Page) -> Response<Page> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    headers.insert(
        header::CACHE_CONTROL,
        header::HeaderValue::from_static("no-store"),
    );
    response
}

/// Plain text.
pub(super) const TEXT: &str = "text/plain; charset=utf-8";
/// JSON.
pub(super) const JSON: &str = "application/json";
/// JSON, one value per line.
pub(super) const LINES: &str = "application/x-ndjson";

/// Serves one connection with `handler`.
pub(super) async fn serve<S, H, F>(stream: S, handler: H)
where
    S: AsyncRead + AsyncWrite + Unpin,
    H: Fn(Request<Incoming>) -> F,
    F: Future<Output = Response<Page>>,
{
    let service = service_fn(|request| {
        let answer = handler(request);
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    // A connection that ends badly has nobody left to be told.
    let _ = timeout(LONGEST, connection).await;
}
