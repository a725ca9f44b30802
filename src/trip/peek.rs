//! PEEK: what is asked. A governed body is read whole, scanned as it comes, and held within the policy's
//! allowance before a byte of it leaves; any other body is not touched. Yields [`Inquiry`].
//! Must never decide, and never hold more than the allowance.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header};
use http_body::Body as _;
use hyper::body::Incoming;
use tokio::time::{Instant, timeout_at};

use super::accept::Asking;
use super::record::Run;
use super::{Refusal, Stop};
use crate::limits::{Account, Full, Lease};
use crate::snapshot::Policy;
use crate::units::Code;
use crate::wire::dialect::asked::{Asked, Governed, form_code, scan_code};
use crate::wire::form::{Boundary, Form, FormFault, FormScanner};
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

pub(super) async fn peek(
    run: &mut Run,
    asking: Box<Asking>,
    body: Incoming,
) -> Result<Inquiry, Stop> {
    let target = &asking.target;
    let governed = Governed::of(target.upstream.dialect, target.endpoint);
    let content = match governed {
        None => Content::Opaque(body),
        Some(governed) => {
            let boundary = check_head(run, &asking.parts.headers, &body, governed)?;
            let reader = match &boundary {
                None => Reader::Json(Scanner::new(governed.paths(), Rules::STRICT)),
                Some(boundary) => {
                    Reader::Form(Box::new(FormScanner::new(boundary, governed.form())))
                }
            };
            let (found, pieces, lease) = read(run, body, reader).await?;
            run.keeps(lease);
            let asked = match found {
                Found::Json(scan) => governed.read(scan),
                Found::Form(form) => governed.read_form(form),
            };
            let asked = asked
                .map_err(|fault| Refusal::new(fault.code(), fault.to_string()).about(fault.path))?;
            Content::Governed {
                asked: Box::new(asked),
                pieces,
            }
        }
    };
    Ok(Inquiry { asking, content })
}

/// What the head already rules out. Gives the boundary of a form.
fn check_head(
    run: &Run,
    headers: &HeaderMap,
    body: &Incoming,
    governed: &Governed,
) -> Result<Option<Boundary>, Refusal> {
    let encoded = headers
        .get(header::CONTENT_ENCODING)
        .is_some_and(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity"));
    if encoded {
        let text = "a compressed request body cannot be governed; hint: send it without `content-encoding`";
        return Err(Refusal::new(Code::BodyEncoding, text).closing());
    }
    let boundary = match headers.get(header::CONTENT_TYPE) {
        Some(kind) if !is_json(kind.as_bytes()) => Some(boundary_of(headers, governed)?),
        Some(_) | None => None,
    };
    let policy = run.policy();
    let allowance = policy.body.value as u64;
    let declared = body.size_hint().lower();
    if declared > allowance {
        return Err(too_large(allowance).by(&policy.body.rule));
    }
    if declared > FREE as u64 {
        // Who would be refused in the middle uploads nothing.
        let counted = declared - FREE as u64;
        run.account().fits(counted).map_err(no_room)?;
    }
    Ok(boundary)
}

/// The boundary of a form, where the endpoint takes forms.
fn boundary_of(headers: &HeaderMap, governed: &Governed) -> Result<Boundary, Refusal> {
    let refused = |text| Refusal::new(Code::BodyEncoding, text).closing();
    if governed.form().is_empty() {
        return Err(refused(
            "the content type is not JSON in UTF-8: others could read the body differently; hint: `content-type: application/json`",
        ));
    }
    let mut kinds = headers.get_all(header::CONTENT_TYPE).iter();
    let boundary = kinds.next().and_then(|kind| Boundary::of(kind.as_bytes()));
    boundary.filter(|_| kinds.next().is_none()).ok_or_else(|| {
        refused(
            "the content type is neither JSON in UTF-8 nor form data with one plain boundary: others could read the body differently; hint: `content-type: multipart/form-data; boundary=...`",
        )
    })
}

/// Whether a content type is JSON, and in no other charset than the one that was scanned.
fn is_json(kind: &[u8]) -> bool {
    if kind == b"application/json" {
        return true;
    }
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
    /// What the pieces may keep alive, which can be more than their length.
    cost: usize,
}

/// A piece of this size is worth a handle of its own.
const OWN_PIECE: usize = 4096;

/// Joined pieces are no larger than this, so that joining never moves much.
const JOINED: usize = 65_536;

/// A piece of its own may be a slice of a larger buffer: the HTTP library reads at least so much at a time.
const READ: usize = 8192;

/// What of a body is not counted: it is a part of what a connection costs, and those are bounded. So a small request
/// finds room whatever others hold.
pub(super) const FREE: usize = 16_384;

/// Room for bodies is taken in steps of this size.
const STEP: u64 = 16_384;

impl Held {
    /// The bytes of memory in use, about.
    fn cost(&self) -> usize {
        self.cost + self.tail.capacity()
    }

    fn push(&mut self, data: Bytes) {
        if data.len() >= OWN_PIECE || (self.pieces.is_empty() && self.tail.is_empty()) {
            self.join();
            self.cost += data.len().next_multiple_of(READ);
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
            self.cost += self.tail.capacity();
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
    run: &Run,
    mut body: Incoming,
    reader: Reader,
) -> Result<(Found, VecDeque<Bytes>, Option<Lease>), Stop> {
    let policy = run.policy();
    let mut reading = Reading::new(reader, policy.body.value, run.account());
    let waiting = poll_fn(|cx| Poll::Ready(reading.poll(&mut body, cx))).await;
    match waiting {
        Poll::Ready(done) => done,
        Poll::Pending => read_on(&mut reading, &mut body, policy).await,
    }
    .map_err(|stop| with_rule(stop, policy))?;
    let found = reading.reader.finish()?;
    Ok((found, reading.pieces.into_pieces(), reading.lease))
}

/// Each time as long as the policy's pause some of the body must come, and all of it in the policy's time.
async fn read_on(
    reading: &mut Reading<'_>,
    body: &mut Incoming,
    policy: &Policy,
) -> Result<(), Stop> {
    let end = Instant::now() + policy.body_timeout;
    loop {
        let (before, now) = (reading.held, Instant::now());
        let until = end.min(now + policy.body_pause);
        let done = timeout_at(until, poll_fn(|cx| reading.poll(body, cx))).await;
        if let Ok(done) = done {
            return done;
        }
        if until == end || reading.held - before < PROGRESS {
            return Err(late().into());
        }
    }
}

/// Less than this is no progress: a caller that trickles holds a connection and memory.
const PROGRESS: usize = 1024;

/// What reads a body.
#[expect(
    clippy::large_enum_variant,
    reason = "the large one is the usual one, and a box would be made for each request"
)]
enum Reader {
    Json(Scanner),
    Form(Box<FormScanner>),
}

/// What it found.
enum Found {
    Json(json_scan::Scan),
    Form(Form),
}

impl Reader {
    fn push(&mut self, data: &[u8]) -> Result<(), Refusal> {
        match self {
            Self::Json(scanner) => scanner.push(data).map_err(|fault| unreadable(&fault)),
            Self::Form(scanner) => scanner.push(data).map_err(|fault| no_form(&fault)),
        }
    }

    fn weight(&self) -> usize {
        match self {
            Self::Json(scanner) => scanner.weight(),
            Self::Form(scanner) => scanner.weight(),
        }
    }

    fn finish(self) -> Result<Found, Refusal> {
        match self {
            Self::Json(scanner) => {
                let scan = scanner.finish().map_err(|fault| unreadable(&fault))?;
                Ok(Found::Json(scan))
            }
            Self::Form(scanner) => {
                let form = scanner.finish().map_err(|fault| no_form(&fault))?;
                Ok(Found::Form(form))
            }
        }
    }
}

/// A body as it is read.
struct Reading<'a> {
    reader: Reader,
    pieces: Held,
    held: usize,
    allowance: usize,
    account: &'a Arc<Account>,
    /// The room it takes, if it is not small.
    lease: Option<Lease>,
}

impl<'a> Reading<'a> {
    fn new(reader: Reader, allowance: usize, account: &'a Arc<Account>) -> Self {
        Self {
            reader,
            pieces: Held::default(),
            held: 0,
            allowance,
            account,
            lease: None,
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
        self.reader.push(&data)?;
        if !data.is_empty() {
            self.pieces.push(data);
        }
        let cost = self.pieces.cost() + self.reader.weight();
        if cost > FREE {
            return self.take_room((cost - FREE) as u64);
        }
        Ok(())
    }

    /// The piece is here already, so what is held passes the ceiling by the pieces of this moment.
    fn take_room(&mut self, bytes: u64) -> Result<(), Refusal> {
        let lease = self.lease.get_or_insert_with(|| self.account.lease());
        if bytes <= lease.bytes() {
            return Ok(());
        }
        lease
            .grow_to(bytes.next_multiple_of(STEP))
            .or_else(|_| lease.grow_to(bytes))
            .map_err(no_room)
    }
}

fn no_room(full: Full) -> Refusal {
    match full {
        Full::Now => Refusal::new(
            Code::BuffersFull,
            "no room to hold the request body now; hint: try again, or raise `memory.buffers`",
        ),
        Full::Ever(most) => {
            let text = format!(
                "the request body takes more than the {most} bytes a tenant may have of `memory.buffers`"
            );
            Refusal::new(Code::BodyTooLarge, text)
        }
    }
    .closing()
}

fn unreadable(fault: &json_scan::Fault) -> Refusal {
    Refusal::new(scan_code(fault), format!("the request body: {fault}")).closing()
}

fn no_form(fault: &FormFault) -> Refusal {
    Refusal::new(form_code(fault), format!("the request body: {fault}")).closing()
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
