//! PEEK: what is asked. A governed body is read whole, scanned as it comes, and held within the policy's
//! allowance before a byte of it leaves; any other body is not touched. Yields [`Inquiry`].
//! Must never decide, and never hold more than the allowance.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{HeaderMap, header};
use http_body::Body as _;
use hyper::body::Incoming;
use tokio::time::timeout;

use super::accept::Asking;
use super::identify::Known;
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

pub(super) async fn peek(run: &Run, known: Known) -> Result<Inquiry, Stop> {
    let Known { asking, body, .. } = known;
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
    let allowance = policy.body.value as u64;
    if body.size_hint().lower() > allowance {
        return Err(too_large(allowance).by(&policy.body.rule));
    }
    Ok(())
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
    Ok((scan, reading.pieces))
}

/// A body as it is read.
struct Reading {
    scanner: Scanner,
    pieces: VecDeque<Bytes>,
    held: usize,
    allowance: usize,
}

impl Reading {
    fn new(governed: &'static Governed, allowance: usize) -> Self {
        Self {
            scanner: Scanner::new(governed.paths(), Rules::STRICT),
            pieces: VecDeque::with_capacity(1),
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
            self.pieces.push_back(data);
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
