//! PEEK: what is asked. A governed body is read whole, scanned as it comes, and held within the policy's
//! allowance before a byte of it leaves; any other body is not touched. Yields [`Inquiry`].
//! Must never decide, and never hold more than the allowance.

use std::collections::VecDeque;
use std::pin::Pin;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, header};
use http_body::Body as _;
use hyper::body::Incoming;
use tokio::time::timeout;

use super::accept::Target;
use super::identify::Known;
use super::record::Run;
use super::{Refusal, Stop};
use crate::snapshot::Policy;
use crate::units::Code;
use crate::wire::dialect::asked::{Asked, Governed, scan_code};
use crate::wire::json_scan::{self, Rules, Scanner};

/// A request, and what it asks.
pub(super) struct Inquiry {
    pub(super) parts: Parts,
    pub(super) target: Target,
    pub(super) spent: [bool; 3],
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
    let Known {
        parts,
        body,
        target,
        spent,
        ..
    } = known;
    let governed = Governed::of(target.upstream.dialect, target.endpoint);
    let content = match governed {
        None => Content::Opaque(body),
        Some(governed) => {
            let policy = run.policy();
            check_head(&parts.headers, &body, policy)?;
            let reading = read(body, governed, policy.body.value);
            let (scan, pieces) = timeout(policy.body_timeout, reading)
                .await
                .map_err(|_| late())?
                .map_err(|stop| with_rule(stop, policy))?;
            let asked = governed
                .read(scan)
                .map_err(|fault| Refusal::new(fault.code(), fault.to_string()).about(fault.path))?;
            Content::Governed {
                asked: Box::new(asked),
                pieces,
            }
        }
    };
    Ok(Inquiry {
        parts,
        target,
        spent,
        content,
    })
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

async fn read(
    mut body: Incoming,
    governed: &'static Governed,
    allowance: usize,
) -> Result<(json_scan::Scan, VecDeque<Bytes>), Stop> {
    let mut scanner = Scanner::new(governed.paths(), Rules::STRICT);
    let mut pieces = VecDeque::with_capacity(1);
    let mut held = 0_usize;
    while let Some(frame) = next(&mut body).await {
        let frame = frame.map_err(|error| broke_off(&error))?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        held = held.saturating_add(data.len());
        if held > allowance {
            return Err(too_large(allowance as u64).into());
        }
        scanner.push(&data).map_err(|fault| unreadable(&fault))?;
        if !data.is_empty() {
            pieces.push_back(data);
        }
    }
    let scan = scanner.finish().map_err(|fault| unreadable(&fault))?;
    Ok((scan, pieces))
}

async fn next(body: &mut Incoming) -> Option<Result<http_body::Frame<Bytes>, hyper::Error>> {
    std::future::poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await
}

/// A body that ends early is a caller that hung up, unless the head guard found fault with its framing.
fn broke_off(_error: &hyper::Error) -> Stop {
    Stop::Gone
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
