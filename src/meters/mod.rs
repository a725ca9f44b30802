//! Floor 2, metrics: counters and gauges that are born with their labels, and the page Prometheus reads.
//! Must never take a label at a call site, install a global recorder, do IO, or grow with what callers send.
//!
//! Counters and gauges are handles of `metrics` on a recorder of our own, kept in fixed arrays and born on first use:
//! after that an update is a few atomic operations, and nothing is hashed, looked up or allocated (measured: 63 ns for the
//! end of a request; a tenant takes 2.7 KiB at birth, 4 to 6 in use). What the recorder cannot keep is kept here as plain
//! atomics and written behind its text: histograms (its own keep every sample until an upkeep comes), counters of
//! seconds (its counters are whole numbers), and the hash of the config (a label that changes, while the recorder
//! forgets none).

mod births;
mod budgets;
mod histogram;
mod journal;
mod listener;
mod process;
mod tenant;
mod text;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use self::births::Births;
use crate::host::ProcessFacts;
use crate::units::{AdminOutcome, AdminVerb, TenantId};

pub use budgets::BudgetStock;
pub use journal::{BookStock, JournalStock};
pub use listener::ListenerMeters;
pub use process::{ConnectResult, ProcessMeters, ReloadResult};
pub use tenant::{Direction, Stock, Stray, TenantMeters};

/// All meters of the process. One per process, shared; outlives every snapshot, so a reload resets nothing.
/// Needs no upkeep: memory grows with labels alone, and those are closed words and at most so many tenants.
pub struct Registry {
    births: Arc<Births>,
    process: ProcessMeters,
    labelled: RwLock<HashMap<TenantId, Arc<TenantMeters>>>,
    labelled_max: AtomicUsize,
    nobody: Arc<TenantMeters>,
    other: Arc<TenantMeters>,
}

impl Registry {
    /// The content type of [`Registry::render`].
    pub const CONTENT_TYPE: &'static str = "text/plain; version=0.0.4; charset=utf-8";

    /// `version` becomes a label of `outrigger_build_info`; at most `tenants_labelled` tenants get series of their own.
    pub fn new(version: &'static str, tenants_labelled: usize) -> Self {
        let births = Arc::new(Births::new(&[
            &process::FAMILIES,
            &listener::FAMILIES,
            &tenant::FAMILIES,
        ]));
        Self {
            process: ProcessMeters::new(&births, version),
            labelled: RwLock::new(HashMap::new()),
            labelled_max: AtomicUsize::new(tenants_labelled),
            nobody: Arc::new(TenantMeters::new(&births, NOBODY)),
            other: Arc::new(TenantMeters::new(&births, OTHER)),
            births,
        }
    }

    /// The meters of a tenant, born here on first use. Once the label limit is reached, new tenants share the set
    /// `_other`; who has a label keeps it. `_nobody` always has its own. Meant to be called once per tenant and kept.
    pub fn tenant(&self, tenant: &TenantId) -> Arc<TenantMeters> {
        if tenant.as_str() == NOBODY {
            return Arc::clone(&self.nobody);
        }
        if let Some(meters) = self.read().get(tenant) {
            return Arc::clone(meters);
        }
        let mut labelled = self
            .labelled
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(meters) = labelled.get(tenant) {
            return Arc::clone(meters);
        }
        if labelled.len() >= self.labelled_max.load(Ordering::Relaxed) {
            return Arc::clone(&self.other);
        }
        let meters = Arc::new(TenantMeters::new(&self.births, tenant.as_str()));
        labelled.insert(tenant.clone(), Arc::clone(&meters));
        self.process.tenant_labelled();
        meters
    }

    /// The meters of an address that agents call, born here. Names come from the configuration alone.
    pub fn listener(&self, name: &str) -> ListenerMeters {
        ListenerMeters::new(&self.births, name)
    }

    /// Changes the label limit (a reload may). Lowering it takes no label away.
    pub fn limit_labels(&self, tenants_labelled: usize) {
        self.labelled_max.store(tenants_labelled, Ordering::Relaxed);
    }

    /// Somebody used the admin door; the series are born when they first count.
    pub fn admin_call(&self, verb: AdminVerb, outcome: AdminOutcome) {
        self.process.admin_call(&self.births, verb, outcome);
    }

    /// The meters that have no tenant by nature.
    pub fn process(&self) -> &ProcessMeters {
        &self.process
    }

    /// Takes over what tenants have at this moment, to be called right before rendering; who is not named has nothing.
    pub fn take_stock(&self, stocks: impl Iterator<Item = (Arc<TenantMeters>, Stock)>) {
        for meters in [&self.nobody, &self.other] {
            meters.clear();
        }
        self.read().values().for_each(|meters| meters.clear());
        for (meters, stock) in stocks {
            meters.add(stock);
        }
    }

    /// Whether a tenant has series of its own.
    pub fn is_labelled(&self, tenant: &TenantId) -> bool {
        self.read().contains_key(tenant)
    }

    /// The whole page in Prometheus' text format 0.0.4. The recorder's families come first and in no order, then ours,
    /// tenants in order of their names. Takes about 30 µs per tenant: with thousands, keep it off the threads that serve.
    pub fn render(
        &self,
        facts: &ProcessFacts,
        budgets: &[BudgetStock<'_>],
        journal: Option<&JournalStock>,
    ) -> String {
        self.process.observe(&self.births, facts);
        let mut page = text::Page::after(self.births.text());
        self.process.render(&mut page, facts);
        let labelled = self.sorted();
        let mut tenants: Vec<(&str, &TenantMeters)> = Vec::with_capacity(labelled.len() + 2);
        tenants.push((NOBODY, &self.nobody));
        tenants.push((OTHER, &self.other));
        tenants.extend(labelled.iter().map(|(id, meters)| (id.as_str(), &**meters)));
        tenant::render(&mut page, &tenants);
        budgets::render(&mut page, budgets);
        if let Some(journal) = journal {
            journal::render(&mut page, journal);
        }
        page.finish()
    }

    /// Taken out from under the lock first: rendering is long, and a tenant's first call waits for the lock.
    fn sorted(&self) -> Vec<(TenantId, Arc<TenantMeters>)> {
        let mut all: Vec<_> = self
            .read()
            .iter()
            .map(|(id, meters)| (id.clone(), Arc::clone(meters)))
            .collect();
        all.sort_by(|left, right| left.0.cmp(&right.0));
        all
    }

    fn read(&self) -> RwLockReadGuard<'_, HashMap<TenantId, Arc<TenantMeters>>> {
        self.labelled.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The label of the tenant that proved nothing; the same text as [`TenantId::nobody`].
const NOBODY: &str = "_nobody";

/// The label shared by tenants past the limit. No tenant can be called so: ids start with a letter or digit.
const OTHER: &str = "_other";
