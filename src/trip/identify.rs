//! IDENTIFY: from credentials to a tenant. Yields [`Known`]; whoever proves nothing is turned away under
//! `_nobody`. Must never fall through to a weaker proof, and never let the credential go on.

use std::sync::Arc;

use http::request::Parts;
use http::{HeaderMap, header};

use super::Refusal;
use super::accept::{Door, path_token, seems};
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
                refusal: refusal(fault),
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

fn refusal(fault: IdentityFault) -> Refusal {
    match fault {
        IdentityFault::Missing => Refusal::new(
            Code::IdentityMissing,
            "no credential that names a tenant; hint: use the tenant's Outrigger key as the API key",
        ),
        IdentityFault::Unknown => Refusal::new(
            Code::IdentityUnknown,
            "the credential is no tenant's key; hint: is it a provider's key, or one that was removed?",
        ),
        IdentityFault::Conflict => Refusal::new(
            Code::IdentityConflict,
            "the request carries credentials that do not name the same tenant",
        ),
    }
}
