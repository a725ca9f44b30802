//! A tenant, compiled. Only `snapshot/compile` makes one: an id is a name, a `Tenant` is somebody
//! whom a proof can lead to. Must never be optional anywhere.

use std::sync::{Arc, OnceLock};

use super::credential::OwnKey;
use super::{Pattern, Policy};
use crate::config::money::Revenue;
use crate::limits::{Account, LimitSpec, OnLost};
use crate::meters::{Registry, TenantMeters};
use crate::units::TenantId;

/// One tenant under one snapshot.
pub struct Tenant {
    pub(super) id: TenantId,
    pub(super) policy: Arc<Policy>,
    pub(super) account: Arc<Account>,
    /// What the account was told to hold it to.
    pub(super) limits: LimitSpec,
    pub(super) registry: Arc<Registry>,
    pub(super) meters: OnceLock<Arc<TenantMeters>>,
    pub(super) standing: Standing,
    /// The tenants it may name in the header for that.
    pub(super) vouches: Box<[Pattern]>,
    /// What it brings in, for those who ask for its margin.
    pub(super) revenue: Option<Revenue>,
    /// Its own credentials, by upstream.
    pub(super) own_keys: Box<[OwnKey]>,
}

/// Whether a tenant was proven, or stands for all that proved nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Somebody.
    Proven,
    /// `_nobody`.
    Nobody,
}

impl Tenant {
    /// The id.
    pub fn id(&self) -> &TenantId {
        &self.id
    }

    /// The policy.
    pub fn policy(&self) -> &Arc<Policy> {
        &self.policy
    }

    /// The limits' state, which outlives the snapshot.
    pub fn account(&self) -> &Arc<Account> {
        &self.account
    }

    /// Whether its money is budgeted.
    pub fn is_budgeted(&self) -> bool {
        !self.limits.budgets.is_empty()
    }

    /// Whether there is less than all of any of its budgets when the record of what was spent is lost.
    pub fn is_careful(&self) -> bool {
        let mut budgets = self.limits.budgets.iter();
        budgets.any(|budget| budget.on_lost != OnLost::Full)
    }

    /// The tenant's meters, born on first use.
    pub fn meters(&self) -> &Arc<TenantMeters> {
        self.meters.get_or_init(|| self.registry.tenant(&self.id))
    }

    /// Patterns over the tenants it may name.
    pub fn vouches(&self) -> &[Pattern] {
        &self.vouches
    }

    /// What it brings in, if that was said.
    pub fn revenue(&self) -> Option<Revenue> {
        self.revenue
    }

    /// Whether this is `_nobody`.
    pub fn standing(&self) -> Standing {
        self.standing
    }
}

impl std::fmt::Debug for Tenant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tenant({})", self.id)
    }
}
