//! From what a request and its connection present to the tenant they prove. The first accepted proof that is presented must
//! hold; there is no falling through to a weaker one, and proofs that name different tenants name nobody.

use std::net::SocketAddr;
use std::sync::Arc;

use http::HeaderName;

use super::{Snapshot, Tenant};
use crate::config::values::Proof;
use crate::units::{Map, TenantId};

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
    pub(super) keys: Map<KeyDigest, TenantId>,
    /// The header in which a tenant that vouches for others names one.
    pub(super) header: Option<HeaderName>,
    /// Whom the users of unix sockets work for.
    pub(super) uids: Map<u32, TenantId>,
}

/// How a connection came in: what the listener and the kernel say of it, once, before its first byte.
#[derive(Clone, Debug, Default)]
pub struct Entry {
    /// Whose listener it is, where it is one tenant's.
    pub listener: Option<TenantId>,
    /// The user who connected, on a unix socket (`SO_PEERCRED`): as of that moment, and whoever holds the socket since.
    pub uid: Option<u32>,
    /// From where, on a port: for the log only, it proves nothing.
    pub peer: Option<SocketAddr>,
}

/// What a request presents: how its connection came in, and secrets by carrier.
#[derive(Clone, Copy, Debug)]
pub struct Presented<'a> {
    /// The connection.
    pub entry: &'a Entry,
    /// `Authorization: Bearer …`, `x-api-key`, `x-goog-api-key`, in this order.
    pub headers: [Option<&'a [u8]>; 3],
    /// `/t/<token>/…`.
    pub path: Option<&'a str>,
    /// What it says of itself.
    pub claim: Claim<'a>,
}

/// What a request says of its tenant, in the header for that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim<'a> {
    /// Nothing, or nothing is asked for.
    None,
    /// It names one.
    Named(&'a str),
    /// It stands twice, in another spelling, or holds no text.
    Malformed,
}

/// Who it is.
#[derive(Clone, Debug)]
pub struct Identified {
    /// The tenant.
    pub tenant: Arc<Tenant>,
    /// What proved it, or who vouches for it.
    pub by: Proof,
    /// The tenant that was proven, where it named this one.
    pub voucher: Option<TenantId>,
    /// Which of the headers hold virtual keys; they must never go upstream.
    pub spent: [bool; 3],
}

/// Why nobody is identified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdentityFault {
    /// No accepted proof is presented.
    Missing,
    /// A presented key is nobody's.
    UnknownKey,
    /// The user who connected is nobody's.
    UnknownUser,
    /// The listener's tenant is not there any more.
    UnknownListener,
    /// Two proofs name different tenants.
    Conflict,
    /// The claim cannot be read in one way only.
    ClaimMalformed,
    /// The claim names a tenant that the proven one does not vouch for.
    ClaimDenied,
    /// The claim names nobody.
    ClaimUnknown,
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
        let key = |secret: Option<&[u8]>| {
            secret.map_or(Found::Absent, |key| {
                Found::of(identity.keys.get(&digest(key)))
            })
        };
        let headers = presented.headers.map(key);
        let path = key(presented.path.map(str::as_bytes));
        let entry = presented.entry;
        let listener = entry.listener.as_ref().map_or(Found::Absent, Found::Tenant);
        let user = entry
            .uid
            .map_or(Found::Absent, |uid| Found::of(identity.uids.get(&uid)));
        let proven = identity.accept.iter().find_map(|proof| {
            let found = match proof {
                Proof::Listener => all_of(&[listener], IdentityFault::UnknownListener),
                Proof::Uid => all_of(&[user], IdentityFault::UnknownUser),
                Proof::Key => all_of(&headers, IdentityFault::UnknownKey),
                Proof::Path => all_of(&[path], IdentityFault::UnknownKey),
                Proof::Fixed => identity.fixed.as_ref().map(Ok),
            };
            found.map(|found| found.map(|id| (id, *proof)))
        });
        let (id, by) = proven.unwrap_or(Err(IdentityFault::Missing))?;
        // Whatever else is presented and is somebody's must name the same tenant.
        let others = headers.iter().chain([&path, &listener, &user]);
        if others.filter_map(Found::tenant).any(|other| other != id) {
            return Err(IdentityFault::Conflict);
        }
        let tenant = self.tenants.get(id).ok_or(match by {
            Proof::Listener => IdentityFault::UnknownListener,
            Proof::Uid => IdentityFault::UnknownUser,
            Proof::Key | Proof::Path | Proof::Fixed => IdentityFault::UnknownKey,
        })?;
        let spent = headers.map(|header| header.tenant().is_some());
        let named = self.claimed(tenant, presented.claim)?;
        Ok(Identified {
            tenant: Arc::clone(named.unwrap_or(tenant)),
            by,
            voucher: named.map(|_| tenant.id().clone()),
            spent,
        })
    }

    /// The other tenant that a proven one names, if it does, and may.
    fn claimed(
        &self,
        proven: &Tenant,
        claim: Claim<'_>,
    ) -> Result<Option<&Arc<Tenant>>, IdentityFault> {
        let name = match claim {
            Claim::None => return Ok(None),
            Claim::Malformed => return Err(IdentityFault::ClaimMalformed),
            Claim::Named(name) if name == proven.id().as_str() => return Ok(None),
            Claim::Named(name) => name,
        };
        if name.parse::<TenantId>().is_err() {
            return Err(IdentityFault::ClaimMalformed);
        }
        // Before it is looked up: who may not name it is not told whether it exists.
        if !proven.vouches.iter().any(|pattern| pattern.matches(name)) {
            return Err(IdentityFault::ClaimDenied);
        }
        let named = self.tenants.get(name);
        named.map(Some).ok_or(IdentityFault::ClaimUnknown)
    }

    /// The users of unix sockets and whom they work for, in no order.
    pub fn users(&self) -> impl Iterator<Item = (u32, &TenantId)> {
        self.identity.uids.iter().map(|(uid, id)| (*uid, id))
    }

    /// The header in which a tenant may be named, if there is one.
    pub fn tenant_header(&self) -> Option<&HeaderName> {
        self.identity.header.as_ref()
    }

    /// What is accepted, in this order.
    pub fn accepts(&self) -> &[Proof] {
        &self.identity.accept
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
    /// It is nobody's.
    Stranger,
    /// It is this tenant's.
    Tenant(&'a TenantId),
}

impl<'a> Found<'a> {
    /// Of something that is there, and whom it was found to name.
    fn of(named: Option<&'a TenantId>) -> Self {
        named.map_or(Self::Stranger, Self::Tenant)
    }

    fn tenant(&self) -> Option<&'a TenantId> {
        match self {
            Self::Absent | Self::Stranger => None,
            Self::Tenant(id) => Some(id),
        }
    }
}

/// Every carrier that is present must be somebody's, and all the same tenant's.
fn all_of<'a>(
    carriers: &[Found<'a>],
    unknown: IdentityFault,
) -> Option<Result<&'a TenantId, IdentityFault>> {
    let mut found: Option<&TenantId> = None;
    for carrier in carriers {
        match (carrier, found) {
            (Found::Absent, _) => {}
            (Found::Stranger, _) => return Some(Err(unknown)),
            (Found::Tenant(one), Some(other)) if *one != other => {
                return Some(Err(IdentityFault::Conflict));
            }
            (Found::Tenant(one), _) => found = Some(one),
        }
    }
    found.map(Ok)
}
