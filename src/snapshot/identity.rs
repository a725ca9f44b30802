//! From what a request presents to the tenant it proves. The first accepted proof that is presented must
//! hold; there is no falling through to a weaker one, and proofs that name different tenants name nobody.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Snapshot, Tenant};
use crate::config::values::Proof;
use crate::units::TenantId;

/// The SHA-256 of a virtual key; the key itself is nowhere in the sidecar's configuration.
pub type KeyDigest = [u8; 32];

/// The digest of a presented secret.
pub fn digest(secret: &[u8]) -> KeyDigest {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, secret);
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest.as_ref());
    bytes
}

pub(super) struct Identity {
    pub(super) accept: Vec<Proof>,
    pub(super) fixed: Option<TenantId>,
    /// A lookup by digest leaks, by its timing, at most something about digests, which name no secret.
    pub(super) keys: HashMap<KeyDigest, TenantId>,
}

/// The secrets a request presents, by carrier.
#[derive(Clone, Copy, Debug, Default)]
pub struct Presented<'a> {
    /// `Authorization: Bearer …`, `x-api-key`, `x-goog-api-key`, in this order.
    pub headers: [Option<&'a [u8]>; 3],
    /// `/t/<token>/…`.
    pub path: Option<&'a str>,
}

/// Who it is.
#[derive(Clone, Debug)]
pub struct Identified {
    /// The tenant.
    pub tenant: Arc<Tenant>,
    /// Which of the headers hold virtual keys; they must never go upstream.
    pub spent: [bool; 3],
}

/// Why nobody is identified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdentityFault {
    /// No accepted proof is presented.
    Missing,
    /// A presented key is nobody's.
    Unknown,
    /// Two proofs name different tenants.
    Conflict,
}

impl Snapshot {
    /// The tenant that `presented` proves.
    ///
    /// `digest` is [`digest`], or something that remembers what it said.
    ///
    /// # Errors
    /// [`IdentityFault`]; the caller goes on as `_nobody`, to be refused.
    pub fn identify(
        &self,
        presented: &Presented<'_>,
        digest: impl Fn(&[u8]) -> KeyDigest,
    ) -> Result<Identified, IdentityFault> {
        let identity = &self.identity;
        let proof = |secret: Option<&[u8]>| identity.proof(secret.map(&digest));
        let headers = presented.headers.map(proof);
        let path = proof(presented.path.map(str::as_bytes));
        let proven = identity.accept.iter().find_map(|proof| match proof {
            Proof::Key => all_of(&headers),
            Proof::Path => all_of(&[path]),
            Proof::Fixed => identity.fixed.as_ref().map(Ok),
        });
        let id = proven.unwrap_or(Err(IdentityFault::Missing))?;
        // Whatever else is presented and is somebody's key must name the same tenant.
        let others = headers.iter().chain([&path]);
        if others.filter_map(Found::tenant).any(|other| other != id) {
            return Err(IdentityFault::Conflict);
        }
        let tenant = self.tenants.get(id).ok_or(IdentityFault::Unknown)?;
        let spent = headers.map(|header| header.tenant().is_some());
        Ok(Identified {
            tenant: Arc::clone(tenant),
            spent,
        })
    }

    /// Whether a key may stand in the path at all; where it may not, `/t/…` is no route.
    pub fn accepts_path_tokens(&self) -> bool {
        self.identity.accept.contains(&Proof::Path)
    }
}

/// What one carrier proves.
#[derive(Clone, Copy)]
enum Found<'a> {
    /// It is not there.
    Absent,
    /// It holds nobody's key.
    Stranger,
    /// It holds a key of this tenant.
    Key(&'a TenantId),
}

impl<'a> Found<'a> {
    fn tenant(&self) -> Option<&'a TenantId> {
        match self {
            Self::Absent | Self::Stranger => None,
            Self::Key(id) => Some(id),
        }
    }
}

/// Every carrier that is present must hold a known key, and all of the same tenant.
fn all_of<'a>(carriers: &[Found<'a>]) -> Option<Result<&'a TenantId, IdentityFault>> {
    let mut found: Option<&TenantId> = None;
    for carrier in carriers {
        match (carrier, found) {
            (Found::Absent, _) => {}
            (Found::Stranger, _) => return Some(Err(IdentityFault::Unknown)),
            (Found::Key(one), Some(other)) if *one != other => {
                return Some(Err(IdentityFault::Conflict));
            }
            (Found::Key(one), _) => found = Some(one),
        }
    }
    found.map(Ok)
}

impl Identity {
    fn proof(&self, presented: Option<KeyDigest>) -> Found<'_> {
        let Some(digest) = presented else {
            return Found::Absent;
        };
        match self.keys.get(&digest) {
            Some(id) => Found::Key(id),
            None => Found::Stranger,
        }
    }
}
