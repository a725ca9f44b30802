//! The heads of what goes out and what comes back: hop-by-hop fields end here (RFC 9110 §7.6.1), spoofed
//! identities and spent credentials are taken out, the upstream's own credential and one stamp go in.
//! Must never let a `Connection` header take out what identifies or frames a message.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};

use super::super::identify::CARRIERS;
use crate::config::values::{Stamp, Trust};
use crate::snapshot::{Credential, Upstream};
use crate::units::TenantId;

const TENANT_STAMP: HeaderName = HeaderName::from_static("x-tenant-id");
const BAGGAGE: HeaderName = HeaderName::from_static("baggage");

/// Makes the caller's head into the one that goes upstream, in place.
pub(super) fn prepare(
    headers: &mut HeaderMap,
    upstream: &Upstream,
    tenant: &TenantId,
    spent: [bool; 3],
) {
    let replaced = upstream.credential.is_some();
    let doomed = doomed(headers, replaced, upstream.trust);
    for name in &doomed {
        headers.remove(name);
    }
    for (carrier, spent) in CARRIERS.iter().zip(spent) {
        if spent || replaced {
            headers.remove(carrier);
        }
    }
    headers.insert(header::HOST, upstream.authority.clone());
    match &upstream.credential {
        Some(Credential::Bearer(value)) => headers.insert(header::AUTHORIZATION, value.clone()),
        Some(Credential::ApiKey(value)) => headers.insert(&CARRIERS[1], value.clone()),
        None => None,
    };
    if upstream.trust == Trust::Internal {
        baggage(headers, tenant);
    }
    if upstream.stamp == Stamp::Header
        && let Ok(value) = HeaderValue::from_str(tenant.as_str())
    {
        headers.insert(TENANT_STAMP, value);
    }
}

/// Which of the caller's fields do not go on.
fn doomed(headers: &HeaderMap, replaced: bool, trust: Trust) -> Vec<HeaderName> {
    let nominated = nominated(headers);
    headers
        .keys()
        .filter(|name| {
            is_hop_by_hop(name)
                || is_framing(name)
                || is_tenant_name(name.as_str())
                || (replaced && is_account(name))
                || (trust == Trust::External && is_trace(name))
                || (!nominated.is_empty()
                    && !is_protected(name)
                    && nominated
                        .iter()
                        .any(|one| one.eq_ignore_ascii_case(name.as_str())))
        })
        .cloned()
        .collect()
}

/// The fields that `Connection` names.
fn nominated(headers: &HeaderMap) -> Vec<&str> {
    headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|name| !name.is_empty() && !name.eq_ignore_ascii_case("keep-alive"))
        .collect()
}

fn is_hop_by_hop(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "connection"
            | "keep-alive"
            | "proxy-connection"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
            | "http2-settings"
    )
}

/// Framing is written anew for each hop; `expect` was answered here.
fn is_framing(name: &HeaderName) -> bool {
    matches!(name.as_str(), "content-length" | "expect" | "host")
}

/// What `Connection` may not take out.
fn is_protected(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "host"
            | "content-length"
            | "content-type"
            | "authorization"
            | "x-api-key"
            | "anthropic-version"
    )
}

/// Which account, project or person a shared credential works for: the operator's choice, not the agent's.
fn is_account(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "openai-organization"
            | "openai-project"
            | "anthropic-workspace-id"
            | "anthropic-user-profile-id"
    )
}

/// Trace context, which stays inside the operator's walls (W3C Trace Context, W3C Baggage).
fn is_trace(name: &HeaderName) -> bool {
    matches!(name.as_str(), "traceparent" | "tracestate" | "baggage")
}

/// Whether a header or query name claims a tenant or speaks for the sidecar, whatever its case and whether
/// it is written with `-`, `_` or `.`.
pub(in crate::trip) fn is_tenant_name(name: &str) -> bool {
    let mut folded = [0_u8; 24];
    let mut length = 0;
    for byte in name.bytes().take(folded.len()) {
        folded[length] = match byte {
            b'_' | b'.' => b'-',
            other => other.to_ascii_lowercase(),
        };
        length += 1;
    }
    let folded = &folded[..length];
    let exact: [&[u8]; 8] = [
        b"tenant",
        b"tenant-id",
        b"tenantid",
        b"forwarded",
        b"x-real-ip",
        b"x-tenant",
        b"x-tenantid",
        b"outrigger",
    ];
    let prefixes: [&[u8]; 7] = [
        b"x-tenant-",
        b"tenant-",
        b"x-outrigger-",
        b"outrigger-",
        b"x-forwarded-",
        b"x-gateway-inference-",
        b"x-llm-d-",
    ];
    exact.contains(&folded) || prefixes.iter().any(|prefix| folded.starts_with(prefix))
}

/// Towards the operator's own upstreams: the caller's baggage without what claims a tenant, and then ours.
fn baggage(headers: &mut HeaderMap, tenant: &TenantId) {
    let mut members: Vec<String> = headers
        .get_all(BAGGAGE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|member| !member.is_empty())
        .filter(|member| {
            !is_tenant_name(member.split(['=', ';']).next().unwrap_or_default().trim())
        })
        .map(str::to_owned)
        .collect();
    members.push(format!("tenant.id={tenant}"));
    if let Ok(value) = HeaderValue::from_str(&members.join(",")) {
        headers.insert(BAGGAGE, value);
    }
}

/// Takes out of an answer's head what belongs to the hop, and the provider's own rate limits: on a shared
/// key they tell of other tenants' load.
pub(in crate::trip) fn strip_answer(headers: &mut HeaderMap) {
    let nominated: Vec<String> = nominated(headers).into_iter().map(str::to_owned).collect();
    let doomed: Vec<HeaderName> = headers
        .keys()
        .filter(|name| {
            is_hop_by_hop(name)
                || is_provider_limit(name.as_str())
                || name.as_str().starts_with("outrigger-")
                || (!is_protected(name)
                    && nominated
                        .iter()
                        .any(|one| one.eq_ignore_ascii_case(name.as_str())))
        })
        .cloned()
        .collect();
    for name in &doomed {
        headers.remove(name);
    }
}

fn is_provider_limit(name: &str) -> bool {
    const PREFIXES: [&str; 5] = [
        "x-ratelimit-",
        "anthropic-ratelimit-",
        "anthropic-priority-",
        "anthropic-fast-",
        "ratelimit",
    ];
    PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::is_tenant_name;

    #[test]
    fn names_that_claim_a_tenant_are_seen_through_their_spelling() {
        for name in [
            "x-tenant-id",
            "X_Tenant_ID",
            "x-tenant",
            "tenant.id",
            "Tenant_Id",
            "outrigger-tenant",
            "X-Outrigger-Anything",
            "forwarded",
            "x-forwarded-for",
            "x_real_ip",
            "x-llm-d-tenant",
        ] {
            assert!(is_tenant_name(name), "{name}");
        }
        for name in [
            "content-type",
            "x-tenants",
            "user",
            "openai-beta",
            "tenantry",
            "x-request-id",
        ] {
            assert!(!is_tenant_name(name), "{name}");
        }
    }
}
