//! Keys that only a spine can make: what separates tenants inside shared machinery.
//! Must never have a public constructor or a public field.

use std::sync::Arc;

use rustls::ClientConfig;

use super::Spine;
use crate::limits::Hold;
use crate::snapshot::{Held, Route, Upstream, UpstreamOrigin};
use crate::units::TenantId;

/// Names the connections that this tenant may use to reach this origin.
///
/// It cannot be written down, only had from a spine:
/// ```compile_fail
/// # use outrigger::{spine::PoolKey, units::TenantId, snapshot::UpstreamOrigin};
/// # use std::sync::Arc;
/// fn forge(tenant: TenantId, origin: Arc<UpstreamOrigin>) -> PoolKey { PoolKey { tenant, origin } }
/// ```
/// ```
/// # use outrigger::spine::{Pass, PoolKey};
/// fn have(pass: &Pass) -> PoolKey { pass.key().clone() }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolKey {
    tenant: TenantId,
    origin: Arc<UpstreamOrigin>,
}

/// By tenant alone, which tells nearly all keys apart; equality looks at both.
impl std::hash::Hash for PoolKey {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.tenant.hash(state);
    }
}

/// The right to send one request upstream: made of an admission and a route, by a spine.
///
/// Nothing leaves without one:
/// ```compile_fail
/// # use outrigger::{spine::{Pass, Spine}, snapshot::Route};
/// fn unadmitted(spine: &Spine, route: Route) -> Pass { spine.pass(route) }
/// ```
/// ```
/// # use outrigger::{spine::{Pass, Spine}, snapshot::Route, limits::Hold};
/// fn admitted(spine: &Spine, hold: &Hold, route: Route) -> Pass { spine.pass(hold, route) }
/// ```
#[derive(Debug)]
pub struct Pass {
    key: PoolKey,
    upstream: Arc<Upstream>,
    snapshot: Held,
}

impl Spine {
    /// The pass of a request that was admitted (`hold`) and routed.
    pub fn pass(&self, _hold: &Hold, route: Route) -> Pass {
        let upstream = route.into_upstream();
        let origin = Arc::clone(&upstream.origin);
        Pass {
            key: PoolKey {
                tenant: self.tenant.id().clone(),
                origin,
            },
            upstream,
            snapshot: self.snapshot.clone(),
        }
    }
}

impl Pass {
    /// Which connections it opens.
    pub fn key(&self) -> &PoolKey {
        &self.key
    }

    /// Where it leads.
    pub fn upstream(&self) -> &Upstream {
        &self.upstream
    }

    /// TLS for the way there.
    ///
    /// # Errors
    /// Why there are no roots of trust.
    pub fn tls(&self) -> Result<&Arc<ClientConfig>, String> {
        match &self.upstream.tls {
            Some(own) => Ok(own),
            None => self.snapshot.trust().client(self.upstream.origin.http),
        }
    }
}
