//! `[tenants.*]` to who there is.

use std::sync::{Arc, OnceLock};

use super::own_keys::Shown;
use super::policies::{self, Policies};
use super::proofs::{accepted, tenant_header};
use super::{Bench, Overlay};
use crate::config::money::Revenue;
use crate::config::values::Proof;
use crate::config::{OutCode, Problem, Raw, defaults, raw};
use crate::limits::{Account, LimitSpec};
use crate::snapshot::credential::OwnKey;
use crate::snapshot::identity::Identity;
use crate::snapshot::{Pattern, Policy, Standing, Tenant, Upstream};
use crate::units::{Map, TenantId};

/// Who there is.
pub(super) struct People {
    pub(super) tenants: Map<TenantId, Arc<Tenant>>,
    pub(super) nobody: Arc<Tenant>,
    pub(super) identity: Identity,
}

impl Bench<'_> {
    pub(super) fn people(
        &mut self,
        raw: &Raw,
        overlay: &Overlay,
        policies: &Policies,
        upstreams: &[Arc<Upstream>],
    ) -> People {
        let accept = accepted(raw, overlay);
        let fixed = self.fixed(raw, overlay, &accept);
        let mut tenants = Map::default();
        let (mut keys, mut uids) = (Map::default(), Map::default());
        let shown = Shown::of(raw);
        let simulated = overlay.simulator.is_some();
        for tenant in &raw.tenants {
            let own_keys = self.own_keys(tenant, upstreams, &shown, simulated);
            let revenue = tenant.revenue.as_ref().map(|revenue| revenue.value);
            if let Some((policy, mut limits)) = self.policy_of(tenant, policies) {
                if raw.tenants.len() > 1 {
                    let most = self.world.accounts.most_connections();
                    limits.connections.get_or_insert(most);
                }
                let made = self.tenant(
                    &tenant.id.value,
                    policy,
                    limits,
                    (vouches(tenant), own_keys, revenue),
                );
                tenants.insert(tenant.id.value.clone(), made);
            }
            self.keys_of(tenant, &mut keys);
            self.uids_of(tenant, &mut uids);
        }
        let session = overlay.session.as_ref().map(|(id, _)| id);
        for id in fixed.iter().chain(session) {
            if !tenants.contains_key(id) && self.may_be_born(raw, id, session.is_some()) {
                let made = self.unwritten(id, policies);
                tenants.insert(id.clone(), made);
            }
        }
        if let Some((id, digest)) = &overlay.session {
            // One session serves one tenant: what is another's does not open it.
            keys.retain(|_, owner| owner == id);
            uids.clear();
            keys.insert(*digest, id.clone());
        }
        if overlay.session.is_none() {
            self.check_sockets(raw, &accept);
            self.check_places(raw);
            self.check_vouching(raw, &accept);
            self.check_identity(raw, &accept, tenants.len());
        }
        let nobody = self.nobody(raw);
        People {
            tenants,
            nobody,
            identity: Identity {
                accept,
                fixed,
                keys,
                header: tenant_header(raw, overlay),
                uids,
            },
        }
    }

    /// The one tenant of a sidecar that asks for no proof.
    fn fixed(&mut self, raw: &Raw, overlay: &Overlay, accept: &[Proof]) -> Option<TenantId> {
        if !accept.contains(&Proof::Fixed) {
            return None;
        }
        if let Some((id, _)) = &overlay.session {
            return Some(id.clone());
        }
        let named = raw
            .identity
            .as_ref()
            .and_then(|identity| identity.tenant.as_ref());
        match (named, raw.tenants.as_slice()) {
            (Some(named), tenants) => {
                if !tenants.is_empty() && tenants.iter().all(|one| one.id.value != named.value) {
                    let message = format!("there is no tenant `{}`", named.value);
                    self.error(
                        OutCode::UnknownReference,
                        named.site,
                        message,
                        "see `[tenants.*]`",
                    );
                }
                Some(named.value.clone())
            }
            (None, [only]) => Some(only.id.value.clone()),
            (None, _) => defaults::FIXED_TENANT.parse().ok(),
        }
    }

    /// A tenant nobody wrote down exists only where no tenants are written at all.
    fn may_be_born(&mut self, raw: &Raw, id: &TenantId, session: bool) -> bool {
        if raw.tenants.is_empty() {
            return true;
        }
        // One that is written and has a problem of its own is not missing.
        if session && raw.tenants.iter().all(|one| one.id.value != *id) {
            let message = format!("`--tenant {id}` names no tenant of the configuration");
            self.problem(Problem::error(OutCode::UnknownReference, None, message));
        }
        false
    }

    fn policy_of<'p>(
        &mut self,
        tenant: &raw::Tenant,
        policies: &'p Policies,
    ) -> Option<(&'p Arc<Policy>, LimitSpec)> {
        let name = tenant
            .policy
            .as_ref()
            .map_or(defaults::POLICY, |name| name.value.as_str());
        if let Some((policy, given)) = policies.get(name) {
            let budgets = self.budgets(&tenant.budgets);
            return Some((policy, policies::limits(&tenant.limits, budgets, given)));
        }
        let site = tenant
            .policy
            .as_ref()
            .map_or(tenant.id.site, |policy| policy.site);
        let hint = format!("there are {}", policies.names());
        self.problem(
            Problem::error(
                OutCode::UnknownReference,
                site,
                format!("there is no policy `{name}`"),
            )
            .hint(hint),
        );
        None
    }

    fn tenant(
        &mut self,
        id: &TenantId,
        policy: &Arc<Policy>,
        limits: LimitSpec,
        (vouches, own_keys, revenue): (Box<[Pattern]>, Box<[OwnKey]>, Option<Revenue>),
    ) -> Arc<Tenant> {
        let account = self.account(id, &limits);
        let tenant = Tenant {
            id: id.clone(),
            policy: Arc::clone(policy),
            account,
            limits,
            registry: Arc::clone(&self.world.registry),
            meters: OnceLock::new(),
            standing: Standing::Proven,
            vouches,
            revenue,
            own_keys,
        };
        self.kept.tenant(tenant)
    }

    /// The account, with a note to set its limits if they are not what they were.
    fn account(&mut self, id: &TenantId, limits: &LimitSpec) -> Arc<Account> {
        if let Some(account) = self.kept.account(id, limits) {
            return account;
        }
        let account = self.world.accounts.get(id, limits, self.now);
        self.resizes.push((Arc::clone(&account), limits.clone()));
        account
    }

    /// The fixed tenant for whom nothing is written: open, unless a policy called `default` says otherwise.
    fn unwritten(&mut self, id: &TenantId, policies: &Policies) -> Arc<Tenant> {
        let (policy, given) = policies.open();
        let limits = policies::limits(&raw::Limits::default(), Vec::new(), given);
        self.tenant(id, policy, limits, Default::default())
    }

    fn nobody(&mut self, raw: &Raw) -> Arc<Tenant> {
        let id = TenantId::nobody();
        let limits = LimitSpec {
            refusals: Some(policies::rate(raw.listen.refusals())),
            ..LimitSpec::default()
        };
        let account = self.account(&id, &limits);
        let policy = self.built_in_standard();
        let tenant = Tenant {
            id,
            policy: self.kept.policy(policy),
            account,
            limits,
            registry: Arc::clone(&self.world.registry),
            meters: OnceLock::new(),
            standing: Standing::Nobody,
            vouches: Box::default(),
            revenue: None,
            own_keys: Box::default(),
        };
        self.kept.tenant(tenant)
    }
}

fn vouches(tenant: &raw::Tenant) -> Box<[Pattern]> {
    let written = tenant.vouches.iter().flat_map(|list| &list.value);
    written
        .map(|glob| Pattern::new(glob.value.as_str()))
        .collect()
}
