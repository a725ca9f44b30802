//! The heads of what goes out and what comes back: hop-by-hop fields end here (RFC 9110 §7.6.1), spoofed
//! identities and spent credentials are taken out, the upstream's own credential and one stamp go in.
//! Must never let a `Connection` header take out what identifies or frames a message.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};

use super::super::accept::percent_decoded;
use super::super::decide::Asker;
use super::super::identify::CARRIERS;
use super::super::respond::OwnFields;
use super::names::Names;
use super::spent::Spent;
use crate::config::values::{Stamp, Trust};
use crate::snapshot::{Credential, Upstream};
use crate::units::TenantId;

const TENANT_STAMP: HeaderName = HeaderName::from_static("x-tenant-id");
const BAGGAGE: HeaderName = HeaderName::from_static("baggage");

/// Whether the body goes on as long as it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// Its declared length stays true.
    AsItCame,
    /// The length is declared anew.
    Anew,
}

/// Makes the caller's head into the one that goes upstream, in place.
pub(super) fn prepare(
    headers: &mut HeaderMap,
    upstream: &Upstream,
    asker: &Asker<'_>,
    spent: &Spent,
    framing: Framing,
) {
    let tenant = asker.tenant;
    let replaced = asker.key.credential.is_some();
    let (mut nominates, mut replays) = (false, false);
    let mut doomed = Names::default();
    for (name, value) in headers.iter() {
        let dooms = match fate(name.as_str()) {
            Fate::Replay => {
                replays = true;
                false
            }
            Fate::Hop => {
                nominates |= name == header::CONNECTION;
                true
            }
            Fate::Override => true,
            Fate::Length => framing == Framing::Anew,
            Fate::Credential(carrier) => replaced || spent.was_in(carrier),
            Fate::Account => replaced,
            Fate::Trace => upstream.trust == Trust::External,
            Fate::End | Fate::Protected => is_tenant_name(name.as_str()),
        };
        // A key that must not go on may stand in any field, whether or not it is a carrier.
        if dooms || spent.shows_in(value.as_bytes()) {
            doomed.push(name.clone());
        }
    }
    if nominates {
        doomed.extend(nominees(headers));
    }
    doomed.leave(headers);
    headers.insert(header::HOST, upstream.authority.clone());
    if replays && asker.shared {
        scope_replays(headers, asker);
    }
    match asker.key.credential {
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

/// A repeated request is told from a new one by a name that its sender chose, under one credential: two tenants
/// that choose alike would be given each other's answers. Each gets names of its own, the same for every repetition.
fn scope_replays(headers: &mut HeaderMap, asker: &Asker<'_>) {
    for (name, value) in headers.iter_mut() {
        if fate(name.as_str()) == Fate::Replay {
            let scoped = asker.key.pseudonyms.scoped(asker.tenant, value.as_bytes());
            if let Ok(scoped) = HeaderValue::try_from(scoped) {
                *value = scoped;
            }
        }
    }
}

/// The fields that `Connection` nominates and may nominate.
fn nominees(headers: &HeaderMap) -> Vec<HeaderName> {
    let connection = headers.get_all(header::CONNECTION);
    if connection
        .iter()
        .all(|value| matches!(value.as_bytes(), b"keep-alive" | b"close"))
    {
        return Vec::new();
    }
    let nominated = nominated(headers);
    if nominated.is_empty() {
        return Vec::new();
    }
    let named = |name: &HeaderName| {
        nominated
            .iter()
            .any(|one| one.eq_ignore_ascii_case(name.as_str()))
    };
    let plain = headers
        .keys()
        .filter(|name| fate(name.as_str()) == Fate::End);
    plain.filter(|name| named(name)).cloned().collect()
}

/// The fields that `Connection` names.
fn nominated(headers: &HeaderMap) -> Vec<&str> {
    headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|name| !matches!(name.len(), 0 | 5 | 10) || !is_persistence(name))
        .collect()
}

/// The words of `Connection` that name no field.
fn is_persistence(word: &str) -> bool {
    ["", "close", "keep-alive"]
        .iter()
        .any(|known| word.eq_ignore_ascii_case(known))
}

/// What a field is to a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It belongs to the connection (RFC 9110 §7.6.1), or was answered here (`expect`).
    Hop,
    /// Another method, path or baggage than those that were decided about and checked.
    Override,
    /// The body's length.
    Length,
    /// It names a request, so that the provider answers a repetition with what it has answered before.
    Replay,
    /// It may carry a credential; which carrier.
    Credential(usize),
    /// Which account, project or person a shared credential works for: the operator's choice, not the agent's.
    Account,
    /// Trace context (W3C Trace Context, W3C Baggage), which stays inside the operator's walls.
    Trace,
    /// End to end, and like all above not to be nominated away by `Connection`.
    Protected,
    /// End to end.
    End,
}

fn fate(name: &str) -> Fate {
    match plain_fate(name) {
        // Some servers read `_` as `-`; what must go goes in either spelling, what is protected has one.
        Fate::End if name.contains('_') => match plain_fate(&name.replace('_', "-")) {
            Fate::Protected => Fate::End,
            other => other,
        },
        plain => plain,
    }
}

/// By first letters before whole names: this runs for every field of every message.
fn plain_fate(name: &str) -> Fate {
    let bytes = name.as_bytes();
    let second = bytes.get(1).copied().unwrap_or_default();
    match (bytes.first().copied().unwrap_or_default(), second) {
        (b'c', b'o') => match name {
            "connection" => Fate::Hop,
            "content-length" => Fate::Length,
            "content-type" => Fate::Protected,
            _ => Fate::End,
        },
        (b'h', _) => match name {
            "host" => Fate::Protected,
            "http2-settings" => Fate::Hop,
            _ => Fate::End,
        },
        (b'a', b'u') if name == "authorization" => Fate::Credential(0),
        (b'a', b'n') => match name {
            "anthropic-workspace-id" | "anthropic-user-profile-id" => Fate::Account,
            "anthropic-version" => Fate::Protected,
            _ => Fate::End,
        },
        (b'o', _) => match name {
            "openai-organization" | "openai-project" => Fate::Account,
            _ if name.starts_with("ot-baggage-") => Fate::Override,
            _ => Fate::End,
        },
        (b'i', b'd') if name == "idempotency-key" => Fate::Replay,
        (b'k' | b'p' | b'e' | b't' | b'u' | b'j' | b'b', _) => rare_fate(name),
        (b'x', b'-') => extension_fate(name),
        _ => Fate::End,
    }
}

fn rare_fate(name: &str) -> Fate {
    match name {
        "keep-alive"
        | "proxy-connection"
        | "proxy-authenticate"
        | "proxy-authorization"
        | "te"
        | "trailer"
        | "transfer-encoding"
        | "upgrade"
        | "expect" => Fate::Hop,
        "traceparent" | "tracestate" | "baggage" | "b3" | "uber-trace-id" => Fate::Trace,
        "jaeger-baggage" => Fate::Override,
        _ if name.starts_with("uberctx-") => Fate::Override,
        _ => Fate::End,
    }
}

/// The `x-` names.
fn extension_fate(name: &str) -> Fate {
    match name.as_bytes().get(2) {
        Some(b'a') if name == "x-api-key" => Fate::Credential(1),
        Some(b'g') if name == "x-goog-api-key" => Fate::Credential(2),
        Some(b'i') if name == "x-idempotency-key" => Fate::Replay,
        Some(b'h' | b'm' | b'o' | b'r') => match name {
            "x-http-method-override"
            | "x-http-method"
            | "x-method-override"
            | "x-original-url"
            | "x-rewrite-url" => Fate::Override,
            _ => Fate::End,
        },
        Some(b't') if name == "x-tenant-id" => Fate::Protected,
        Some(b'b') if name.starts_with("x-b3-") => Fate::Trace,
        _ => Fate::End,
    }
}

/// Whether a header or query name claims a tenant or speaks for the sidecar, whatever its case and whether
/// it is written with `-`, `_` or `.`.
pub(in crate::trip) fn is_tenant_name(name: &str) -> bool {
    let bytes = name.as_bytes();
    // Most names are told apart by their first letters.
    match bytes.first().map(u8::to_ascii_lowercase) {
        Some(b'x') if bytes.get(1).is_some_and(|byte| b"-_.".contains(byte)) => {
            let third = bytes.get(2).map(u8::to_ascii_lowercase);
            if !third.is_some_and(|byte| b"tofrgl".contains(&byte)) {
                return false;
            }
        }
        Some(b't' | b'o' | b'f') => {}
        _ => return false,
    }
    let mut folded = [0_u8; 24];
    let mut length = 0;
    for (slot, byte) in folded.iter_mut().zip(bytes) {
        *slot = match byte {
            b'_' | b'.' => b'-',
            other => other.to_ascii_lowercase(),
        };
        length += 1;
    }
    let folded = &folded[..length];
    let exact: [&[u8]; 9] = [
        b"tenant",
        b"tenant-id",
        b"tenantid",
        b"forwarded",
        b"x-real-ip",
        b"x-tenant",
        b"x-tenantid",
        b"outrigger",
        b"x-outrigger",
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
    prefixes.iter().any(|prefix| folded.starts_with(prefix))
        || (bytes.len() <= folded.len() && exact.contains(&folded))
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
            let name = member.split(['=', ';']).next().unwrap_or_default();
            !is_tenant_name(percent_decoded(name).trim())
        })
        .map(str::to_owned)
        .collect();
    members.push(format!("tenant.id={tenant}"));
    if let Ok(value) = HeaderValue::from_str(&members.join(",")) {
        headers.insert(BAGGAGE, value);
    }
}

/// Takes out of an answer's head what belongs to the hop, and the provider's own rate limits: on a shared
/// key they tell of other tenants' load. What the sidecar says instead stands in `own`.
pub(in crate::trip) fn carry_back(headers: &mut HeaderMap, own: &OwnFields) {
    let mut placed = 0_u32;
    let mut doomed = Names::default();
    let (mut nominates, mut coded) = (false, false);
    for (name, value) in headers.iter_mut() {
        if is_provider_limit(name.as_str()) || is_own(name.as_str()) {
            // A field that is replaced keeps its place; that costs less than to go and come back.
            let at = own.find(name).filter(|at| placed >> at & 1 == 0);
            match at.and_then(|at| Some((at, own.value(at)?))) {
                Some((at, ours)) => {
                    *value = ours;
                    placed |= 1 << at;
                }
                None => doomed.push(name.clone()),
            }
        } else if fate(name.as_str()) == Fate::Hop {
            nominates |= name == header::CONNECTION;
            coded |= name == header::TRANSFER_ENCODING;
            doomed.push(name.clone());
        }
    }
    if coded {
        // The coding framed the answer (RFC 9112 §6.3); a length beside it is a leftover, or a lie.
        doomed.push(header::CONTENT_LENGTH);
    }
    if nominates {
        doomed.extend(nominees(headers));
    }
    doomed.leave(headers);
    own.add_to(headers, |at, name| {
        placed >> at & 1 == 0 || doomed.has(name)
    });
}

/// What only the sidecar says.
fn is_own(name: &str) -> bool {
    name.strip_prefix("x-")
        .unwrap_or(name)
        .strip_prefix("outrigger")
        .is_some_and(|rest| rest.starts_with(['-', '_', '.']))
}

fn is_provider_limit(name: &str) -> bool {
    match name.as_bytes() {
        [b'x', b'-', b'r', ..] => name.starts_with("x-ratelimit-"),
        [b'a', b'n', ..] => {
            name.starts_with("anthropic-ratelimit-")
                || name.starts_with("anthropic-priority-")
                || name.starts_with("anthropic-fast-")
        }
        [b'r', b'a', ..] => name.starts_with("ratelimit"),
        _ => false,
    }
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
