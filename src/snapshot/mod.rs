//! Floor 3: the immutable world. A [`Snapshot`] is compiled from a configuration, published whole, taken
//! once per request, and never changed. Must never be read field by field from a live holder.

mod accounts;
mod admin;
mod compile;
mod credential;
mod identity;
mod live;
mod pattern;
mod policy;
mod tenant;
mod trust;
mod upstream;

use std::sync::Arc;

pub use accounts::{Accounts, Spent};
pub use admin::{AdminRights, Right};
pub use compile::{Compiled, Overlay, Pricing, World, compile};
pub use credential::{KeyTo, Whose};
pub use identity::{Claim, Entry, Identified, IdentityFault, KeyDigest, Presented, digest};
pub use live::{Held, Live, Published, Rejected, WatchState};
pub use pattern::Pattern;
pub use policy::{
    Drain, GeoRules, JournalRules, ModelRules, OpenList, Origin, Policy, Rule, Ruled,
};
pub use tenant::{Standing, Tenant};
pub use trust::TrustStore;
pub use upstream::{Credential, Origin as UpstreamOrigin, Patience, Pseudonyms, Upstream};

use crate::config::values::{Credentials, LogLevel, ProviderRetention, Stamp};
use crate::meters::Registry;
use crate::prices::Book;
use crate::units::{Dialect, Map, TenantId};
use identity::Identity;

/// One generation of the configuration, compiled.
pub struct Snapshot {
    generation: u64,
    hash: Box<str>,
    identity: Identity,
    tenants: Map<TenantId, Arc<Tenant>>,
    nobody: Arc<Tenant>,
    upstreams: Vec<Arc<Upstream>>,
    prices: Book,
    trust: Arc<TrustStore>,
    hosts: Vec<Box<str>>,
    origins: Vec<Box<str>>,
    admin: AdminRights,
    log_level: LogLevel,
    settings: Box<str>,
    _alive: Alive,
}

/// Counts the snapshots in use: a long stream keeps its own.
struct Alive(Arc<Registry>);

impl Alive {
    fn enter(registry: &Arc<Registry>) -> Self {
        registry.process().snapshot_born();
        Self(Arc::clone(registry))
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.process().snapshot_gone();
    }
}

/// A chosen upstream that this tenant may use: the proof that ROUTE was passed.
#[derive(Clone, Debug)]
pub struct Route {
    upstream: Arc<Upstream>,
}

impl Route {
    /// The upstream.
    pub fn upstream(&self) -> &Arc<Upstream> {
        &self.upstream
    }

    /// The upstream, and the end of the route.
    pub fn into_upstream(self) -> Arc<Upstream> {
        self.upstream
    }
}

/// Why there is no route.
#[derive(Clone, Debug)]
pub enum NoRoute {
    /// The upstream is not among those the tenant may use.
    Upstream(Arc<Rule>),
    /// Its region is not among those the tenant may use.
    Region(Arc<Rule>),
    /// The tenant has no credential of its own for it, and must have one.
    Credential(Arc<Rule>),
    /// It is told a pseudonym, which is made under a credential, and there is none for this tenant.
    Nameless,
    /// It keeps what it is sent, and the tenant's policy lets nothing be kept.
    Retention(Arc<Rule>),
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Snapshot({})", self.generation)
    }
}

impl Snapshot {
    /// Which configuration this is; counts from 1.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The hash of the configuration's text, in hexadecimal.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// Who may operate the sidecar.
    pub fn admin(&self) -> &AdminRights {
        &self.admin
    }

    /// The least that is worth a log line.
    pub fn log_level(&self) -> LogLevel {
        self.log_level
    }

    /// What holds, one line per setting, no secret in it; of tenants, where their own credentials come from.
    pub fn settings(&self) -> &str {
        &self.settings
    }

    /// The tenant of everything that proved nothing.
    pub fn nobody(&self) -> &Arc<Tenant> {
        &self.nobody
    }

    /// A tenant by name, for operators; requests get theirs from [`Snapshot::identify`].
    pub fn tenant(&self, id: &TenantId) -> Option<&Arc<Tenant>> {
        self.tenants.get(id)
    }

    /// Whether there is less than all of any budget when the record of what was spent is lost.
    pub fn is_careful(&self) -> bool {
        self.tenants().any(|tenant| tenant.is_careful())
    }

    /// All proven tenants, in no order.
    pub fn tenants(&self) -> impl ExactSizeIterator<Item = &Arc<Tenant>> {
        self.tenants.values()
    }

    /// Whether what `tenant` shows to `upstream` may be shown by other tenants as well. The upstream's own credential
    /// counts as everybody's, and so does what agents bring, which nobody compares.
    pub fn is_shared(&self, tenant: &Tenant, upstream: &Upstream) -> bool {
        self.tenants.len() > 1 && !tenant.key_to(upstream).exclusive
    }

    /// The upstream of that first path segment.
    pub fn upstream(&self, name: &str) -> Option<&Arc<Upstream>> {
        self.upstreams
            .iter()
            .find(|upstream| upstream.name.as_str() == name)
    }

    /// All upstreams, in the order written.
    pub fn upstreams(&self) -> &[Arc<Upstream>] {
        &self.upstreams
    }

    /// What models cost.
    pub fn prices(&self) -> &Book {
        &self.prices
    }

    /// The upstream that a bare `/v1/…` means: the only one of that dialect.
    pub fn only_upstream(&self, dialect: Dialect) -> Option<&Arc<Upstream>> {
        let mut of_dialect = self
            .upstreams
            .iter()
            .filter(|upstream| upstream.dialect == dialect);
        of_dialect.next().filter(|_| of_dialect.next().is_none())
    }

    /// Roots of trust for upstreams.
    pub fn trust(&self) -> &Arc<TrustStore> {
        &self.trust
    }

    /// Whether a `Host` of that name (any case, without port and brackets) is answered: IP literals,
    /// `localhost` and the configured names, so that a web page cannot reach the sidecar by rebinding DNS.
    pub fn answers_host(&self, name: &str) -> bool {
        name.eq_ignore_ascii_case("localhost")
            || name.parse::<std::net::IpAddr>().is_ok()
            || self
                .hosts
                .iter()
                .any(|host| host.eq_ignore_ascii_case(name))
    }

    /// Whether a browser page of that origin may call.
    pub fn answers_origin(&self, origin: &str) -> bool {
        self.origins.iter().any(|allowed| **allowed == *origin)
    }

    /// Whether `tenant` may use `upstream`.
    ///
    /// # Errors
    /// The rule that keeps the tenant out.
    pub fn route(&self, tenant: &Tenant, upstream: &Arc<Upstream>) -> Result<Route, NoRoute> {
        let policy = tenant.policy();
        if let Some(only) = &policy.upstreams
            && !only.value.contains(&upstream.name)
        {
            return Err(NoRoute::Upstream(Arc::clone(&only.rule)));
        }
        if let Some(regions) = &policy.regions {
            let inside = upstream
                .region
                .as_ref()
                .is_some_and(|region| regions.value.iter().any(|allowed| **allowed == **region));
            if !inside {
                return Err(NoRoute::Region(Arc::clone(&regions.rule)));
            }
        }
        let own = &policy.credentials;
        let key = tenant.key_to(upstream);
        if own.value == Credentials::Own && key.whose != Whose::Own {
            return Err(NoRoute::Credential(Arc::clone(&own.rule)));
        }
        if upstream.stamp == Stamp::Provider && key.credential.is_none() {
            return Err(NoRoute::Nameless);
        }
        let retention = &policy.retention;
        if retention.value == ProviderRetention::Zero && !upstream.zero_retention {
            return Err(NoRoute::Retention(Arc::clone(&retention.rule)));
        }
        Ok(Route {
            upstream: Arc::clone(upstream),
        })
    }
}
