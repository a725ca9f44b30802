//! PEEK: what is asked. A governed body is read whole, scanned as it comes, and held within the policy's
//! allowance before a byte of it leaves; any other body is not touched. Yields [`Inquiry`].
//! Must never decide, and never hold more than the allowance.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header};
use http_body::Body as _;
use hyper::body::Incoming;
use tokio::time::timeout;

use super::accept::Asking;
use super::record::Run;
use super::{Refusal, Stop};
use crate::snapshot::Policy;
use crate::units::Code;
use crate::wire::dialect::asked::{Asked, Governed, scan_code};
use crate::wire::json_scan::{self, Rules, Scanner};

/// A request, and what it asks.
pub(super) struct Inquiry {
    pub(super) asking: Box<Asking>,
    pub(super) content: Content,
}

/// The body of a request.
pub(super) enum Content {
    /// Scanned and held.
    Governed {
        /// What it asks.
        asked: Box<Asked>,
        /// Its pieces, as they came.
        pieces: VecDeque<Bytes>,
    },
    /// Not looked at.
    Opaque(Incoming),
}

pub(super) async fn peek(run: &Run, asking: Box<Asking>, body: Incoming) -> Result<Inquiry, Stop> {
    let target = &asking.target;
    let governed = Governed::of(target.upstream.dialect, target.endpoint);
    let content = match governed {
        None => Content::Opaque(body),
        Some(governed) => {
            let policy = run.policy();
            check_head(&asking.parts.headers, &body, policy)?;
            let (scan, pieces) = read(body, governed, policy).await?;
            let asked = governed
                .read(scan)
                .map_err(|fault| Refusal::new(fault.code(), fault.to_string()).about(fault.path))?;
            Content::Governed {
                asked: Box::new(asked),
                pieces,
            }
        }
    };
    Ok(Inquiry { asking, content })
}

/// What the head already rules out.
fn check_head(headers: &HeaderMap, body: &Incoming, policy: &Policy) -> Result<(), Refusal> {
    let encoded = headers
        .get(header::CONTENT_ENCODING)
        .is_some_and(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity"));
    if encoded {
        let text = "a compressed request body cannot be governed; hint: send it without `content-encoding`";
        return Err(Refusal::new(Code::BodyEncoding, text).closing());
    }
    if let Some(kind) = headers.get(header::CONTENT_TYPE)
        && !is_json(kind.as_bytes())
    {
        let text = "the content type is not JSON in UTF-8: others could read the body differently; hint: `content-type: application/json`";
        return Err(Refusal::new(Code::BodyEncoding, text).closing());
    }
    let allowance = policy.body.value as u64;
    if body.size_hint().lower() > allowance {
        return Err(too_large(allowance).by(&policy.body.rule));
    }
    Ok(())
}

/// Whether a content type is JSON, and in no other charset than the one that was scanned.
fn is_json(kind: &[u8]) -> bool {
    let mut parts = kind.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
    let media = parts.next().unwrap_or_default().to_ascii_lowercase();
    let is_json = media.is_empty()
        || media == b"application/json"
        || media == b"text/json"
        || (media.starts_with(b"application/") && media.ends_with(b"+json"));
    is_json
        && parts.all(|parameter| {
            let (name, value) = parameter.split_at_checked(8).unwrap_or_default();
            let value = value.strip_prefix(b"\"").unwrap_or(value);
            let value = value.strip_suffix(b"\"").unwrap_or(value);
            if name.eq_ignore_ascii_case(b"charset=") {
                value.eq_ignore_ascii_case(b"utf-8") || value.eq_ignore_ascii_case(b"utf8")
            } else {
                !parameter.to_ascii_lowercase().starts_with(b"charset")
            }
        })
}

/// The pieces of a body, held. Small ones are joined: a body in chunks of one byte would otherwise cost many
/// times its length, in handles and in the buffers that they keep alive.
#[derive(Default)]
struct Held {
    pieces: VecDeque<Bytes>,
    tail: BytesMut,
}

/// A piece of this size is worth a handle of its own.
const OWN_PIECE: usize = 4096;

/// Joined pieces are no larger than this, so that joining never moves much.
const JOINED: usize = 65_536;

impl Held {
    fn push(&mut self, data: Bytes) {
        if data.len() >= OWN_PIECE || (self.pieces.is_empty() && self.tail.is_empty()) {
            self.join();
            self.pieces.push_back(data);
            return;
        }
        self.tail.extend_from_slice(&data);
        if self.tail.len() >= JOINED {
            self.join();
        }
    }

    fn join(&mut self) {
        if !self.tail.is_empty() {
            self.pieces
                .push_back(std::mem::take(&mut self.tail).freeze());
        }
    }

    fn into_pieces(mut self) -> VecDeque<Bytes> {
        self.join();
        self.pieces
    }
}

/// Reads and scans the whole body. Only a body that keeps us waiting is timed.
async fn read(
    mut body: Incoming,
    governed: &'static Governed,
    policy: &Policy,
) -> Result<(json_scan::Scan, VecDeque<Bytes>), Stop> {
    let mut reading = Reading::new(governed, policy.body.value);
    let waiting = poll_fn(|cx| Poll::Ready(reading.poll(&mut body, cx))).await;
    match waiting {
        Poll::Ready(done) => done,
        Poll::Pending => timeout(
            policy.body_timeout,
            poll_fn(|cx| reading.poll(&mut body, cx)),
        )
        .await
        .unwrap_or_else(|_| Err(late().into())),
    }
    .map_err(|stop| with_rule(stop, policy))?;
    let scan = reading
        .scanner
        .finish()
        .map_err(|fault| unreadable(&fault))?;
    Ok((scan, reading.pieces.into_pieces()))
}

/// A body as it is read.
struct Reading {
    scanner: Scanner,
    pieces: Held,
    held: usize,
    allowance: usize,
}

impl Reading {
    fn new(governed: &'static Governed, allowance: usize) -> Self {
        Self {
            scanner: Scanner::new(governed.paths(), Rules::STRICT),
            pieces: Held::default(),
            held: 0,
            allowance,
        }
    }

    /// Takes what has come; ready at the body's end, or at the first thing that is wrong with it.
    fn poll(&mut self, body: &mut Incoming, cx: &mut Context<'_>) -> Poll<Result<(), Stop>> {
        while !body.is_end_stream() {
            match ready!(Pin::new(&mut *body).poll_frame(cx)) {
                None => break,
                // A body that ends early is a caller that hung up, unless the head guard found fault with it.
                Some(Err(_)) => return Poll::Ready(Err(Stop::Gone)),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.take(data)?;
                    }
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    fn take(&mut self, data: Bytes) -> Result<(), Refusal> {
        self.held = self.held.saturating_add(data.len());
        if self.held > self.allowance {
            return Err(too_large(self.allowance as u64));
        }
        self.scanner
            .push(&data)
            .map_err(|fault| unreadable(&fault))?;
        if !data.is_empty() {
            self.pieces.push(data);
        }
        Ok(())
    }
}

fn unreadable(fault: &json_scan::Fault) -> Refusal {
    Refusal::new(scan_code(fault), format!("the request body: {fault}")).closing()
}

fn too_large(allowance: u64) -> Refusal {
    let text = format!("the request body is larger than the {allowance} bytes the policy allows");
    Refusal::new(Code::BodyTooLarge, text).closing()
}

fn late() -> Refusal {
    Refusal::new(Code::BodyTimeout, "the request body did not arrive in time").closing()
}

fn with_rule(stop: Stop, policy: &Policy) -> Stop {
    match stop {
        Stop::Refused(refusal) if refusal.code == Code::BodyTooLarge => {
            refusal.by(&policy.body.rule).into()
        }
        other => other,
    }
}

#[cfg(test)]
mod tests;
