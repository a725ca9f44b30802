//! The connections that are a tenant's: each is the tenant's of its latest request. Must never be counted per request.

use super::account::Account;
use std::sync::Arc;

/// How many connections are the tenant's, and may be.
#[derive(Debug, Default)]
pub(super) struct Seats {
    pub(super) most: Option<u32>,
    pub(super) taken: u32,
}

impl Seats {
    /// Takes one, or says how many there may be.
    pub(super) fn take(&mut self) -> Result<(), u32> {
        match self.most {
            Some(most) if self.taken >= most => Err(most),
            Some(_) | None => {
                self.taken = self.taken.saturating_add(1);
                Ok(())
            }
        }
    }
}

/// One connection, counted for its tenant until it is dropped.
#[derive(Debug)]
#[must_use = "a dropped seat is free again"]
pub struct Seat {
    account: Arc<Account>,
}

impl Seat {
    pub(super) fn new(account: Arc<Account>) -> Self {
        Self { account }
    }

    /// Whose it is.
    pub fn account(&self) -> &Arc<Account> {
        &self.account
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut seats = self.account.seats.lock();
        seats.taken = seats.taken.saturating_sub(1);
    }
}
