//! The limits' state of every tenant, kept across reloads: a reload must never reset a counter, not even
//! of a tenant that was taken out and put back.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::limits::{Account, Buffers, LimitSpec};
use crate::units::{Boot, NanoUsd, TenantId, Wall, WindowId};

/// Accounts by tenant id. Those of tenants no longer configured are kept too, up to a bound.
pub struct Accounts {
    by_id: Mutex<HashMap<TenantId, Arc<Account>>>,
    /// What earlier processes spent, of tenants that nobody has asked for since.
    earlier: Mutex<HashMap<TenantId, Vec<Spent>>>,
    /// Up to when what was spent is not known.
    lost: Mutex<Option<Wall>>,
    buffers: Arc<Buffers>,
    connections: u32,
}

/// A window of a budget, what was spent in it, and what was added to it.
pub type Spent = (WindowId, NanoUsd, NanoUsd);

/// How many accounts of removed tenants are remembered; past it, those without requests in flight are let go, unless
/// an operator has suspended them.
const RETIRED: usize = 65_536;

impl Accounts {
    /// None yet; they will share buffers of so many bytes, and so many connections.
    pub fn new(buffers: u64, connections: u32) -> Self {
        Self {
            by_id: Mutex::default(),
            earlier: Mutex::default(),
            lost: Mutex::default(),
            buffers: Buffers::new(buffers),
            connections,
        }
    }

    /// How many connections all of them together may have.
    pub fn connections(&self) -> u32 {
        self.connections
    }

    /// How many one of several tenants may have who was given no number: what is left is for the others.
    pub(super) fn most_connections(&self) -> u32 {
        (self.connections - self.connections / 4).max(1)
    }

    /// The buffers that all of them share.
    pub fn buffers(&self) -> &Arc<Buffers> {
        &self.buffers
    }

    /// The account of a tenant; born full if it is new. Its limits are left as they are.
    pub(super) fn get(&self, id: &TenantId, spec: &LimitSpec, now: Boot) -> Arc<Account> {
        let mut by_id = self.by_id.lock().unwrap_or_else(PoisonError::into_inner);
        let account = by_id
            .entry(id.clone())
            .or_insert_with(|| self.born(id, spec, now));
        Arc::clone(account)
    }

    fn born(&self, id: &TenantId, spec: &LimitSpec, now: Boot) -> Arc<Account> {
        let account = Account::sharing(&self.buffers, spec, now);
        let mut earlier = self.earlier.lock().unwrap_or_else(PoisonError::into_inner);
        for (window, spent, added) in earlier.remove(id).into_iter().flatten() {
            account.remember(window, spent, added);
        }
        account.lose(*self.lost.lock().unwrap_or_else(PoisonError::into_inner));
        account
    }

    /// What anybody had spent until then is not known; or, with `None`, that no longer matters.
    pub fn lose(&self, until: Option<Wall>) {
        let by_id = self.by_id.lock().unwrap_or_else(PoisonError::into_inner);
        *self.lost.lock().unwrap_or_else(PoisonError::into_inner) = until;
        for account in by_id.values() {
            account.lose(until);
        }
    }

    /// What a tenant has spent before this process, and what was added to its budgets, by window.
    pub fn recall(&self, id: &TenantId, windows: Vec<Spent>) {
        let by_id = self.by_id.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(account) = by_id.get(id) {
            for (window, spent, added) in windows {
                account.remember(window, spent, added);
            }
            return;
        }
        let mut earlier = self.earlier.lock().unwrap_or_else(PoisonError::into_inner);
        earlier.insert(id.clone(), windows);
    }

    /// Lets idle accounts of tenants that `is_current` does not know go, if there are too many of them.
    pub(super) fn forget(&self, is_current: impl Fn(&TenantId) -> bool) {
        let mut by_id = self.by_id.lock().unwrap_or_else(PoisonError::into_inner);
        let retired = by_id.keys().filter(|id| !is_current(id)).count();
        if retired > RETIRED {
            by_id.retain(|id, account| {
                is_current(id) || account.in_flight() > 0 || account.order().is_suspended()
            });
        }
    }
}

/// For those who only look: without a bound.
impl Default for Accounts {
    fn default() -> Self {
        Self::new(u64::MAX, u32::MAX)
    }
}
