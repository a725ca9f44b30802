//! Which credential a tenant's requests to an upstream show: its own, the upstream's shared one, or whatever the
//! agent brought. Must never give one tenant's credential to another, and never print one.

use super::{Credential, Pseudonyms, Tenant, Upstream};
use crate::units::UpstreamName;

/// A tenant's own credential for one upstream (`tenants.*.credentials`).
#[derive(Debug, PartialEq, Eq)]
pub(super) struct OwnKey {
    pub(super) upstream: UpstreamName,
    pub(super) credential: Credential,
    /// Made under this credential, so that they follow it.
    pub(super) pseudonyms: Pseudonyms,
    /// Whether anybody else shows the same one.
    pub(super) holders: Holders,
}

/// Who shows a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holders {
    /// One tenant.
    One,
    /// The same text is written somewhere else, too.
    Several,
}

/// Whose credential is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// The tenant's own.
    Own,
    /// The upstream's, which all tenants without an own one show.
    Shared,
    /// Nobody's of ours: the agent's own passes, if it brought one.
    Agent,
}

/// What a tenant's requests to an upstream show, and what goes with it.
#[derive(Clone, Copy, Debug)]
pub struct KeyTo<'a> {
    /// Whose it is.
    pub whose: Whose,
    /// The credential, laid out; `None` for the agent's.
    pub credential: Option<&'a Credential>,
    /// The pseudonyms under it.
    pub pseudonyms: &'a Pseudonyms,
    /// Whether no other tenant shows it.
    pub exclusive: bool,
}

impl Tenant {
    /// What this tenant's requests to `upstream` show. Costs a look at an empty list where no tenant has keys of its own.
    pub fn key_to<'a>(&'a self, upstream: &'a Upstream) -> KeyTo<'a> {
        let own = self
            .own_keys
            .iter()
            .find(|own| own.upstream == upstream.name);
        if let Some(own) = own {
            return KeyTo {
                whose: Whose::Own,
                credential: Some(&own.credential),
                pseudonyms: &own.pseudonyms,
                exclusive: own.holders == Holders::One,
            };
        }
        KeyTo {
            whose: match upstream.credential {
                Some(_) => Whose::Shared,
                None => Whose::Agent,
            },
            credential: upstream.credential.as_ref(),
            pseudonyms: &upstream.pseudonyms,
            exclusive: false,
        }
    }

    /// The credentials of its own, for those who must know them to keep them in.
    pub fn own_credentials(&self) -> impl Iterator<Item = &Credential> {
        self.own_keys.iter().map(|own| &own.credential)
    }
}
