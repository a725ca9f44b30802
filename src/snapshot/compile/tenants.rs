//! `[tenants.*]` and `[identity]` to who there is and what proves it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use super::own_keys::Shown;
use super::policies::{self, Policies};
use super::{Bench, Overlay};
use crate::config::values::Proof;
use crate::config::{OutCode, Problem, Raw, Site, defaults, raw};
use crate::limits::LimitSpec;
use crate::snapshot::credential::OwnKey;
use crate::snapshot::identity::Identity;
use crate::snapshot::{KeyDigest, Policy, Standing, Tenant, Upstream};
use crate::units::TenantId;

/// Who there is.
pub(super) struct People {
    pub(super) tenants: HashMap<TenantId, Arc<Tenant>>,
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
        let mut tenants = HashMap::new();
        let mut keys = HashMap::new();
        let shown = Shown::of(raw);
        let simulated = overlay.simulator.is_some();
        for tenant in &raw.tenants {
            let own_keys = self.own_keys(tenant, upstreams, &shown, simulated);
            if let Some((policy, mut limits)) = self.policy_of(tenant, policies) {
                if raw.tenants.len() > 1 {
                    let most = self.world.accounts.most_connections();
                    limits.connections.get_or_insert(most);
                }
                let made = self.tenant(&tenant.id.value, policy, limits, own_keys);
                tenants.insert(tenant.id.value.clone(), made);
            }
            self.keys_of(tenant, &mut keys);
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
            keys.insert(*digest, id.clone());
        }
        // A key that is written and wrong is an error of its own.
        let keyless = keys.is_empty() && raw.tenants.iter().all(|tenant| tenant.keys.is_none());
        self.check_identity(raw, &accept, tenants.len(), keyless);
        let nobody = self.nobody();
        People {
            tenants,
            nobody,
            identity: Identity {
                accept,
                fixed,
                keys,
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
        if let Some((policy, limits)) = policies.get(name) {
            return Some((policy, policies::limits(&tenant.limits, limits)));
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

    fn keys_of(&mut self, tenant: &raw::Tenant, keys: &mut HashMap<KeyDigest, TenantId>) {
        for key in tenant.keys.iter().flat_map(|list| &list.value) {
            if let Some(other) = keys.insert(*key.value.bytes(), tenant.id.value.clone()) {
                let message = format!("tenant `{other}` has this key already");
                self.error(
                    OutCode::DuplicateKeyHash,
                    key.site,
                    message,
                    "make another one with `outrigger keys new`",
                );
            }
        }
    }

    fn tenant(
        &mut self,
        id: &TenantId,
        policy: &Arc<Policy>,
        limits: LimitSpec,
        own_keys: Box<[OwnKey]>,
    ) -> Arc<Tenant> {
        let account = self.world.accounts.get(id, &limits, self.now);
        self.resizes.push((Arc::clone(&account), limits));
        Arc::new(Tenant {
            id: id.clone(),
            policy: Arc::clone(policy),
            account,
            registry: Arc::clone(&self.world.registry),
            meters: OnceLock::new(),
            standing: Standing::Proven,
            own_keys,
        })
    }

    /// The fixed tenant for whom nothing is written: open, unless a policy called `default` says otherwise.
    fn unwritten(&mut self, id: &TenantId, policies: &Policies) -> Arc<Tenant> {
        let (policy, limits) = policies.open();
        let limits = policies::limits(&raw::Limits::default(), limits);
        self.tenant(id, policy, limits, Box::default())
    }

    fn nobody(&mut self) -> Arc<Tenant> {
        let id = TenantId::nobody();
        let none = LimitSpec::default();
        let account = self.world.accounts.get(&id, &none, self.now);
        Arc::new(Tenant {
            id,
            policy: Arc::new(self.built_in_standard()),
            account,
            registry: Arc::clone(&self.world.registry),
            meters: OnceLock::new(),
            standing: Standing::Nobody,
            own_keys: Box::default(),
        })
    }

    fn check_identity(&mut self, raw: &Raw, accept: &[Proof], tenants: usize, keyless: bool) {
        let site = raw.identity.as_ref().map(|identity| identity.site);
        if accept.contains(&Proof::Fixed) {
            if tenants > 1 {
                let at = site.or_else(|| raw.tenants.get(1).map(|tenant| tenant.id.site));
                self.problem(
                    Problem::error(
                        OutCode::IdentityImpossible,
                        at,
                        format!("{tenants} tenants, and nothing proves which of them is calling"),
                    )
                    .hint("set `identity.accept = [\"key\"]` and give each tenant `keys`"),
                );
            }
            self.check_exposure(raw, site);
        } else if keyless {
            self.problem(
                Problem::warning(
                    OutCode::Ineffective,
                    site,
                    "keys are required, and no tenant has one: every request will be refused",
                )
                .hint("make one with `outrigger keys new` and add its hash to a tenant's `keys`"),
            );
        }
    }

    fn check_exposure(&mut self, raw: &Raw, identity: Option<Site>) {
        let listeners = raw.listen.proxy.iter().flat_map(|list| &list.value);
        for listener in listeners {
            if !is_loopback(listener.value.0.ip()) {
                let problem = Problem::error(
                    OutCode::ListenerExposed,
                    listener.site,
                    format!(
                        "`{}` can be reached by others, and no credential is asked for",
                        listener.value.0
                    ),
                )
                .hint("listen on `127.0.0.1`, or set `identity.accept = [\"key\"]`");
                self.problem(match identity {
                    Some(site) => problem.also(site, "anybody is the fixed tenant"),
                    None => problem,
                });
            }
        }
    }
}

/// What is accepted. Without `[identity]`: keys if some tenant has one, else one fixed tenant.
fn accepted(raw: &Raw, overlay: &Overlay) -> Vec<Proof> {
    if overlay.session.is_some() {
        return vec![Proof::Key];
    }
    match &raw.identity {
        Some(identity) => identity.accept(),
        None if raw.tenants.iter().any(|tenant| tenant.keys.is_some()) => vec![Proof::Key],
        None => defaults::ACCEPT.to_vec(),
    }
}

fn is_loopback(ip: IpAddr) -> bool {
    ip.to_canonical().is_loopback()
}
