//! Floor 4: the spine of a request: whose it is, under which snapshot, with which id. Every sink takes it,
//! so nothing can be logged, metered, pooled or sent without a tenant.
//! Must never be cloned: one owner, moved from step to step, is the request's lifetime.

mod keys;
mod log;
mod note;

use std::sync::Arc;

pub use keys::{Pass, PoolKey};
pub use log::{LogFormat, LogQueue, LogWriter, log};
pub(crate) use note::name;
pub use note::{Line, Name};

use crate::meters::TenantMeters;
use crate::snapshot::{Held, Tenant};
use crate::units::{Boot, RequestId, Wall};

/// A request's tenant, snapshot and id.
///
/// There is no spine without a tenant:
/// ```compile_fail
/// # use outrigger::{spine::Spine, snapshot::Held, units::{RequestId, Boot, Wall}};
/// # use std::sync::Arc;
/// fn open(snapshot: Held, id: RequestId, at: (Boot, Wall)) -> Spine {
///     Spine::open(snapshot, id, at)
/// }
/// ```
/// and with one there is:
/// ```
/// # use outrigger::{spine::Spine, snapshot::{Held, Tenant}, units::{RequestId, Boot, Wall}};
/// # use std::sync::Arc;
/// fn open(tenant: Arc<Tenant>, snapshot: Held, id: RequestId, at: (Boot, Wall)) -> Spine {
///     Spine::open(tenant, snapshot, id, at)
/// }
/// ```
/// A spine has one owner:
/// ```compile_fail
/// # use outrigger::spine::Spine;
/// fn twice(spine: Spine) -> (Spine, Spine) { (spine.clone(), spine) }
/// ```
pub struct Spine {
    tenant: Arc<Tenant>,
    snapshot: Held,
    id: RequestId,
    started: Boot,
    started_wall: Wall,
}

impl Spine {
    /// Opens a request of `tenant`.
    pub fn open(tenant: Arc<Tenant>, snapshot: Held, id: RequestId, at: (Boot, Wall)) -> Self {
        Self {
            tenant,
            snapshot,
            id,
            started: at.0,
            started_wall: at.1,
        }
    }

    /// A document about the request, whose it is first; with how long it took, if it is over `now`.
    pub fn document(&self, now: Option<Boot>, facts: impl FnOnce(&mut Line<'_>)) -> Vec<u8> {
        note::document(self, now, facts)
    }

    /// Whose it is.
    pub fn tenant(&self) -> &Arc<Tenant> {
        &self.tenant
    }

    /// The one snapshot this request sees.
    pub fn snapshot(&self) -> &Held {
        &self.snapshot
    }

    /// The request's id.
    pub fn id(&self) -> RequestId {
        self.id
    }

    /// When it began.
    pub fn started(&self) -> Boot {
        self.started
    }

    /// When it began, on the wall.
    pub fn started_wall(&self) -> Wall {
        self.started_wall
    }

    /// The tenant's meters.
    pub fn meters(&self) -> &TenantMeters {
        self.tenant.meters()
    }
}
