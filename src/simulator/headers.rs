//! The response headers that the providers send with everything, errors included. It must never take one from a
//! clock: equal requests get equal heads.

use http::HeaderMap;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};

use super::json::Digest;
use super::route::Dialect;

/// The headers that the provider sends with everything. The limits are the provider's own: a tenant should never see
/// them.
pub(super) fn dressed(dialect: Dialect, digest: Digest, kind: HeaderValue) -> HeaderMap {
    const OPENAI: [(&str, &str); 10] = [
        ("openai-organization", "sim-organization"),
        ("openai-processing-ms", "12"),
        ("openai-project", "proj_simulator"),
        ("openai-version", "2020-10-01"),
        ("x-ratelimit-limit-requests", "10000"),
        ("x-ratelimit-limit-tokens", "2000000"),
        ("x-ratelimit-remaining-requests", "9999"),
        ("x-ratelimit-remaining-tokens", "1999000"),
        ("x-ratelimit-reset-requests", "6ms"),
        ("x-ratelimit-reset-tokens", "30ms"),
    ];
    const ANTHROPIC: [(&str, &str); 13] = [
        (
            "anthropic-organization-id",
            "00000000-0000-4000-8000-000000000000",
        ),
        ("anthropic-ratelimit-requests-limit", "4000"),
        ("anthropic-ratelimit-requests-remaining", "3999"),
        ("anthropic-ratelimit-requests-reset", "2026-01-01T00:00:01Z"),
        ("anthropic-ratelimit-tokens-limit", "500000"),
        ("anthropic-ratelimit-tokens-remaining", "499000"),
        ("anthropic-ratelimit-tokens-reset", "2026-01-01T00:00:01Z"),
        ("anthropic-ratelimit-input-tokens-limit", "400000"),
        ("anthropic-ratelimit-input-tokens-remaining", "399000"),
        (
            "anthropic-ratelimit-input-tokens-reset",
            "2026-01-01T00:00:01Z",
        ),
        ("anthropic-ratelimit-output-tokens-limit", "100000"),
        ("anthropic-ratelimit-output-tokens-remaining", "99000"),
        (
            "anthropic-ratelimit-output-tokens-reset",
            "2026-01-01T00:00:01Z",
        ),
    ];
    let (request_id, id, rest) = match dialect {
        Dialect::OpenAi => ("x-request-id", digest.id("req_", 32), OPENAI.as_slice()),
        Dialect::Anthropic => ("request-id", digest.id("req_", 24), ANTHROPIC.as_slice()),
    };
    let mut headers = HeaderMap::with_capacity(rest.len() + 3);
    headers.insert(
        "date",
        HeaderValue::from_static("Thu, 01 Jan 2026 00:00:00 GMT"),
    );
    headers.insert(CONTENT_TYPE, kind);
    if let Ok(id) = HeaderValue::try_from(id) {
        headers.insert(request_id, id);
    }
    for (name, value) in rest {
        headers.insert(
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        );
    }
    headers
}
