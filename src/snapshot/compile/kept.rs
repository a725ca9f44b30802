//! What a new snapshot takes over from the one that runs: upstreams, policies and tenants that are the same to the last
//! rule and line. Must never take over anything that differs.

use std::collections::HashMap;
use std::sync::Arc;

use crate::limits::{Account, LimitSpec};
use crate::snapshot::{Policy, Snapshot, Tenant, Upstream, UpstreamOrigin};
use crate::units::{TenantId, UpstreamName};

type Tls = Arc<rustls::ClientConfig>;

/// What there is to take over.
pub(super) struct Kept<'a> {
    previous: Option<&'a Snapshot>,
    /// A snapshot knows its policies by its tenants only.
    policies: HashMap<&'a str, &'a Arc<Policy>>,
}

impl<'a> Kept<'a> {
    /// All of the snapshot that runs, if one does.
    pub(super) fn of(previous: Option<&'a Snapshot>) -> Self {
        let tenants = previous.into_iter().flat_map(Snapshot::tenants);
        let nobody = previous.map(Snapshot::nobody);
        let policies = tenants.chain(nobody).map(|tenant| tenant.policy());
        Self {
            previous,
            policies: policies.map(|policy| (&*policy.name, policy)).collect(),
        }
    }

    pub(super) fn upstream(&self, made: Upstream) -> Arc<Upstream> {
        let old = self
            .previous
            .and_then(|previous| previous.upstream(made.name.as_str()));
        match old {
            Some(old) if is_same_upstream(old, &made) => Arc::clone(old),
            Some(_) | None => Arc::new(made),
        }
    }

    /// TLS under an upstream's own authorities: reading a bundle of them takes longer than all the rest.
    pub(super) fn tls(&self, name: &UpstreamName, origin: &UpstreamOrigin) -> Option<Tls> {
        let old = self.previous?.upstream(name.as_str())?;
        let same = old.origin.ca == origin.ca && old.origin.http == origin.http;
        old.tls.clone().filter(|_| same)
    }

    pub(super) fn policy(&self, made: Policy) -> Arc<Policy> {
        match self.policies.get(&*made.name) {
            Some(old) if ***old == made => Arc::clone(old),
            Some(_) | None => Arc::new(made),
        }
    }

    /// The account of a tenant that is held to these limits already.
    pub(super) fn account(&self, id: &TenantId, limits: &LimitSpec) -> Option<Arc<Account>> {
        let old = self.old(id).filter(|old| old.limits == *limits);
        old.map(|old| Arc::clone(&old.account))
    }

    pub(super) fn tenant(&self, made: Tenant) -> Arc<Tenant> {
        match self.old(&made.id) {
            Some(old) if is_same_tenant(old, &made) => Arc::clone(old),
            Some(_) | None => Arc::new(made),
        }
    }

    fn old(&self, id: &TenantId) -> Option<&'a Arc<Tenant>> {
        let previous = self.previous?;
        if id == previous.nobody().id() {
            return Some(previous.nobody());
        }
        previous.tenant(id)
    }
}

/// Its policy was taken over first, so it is the same one or another.
fn is_same_tenant(old: &Tenant, new: &Tenant) -> bool {
    let Tenant {
        id,
        policy,
        account,
        limits,
        // One for the process.
        registry: _,
        // Born on first use, and wanted.
        meters: _,
        standing,
        vouches,
        revenue,
        own_keys,
    } = old;
    *id == new.id
        && Arc::ptr_eq(policy, &new.policy)
        && Arc::ptr_eq(account, &new.account)
        && *limits == new.limits
        && *standing == new.standing
        && *vouches == new.vouches
        && *revenue == new.revenue
        && *own_keys == new.own_keys
}

fn is_same_upstream(old: &Upstream, new: &Upstream) -> bool {
    let Upstream {
        name,
        dialect,
        origin,
        server_name,
        // Follows from the origin, which holds the digest of the authorities.
        tls: _,
        authority,
        base,
        pricing,
        region,
        credential,
        key_header,
        pseudonyms,
        stamp,
        trust,
        zero_retention,
        patience,
    } = old;
    *name == new.name
        && *dialect == new.dialect
        && *origin == new.origin
        && *server_name == new.server_name
        && *authority == new.authority
        && *base == new.base
        && *pricing == new.pricing
        && *region == new.region
        && *credential == new.credential
        && *key_header == new.key_header
        && *pseudonyms == new.pseudonyms
        && *stamp == new.stamp
        && *trust == new.trust
        && *zero_retention == new.zero_retention
        && *patience == new.patience
}
