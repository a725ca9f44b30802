//! IDENTIFY: from credentials to a tenant. Yields [`Known`]; whoever proves nothing is turned away under
//! `_nobody`. Must never fall through to a weaker proof, and never let the credential go on.

use std::sync::Arc;

use http::request::Parts;
use http::{HeaderMap, header};

use super::Refusal;
use super::accept::{Door, path_token, seems};
use crate::config::values::Proof;
use crate::snapshot::{Claim, IdentityFault, Presented, Snapshot, Tenant};
use crate::units::{Code, Dialect, Endpoint, Phase, TenantId};

/// Whose request it is.
pub(super) struct Known {
    pub(super) tenant: Arc<Tenant>,
    /// What proved it, or who speaks for it.
    pub(super) by: Proof,
    /// Who was proven, where it named this tenant.
    pub(super) voucher: Option<TenantId>,
    /// Which of [`CARRIERS`] hold the keys that proved it.
    pub(super) spent: [bool; 3],
}

/// Refused before anything was asked: nobody is known, or what the target means is not.
pub(super) struct TurnedAway {
    pub(super) refusal: Refusal,
    pub(super) dialect: Option<Dialect>,
    pub(super) endpoint: Endpoint,
    /// The step that refused.
    pub(super) phase: Phase,
}

/// The headers that may carry a virtual key, in the order of [`Presented::headers`].
pub(super) const CARRIERS: [header::HeaderName; 3] = [
    header::AUTHORIZATION,
    header::HeaderName::from_static("x-api-key"),
    header::HeaderName::from_static("x-goog-api-key"),
];

pub(super) fn identify(
    snapshot: &Snapshot,
    door: &Door,
    parts: &Parts,
) -> Result<Known, Box<TurnedAway>> {
    let presented = Presented {
        entry: door.entry(),
        headers: presented(&parts.headers),
        path: path_token(snapshot, parts),
        claim: claim(snapshot, &parts.headers),
    };
    match snapshot.identify(&presented, |secret| door.digest(secret)) {
        Ok(identified) => Ok(Known {
            tenant: identified.tenant,
            by: identified.by,
            voucher: identified.voucher,
            spent: identified.spent,
        }),
        Err(fault) => {
            let (dialect, endpoint) = seems(snapshot, parts);
            Err(Box::new(TurnedAway {
                refusal: refusal(snapshot, fault),
                dialect,
                endpoint,
                phase: Phase::Identify,
            }))
        }
    }
}

fn presented(headers: &HeaderMap) -> [Option<&[u8]>; 3] {
    let value =
        |carrier: &header::HeaderName| headers.get(carrier).map(header::HeaderValue::as_bytes);
    let [authorization, api_key, goog] = &CARRIERS;
    [
        value(authorization).map(without_scheme),
        value(api_key),
        value(goog),
    ]
}

/// The token of `Bearer <token>` (RFC 6750 §2.1); the scheme's letters may have any case.
pub(super) fn without_scheme(value: &[u8]) -> &[u8] {
    match value.split_at_checked(7) {
        Some((b"Bearer ", token)) if !token.starts_with(b" ") => token,
        Some((scheme, token)) if scheme.eq_ignore_ascii_case(b"bearer ") => token.trim_ascii(),
        _ => value,
    }
}

/// What the header for it says of the tenant. Names are looked through only where there is such a header.
fn claim<'h>(snapshot: &Snapshot, headers: &'h HeaderMap) -> Claim<'h> {
    let Some(wanted) = snapshot.tenant_header() else {
        return Claim::None;
    };
    // Some servers read `_` and `.` as `-`; what looks like the header and is not it would be believed by one of two readers.
    let folds = |name: &str| {
        name.len() == wanted.as_str().len()
            && name
                .bytes()
                .zip(wanted.as_str().bytes())
                .all(|(byte, wanted)| match byte {
                    b'_' | b'.' => wanted == b'-',
                    other => other == wanted,
                })
    };
    let mut values = headers.get_all(wanted).iter();
    let (first, more) = (values.next(), values.next().is_some());
    let odd = headers
        .keys()
        .any(|name| name != wanted && folds(name.as_str()));
    match first {
        _ if more || odd => Claim::Malformed,
        None => Claim::None,
        Some(value) => value.to_str().map_or(Claim::Malformed, Claim::Named),
    }
}

/// What the caller is told.
pub fn refusal(snapshot: &Snapshot, fault: IdentityFault) -> Refusal {
    let (code, text) = match fault {
        IdentityFault::Missing if asks_for_keys(snapshot) => (
            Code::IdentityMissing,
            "no credential that names a tenant; hint: use the tenant's Outrigger key as the API key",
        ),
        IdentityFault::Missing => (
            Code::IdentityMissing,
            "the connection proves no tenant, and keys are not asked for; hint: connect to the tenant's unix socket",
        ),
        IdentityFault::UnknownKey => (
            Code::IdentityUnknown,
            "the credential is no tenant's key; hint: is it a provider's key, or one that was removed?",
        ),
        IdentityFault::UnknownUser => (
            Code::IdentityUnknown,
            "the user who connected is no tenant's; hint: `uids` of a tenant",
        ),
        IdentityFault::UnknownListener => (
            Code::IdentityUnknown,
            "the tenant of this socket is not configured any more",
        ),
        IdentityFault::Conflict => (
            Code::IdentityConflict,
            "the request carries proofs that do not name the same tenant",
        ),
        IdentityFault::ClaimMalformed => (
            Code::IdentityMalformed,
            "the header that names the tenant must stand once, in its own spelling, and hold one tenant id",
        ),
        IdentityFault::ClaimDenied => (
            Code::IdentityConflict,
            "the header names a tenant for which the proven one may not speak; hint: `vouches` of the proven tenant",
        ),
        IdentityFault::ClaimUnknown => (
            Code::IdentityUnknown,
            "the header names no tenant of the configuration",
        ),
    };
    Refusal::new(code, text)
}

fn asks_for_keys(snapshot: &Snapshot) -> bool {
    let keys = [Proof::Key, Proof::Path];
    snapshot.accepts().iter().any(|proof| keys.contains(proof))
}
