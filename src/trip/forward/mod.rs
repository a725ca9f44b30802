//! FORWARD: the bytes leave. Builds the outgoing head, splices the body, sends both over a connection of
//! this tenant, and waits for the answer's head. Needs the hold and the route by type.
//! Must never send the agent's Outrigger key, nor a byte that was not decided about.

mod head;
mod models;
mod names;
mod spent;

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri, Version, header};
use http_body::Body as _;

use head::Framing;
pub(super) use head::{carry_back, is_tenant_name};
use spent::Spent;

use super::accept::{Asking, Target, percent_decoded};
use super::admit::Admitted;
use super::decide::{Allowed, AllowedBody, Asker};
use super::entry;
use super::identify::CARRIERS;
use super::record::{KeySource, Run};
use super::{Refusal, Stop};
use crate::config::values::HangUp;
use crate::snapshot::{Route, Upstream, Whose};
use crate::units::{Code, Dialect, Endpoint};
use crate::upstream::{self, AnswerBody, Fault, Line, RequestBody};
use crate::wire::dialect::splice;
use crate::wire::dialect::tally::Meter;
use crate::wire::dialect::usage_chunk::UsageChunkFilter;

/// An upstream's answer, and what is needed to carry it back.
pub(super) struct Answer {
    pub(super) response: Response<Content>,
    pub(super) line: Line,
    pub(super) filter: Option<Box<UsageChunkFilter>>,
    pub(super) method: Method,
    /// How long the upstream may be silent between two pieces.
    pub(super) patience: Duration,
}

/// What an answer carries.
pub(super) enum Content {
    /// What comes from the upstream, as it comes.
    Streamed(AnswerBody),
    /// A list of models, read and filtered.
    Listed(Bytes),
}

pub(super) async fn forward(
    run: &mut Run,
    allowed: Allowed,
    admitted: Admitted,
    route: Route,
) -> Result<Answer, Stop> {
    let pass = run.spine().pass(&admitted.hold, route);
    run.holds(admitted.hold, admitted.quote);
    if run.policy().hang_up == HangUp::Estimate {
        run.expects(allowed.ask());
    }
    let upstream = pass.upstream();
    let method = allowed.asking.parts.method.clone();
    let endpoint = allowed.asking.target.endpoint;
    let hides_usage =
        matches!(&allowed.body, AllowedBody::Governed { verdict, .. } if verdict.hides_usage);
    let lists_models = allowed.lists_models(run.policy());
    let request = outgoing(run, allowed, upstream)?;
    run.leaves(key_source(
        run.tenant().key_to(upstream).whose,
        request.headers(),
    ));
    if run.ground().journal.is_some() {
        // In a box: its room would be in the future of every trip.
        let entry = Box::pin(entry::intent(run)).await?;
        run.records(entry);
    }
    let sent = run.ground().dialer.send(&pass, request, run.sent());
    let upstream::Answer { response, line } = sent.await?;
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return Err(Fault::Broken("the upstream switched protocols unasked").into());
    }
    if !is_framed_clearly(response.headers()) {
        return Err(Fault::Broken("the upstream framed its answer in an unclear way").into());
    }
    let meter = meter(&response, upstream.dialect, endpoint);
    run.answered(&response, meter);
    let filter = (hides_usage && run.is_metered_stream()).then(Box::<UsageChunkFilter>::default);
    let patience = upstream.patience.between_bytes;
    let listed = lists_models && response.status().is_success() && method != Method::HEAD;
    let response = if listed {
        // In a box: its room would be in the future of every trip.
        Box::pin(list(run, response, patience)).await?
    } else {
        response.map(Content::Streamed)
    };
    Ok(Answer {
        response,
        line,
        filter,
        method,
        patience,
    })
}

/// Whether an answer's length is told in one way: a coding is `chunked` and nothing else, a length is one number (RFC 9112
/// §6). The HTTP library passes the bytes of another coding on as the content, and a list of equal lengths as it stands.
fn is_framed_clearly(headers: &HeaderMap) -> bool {
    let only = |name: header::HeaderName, is_fine: fn(&[u8]) -> bool| {
        let mut values = headers.get_all(name).iter();
        values.next().is_none_or(|value| is_fine(value.as_bytes())) && values.next().is_none()
    };
    only(header::CONTENT_LENGTH, |length| {
        length.iter().all(u8::is_ascii_digit)
    }) && only(header::TRANSFER_ENCODING, |coding| {
        coding.eq_ignore_ascii_case(b"chunked")
    })
}

/// Reads and filters a list of models.
async fn list(
    run: &Run,
    response: Response<AnswerBody>,
    patience: Duration,
) -> Result<Response<Content>, Stop> {
    if is_encoded(response.headers()) {
        let what = "the upstream compressed its list of models, so it cannot be filtered";
        return Err(Fault::Broken(what).into());
    }
    let (parts, body) = response.into_parts();
    let list = models::filtered(body, run, patience).await?;
    Ok(Response::from_parts(parts, Content::Listed(list)))
}

/// Whose credential a prepared head holds.
fn key_source(whose: Whose, headers: &HeaderMap) -> KeySource {
    match whose {
        Whose::Own => KeySource::Own,
        Whose::Shared => KeySource::Shared,
        Whose::Agent if CARRIERS.iter().any(|name| headers.contains_key(name)) => KeySource::Agent,
        Whose::Agent => KeySource::None,
    }
}

fn outgoing(
    run: &mut Run,
    allowed: Allowed,
    upstream: &Upstream,
) -> Result<Request<RequestBody>, Refusal> {
    let reads =
        allowed.lists_models(run.policy()) || matches!(allowed.body, AllowedBody::Governed { .. });
    let Allowed { asking, body } = allowed;
    let Asking {
        mut parts,
        target,
        spent,
        token,
    } = *asking;
    let spent = Spent::of(&parts.headers, spent, token);
    parts.uri = uri(upstream, &target, &spent)?;
    parts.version = Version::HTTP_11;
    let framing = match &body {
        AllowedBody::Governed { verdict, .. } if verdict.edits.is_empty() => Framing::AsItCame,
        AllowedBody::Governed { .. } | AllowedBody::Opaque(_) => Framing::Anew,
    };
    let tenant = run.tenant();
    head::prepare(
        &mut parts.headers,
        upstream,
        &Asker::of(run.snapshot(), tenant, upstream),
        &spent,
        framing,
    );
    if reads {
        // A compressed answer could not be metered, nor anything be taken out of it.
        let identity = header::HeaderValue::from_static("identity");
        parts.headers.insert(header::ACCEPT_ENCODING, identity);
    }
    Ok(Request::from_parts(parts, outgoing_body(run, body)))
}

fn outgoing_body(run: &Run, body: AllowedBody) -> RequestBody {
    let sent = run.sent().clone();
    match body {
        AllowedBody::Opaque(from) if from.is_end_stream() => RequestBody::Empty,
        AllowedBody::Opaque(from) => RequestBody::Streamed { from, sent },
        AllowedBody::Governed {
            asked,
            pieces,
            verdict,
        } if !verdict.edits.is_empty() => {
            let splices = splice::splices(&asked, &verdict.edits);
            let (pieces, _) = splice::apply(pieces.into_iter(), &splices);
            RequestBody::held(pieces.into(), sent, run.lease())
        }
        AllowedBody::Governed { pieces, .. } => RequestBody::held(pieces, sent, run.lease()),
    }
}

fn uri(upstream: &Upstream, to: &Target, spent: &Spent) -> Result<Uri, Refusal> {
    let path = if &*to.path == "/" { "" } else { &to.path };
    if spent.shows_in(path.as_bytes()) {
        return Err(Refusal::new(
            Code::PathAmbiguous,
            "the path holds a credential",
        ));
    }
    // Of just that length, it is taken as it is.
    let query = to.query.as_ref().map_or(0, |query| query.len() + 1);
    let mut target = String::with_capacity(upstream.base.len() + path.len() + query);
    target.push_str(&upstream.base);
    target.push_str(path);
    if target.is_empty() {
        target.push('/');
    }
    let pairs = to.query.iter().flat_map(|query| query.split('&'));
    let shows = |pair: &&str| spent.shows_in(percent_decoded(pair).as_bytes());
    for (at, pair) in pairs.filter(|pair| !shows(pair)).enumerate() {
        target.push(if at == 0 { '?' } else { '&' });
        target.push_str(pair);
    }
    Uri::try_from(target)
        .map_err(|_| Refusal::new(Code::PathAmbiguous, "the path or query cannot be sent on"))
}

/// How to read usage out of the answer, if it can be: only successful answers of model endpoints have any.
fn meter(response: &Response<AnswerBody>, dialect: Dialect, endpoint: Endpoint) -> Option<Meter> {
    let headers = response.headers();
    if !is_metered(endpoint) || is_encoded(headers) || !response.status().is_success() {
        return None;
    }
    if is_event_stream(headers) {
        return Some(Meter::sse(dialect, endpoint));
    }
    Some(Meter::json(dialect, endpoint))
}

/// Whether the content is compressed.
fn is_encoded(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_ENCODING)
        .is_some_and(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity"))
}

/// Whether answers of an endpoint have usage.
pub(super) fn is_metered(endpoint: Endpoint) -> bool {
    matches!(
        endpoint,
        Endpoint::ChatCompletions
            | Endpoint::Responses
            | Endpoint::Messages
            | Endpoint::Embeddings
            | Endpoint::Completions
            | Endpoint::ResponsesCompact
            | Endpoint::Decisions
            | Endpoint::ImageGenerations
            | Endpoint::ImageEdits
            | Endpoint::Speech
            | Endpoint::Transcriptions
            | Endpoint::Complete
    )
}

/// Whether the content is a stream of server-sent events.
pub(super) fn is_event_stream(headers: &HeaderMap) -> bool {
    let kind = headers
        .get(header::CONTENT_TYPE)
        .map_or(&b""[..], header::HeaderValue::as_bytes);
    let kind = kind
        .split(|byte| *byte == b';')
        .next()
        .unwrap_or_default()
        .trim_ascii();
    kind.eq_ignore_ascii_case(b"text/event-stream")
}
