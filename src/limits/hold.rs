//! The guard of one admitted request. Lives in the answer's body, so that it ends when the last byte or the caller
//! is gone.
//! Must never outlive its slot, and must give back on every path, panic included.

use super::account::Account;
use super::budget::{Broke, Held, Settled};
use super::ledger::{Ask, Taken};
use crate::units::{Boot, NanoUsd, Wall};
use std::sync::Arc;

/// What one request holds of its tenant's limits. Dropped, it frees the slot; tokens that were never settled go back,
/// the request stays counted.
#[derive(Debug)]
#[must_use = "a dropped hold gives back the slot and the tokens"]
pub struct Hold {
    account: Arc<Account>,
    taken: Taken,
    settled: bool,
}

impl Hold {
    pub(super) fn new(account: Arc<Account>, taken: Taken) -> Self {
        Self {
            account,
            taken,
            settled: false,
        }
    }

    /// Replaces the estimate by the tokens that were used, and by what they cost: a surplus goes back, a shortfall
    /// becomes debt. The first call counts, later ones do nothing. The slot stays taken. Says what that
    /// comes to in the windows of budgets.
    pub fn settle(&mut self, now: Boot, input: u64, output: u64, cost: NanoUsd) -> Settled {
        if std::mem::replace(&mut self.settled, true) {
            return Settled::default();
        }
        let used = Ask { input, output }.amounts();
        let mut ledger = self.account.ledger.lock();
        let (next, settled) = ledger.settle(now, &mut self.taken, &used, cost);
        drop(ledger);
        if let Some(next) = next {
            next.wake();
        }
        settled
    }

    /// What it holds of the tenant's budgets: one line for each, and another where it went on into the next window.
    pub fn held(&self) -> impl Iterator<Item = Held> {
        self.taken.shares.iter().map(|share| share.held)
    }

    /// Holds more of all budgets it holds something of, or says which has too little left.
    pub fn extend(&mut self, more: NanoUsd, at: Wall) -> Result<(), Box<Broke>> {
        if self.settled || self.taken.shares.is_empty() {
            return Ok(());
        }
        let mut ledger = self.account.ledger.lock();
        let extended = ledger.budgets.extend(&mut self.taken.shares, more, at);
        extended.map_err(Box::new)
    }

    /// Whose it is.
    pub fn account(&self) -> &Arc<Account> {
        &self.account
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let next = self.account.ledger.lock().give_back(&self.taken);
        if let Some(next) = next {
            next.wake();
        }
    }
}
