//! One request and its answer over a shared connection. Nobody else drives it: whoever waits for the answer sends the
//! request's body meanwhile, and letting go of either resets the stream. Must never say that a request was not looked
//! at unless the other side said so.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::{Reason, RecvStream, SendStream};
use http::header::{self, HeaderValue};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, Request, Response, Uri, Version};
use http_body::Body as _;

use super::super::alarm::FirstByte;
use super::super::{Alarm, AnswerFault, BodyFault, Fault, RequestBody};
use super::{Session, State};
use crate::snapshot::Upstream;

/// Why there is no answer.
pub(in crate::upstream) enum Failed {
    /// Nothing of the request left: the connection was at its end.
    Unsent(Request<RequestBody>),
    /// The other side said that it did not look at the request (RFC 9113 §8.7), and it is still whole.
    Refused(Request<RequestBody>, Fault),
    /// Whatever else.
    Fault(Fault),
}

/// Sends a request and waits for the head of the answer.
pub(in crate::upstream) async fn ask(
    session: &Session,
    alarm: &mut Alarm,
    upstream: &Upstream,
    request: Request<RequestBody>,
    mut first_byte: FirstByte,
) -> Result<Response<Running>, Failed> {
    let head = head(&request, upstream).map_err(Failed::Fault)?;
    let mut sender = session.sender.clone();
    let is_whole = request.body().is_end_stream();
    let Ok((mut response, stream)) = sender.send_request(head, is_whole) else {
        return Err(if session.has_ended() {
            Failed::Unsent(request)
        } else {
            Failed::Fault(UNSENDABLE)
        });
    };
    drop(sender);
    let (parts, body) = request.into_parts();
    let spare = body.copy();
    let mut upload = (!is_whole).then(|| Upload::new(body, stream));
    let answered = poll_fn(|cx| {
        if let Poll::Ready(Err(fault)) = go_on(&mut upload, cx) {
            return Poll::Ready(Err(Lost::Fault(Fault::Caller(fault))));
        }
        match Pin::new(&mut response).poll(cx) {
            Poll::Ready(answered) => Poll::Ready(answered.map_err(Lost::Error)),
            Poll::Pending => first_byte
                .poll(alarm, cx)
                .map(|()| Err(Lost::Fault(Fault::FirstByteTimeout))),
        }
    });
    let error = match answered.await {
        Ok(response) => {
            let left = declared(response.headers());
            return Ok(response.map(|body| Running::new(body, left, upload, &session.state)));
        }
        Err(Lost::Fault(fault)) => return Err(Failed::Fault(fault)),
        Err(Lost::Error(error)) => error,
    };
    let fault = session.state.fault_of(&error);
    match spare {
        Some(body) if is_refusal(&error) => {
            Err(Failed::Refused(Request::from_parts(parts, body), fault))
        }
        _ => Err(Failed::Fault(fault)),
    }
}

impl Failed {
    /// What it comes to when it is not tried again.
    pub(in crate::upstream) fn into_fault(self) -> Fault {
        match self {
            Self::Unsent(_) => Fault::Broken("the upstream closed a new connection at once"),
            Self::Refused(_, fault) | Self::Fault(fault) => fault,
        }
    }
}

enum Lost {
    Error(h2::Error),
    Fault(Fault),
}

/// Whether the other side says that it did nothing with the request: it reset the stream with `REFUSED_STREAM`, or its
/// GOAWAY names an earlier stream as the last that it looked at. Streams that it did look at end with another error
/// when the connection does.
fn is_refusal(error: &h2::Error) -> bool {
    error.is_remote()
        && (error.is_go_away()
            || error.is_reset() && error.reason() == Some(Reason::REFUSED_STREAM))
}

impl State {
    fn fault_of(&self, error: &h2::Error) -> Fault {
        if self.dead.load(Ordering::Relaxed) {
            return Fault::Dead;
        }
        if is_refusal(error) {
            return Fault::Refused;
        }
        if error.is_reset() || error.is_go_away() {
            return Fault::Broken(before_the_answer(error));
        }
        Fault::Broken("the upstream closed the connection before it answered")
    }
}

fn before_the_answer(error: &h2::Error) -> &'static str {
    if !error.is_remote() {
        return "the upstream answered with something that is not HTTP/2";
    }
    match error.reason() {
        Some(Reason::HTTP_1_1_REQUIRED) => {
            "the upstream wants HTTP/1.1 for this request (HTTP_1_1_REQUIRED); hint: set `http = \"1.1\"` for it"
        }
        Some(Reason::ENHANCE_YOUR_CALM) => {
            "the upstream reset the request: it is too much for it (ENHANCE_YOUR_CALM)"
        }
        Some(Reason::CANCEL) => "the upstream reset the request before it answered (CANCEL)",
        Some(Reason::NO_ERROR) => "the upstream reset the request before it answered (NO_ERROR)",
        Some(Reason::INTERNAL_ERROR) => {
            "the upstream reset the request before it answered (INTERNAL_ERROR)"
        }
        Some(Reason::PROTOCOL_ERROR) => {
            "the upstream reset the request before it answered (PROTOCOL_ERROR)"
        }
        _ => "the upstream reset the request before it answered",
    }
}

const UNSENDABLE: Fault = Fault::Broken("the request cannot be sent over HTTP/2");

/// The head as HTTP/2 has it (RFC 9113 §8.3.1): the authority stands in the target and not in `host`. What belongs to a
/// connection is gone already (§8.2.2), and names are in lower case by their type.
fn head(request: &Request<RequestBody>, upstream: &Upstream) -> Result<Request<()>, Fault> {
    let mut target = http::uri::Parts::default();
    let (scheme, authority) = (&upstream.origin.tls, upstream.authority.as_bytes());
    target.scheme = Some(if *scheme { Scheme::HTTPS } else { Scheme::HTTP });
    target.authority = Some(Authority::try_from(authority).map_err(|_| UNSENDABLE)?);
    let path = request.uri().path_and_query().cloned();
    target.path_and_query = Some(path.unwrap_or_else(|| PathAndQuery::from_static("/")));
    let mut head = Request::new(());
    head.method_mut().clone_from(request.method());
    *head.uri_mut() = Uri::from_parts(target).map_err(|_| UNSENDABLE)?;
    *head.version_mut() = Version::HTTP_2;
    head.headers_mut().clone_from(request.headers());
    head.headers_mut().remove(header::HOST);
    if let Some(length) = request.body().size_hint().exact()
        && (length > 0 || !request.method().is_safe())
    {
        let length = HeaderValue::from(length);
        head.headers_mut().insert(header::CONTENT_LENGTH, length);
    }
    Ok(head)
}

/// The body of a request on its way into a stream.
struct Upload {
    body: RequestBody,
    /// What the caller sent and the stream has no room for yet.
    waiting: Bytes,
    stream: SendStream<Bytes>,
}

/// Sends what can be sent. Ready once there is nothing more to send.
fn go_on(upload: &mut Option<Upload>, cx: &mut Context<'_>) -> Poll<Result<(), BodyFault>> {
    let Some(running) = upload else {
        return Poll::Ready(Ok(()));
    };
    let ended = ready!(running.poll(cx));
    *upload = None;
    Poll::Ready(ended)
}

impl Upload {
    fn new(body: RequestBody, stream: SendStream<Bytes>) -> Self {
        Self {
            body,
            waiting: Bytes::new(),
            stream,
        }
    }

    /// An other side that wants no more of it (RFC 9113 §8.1) is no fault: what it has to say stands in its answer.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BodyFault>> {
        loop {
            while !self.waiting.is_empty() {
                self.stream.reserve_capacity(self.waiting.len());
                if self.stream.capacity() == 0 {
                    match ready!(self.stream.poll_capacity(cx)) {
                        Some(Ok(_)) => continue,
                        Some(Err(_)) | None => return Poll::Ready(Ok(())),
                    }
                }
                let room = self.stream.capacity().min(self.waiting.len());
                let piece = self.waiting.split_to(room);
                let is_last = self.waiting.is_empty() && self.body.is_end_stream();
                if self.stream.send_data(piece, is_last).is_err() || is_last {
                    return Poll::Ready(Ok(()));
                }
            }
            match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                // A request's trailers have nobody who would read them.
                Some(Ok(frame)) => self.waiting = frame.into_data().unwrap_or_default(),
                Some(Err(fault)) => {
                    self.stream.send_reset(Reason::CANCEL);
                    return Poll::Ready(Err(fault));
                }
                None => {
                    // An error means that nobody wants it any more.
                    let _ = self.stream.send_data(Bytes::new(), true);
                    return Poll::Ready(Ok(()));
                }
            }
        }
    }
}

/// How long an answer says it is.
fn declared(headers: &HeaderMap) -> Option<u64> {
    let length = headers.get(header::CONTENT_LENGTH)?;
    length.to_str().ok()?.parse().ok()
}

/// The body of an answer. Dropped before its end, it resets its stream and no other.
pub(in crate::upstream) struct Running {
    stream: RecvStream,
    /// Bytes still to come, where that was declared; no more than these do, the library sees to that.
    left: Option<u64>,
    /// What is still to be sent of the request.
    upload: Option<Upload>,
    state: Arc<State>,
}

impl Running {
    fn new(
        stream: RecvStream,
        left: Option<u64>,
        upload: Option<Upload>,
        state: &Arc<State>,
    ) -> Self {
        Self {
            stream,
            left,
            upload,
            state: Arc::clone(state),
        }
    }

    /// The next piece; `None` is the end, which the other side has declared. Trailers end here: no API this sidecar
    /// carries has any, and the caller was promised none.
    pub(in crate::upstream) fn poll_piece(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, AnswerFault>>> {
        if let Poll::Ready(Err(_)) = go_on(&mut self.upload, cx) {
            return Poll::Ready(Some(Err(AnswerFault::BrokenOff)));
        }
        loop {
            match ready!(self.stream.poll_data(cx)) {
                Some(Ok(piece)) if piece.is_empty() => {}
                Some(Ok(piece)) => {
                    // Fails only if more is released than came.
                    let _ = self.stream.flow_control().release_capacity(piece.len());
                    let came = u64::try_from(piece.len()).unwrap_or(u64::MAX);
                    self.left = self.left.map(|left| left.saturating_sub(came));
                    return Poll::Ready(Some(Ok(piece)));
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(self.lost(&error)))),
                None => break,
            }
        }
        let trailers = ready!(self.stream.poll_trailers(cx));
        Poll::Ready(trailers.err().map(|error| Err(self.lost(&error))))
    }

    fn lost(&self, error: &h2::Error) -> AnswerFault {
        if self.state.dead.load(Ordering::Relaxed) {
            return AnswerFault::Dead;
        }
        match error.reason() {
            Some(_) if !error.is_remote() => AnswerFault::Malformed,
            Some(_) if error.is_reset() => AnswerFault::Reset,
            _ => AnswerFault::BrokenOff,
        }
    }

    /// Whether all has come. Some servers say so in a frame of its own, and whoever passes a declared length on asks for no
    /// more than that.
    pub(in crate::upstream) fn is_end_stream(&self) -> bool {
        self.left == Some(0) || self.stream.is_end_stream()
    }
}
