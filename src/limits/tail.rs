//! Tails: the rests of answers that are read without their callers. They are counted, per tenant and over all, so that
//! nobody who keeps hanging up takes everybody's connections. Must never wait: what finds no place is given up.

use super::account::Account;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// How many there may be over all tenants: each keeps a connection to an upstream, and a tenant has a few of them.
const MOST: u32 = 1_024;

/// How many there are.
#[derive(Debug, Default)]
pub struct Tails(AtomicU32);

impl Tails {
    /// So many.
    pub fn open(&self) -> u32 {
        self.0.load(Ordering::Acquire)
    }

    fn enter(&self, most: u32) -> bool {
        let one_more = |open: u32| (open < most).then_some(open.saturating_add(1));
        let entered = self
            .0
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more);
        entered.is_ok()
    }

    fn leave(&self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// One of them, counted until it is dropped.
#[derive(Debug)]
#[must_use = "a dropped tail is counted out"]
pub struct Tail {
    account: Arc<Account>,
    all: Arc<Tails>,
}

impl Tail {
    /// One more of this tenant, if there are fewer than `most` of it, and few enough over all.
    pub fn begin(account: &Arc<Account>, most: u32, all: &Arc<Tails>) -> Option<Self> {
        if !account.tails.enter(most) {
            return None;
        }
        if !all.enter(MOST) {
            account.tails.leave();
            return None;
        }
        Some(Self {
            account: Arc::clone(account),
            all: Arc::clone(all),
        })
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        self.account.tails.leave();
        self.all.leave();
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;
    use crate::limits::LimitSpec;
    use crate::units::Boot;

    #[test]
    fn a_tenant_has_so_many_and_all_together_no_more_than_there_may_be() {
        let all = Arc::new(Tails::default());
        let account = |_| Account::new(&LimitSpec::default(), Boot(0));
        let accounts: Vec<_> = (0..70).map(account).collect();
        let mut tails = Vec::new();
        for account in &accounts {
            tails.extend((0..20).filter_map(|_| Tail::begin(account, 16, &all)));
        }
        assert_eq!(tails.len(), usize::try_from(MOST).expect("few"));
        assert_eq!(accounts[0].tails.open(), 16);
        assert_eq!(accounts[69].tails.open(), 0, "who came too late holds none");
        assert!(Tail::begin(&accounts[69], 16, &all).is_none());
        tails.pop();
        assert!(Tail::begin(&accounts[69], 0, &all).is_none());
        tails.extend(Tail::begin(&accounts[69], 1, &all));
        assert_eq!(all.open(), MOST);
        tails.clear();
        assert_eq!((all.open(), accounts[0].tails.open()), (0, 0));
    }
}
