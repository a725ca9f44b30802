//! The guard of one admitted request. Lives in the answer's body, so that it ends when the last byte or the caller
//! is gone.
//! Must never outlive its slot, and must give back on every path, panic included.

use super::account::Account;
use super::ledger::{Amounts, Ask};
use crate::units::Boot;
use std::sync::Arc;

/// What one request holds of its tenant's limits. Dropped, it frees the slot; tokens that were never settled go back,
/// the request stays counted.
#[derive(Debug)]
#[must_use = "a dropped hold gives back the slot and the tokens"]
pub struct Hold {
    account: Arc<Account>,
    held: Amounts,
    settled: bool,
}

impl Hold {
    pub(super) fn new(account: Arc<Account>, held: Amounts) -> Self {
        Self {
            account,
            held,
            settled: false,
        }
    }

    /// Replaces the estimate by the tokens that were used: a surplus goes back, a shortfall becomes debt. The first
    /// call counts, later ones do nothing. The slot stays taken.
    pub fn settle(&mut self, now: Boot, input: u64, output: u64) {
        if std::mem::replace(&mut self.settled, true) {
            return;
        }
        let used = Ask { input, output }.amounts();
        let next = self
            .account
            .ledger
            .lock()
            .settle(now, &mut self.held, &used);
        if let Some(next) = next {
            next.wake();
        }
    }

    /// Whose it is.
    pub fn account(&self) -> &Arc<Account> {
        &self.account
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let next = self.account.ledger.lock().give_back(&self.held);
        if let Some(next) = next {
            next.wake();
        }
    }
}
