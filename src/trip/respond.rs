//! The heads of what the caller gets: the upstream's answer with the tenant's own limits in place of the
//! provider's, or a refusal in the provider's shape. The one place that renders a stop.
//! Must never say more to a caller than its tenant may know.

mod own;

use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderName, HeaderValue};
use http::{Method, Response, StatusCode, Version};
use http_body::Body as _;

use super::forward::{self, Content};
use super::identify::TurnedAway;
use super::meter::{Listened, MeteredBody, OutBody};
use super::record::Run;
use super::stop::CUT;
use super::{Refusal, Stop, admit};
use crate::limits::Broke;
use crate::snapshot::Standing;
use crate::units::{Boot, Code, Dialect, Ending, RequestId};
use crate::wire::error_body::{self, BudgetDetail, RefusalDetail};
pub(super) use own::OwnFields;

const REQUEST_ID: HeaderName = HeaderName::from_static("outrigger-request-id");
const CODE: HeaderName = HeaderName::from_static("outrigger-code");
const RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");
const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

/// Carries an upstream's answer back. The run goes into its body.
pub(super) fn answer(run: Box<Run>, answer: forward::Answer) -> Response<OutBody> {
    let forward::Answer {
        response,
        line,
        filter,
        method,
        patience,
    } = answer;
    let (mut parts, body) = response.into_parts();
    let mut headers = std::mem::take(&mut parts.headers);
    let dialect = run.upstream().map(|upstream| upstream.dialect);
    forward::carry_back(&mut headers, &own_fields(&run, run.head_at(), dialect));
    if filter.is_some() || matches!(body, Content::Listed(_)) {
        headers.remove(header::CONTENT_LENGTH);
    }
    let body = match body {
        Content::Listed(list) => {
            let mut run = run;
            run.delivered(list.len());
            run.ends(Ending::Complete);
            line.put_back(run.ground().dialer.pool());
            OutBody::Full(Some(list))
        }
        Content::Streamed(body) if is_bodiless(&method, parts.status) || body.is_end_stream() => {
            let mut run = run;
            run.ends(Ending::Complete);
            line.put_back(run.ground().dialer.pool());
            OutBody::Empty
        }
        Content::Streamed(body) => {
            let body = MeteredBody::new(run, body, line, filter, patience);
            OutBody::Metered(Listened::new(body))
        }
    };
    // What else is in the parts is the reason phrase, where the upstream has one of its own.
    parts.version = Version::HTTP_11;
    parts.headers = headers;
    Response::from_parts(parts, body)
}

/// Messages that have no body whatever their head says (RFC 9112 §6.3).
fn is_bodiless(method: &Method, status: StatusCode) -> bool {
    *method == Method::HEAD || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}

/// Refuses somebody who could not be identified, on the record of `_nobody`.
pub(super) fn turn_away(run: Box<Run>, away: &TurnedAway) -> Response<OutBody> {
    refuse(run, &away.refusal, away.dialect)
}

/// Renders the stop of a trip.
pub(super) fn stop(mut run: Box<Run>, stop: Stop) -> Response<OutBody> {
    let dialect = run.upstream().map(|upstream| upstream.dialect);
    match stop {
        Stop::Refused(refusal) => refuse(run, &refusal, dialect),
        Stop::Failed(fault) => {
            let refusal = Refusal::new(fault.code(), fault.text());
            run.fails(refusal.code, Ending::UpstreamFailed);
            refuse(run, &refusal, dialect)
        }
        Stop::Drained => {
            run.ends(Ending::Drained);
            let text = "the sidecar is shutting down";
            refuse(run, &Refusal::new(Code::Draining, text).closing(), dialect)
        }
        Stop::Cut => {
            run.ends(Ending::CutOff);
            refuse(run, &Refusal::new(Code::TenantSuspended, CUT), dialect)
        }
        Stop::Gone => {
            run.ends(Ending::CallerGone);
            // Nobody was refused, and most likely nobody reads this.
            let text = "the request body broke off";
            let refusal = Refusal::new(Code::BodyMalformed, text).closing();
            render(&run, &refusal, dialect)
        }
    }
}

fn refuse(mut run: Box<Run>, refusal: &Refusal, dialect: Option<Dialect>) -> Response<OutBody> {
    let one_too_many = admit::refused(&run, refusal);
    if one_too_many.is_some() {
        run.instead_of(refusal.code);
    }
    let refusal = one_too_many.as_ref().unwrap_or(refusal);
    run.refused(refusal);
    render(&run, refusal, dialect)
}

fn render(run: &Run, refusal: &Refusal, dialect: Option<Dialect>) -> Response<OutBody> {
    let id = run.spine().id();
    let retry_after = refusal.retry_after();
    let proven = run.tenant().standing() == Standing::Proven;
    let rule = refusal.rule.as_ref().map(std::string::ToString::to_string);
    let detail = RefusalDetail {
        tenant: proven.then(|| run.tenant().id().as_str()),
        rule: rule.as_deref(),
        limit: refusal.denied().map(|denied| denied.dimension.name()),
        param: refusal.param,
        retry_after_ms: retry_after.map(millis),
        reset_ms: refusal.denied().map(|denied| millis(denied.retry_after)),
        budget: refusal.budget().map(budget_detail),
    };
    let body = error_body::refusal(dialect, refusal.code, &refusal.text, id, &detail);
    let mut response = own(refusal.code, id, Bytes::from(body));
    let headers = response.headers_mut();
    if proven {
        own_fields(run, run.now(), dialect).add_to(headers, |_, _| true);
    }
    if let Some(retry_after) = retry_after {
        // Rounded up: a client that comes back a moment early would only be refused again.
        let seconds = retry_after.as_secs() + u64::from(retry_after.subsec_nanos() > 0);
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        headers.insert(RETRY_AFTER_MS, HeaderValue::from(millis(retry_after)));
    }
    if refusal.closes {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

fn budget_detail(broke: &Broke) -> BudgetDetail<'_> {
    BudgetDetail {
        name: &broke.budget,
        scope: broke.scope.as_str(),
        limit: broke.limit,
        spent: broke.spent,
        held: broke.held,
        resets_at: broke.resets,
        frozen: broke.frozen,
        lost: broke.lost,
    }
}

/// Whole milliseconds, rounded up for the same reason.
fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

/// The answer to a bug of ours. It has no run: that one was recorded while the stack unwound.
pub(super) fn internal(id: RequestId) -> Response<OutBody> {
    let text =
        "an error inside Outrigger ended this request; its operator finds more in the process log";
    let body = error_body::refusal(None, Code::Internal, text, id, &RefusalDetail::default());
    own(Code::Internal, id, Bytes::from(body))
}

fn own(code: Code, id: RequestId, body: Bytes) -> Response<OutBody> {
    let mut response = Response::new(OutBody::Full(Some(body)));
    *response.status_mut() =
        StatusCode::from_u16(code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    headers.insert(CODE, HeaderValue::from_static(code.as_str()));
    headers.insert(REQUEST_ID, id_value(id));
    let retry = if code.retryable() { "true" } else { "false" };
    headers.insert(SHOULD_RETRY, HeaderValue::from_static(retry));
    if code.status() == 401 {
        // RFC 9110 §15.5.2 wants a challenge with every 401.
        let challenge = HeaderValue::from_static("Bearer realm=\"outrigger\"");
        headers.insert(header::WWW_AUTHENTICATE, challenge);
    }
    response
}

fn id_value(id: RequestId) -> HeaderValue {
    // Hexadecimal digits and hyphens are always a valid value.
    HeaderValue::from_bytes(&id.encode()).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// Who answered, and the tenant's own limits, in the headers of the dialect.
fn own_fields(run: &Run, now: Boot, dialect: Option<Dialect>) -> OwnFields {
    let (id, levels) = (run.spine().id(), run.account().levels(now));
    match dialect {
        Some(Dialect::Anthropic) => OwnFields::anthropic(id, &levels, run.ground().clock.wall()),
        Some(Dialect::OpenAi) | None => OwnFields::openai(id, &levels),
    }
}
