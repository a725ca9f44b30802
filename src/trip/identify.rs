//! IDENTIFY: from credentials to a tenant. Yields [`Known`]; whoever proves nothing is turned away under
//! `_nobody`. Must never fall through to a weaker proof, and never let the credential go on.

use std::sync::Arc;

use http::request::Parts;
use http::{HeaderMap, header};

use super::Refusal;
use super::accept::{Door, path_token, seems};
use crate::config::values::Proof;
use crate::snapshot::{IdentityFault, Presented, Snapshot, Tenant};
use crate::units::{Code, Dialect, Endpoint, Phase};

/// Whose request it is.
pub(super) struct Known {
    pub(super) tenant: Arc<Tenant>,
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
    };
    match snapshot.identify(&presented, |secret| door.digest(secret)) {
        Ok(identified) => Ok(Known {
            tenant: identified.tenant,
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

fn refusal(snapshot: &Snapshot, fault: IdentityFault) -> Refusal {
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
    };
    Refusal::new(code, text)
}

fn asks_for_keys(snapshot: &Snapshot) -> bool {
    let keys = [Proof::Key, Proof::Path];
    snapshot.accepts().iter().any(|proof| keys.contains(proof))
}
